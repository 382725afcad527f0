"""Frobenius norms from random vectors, for states so wide that S×S matrices are too much.

For v with independent entries ±1, E‖vᵀP‖² = ‖P‖_F².  Each probe is one adjoint that walks back through time:
the cost per step is that of a backward pass, the memory n·B·S.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.gradients.factors import Slopes
from harness.gradients.namespace import as_float64
from harness.gradients.pulled import Pulled, checked
from harness.gradients.scaled import LOG10_2, power_of_two
from harness.gradients.trajectory import Array, Trajectory

Native = Any


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
    space, slopes = trajectory.space, Slopes(trajectory)
    wanted = {int(lag) for lag in lags}
    estimate: dict[str, Array] = {}
    error: dict[str, Array] = {}
    groups = dict.fromkeys("ss" if block == "ss" else block[0] for block in blocks)
    for group in groups:
        rows = _start(trajectory, group, probes, np.random.default_rng([seed, probes]))
        mine = [block for block in blocks if block == group or (block != "ss" and block[0] == group)]
        found: dict[str, list[Native]] = {block: [] for block in mine}
        for lag in range(int(lags[-1]) + 1):
            if lag > 0:
                rows, _ = rows.through(slopes.step, slopes.of(trajectory.seq_len - lag + 1))
            if lag in wanted:
                for block in mine:
                    found[block].append(_mean_square(trajectory, rows, block))
        for block in mine:
            values = space.get(space.xp.stack(found[block]))
            estimate[block], error[block] = checked(values[:, 0]), values[:, 1]
    return estimate, error


def _start(trajectory: Trajectory, group: str, probes: int, rng: np.random.Generator) -> Pulled:
    """(B, n, H) per state: random signs on the group's states, zero on the others."""
    shape = (trajectory.batch_size, probes, trajectory.hidden_size)
    carried = trajectory.cell.state_names if group == "ss" else (group,)
    return Pulled.of(
        [
            trajectory.space.put(rng.choice([-1.0, 1.0], shape) if name in carried else np.zeros(shape))
            for name in trajectory.cell.state_names
        ]
    )


def _mean_square(trajectory: Trajectory, rows: Pulled, block: str) -> Native:
    """log10 of the root mean square norm over the probes, and its standard error, (2, B)."""
    xp = trajectory.space.xp
    names = trajectory.cell.state_names
    parts = rows.parts if block == "ss" else (rows.parts[names.index(block[1])],)
    # A part may be far below the others of its row: its squares are taken relative to itself.
    largest = xp.amax(xp.stack([xp.amax(xp.abs(as_float64(part)), -1) for part in parts]), 0)
    shift = xp.frexp(largest)[1]
    exponent = rows.exponent + shift
    top = xp.amax(exponent, -1)
    unit = power_of_two(-(shift + 0 * rows.exponent), largest)[..., None]
    squares = sum(((as_float64(part) * unit) ** 2).sum(-1) for part in parts)
    squares = squares * power_of_two(exponent - top[:, None], largest) ** 2
    mean = squares.sum(-1) / squares.shape[-1]
    spread = xp.sqrt(((squares - mean[:, None]) ** 2).sum(-1) / (squares.shape[-1] - 1) / squares.shape[-1])
    none = mean == 0.0
    safe = xp.where(none, xp.ones_like(mean), mean)
    logs = 0.5 * xp.log10(safe) + as_float64(top) * LOG10_2
    return xp.stack([xp.where(none, xp.full_like(logs, -np.inf), logs), 0.5 * spread / safe / np.log(10.0)])
