"""Frobenius norms from random vectors, for states so wide that S×S matrices are too much.

For v with independent entries ±1, E‖vᵀP‖² = ‖P‖_F².  Each probe is one adjoint that walks back through time:
the cost per step is that of a backward pass, the memory n·B·S.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.gradients.scaled import Scaled, beside, log10_of
from harness.gradients.trajectory import Array, Trajectory


def probed_decay(
    trajectory: Trajectory, lags: NDArray[np.int64], blocks: Sequence[str], probes: int, seed: int
) -> tuple[dict[str, Array], dict[str, Array]]:
    """log10 Frobenius norm and its standard error, block -> (L, B) each.

    A block's probes live on the rows of its later state; those of "ss" on all rows.  The standard error is
    the first-order one: ½·se(mean)/mean/ln 10.

    Raises:
        ValueError: fewer than 2 probes.
    """
    if probes < 2:
        raise ValueError(f"probes must be at least 2, to have a standard error, got {probes}")
    shape = (len(lags), trajectory.batch_size)
    estimate, error = ({block: np.empty(shape) for block in blocks} for _ in range(2))
    rows = {int(lag): row for row, lag in enumerate(lags)}
    groups = dict.fromkeys("ss" if block == "ss" else block[0] for block in blocks)
    for group in groups:
        adjoint = _start(trajectory, group, probes, np.random.default_rng([seed, probes]))
        mine = [block for block in blocks if block == group or (block != "ss" and block[0] == group)]
        for lag in range(int(lags[-1]) + 1):
            if lag > 0:
                adjoint = _step_back(trajectory, trajectory.seq_len - lag + 1, adjoint)
            if lag in rows:
                for block in mine:
                    found = _mean_square(_part(trajectory, adjoint, block))
                    estimate[block][rows[lag]], error[block][rows[lag]] = found
    return estimate, error


def _start(trajectory: Trajectory, group: str, probes: int, rng: np.random.Generator) -> list[Scaled]:
    """One (n, B, H) adjoint per state: random signs on the group's states, zero on the others."""
    shape = (probes, trajectory.batch_size, trajectory.hidden_size)
    carried = trajectory.cell.state_names if group == "ss" else (group,)
    return [
        Scaled.of(
            (rng.choice([-1.0, 1.0], shape) if name in carried else np.zeros(shape)).astype(trajectory.dtype)
        )
        for name in trajectory.cell.state_names
    ]


def _step_back(trajectory: Trajectory, t: int, adjoint: list[Scaled]) -> list[Scaled]:
    """vᵀ → vᵀJ_t, all probes at once along the batch."""
    whole = beside(adjoint)
    count, batch_size, _ = whole.mantissa.shape
    parts = np.split(whole.mantissa.reshape(count * batch_size, -1), len(adjoint), axis=1)
    found = trajectory.cell.step_backward(
        trajectory.parameters,
        np.tile(trajectory.inputs[t - 1], (count, 1)),
        tuple(np.tile(array, (count, 1)) for array in trajectory.state(t - 1)),
        tuple(parts),
    )
    return [
        Scaled(array.reshape(count, batch_size, -1), whole.exponent).normalised() for array in found.state
    ]


def _part(trajectory: Trajectory, adjoint: list[Scaled], block: str) -> Scaled:
    return beside(adjoint) if block == "ss" else adjoint[trajectory.cell.state_names.index(block[1])]


def _mean_square(vectors: Scaled) -> tuple[Array, Array]:
    """log10 of the root mean square norm over the probes, and its standard error: (n, B, C) -> (B,) each."""
    top = vectors.exponent.max(axis=0)
    with np.errstate(under="ignore"):
        scale = np.ldexp(1.0, np.clip(vectors.exponent - top, -1100, 0).astype(np.int32))
        squares = np.sum(vectors.mantissa.astype(np.float64) ** 2, axis=-1) * scale**2
    mean = squares.mean(axis=0)
    spread = squares.std(axis=0, ddof=1) / np.sqrt(len(squares))
    relative = np.divide(spread, mean, out=np.zeros_like(mean), where=mean > 0.0)
    return log10_of(np.sqrt(mean), top), 0.5 * relative / np.log(10.0)
