"""How much of a weight's update comes from how far back.

∂L_t/∂W is a sum over the steps at which W was used.  The term of lag ℓ is what W did at step t − ℓ, carried
to the loss at t by ∂s_t/∂s_{t−ℓ}: as that vanishes with ℓ, so does what the network learns of inputs so far
back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.gradients.arguments import checked_anchor
from harness.gradients.scaled import ZERO_EXPONENT, Scaled, beside, log10_of, power_of_two
from harness.gradients.trajectory import Array, Trajectory, check_finite, run_forward
from implementations.contract import Parameters

_SPREAD = 500
"""Samples whose δ lie further apart than this power of two are carried back separately."""


@dataclass(frozen=True)
class GradientByLag:
    """The terms of one gradient, summed over the samples.

    Args:
        lags: (t,), 0…t−1.
        log10_norm: (t,), log10 of the Frobenius norm of each term; an exact zero is −inf.
        cumulative_share: (t,), Σ_{ℓ' ≤ ℓ} ⟨term_ℓ', gradient⟩/‖gradient‖²: how much of the update is reached
            by going back so far; ends at 1, and may pass above it where far terms oppose the rest.  NaN where
            the gradient is zero.
        log10_gradient_norm: of the sum of all terms.
        gradient: the sum of all terms, in the parameter's shape; inf where it is beyond the range.
        terms: (t, *shape), where asked for.
        anchor: t.
    """

    lags: NDArray[np.int64]
    log10_norm: Array
    cumulative_share: Array
    log10_gradient_norm: float
    gradient: Array
    terms: Array | None
    anchor: int


def gradient_by_lag(
    cell: str,
    parameters: Parameters,
    inputs: Array,
    *,
    grad_output: Array,
    initial_state: Sequence[Array] | None = None,
    anchor: int | None = None,
    parameter: str = "weight_hh",
    keep_terms: bool = False,
    dtype: str = "float64",
    device: str = "cpu",
) -> GradientByLag:
    """Decompose the gradient of a loss at one step, L_t, by how far back it comes from.

    Args:
        inputs: (T, B, I).
        grad_output: (B, H), dL_t/dh_t.
        initial_state: tuple of (B, H); zeros where None.
        anchor: t, in 1…T; T where None.
        parameter: the name of the parameter.
        keep_terms: return the terms themselves too, t arrays of the parameter's shape.
        dtype, device: see `run_forward`.

    Raises:
        ValueError: what `run_forward` refuses; an anchor, a parameter or a shape that does not fit.
        ForwardDiverged: the network reached inf or NaN before the anchor.
    """
    t = checked_anchor(anchor, len(inputs))
    if t == 0:
        raise ValueError("anchor must be at least 1, got 0: no parameter was used before")
    trajectory = run_forward(
        cell, parameters, inputs, initial_state=initial_state, steps=t, dtype=dtype, device=device
    )
    known = trajectory.parameters.arrays()
    if parameter not in known:
        raise ValueError(f"{trajectory.cell.name} has no parameter {parameter!r}; it has {', '.join(known)}")
    delta = _checked_gradient(trajectory, grad_output)
    norm = np.empty(t)
    gradient, top = np.zeros_like(known[parameter]), ZERO_EXPONENT
    for lag, term, exponent in _terms(trajectory, delta, parameter):
        norm[lag] = log10_of(np.linalg.norm(term), exponent)
        higher = max(top, exponent)
        gradient = _scaled(gradient, top - higher) + _scaled(term, exponent - higher)
        top = higher
    share, terms = np.empty(t), np.empty((t, *gradient.shape)) if keep_terms else None
    square = float(np.sum(gradient**2))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for lag, term, exponent in _terms(trajectory, delta, parameter):
            share[lag] = np.sum(_scaled(term, exponent - top) * gradient) / np.float64(square)
            if terms is not None:
                terms[lag] = _plain(term, exponent)
        return GradientByLag(
            np.arange(t),
            norm,
            np.cumsum(share),
            float(log10_of(np.linalg.norm(gradient), top)),
            _plain(gradient, top),
            terms,
            t,
        )


def _checked_gradient(trajectory: Trajectory, grad_output: Array) -> list[Scaled]:
    """δ_t, per state (B, 1, H)."""
    grad = np.asarray(grad_output)
    shape = (trajectory.batch_size, trajectory.hidden_size)
    if grad.shape != shape:
        raise ValueError(f"grad_output must be (B, H) = {shape}, dL_t/dh_t at the anchor, got {grad.shape}")
    check_finite({"grad_output": grad})
    first = Scaled.of(grad.astype(trajectory.dtype)[:, None])
    others = [Scaled.of(np.zeros_like(first.mantissa)) for _ in trajectory.states[1:]]
    return [first, *others]


def _terms(trajectory: Trajectory, delta: list[Scaled], parameter: str) -> Iterator[tuple[int, Array, int]]:
    """(lag, term, e), lag = 0, 1, …: the term is term·2^e."""
    cell, parameters = trajectory.cell, trajectory.parameters
    for lag in range(trajectory.seq_len):
        step = trajectory.seq_len - lag
        x, state = trajectory.inputs[step - 1], trajectory.state(step - 1)
        whole = beside(delta)
        top = int(whole.exponent.max())
        common = whole.mantissa * power_of_two(whole.exponent - top, whole.mantissa)[..., None]
        found = cell.step_backward(parameters, x, state, _split(common, len(delta)))
        yield lag, found.parameters[parameter], top
        alive = whole.exponent[whole.exponent != ZERO_EXPONENT]
        if len(alive) and int(alive.min()) < top - _SPREAD:
            found = cell.step_backward(parameters, x, state, _split(whole.mantissa, len(delta)))
            delta = [Scaled(array[:, None], whole.exponent).normalised() for array in found.state]
        else:
            every = np.full_like(whole.exponent, top)
            delta = [Scaled(array[:, None], every).normalised() for array in found.state]


def _split(rows: Array, parts: int) -> tuple[Array, ...]:
    return tuple(np.split(rows[:, 0], parts, axis=1))


def _scaled(array: Array, exponent: int) -> Array:
    """array·2^exponent, exponent <= 0."""
    return array * power_of_two(np.array(exponent), array)


def _plain(array: Array, exponent: int) -> Array:
    return np.ldexp(array, int(np.clip(exponent, -4000, 4000)))
