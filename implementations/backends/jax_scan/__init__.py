"""Backend `jax`: every cell as one jitted `jax.lax.scan`, on the CPU.

This module names it; JAX itself is imported only when it is loaded.
"""

from __future__ import annotations

from implementations.contract import Backend, BackendUnavailable
from implementations.hints import Hint, hinted
from implementations.registry import BACKENDS


@BACKENDS.register("jax")
@hinted(Hint("jax", loading=12.0, step_calls=3.0, compiling=12.0, per_shape=True))
def load() -> Backend:
    """Jitted jax.lax.scan on the CPU, its backward by jax.vjp."""
    try:
        from implementations.backends.jax_scan.backend import JaxBackend
    except ImportError as error:
        raise BackendUnavailable(f"jax: {error}; `pip install .[peers]` brings it") from error
    return JaxBackend()
