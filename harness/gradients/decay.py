"""How the norm of ∂s_t/∂s_k falls, or grows, with the lag t − k."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.gradients.arguments import checked_anchor, checked_lags
from harness.gradients.carried import Carried
from harness.gradients.kernels import KERNELS, loaded_kernels
from harness.gradients.namespace import Space
from harness.gradients.norms import Norms, most_at_once, stacked
from harness.gradients.probes import probed_decay
from harness.gradients.products import check_blocks, later_states
from harness.gradients.threads import SMALL, threads_for
from harness.gradients.trajectory import Array, Trajectory, run_forward
from harness.gradients.walk import LONGEST_STRIDE, Walk
from implementations.contract import Parameters

if TYPE_CHECKING:
    import pandas as pd

WORTH_A_THREAD = 48
"""Hidden size from which a second thread gains more than it costs."""


@dataclass(frozen=True)
class Decay:
    """Norms of the blocks of ∂s_t/∂s_k at one anchor.

    Args:
        lags: (L,) increasing.
        log10_spectral_norm: block -> (L, B); empty where the norms were estimated by probes.
        log10_frobenius_norm: block -> (L, B).  An exact zero is −inf.
        log10_frobenius_standard_error: block -> (L, B), of the estimate by probes; empty where exact.
        anchor: t.
    """

    lags: NDArray[np.int64]
    log10_spectral_norm: dict[str, Array]
    log10_frobenius_norm: dict[str, Array]
    anchor: int
    log10_frobenius_standard_error: dict[str, Array] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """One row per lag, block and sample: lag, block, sample, and every norm that there is."""
        import pandas as pd

        norms = {
            "log10_spectral_norm": self.log10_spectral_norm,
            "log10_frobenius_norm": self.log10_frobenius_norm,
            "log10_frobenius_standard_error": self.log10_frobenius_standard_error,
        }
        frames = []
        for block, values in self.log10_frobenius_norm.items():
            samples = values.shape[1]
            frame = {
                "lag": np.repeat(self.lags, samples),
                "block": block,
                "sample": np.tile(np.arange(samples), len(self.lags)),
            }
            frames.append(pd.DataFrame(frame | {k: v[block].ravel() for k, v in norms.items() if block in v}))
        return pd.concat(frames, ignore_index=True)


def jacobian_decay(
    cell: str,
    parameters: Parameters,
    inputs: Array,
    *,
    initial_state: Sequence[Array] | None = None,
    anchor: int | None = None,
    lags: Iterable[int] | None = None,
    blocks: Sequence[str] = ("hh",),
    probes: int | None = None,
    seed: int = 0,
    dtype: str = "float64",
    device: str = "cpu",
) -> Decay:
    """Exact norms of ∂s_t/∂s_k at many lags, from analytic one-step Jacobians.

    In float64 they are right to 1e-10 relative; memory is that of the states and a few H×H matrices.  From
    H = 48 on compiled kernels do part of the work in NumPy where they are on disk: see `load_kernels`.

    Args:
        inputs: (T, B, I).
        initial_state: tuple of (B, H); zeros where None.
        anchor: t, in 0…T; T where None.
        lags: increasing integers in 0…anchor; all of them where None.
        blocks: of "hh", "hc", "ch", "cc", "ss" those that the cell has.
        probes: estimate the Frobenius norms by this many random vectors instead, without any S×S matrix.
        seed: of the probes.
        dtype, device: see `run_forward`.

    Raises:
        ValueError: what `run_forward` refuses; lags, an anchor or blocks that do not exist; fewer than 2
            probes.
        ForwardDiverged: the network reached inf or NaN before the anchor.
    """
    t = checked_anchor(anchor, len(inputs))
    wanted = checked_lags(lags, t)
    if probes is None and device == "cpu" and dtype == "float64" and np.ndim(inputs) == 3:
        KERNELS.expect(len(wanted) * np.shape(inputs)[1], parameters.hidden_size)
    trajectory = run_forward(
        cell,
        parameters,
        inputs,
        initial_state=initial_state,
        steps=t,
        dtype=dtype,
        device=device,
    )
    names = check_blocks(trajectory.cell, blocks)
    if probes is not None:
        frobenius, error = probed_decay(trajectory, wanted, names, probes, seed)
        return Decay(wanted, {}, frobenius, t, error)
    return _exact(trajectory, wanted, names, t)


def _exact(trajectory: Trajectory, lags: NDArray[np.int64], blocks: tuple[str, ...], anchor: int) -> Decay:
    walk = Walk(trajectory)
    wanted = {later: _columns(trajectory, blocks, later) for later in later_states(trajectory.cell, blocks)}
    carried = {
        later: Carried(walk, trajectory.cell.state_names.index(later), tuple(columns.values()))
        for later, columns in wanted.items()
    }
    shape = (len(lags), trajectory.batch_size)
    with threads_for(trajectory.hidden_size), _worker(trajectory) as worker:
        kernel = loaded_kernels(trajectory.hidden_size).get("lanczos")
        norms = {block: Norms(trajectory.space, shape, worker, kernel) for block in blocks}
        place = 0
        while place < len(lags):
            together = _together(trajectory.space, lags[place:], list(carried.values()))
            for rows in carried.values():
                rows.past(together)
            for block in blocks:
                parts = [carried[name].parts(of[block]) for name, of in wanted.items() if block in of]
                norms[block].take(place, *stacked(parts))
            place += len(together)
        for found in norms.values():
            found.finish()
    return Decay(
        lags,
        {block: found.spectral for block, found in norms.items()},
        {block: found.frobenius for block, found in norms.items()},
        anchor,
    )


def _together(space: Space, lags: NDArray[np.int64], carried: Sequence[Carried]) -> list[int]:
    """The first of these lags, and of those that follow as many as are worth passing with the same rows.

    That is to the next look, where there may be fewer rows, and no further apart than one stride.
    """
    first = int(lags[0])
    look = min(rows.next_look for rows in carried)
    end = min(first + LONGEST_STRIDE - 1, max(look, first))
    most = most_at_once(space, max(rows.numbers_per_state for rows in carried))
    return [int(lag) for lag in lags[:most] if lag <= end]


def _worker(trajectory: Trajectory) -> AbstractContextManager[Executor | None]:
    """A second thread for the norms, where BLAS itself has but one and the matrices are worth it."""
    worth = WORTH_A_THREAD <= trajectory.hidden_size <= SMALL
    if trajectory.space.is_numpy and worth and (os.cpu_count() or 1) > 1:
        return ThreadPoolExecutor(1, thread_name_prefix="norms")
    return nullcontext()


def _columns(trajectory: Trajectory, blocks: tuple[str, ...], later: str) -> dict[str, tuple[int, ...]]:
    """The earlier states (by index) of each of these blocks that has rows of a later state."""
    names = trajectory.cell.state_names
    return {
        block: tuple(range(len(names))) if block == "ss" else (names.index(block[1]),)
        for block in blocks
        if block == "ss" or block[0] == later
    }
