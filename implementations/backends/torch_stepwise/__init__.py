"""Backends `torch_eager`, `torch_script` and `torch_compile`: each cell written by hand, one step at a time.

What people have who need a cell that torch.nn lacks: the same equations run step by step in Python, run
as TorchScript, or with the step compiled by TorchInductor.  torch is imported only when one is loaded.
"""

from __future__ import annotations

from implementations.contract import Backend, BackendUnavailable
from implementations.hints import Hint, hinted
from implementations.registry import BACKENDS


@BACKENDS.register("torch_eager")
@hinted(Hint("torch", loading=18.0, step_calls=60.0))
def load_eager() -> Backend:
    """The hand-written cell in a Python loop over torch operations, on the CPU."""
    from implementations.backends.torch_stepwise.backend import EagerBackend

    return EagerBackend()


@BACKENDS.register("torch_script")
@hinted(Hint("torch", loading=18.0, step_calls=40.0, compiling=3.0))
def load_script() -> Backend:
    """The hand-written cell and its loop as TorchScript (torch.jit.script), on the CPU."""
    from implementations.backends.torch_stepwise.script import ScriptBackend, why_unavailable

    reason = why_unavailable()
    if reason is not None:
        raise BackendUnavailable(f"torch_script: {reason}")
    return ScriptBackend()


@BACKENDS.register("torch_compile")
@hinted(Hint("torch", loading=35.0, step_calls=60.0, compiling=300.0))
def load_compile() -> Backend:
    """The hand-written cell compiled by torch.compile (TorchInductor), in a Python loop, on the CPU."""
    from implementations.backends.torch_stepwise.compile import CompileBackend, why_unavailable

    reason = why_unavailable()
    if reason is not None:
        raise BackendUnavailable(f"torch_compile: {reason}")
    return CompileBackend()
