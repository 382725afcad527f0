"""How the norm of ∂s_t/∂s_k falls, or grows, with the lag t − k."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.gradients.arguments import checked_anchor, checked_lags
from harness.gradients.probes import probed_decay
from harness.gradients.products import check_blocks, later_states, walk_back
from harness.gradients.scaled import Scaled, log10_of
from harness.gradients.threads import threads_for
from harness.gradients.trajectory import Array, Trajectory, run_forward
from implementations.contract import Parameters

if TYPE_CHECKING:
    import pandas as pd


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
    trajectory = run_forward(
        cell, parameters, inputs, initial_state=initial_state, steps=t, dtype=dtype, device=device
    )
    names = check_blocks(trajectory.cell, blocks)
    if probes is not None:
        frobenius, error = probed_decay(trajectory, wanted, names, probes, seed)
        return Decay(wanted, {}, frobenius, t, error)
    return _exact(trajectory, wanted, names, t)


def _exact(trajectory: Trajectory, lags: NDArray[np.int64], blocks: tuple[str, ...], anchor: int) -> Decay:
    spectral, frobenius = (
        {block: np.empty((len(lags), trajectory.batch_size)) for block in blocks} for _ in range(2)
    )
    rows = {int(lag): row for row, lag in enumerate(lags)}
    with threads_for(trajectory.state_size):
        for lag, product in walk_back(trajectory, later_states(trajectory.cell, blocks), int(lags[-1])):
            if lag in rows:
                for block in blocks:
                    spectral[block][rows[lag]], frobenius[block][rows[lag]] = norms(product.block(block))
    return Decay(lags, spectral, frobenius, anchor)


def norms(matrices: Scaled) -> tuple[Array, Array]:
    """log10 of the spectral and of the Frobenius norm of (B, R, C) matrices, each (B,)."""
    mantissa, exponent = matrices.aligned()
    singular = np.linalg.svd(mantissa.astype(np.float64), compute_uv=False)
    frobenius = np.sqrt(np.sum(singular**2, axis=-1))
    return log10_of(singular[..., 0], exponent), log10_of(frobenius, exponent)
