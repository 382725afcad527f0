"""Lyapunov exponents: the mean rate at which each direction of a perturbation grows or shrinks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.gradients.arguments import checked_anchor, checked_count
from harness.gradients.attractor import entropy_rate, kaplan_yorke_dimension
from harness.gradients.factors import Factors
from harness.gradients.threads import threads_for
from harness.gradients.trajectory import Array, Trajectory, run_forward
from implementations.contract import Parameters

BLOCKS = 20
"""Into how many blocks of time the average is cut, to have its error."""
RUNNING_POINTS = 200
"""At most so many points of the running average are kept."""


@dataclass(frozen=True)
class Lyapunov:
    """Args:
    exponents: (N,) descending, nats per step, mean over steps and samples; −inf for a direction that dies;
        N = S, or as many as were asked for.
    standard_error: (N,), from the means of 20 blocks of time per sample (correlations inside a block do
        not deceive it, those between blocks may); 0 where the exponent is −inf.
    converged: the first and the second half agree within 4 of their joint standard errors and 1e-6, in
        every exponent, and there were at least 5 steps per block.  False means: run longer.
    running_steps: (M,), at most 200 numbers of averaged steps, the last one all of them.
    running: (M, N), the exponents after so many steps, in the order of `exponents`.
    state_size: S.
    """

    exponents: Array
    standard_error: Array
    converged: bool
    running_steps: NDArray[np.int64]
    running: Array
    state_size: int

    @property
    def kaplan_yorke_dimension(self) -> float:
        """Of the set that the states settle on; see `harness.gradients.attractor`.

        NaN where exponents are missing that it depends on.
        """
        found = kaplan_yorke_dimension(self.exponents)
        return float("nan") if found == len(self.exponents) < self.state_size else found

    @property
    def entropy_rate(self) -> float:
        """The sum of the positive exponents, nats per step; NaN where some of them may be missing."""
        missing = len(self.exponents) < self.state_size and self.exponents[-1] > 0.0
        return float("nan") if missing else entropy_rate(self.exponents)


def lyapunov_spectrum(
    cell: str,
    parameters: Parameters,
    inputs: Array,
    *,
    initial_state: Sequence[Array] | None = None,
    warmup: int,
    leading: int | None = None,
    seed: int = 0,
    dtype: str = "float64",
    device: str = "cpu",
) -> Lyapunov:
    """The S exponents, or the leading ones, by the QR method.

    Q evolves with the state, Q R = J_t Q; with k columns it follows the k directions that grow fastest, at
    k/S of the cost.  The exponents are the means of log|diag R| over the steps after `warmup`, by which the
    state is on its attractor and Q has aligned.

    Args:
        inputs: (T, B, I).
        initial_state: tuple of (B, H); zeros where None.
        warmup: steps that are run and not averaged, in 0…T−1.
        leading: how many of the largest exponents, in 1…S; all where None.
        seed: of the orthogonal matrix that Q starts from.
        dtype, device: see `run_forward`.

    Source: Benettin, Galgani, Giorgilli & Strelcyn 1980, "Lyapunov characteristic exponents for smooth
    dynamical systems"; for recurrent networks, Vogt et al. 2022, "On Lyapunov exponents for RNNs".

    Raises:
        ValueError: what `run_forward` refuses; a warm-up that leaves no step; more leading exponents than
            there are, or none.
        ForwardDiverged: the network reached inf or NaN.
    """
    seq_len = checked_anchor(None, len(inputs))
    if not 0 <= warmup < max(seq_len, 1):
        raise ValueError(f"warmup must be in 0…{seq_len - 1}, so that a step is left, got {warmup}")
    trajectory = run_forward(
        cell,
        parameters,
        inputs,
        initial_state=initial_state,
        dtype=dtype,
        device=device,
    )
    count = checked_count("leading", leading, trajectory.state_size)
    with threads_for(trajectory.state_size):
        return _summary(_stretching(trajectory, warmup, count, seed), trajectory.state_size)


def _stretching(trajectory: Trajectory, warmup: int, count: int, seed: int) -> Array:
    """log|diag R| of every step after the warm-up, (steps, B, N)."""
    size, xp = trajectory.state_size, trajectory.space.xp
    start = np.random.default_rng(seed).standard_normal((trajectory.batch_size, size, size))
    q = trajectory.space.put(np.linalg.qr(start[..., :count])[0])
    factors = Factors(trajectory, ascending=True)
    stretched = trajectory.space.zeros((trajectory.seq_len - warmup, trajectory.batch_size, count))
    for t in range(1, trajectory.seq_len + 1):
        q, r = xp.linalg.qr(factors.step.dense(*factors.at(t)) @ q)
        if t > warmup:
            stretched[t - warmup - 1] = r.diagonal(0, -2, -1)
    with np.errstate(divide="ignore"):
        return np.log(np.abs(trajectory.space.get(stretched).astype(np.float64)))


def _summary(logs: Array, state_size: int) -> Lyapunov:
    """Means, errors and the verdict from log|diag R|, (steps, B, N)."""
    exponents = logs.mean(axis=(0, 1))
    order = np.argsort(-exponents)
    exponents, logs = exponents[order], logs[..., order]
    error = _standard_error(logs)
    alive = np.isfinite(exponents)
    converged = len(logs) >= 5 * BLOCKS
    if converged and alive.any():
        halves = np.array_split(logs[..., alive], 2)
        gap = np.abs(halves[0].mean(axis=(0, 1)) - halves[1].mean(axis=(0, 1)))
        allowed = 4.0 * np.hypot(_standard_error(halves[0]), _standard_error(halves[1])) + 1e-6
        converged = bool((gap <= allowed).all())
    steps = np.unique(np.linspace(1, len(logs), min(RUNNING_POINTS, len(logs))).astype(np.int64))
    running = np.cumsum(logs.mean(axis=1), axis=0)[steps - 1] / steps[:, None]
    return Lyapunov(exponents, error, converged, steps, running, state_size)


def _standard_error(logs: Array) -> Array:
    """Of the mean over steps and samples, from block means; (steps, B, N) -> (N,)."""
    count = min(BLOCKS, len(logs))
    with np.errstate(invalid="ignore"):
        means = np.concatenate([block.mean(axis=0) for block in np.array_split(logs, count)])
        if len(means) < 2:
            return np.full(logs.shape[-1], np.inf)
        error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    return np.where(np.isfinite(logs.mean(axis=(0, 1))), error, 0.0)
