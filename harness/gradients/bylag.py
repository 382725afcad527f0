"""How much of a weight's update comes from how far back.

∂L_t/∂W is a sum over the steps at which W was used.  The term of lag ℓ is what W did at step t − ℓ, carried
to the loss at t by ∂s_t/∂s_{t−ℓ}: as that vanishes with ℓ, so does what the network learns of inputs so far
back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.gradients.arguments import checked_anchor
from harness.gradients.factors import Slopes
from harness.gradients.namespace import integer_zeros
from harness.gradients.pulled import Pulled, checked, log10_norms
from harness.gradients.scaled import ZERO_EXPONENT, power_of_two, powers_of_two
from harness.gradients.trajectory import Array, Trajectory, check_finite, run_forward
from implementations.contract import Parameters

Native = Any


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
    space, xp = trajectory.space, trajectory.space.xp
    gradient = space.zeros(known[parameter].shape)
    top = integer_zeros((), gradient) + ZERO_EXPONENT
    norms, shares, terms = [], [], []
    for term, exponent in _terms(trajectory, delta, parameter):
        norms.append(log10_norms(term.reshape(-1), exponent))
        higher = xp.maximum(top, exponent)
        gradient = gradient * power_of_two(top - higher, gradient) + term * power_of_two(
            exponent - higher, term
        )
        top = higher
    square = (gradient**2).sum()
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for term, exponent in _terms(trajectory, delta, parameter):
            shares.append((term * power_of_two(exponent - top, term) * gradient).sum() / square)
            if keep_terms:
                terms.append(_plain(term, exponent))
        return GradientByLag(
            np.arange(t),
            checked(space.get(xp.stack(norms))),
            np.cumsum(space.get(xp.stack(shares)).astype(np.float64)),
            float(log10_norms(gradient.reshape(-1), top)),
            space.get(_plain(gradient, top)),
            space.get(xp.stack(terms)).astype(np.float64) if keep_terms else None,
            t,
        )


def _checked_gradient(trajectory: Trajectory, grad_output: Array) -> Pulled:
    """δ_t, one row per sample."""
    grad = np.asarray(grad_output)
    shape = (trajectory.batch_size, trajectory.hidden_size)
    if grad.shape != shape:
        raise ValueError(f"grad_output must be (B, H) = {shape}, dL_t/dh_t at the anchor, got {grad.shape}")
    check_finite({"grad_output": grad})
    others = [np.zeros(shape) for _ in trajectory.states[1:]]
    return Pulled.of([trajectory.space.put(array[:, None]) for array in (grad, *others)])


def _terms(trajectory: Trajectory, delta: Pulled, parameter: str) -> Iterator[tuple[Native, Native]]:
    """(term, e) of lag 0, 1, …: the term is term·2^e."""
    slopes, xp = Slopes(trajectory), trajectory.space.xp
    for step in range(trajectory.seq_len, 0, -1):
        of_step = slopes.of(step)
        top = xp.amax(delta.exponent)
        weight = power_of_two(delta.exponent - top, delta.parts[0])[..., None]
        delta, reached = delta.through(slopes.step, of_step)
        found = slopes.step.parameter_gradients(
            tuple(array * weight for array in reached),
            of_step,
            trajectory.inputs[step - 1],
            trajectory.state(step - 1),
        )
        yield found[parameter], top


def _plain(array: Native, exponent: Native) -> Native:
    first, second = powers_of_two(exponent, array)
    return array * first * second
