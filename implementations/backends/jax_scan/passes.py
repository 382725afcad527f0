"""The three compiled functions behind every layer: inference, forward that keeps residuals, backward.

XLA compiles each once per cell, dtype and shapes, at the first call; layers of equal shapes share it.
The forward of a training pass returns `jax.vjp`'s function, which is a pytree: its leaves, the residuals,
leave the compiled forward as arrays and enter the compiled backward, so that no step is computed twice.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from implementations.backends.jax_scan.cells import STEPS, State

Named = dict[str, jax.Array]
Outcome = tuple[jax.Array, State]


def scan(cell: str, parameters: Named, inputs: jax.Array, state: State, lengths: jax.Array | None) -> Outcome:
    """inputs (T, B, I), state of (B, H), lengths (B,) or None -> output (T, B, H), final state."""

    def step(x_t: jax.Array, state: State) -> State:
        return STEPS[cell](x_t, state, parameters["weight_hh"], parameters["bias_hh"])

    if lengths is None:
        x = inputs @ parameters["weight_ih"].T + parameters["bias_ih"]

        def body(state: State, x_t: jax.Array) -> tuple[State, jax.Array]:
            state = step(x_t, state)
            return state, state[0]

        final, output = jax.lax.scan(body, state, x)
        return output, final
    return _scan_present(step, parameters, inputs, state, lengths)


def _scan_present(
    step: Any, parameters: Named, inputs: jax.Array, state: State, lengths: jax.Array
) -> Outcome:
    """Samples that have ended keep their state.

    What stands in the padding is replaced before it is used, not only after: a selection alone would let
    0 · NaN into the gradients.
    """
    present = jnp.arange(inputs.shape[0])[:, None, None] < lengths[None, :, None]
    x = jnp.where(present, inputs, 0) @ parameters["weight_ih"].T + parameters["bias_ih"]

    def body(state: State, at: tuple[jax.Array, jax.Array]) -> tuple[State, jax.Array]:
        x_t, here = at
        stepped = step(x_t, tuple(jnp.where(here, old, 0) for old in state))
        state = tuple(jnp.where(here, new, old) for new, old in zip(stepped, state, strict=True))
        return state, jnp.where(here, state[0], 0)

    final, output = jax.lax.scan(body, state, (x, present))
    return output, final


@partial(jax.jit, static_argnames="cell")
def infer(
    cell: str, parameters: Named, inputs: jax.Array, state: State, lengths: jax.Array | None
) -> Outcome:
    """output (T, B, H) and final state; nothing is kept."""
    return scan(cell, parameters, inputs, state, lengths)


@partial(jax.jit, static_argnames="cell")
def keep(
    cell: str, parameters: Named, inputs: jax.Array, state: State, lengths: jax.Array | None
) -> tuple[Outcome, Any]:
    """output and final state, and the function that takes their gradients back."""

    def run(parameters: Named, inputs: jax.Array, state: State) -> Outcome:
        return scan(cell, parameters, inputs, state, lengths)

    return jax.vjp(run, parameters, inputs, state)


@jax.jit
def pull(back: Any, grad_output: jax.Array, grad_final_state: State) -> tuple[Named, jax.Array, State]:
    """Gradients of the parameters, the inputs and the initial state."""
    return back((grad_output, grad_final_state))
