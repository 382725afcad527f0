"""How the loss gradient δ_k = dL/dh_k travels back through a network, with or without clipping on its way.

δ_k = J_{k+1}ᵀ δ_{k+1} + (the gradient that the loss at k itself sends to h_k).  δ is kept with an exponent
per sample, so that it neither under- nor overflows; clipping, which compares with a threshold in plain
numbers, sees it in plain numbers.  All of it stays on the device until T steps are done.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.clipping import Clipping
from harness.gradients.factors import Slopes
from harness.gradients.namespace import cast_like, namespace_of
from harness.gradients.onestep import DenseStep, OneStep, gates_pass_on
from harness.gradients.pulled import Pulled, checked, log10_norms, plain
from harness.gradients.scaled import times_power_of_two
from harness.gradients.trajectory import Array, Trajectory, check_finite, run_forward
from implementations.contract import Parameters
from implementations.registry import CELLS

Native = Any


@dataclass(frozen=True)
class Adjoint:
    """Args:
    log10_total: (T+1, B), log10 ‖dL/dh_k‖₂ for k = 0…T, after clipping; an exact zero is −inf.
    log10_direct: (T+1, B), the part that the loss sends to h_k itself (at T also grad_final_state).
    parameters: name -> dL/d parameter, after clipping at whichever place.
    clipped: (T+1, B), where clipping at place "state" changed δ_k, at "gates" the gradients of the step that
        made h_k; with "truncated", where some loss gradient would have come from further than its steps.
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
            separately; at place "gates" on the gradients of a step's pre-activations, all of its gates
            together, before any of them goes on to h or to a parameter; at place "parameters" on the
            finished parameter gradients, and changes no δ_k.
        dtype, device: see `run_forward`.

    Raises:
        ValueError: what `run_forward` refuses; no gradient at all; shapes that do not fit; clipping at the
            gates of a cell whose gates cannot be had so.
        ForwardDiverged: the network reached inf or NaN.
    """
    if (reason := why_not_at_gates(cell, clipping)) is not None:
        raise ValueError(reason)
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


def why_not_at_gates(cell: str, clipping: Clipping | None) -> str | None:
    """Why this cell cannot be clipped at its gates, or None where it can, or need not."""
    if clipping is None or clipping.place != "gates" or gates_pass_on(CELLS[cell]):
        return None
    able = ", ".join(name for name, known in CELLS.items() if gates_pass_on(known))
    return (
        f"clipping at place 'gates' cannot be had for {cell}: its gates read the cell state or one another's "
        f"past, or the state is their pre-activation; it can for {able}"
    )


def _direct(
    trajectory: Trajectory, grad_output: Array | None, grad_final_state: Sequence[Array | None] | None
) -> list[Array]:
    """The loss gradient that arrives at each state itself: per state (T+1, B, H)."""
    if grad_output is None and grad_final_state is None:
        raise ValueError("grad_output or grad_final_state must be given: without either there is no gradient")
    shape = (trajectory.seq_len + 1, trajectory.batch_size, trajectory.hidden_size)
    direct = [np.zeros(shape) for _ in trajectory.states]
    if grad_output is not None:
        direct[0][1:] += _fitting("grad_output", grad_output, direct[0][1:].shape)
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
    space, slopes = trajectory.space, Slopes(trajectory)
    native = [space.put(own) for own in direct]
    gradients = {name: space.zeros(a.shape) for name, a in trajectory.parameters.arrays().items()}
    at_state, at_gates = (
        clipping if clipping is not None and clipping.place == place else None for place in ("state", "gates")
    )
    if at_gates is not None and isinstance(slopes.step, DenseStep):
        raise ValueError(
            f"clipping at place 'gates' cannot be had for {trajectory.cell.name}: it has no structured form"
        )
    norms, clipped, non_finite = [], [], []
    delta = Pulled.of([own[-1][:, None] for own in native])
    for k in range(trajectory.seq_len, -1, -1):
        if k < trajectory.seq_len:
            of_step = slopes.of(k + 1)
            before = delta
            delta, reached = before.through(slopes.step, of_step)
            # Parameter gradients sum over the samples, and so need δ in plain numbers.
            if at_gates is None:
                reached = _in_plain(reached, before.exponent)
            else:
                delta, reached, changed, count = _clip_gates(
                    before, delta, reached, of_step, slopes, at_gates
                )
                clipped.append(changed)
                non_finite.append(count)
            _add(slopes.step, gradients, reached, of_step, trajectory.inputs[k], trajectory.state(k))
            delta = delta.plus(Pulled.of([own[k][:, None] for own in native]))
        if at_state is not None:
            delta, changed, count = _clip(delta, at_state)
            clipped.append(changed)
            non_finite.append(count)
        norms.append(log10_norms(delta.parts[0][:, 0], delta.exponent[:, 0]))
    if at_gates is not None:  # no gate made the state that is given
        clipped.append(space.xp.zeros_like(clipped[-1]))
    total = checked(space.get(space.xp.stack(norms))[::-1])
    return Adjoint(
        total,
        space.get(log10_norms(native[0])),
        {name: space.get(array) for name, array in gradients.items()},
        space.get(space.xp.stack(clipped))[::-1] if clipped else np.zeros(total.shape, bool),
        int(space.get(space.xp.stack(non_finite)).sum()) if non_finite else 0,
    )


def _clip_gates(
    before: Pulled,
    came: Pulled,
    reached: tuple[Native, ...],
    of_step: tuple[Native, ...],
    slopes: Slopes,
    clipping: Clipping,
) -> tuple[Pulled, tuple[Native, ...], Native, Native]:
    """δ with what the rule left of the gates, that alone; which samples; how many entries are not finite.

    Args:
        before, came: δ on either side of the step, unclipped.
        reached: see `OneStep.pull`, of the rows of `before.parts`.

    What goes through the gates and what goes past them are taken by themselves: the difference to `came`
    would drown in what the rule took off.
    """
    wide = plain(reached[0][:, 0], before.exponent[:, 0])
    xp = namespace_of(wide)
    new = clipping.clip({"gates": wide})["gates"]
    changed = ((new != wide) & ~xp.isnan(wide)).any(1)
    left = Pulled.of([new[:, None]])
    rows = cast_like(left.parts[0], reached[0])
    through, at_hidden = slopes.step.through_gates(rows, of_step)
    past = slopes.step.past_gates(before.parts, of_step)
    others = [xp.zeros_like(part) for part in came.parts[1:]]
    delta = (
        Pulled.of([past, *others], before.exponent)
        .plus(Pulled.of([xp.zeros_like(through), *came.parts[1:]], came.exponent))
        .plus(Pulled.of([through, *others], left.exponent))
    )
    clipped, unclipped = _in_plain((rows, at_hidden), left.exponent), _in_plain(reached, before.exponent)
    reached = tuple(
        xp.where(changed[:, None, None], new, old) for new, old in zip(clipped, unclipped, strict=True)
    )
    return delta.where(changed, came), reached, changed, (~xp.isfinite(wide)).sum()


def _in_plain(reached: tuple[Native, ...], exponent: Native) -> tuple[Native, ...]:
    with np.errstate(over="ignore", under="ignore"):
        return tuple(times_power_of_two(array, exponent) for array in reached)


def _add(
    step: OneStep,
    gradients: dict[str, Native],
    reached: tuple[Native, ...],
    of_step: tuple[Native, ...],
    x: Native,
    state: tuple[Native, ...],
) -> None:
    """What a step says of the parameters, added to `gradients`."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        for name, array in step.parameter_gradients(reached, of_step, x, state).items():
            gradients[name] += array


def _truncated(trajectory: Trajectory, direct: list[Array], steps: int) -> Adjoint:
    """Each loss gradient travels `steps` steps by itself: all anchors at once, along the batch."""
    space, seq_len, batch_size = trajectory.space, trajectory.seq_len, trajectory.batch_size
    native = [space.put(own) for own in direct]
    gradients = {name: space.zeros(a.shape) for name, a in trajectory.parameters.arrays().items()}
    step = Slopes(trajectory).step
    inputs = trajectory.inputs.reshape(seq_len * batch_size, -1)
    states = tuple(state[:-1].reshape(seq_len * batch_size, -1) for state in trajectory.states)
    slopes = tuple(a[0] for a in step.slopes(inputs[None], tuple(state[None] for state in states)))
    # One row per k and sample: of δ_k so far, and of what still travels.
    travelling = Pulled.of([own.reshape((seq_len + 1) * batch_size, 1, -1) for own in native])
    total = Pulled.of(travelling.parts[:1], travelling.exponent)
    for lag in range(1, min(steps, seq_len) + 1):
        # What left anchor t stands at k = t − lag, t = lag…T.
        count = (seq_len - lag + 1) * batch_size
        of_steps = tuple(array[:count] for array in slopes)
        before = travelling.rows(slice(batch_size, None))
        travelling, reached = before.through(step, of_steps)
        reached = _in_plain(reached, before.exponent)
        _add(step, gradients, reached, of_steps, inputs[:count], tuple(state[:count] for state in states))
        arrived = total.rows(slice(count)).plus(Pulled.of(travelling.parts[:1], travelling.exponent))
        total = arrived.followed_by(total.rows(slice(count, None)))
    clipped = np.zeros((seq_len + 1, batch_size), bool)
    clipped[: max(0, seq_len - steps)] = True
    norms = log10_norms(total.parts[0][:, 0], total.exponent[:, 0])
    return Adjoint(
        checked(space.get(norms)).reshape(seq_len + 1, batch_size),
        space.get(log10_norms(native[0])),
        {name: space.get(array) for name, array in gradients.items()},
        clipped,
        0,
    )


def _clip(delta: Pulled, clipping: Clipping) -> tuple[Pulled, Native, Native]:
    """δ by the rule, where the rule changes it; which samples those are; how many entries are not finite.

    A state of a sample that the rule leaves as it is keeps its exponent: far below the range of plain
    numbers, it is far below every threshold.
    """
    result: Pulled | None = None
    changes, count = [], 0
    for place, part in enumerate(delta.parts):
        values = plain(part[:, 0], delta.exponent[:, 0])
        xp = namespace_of(values)
        new = clipping.clip({"delta": values})["delta"]
        changed = ((new != values) & ~xp.isnan(values)).any(1)
        count = count + (~xp.isfinite(values)).sum()
        left = Pulled.of([new[:, None]])
        mantissa = xp.where(changed[:, None, None], cast_like(left.parts[0], part), part)
        exponent = xp.where(changed[:, None], left.exponent, delta.exponent)
        others = [xp.zeros_like(other) for other in delta.parts]
        others[place] = mantissa
        mine = Pulled.of(others, exponent)
        result = mine if result is None else result.plus(mine)
        changes.append(changed)
    assert result is not None
    return result, functools.reduce(operator.or_, changes), count
