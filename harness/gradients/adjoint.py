"""How the loss gradient δ_k = dL/dh_k travels back through a network, with or without clipping on its way.

δ_k = J_{k+1}ᵀ δ_{k+1} + (the gradient that the loss at k itself sends to h_k).  δ is kept with an exponent
per sample, so that it neither under- nor overflows; clipping, which compares with a threshold in plain
numbers, sees it in plain numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.clipping import Clipping
from harness.gradients.scaled import ZERO_EXPONENT, Scaled, add, beside, log10_of
from harness.gradients.trajectory import Array, Trajectory, check_finite, run_forward
from implementations.contract import Parameters, StepGradients

_SAFE = {"float64": 500, "float32": 60}
"""Exponents of two that one step cannot carry out of the range."""


@dataclass(frozen=True)
class Adjoint:
    """Args:
    log10_total: (T+1, B), log10 ‖dL/dh_k‖₂ for k = 0…T, after clipping; an exact zero is −inf.
    log10_direct: (T+1, B), the part that the loss sends to h_k itself (at T also grad_final_state).
    parameters: name -> dL/d parameter, after clipping at whichever place.
    clipped: (T+1, B), where clipping at place "state" changed δ_k; with "truncated", where some loss gradient
        would have come from further than its steps.
    non_finite: entries that clipping met as NaN or inf.
    """

    log10_total: Array
    log10_direct: Array
    parameters: Mapping[str, Array]
    clipped: NDArray[np.bool_]
    non_finite: int


def adjoint_decay(
    cell: str,
    parameters: Parameters,
    inputs: Array,
    *,
    initial_state: Sequence[Array] | None = None,
    grad_output: Array | None = None,
    grad_final_state: Sequence[Array | None] | None = None,
    clipping: Clipping | None = None,
    dtype: str = "float64",
    device: str = "cpu",
) -> Adjoint:
    """Back-propagation through time, with the norm of δ_k at every k.

    Args:
        inputs: (T, B, I).
        initial_state: tuple of (B, H); zeros where None.
        grad_output: (T, B, H), dL/d output; zeros where None.
        grad_final_state: tuple of (B, H) in the cell's order, dL/d final state; zeros where None.
        clipping: at place "state" it acts on δ_k at every k, T and 0 included, on an LSTM's δh and δc
            separately; at place "parameters" on the finished parameter gradients, and changes no δ_k.
        dtype, device: see `run_forward`.

    Raises:
        ValueError: what `run_forward` refuses; no gradient at all; shapes that do not fit; clipping at the
            gates, whose gradients this recurrence does not pass through one by one.
        ForwardDiverged: the network reached inf or NaN.
    """
    if clipping is not None and clipping.place == "gates":
        raise ValueError(
            "clipping at place 'gates' cannot be had here: the recurrence of δ_k passes through whole steps; "
            "it can at state, parameters"
        )
    trajectory = run_forward(
        cell, parameters, inputs, initial_state=initial_state, dtype=dtype, device=device
    )
    direct = _direct(trajectory, grad_output, grad_final_state)
    if clipping is not None and clipping.rule == "truncated":
        found = _truncated(trajectory, direct, int(clipping.steps or 1))
    else:
        found = _backward(trajectory, direct, clipping)
    if clipping is None or clipping.place != "parameters":
        return found
    outcome = clipping.apply(found.parameters, trajectory.parameters.arrays())
    return Adjoint(
        found.log10_total, found.log10_direct, outcome.gradients, found.clipped, outcome.non_finite
    )


def _direct(
    trajectory: Trajectory, grad_output: Array | None, grad_final_state: Sequence[Array | None] | None
) -> list[Array]:
    """The loss gradient that arrives at each state itself: per state (T+1, B, H)."""
    if grad_output is None and grad_final_state is None:
        raise ValueError("grad_output or grad_final_state must be given: without either there is no gradient")
    direct = [np.zeros_like(state) for state in trajectory.states]
    if grad_output is not None:
        direct[0][1:] += _fitting("grad_output", grad_output, trajectory.states[0][1:].shape)
    if grad_final_state is not None:
        names = trajectory.cell.state_names
        if len(grad_final_state) != len(names):
            raise ValueError(
                f"grad_final_state must be a tuple ({', '.join(names)}), got {len(grad_final_state)} arrays"
            )
        for name, own, array in zip(names, direct, grad_final_state, strict=True):
            if array is not None:
                own[-1] += _fitting(f"grad_final_state {name}", array, own[-1].shape)
    return direct


def _fitting(name: str, array: Any, shape: tuple[int, ...]) -> Array:
    array = np.asarray(array)
    if array.shape != shape:
        raise ValueError(f"{name} must be {shape}, got {array.shape}")
    check_finite({name: array})
    return array


def _backward(trajectory: Trajectory, direct: list[Array], clipping: Clipping | None) -> Adjoint:
    """The recurrence from T to 0, δ clipped at every k where asked."""
    total = _table(trajectory)
    clipped = np.zeros(total.shape, bool)
    gradients = {name: np.zeros_like(a) for name, a in trajectory.parameters.arrays().items()}
    non_finite = 0
    delta = [_per_sample(own[-1]) for own in direct]
    for k in range(trajectory.seq_len, -1, -1):
        if k < trajectory.seq_len:
            back = _through(trajectory, k + 1, delta, gradients)
            delta = [add([got, _per_sample(own[k])]) for got, own in zip(back, direct, strict=True)]
        if clipping is not None and clipping.place == "state":
            found = [_clip(part, clipping) for part in delta]
            delta = [part for part, _, _ in found]
            clipped[k] = np.any([changed for _, changed, _ in found], axis=0)
            non_finite += sum(count for _, _, count in found)
        total[k] = _log10_norm(delta[0])
    return Adjoint(total, _log10_norms(direct[0]), gradients, clipped, non_finite)


def _through(
    trajectory: Trajectory, t: int, delta: list[Scaled], gradients: dict[str, Array]
) -> list[Scaled]:
    """J_tᵀ δ; what δ says of the parameters is added to `gradients`."""
    whole = beside(delta)
    exponent = whole.exponent

    def step_backward(rows: Array) -> StepGradients:
        states = tuple(np.split(rows, len(delta), axis=1))
        x, state = trajectory.inputs[t - 1], trajectory.state(t - 1)
        return trajectory.cell.step_backward(trajectory.parameters, x, state, states)

    # Parameter gradients sum over the samples, and so need δ in plain numbers; δ itself only while they are
    # well inside the range.
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = step_backward(np.ldexp(whole.mantissa[:, 0], _as_int(exponent)))
        for name, array in found.parameters.items():
            gradients[name] += array
    if np.all((np.abs(exponent) < _SAFE[trajectory.dtype.name]) | (exponent == ZERO_EXPONENT)):
        return [Scaled.of(array[:, None]) for array in found.state]
    found = step_backward(whole.mantissa[:, 0])
    return [Scaled(array[:, None], exponent).normalised() for array in found.state]


def _truncated(trajectory: Trajectory, direct: list[Array], steps: int) -> Adjoint:
    """Each loss gradient travels `steps` steps by itself: all anchors at once, along the batch."""
    seq_len, batch_size = trajectory.seq_len, trajectory.batch_size
    total = [_per_sample(own) for own in direct]
    gradients = {name: np.zeros_like(a) for name, a in trajectory.parameters.arrays().items()}
    travelling = direct
    for lag in range(1, min(steps, seq_len) + 1):
        # What left anchor t stands at k = t − lag, t = lag…T.
        count = seq_len - lag + 1
        flat = (count * batch_size, -1)
        found = trajectory.cell.step_backward(
            trajectory.parameters,
            trajectory.inputs[:count].reshape(flat),
            tuple(state[:count].reshape(flat) for state in trajectory.states),
            tuple(own[1:].reshape(flat) for own in travelling),
        )
        for name, array in found.parameters.items():
            gradients[name] += array
        travelling = [array.reshape(count, batch_size, -1) for array in found.state]
        total = [_add_to_first(own, came) for own, came in zip(total, travelling, strict=True)]
    clipped = np.zeros((seq_len + 1, batch_size), bool)
    clipped[: max(0, seq_len - steps)] = True
    return Adjoint(_log10_norm(total[0]), _log10_norms(direct[0]), gradients, clipped, 0)


def _add_to_first(total: Scaled, came: Array) -> Scaled:
    """`came` (n, B, H) added to the first n entries of `total` (T+1, B, 1, H)."""
    padded = np.zeros_like(total.mantissa)
    padded[: len(came)] = came[:, :, None]
    return add([total, Scaled.of(padded)])


def _clip(delta: Scaled, clipping: Clipping) -> tuple[Scaled, NDArray[np.bool_], int]:
    """δ by the rule, where the rule changes it; which samples those are; how many entries are not finite.

    A sample whose plain numbers underflow is far below every threshold, and keeps its exponent.
    """
    with np.errstate(over="ignore", under="ignore"):
        plain = np.ldexp(delta.mantissa[:, 0], _as_int(delta.exponent))
    outcome = clipping.apply({"delta": plain})
    new = outcome.gradients["delta"]
    changed = np.any((new != plain) & ~np.isnan(plain), axis=1)
    replaced = Scaled.of(np.where(changed[:, None], new, 0.0)[:, None])
    keep = ~changed[:, None]
    return (
        Scaled(
            np.where(keep[..., None], delta.mantissa, replaced.mantissa),
            np.where(keep, delta.exponent, replaced.exponent),
        ),
        changed,
        outcome.non_finite,
    )


def _per_sample(array: Array) -> Scaled:
    """(…, H) with one exponent each, as (…, 1, H)."""
    return Scaled.of(array[..., None, :])


def _as_int(exponent: NDArray[np.int64]) -> NDArray[np.int32]:
    return np.clip(exponent, -4000, 4000).astype(np.int32)


def _log10_norm(delta: Scaled) -> Array:
    """(…, 1, H) -> (…)."""
    norm = np.linalg.norm(delta.mantissa[..., 0, :].astype(np.float64), axis=-1)
    return log10_of(norm, delta.exponent[..., 0])


def _log10_norms(array: Array) -> Array:
    return _log10_norm(_per_sample(array))


def _table(trajectory: Trajectory) -> Array:
    return np.empty((trajectory.seq_len + 1, trajectory.batch_size))
