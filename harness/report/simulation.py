"""How far the statistics can be trusted, by simulation: coverage, false positives, power at a given spread.

A simulated process has a level of its own and one that it shares with whoever is measured in turn with
it; rounds drift for all of them alike; samples have a long upper tail, as times have: noise can make a
call slower without end, and hardly faster.  Everything after the samples is what the report itself does:
medians of rounds and of processes, :func:`paired_ratio`, :func:`estimate`, :func:`judge`.  Seeded: the
same spread gives the same figures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.report.pairs import Process
from harness.report.statistics import estimate
from harness.report.verdicts import Comparison, Word, judge, paired_ratio

Floats = NDArray[np.float64]

ROUNDS, SAMPLES_OF_A_ROUND = 5, 3
"""Of each simulated process."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of logarithms.

    Args:
        processes: of the times of one backend and case, from process to process.
        pairs: of the ratio of two backends measured in turn, from replicate to replicate.  Twice the variance
            of `processes` where nothing cancels; less where both met the same moments.
        within: of samples within a round (within a process, where there are no rounds).
        drift: of rounds within a process; what all who take turns meet alike.

    Raises:
        ValueError: one that is negative or no number.
    """

    processes: float
    pairs: float
    within: float
    drift: float = 0.0

    def __post_init__(self) -> None:
        if not all(value >= 0 for value in vars(self).values()):
            raise ValueError(f"a spread is a number of at least 0, got {self}")

    @property
    def own(self) -> float:
        """Of a process alone: two of them make the spread of a pair."""
        return self.pairs / float(np.sqrt(2.0))

    @property
    def shared(self) -> float:
        """Of what a replicate does to both of a pair."""
        return float(np.sqrt(max(0.0, self.processes**2 - self.own**2)))


def samples_in_turn(rng: np.random.Generator, sides: int, shape: tuple[int, ...], spread: Spread) -> Floats:
    """Samples of processes whose true time is 1, of so many backends that take turns.

    Returns:
        (sides, *shape, ROUNDS, SAMPLES_OF_A_ROUND); `shape` counts replicates, and whatever else.
    """
    shared = spread.shared * rng.standard_normal((*shape, 1, 1))
    drift = spread.drift * rng.standard_normal((*shape, ROUNDS, 1))
    own = spread.own * rng.standard_normal((sides, *shape, 1, 1))
    tail = rng.standard_exponential((sides, *shape, ROUNDS, SAMPLES_OF_A_ROUND))
    noise = spread.within * (tail - np.log(2.0))  # its median is 0, its deviation that of the tail, 1
    found: Floats = np.exp(shared + drift + own + noise)
    return found


def condensed(samples: Floats) -> list[list[Process]]:
    """The processes of each trial: medians of each, and of its rounds.

    Args:
        samples: (trials, replicates, ROUNDS, SAMPLES_OF_A_ROUND).
    """
    rounds = np.median(samples, axis=-1).tolist()
    whole = np.median(samples.reshape(*samples.shape[:2], -1), axis=-1).tolist()
    return [
        [Process(seconds, dict(enumerate(of_rounds))) for seconds, of_rounds in zip(*trial, strict=True)]
        for trial in zip(whole, rounds, strict=True)
    ]


def coverage(spread: Spread, replicates: int, *, trials: int = 2000, seed: int = 0) -> float:
    """How often the 95 % interval of `estimate` holds the true time."""
    rng = np.random.default_rng([seed, 1])
    samples = samples_in_turn(rng, 1, (trials, replicates), spread)[0]
    medians = np.median(samples.reshape(trials, replicates, -1), axis=-1)
    found = [estimate(row) for row in medians]
    return float(np.mean([e.low <= 1.0 <= e.high for e in found]))


def coverage_of_ratios(spread: Spread, replicates: int, *, trials: int = 2000, seed: int = 0) -> float:
    """How often the 95 % interval of `paired_ratio` holds the true ratio."""
    rng = np.random.default_rng([seed, 4])
    theirs, ours = samples_in_turn(rng, 2, (trials, replicates), spread)
    found = [comparison.ratio for comparison in _comparisons(theirs, ours)]
    return float(np.mean([e.low <= 1.0 <= e.high for e in found]))


@dataclass(frozen=True)
class FalsePositives:
    """Of identical code: the share of all comparisons, and of whole grids, with a *faster* or a *slower*."""

    of_comparisons: float
    of_grids: float


def false_positives(
    spread: Spread, replicates: int, comparisons: int, *, trials: int = 300, seed: int = 0
) -> FalsePositives:
    """Identical code in place of both backends, over a grid of so many comparisons."""
    rng = np.random.default_rng([seed, 2])
    wrong = []
    for _ in range(trials):
        theirs, ours = samples_in_turn(rng, 2, (comparisons, replicates), spread)
        words = [verdict.word for verdict in judge(_comparisons(theirs, ours))]
        wrong.append([word in ("faster", "slower") for word in words])
    return FalsePositives(float(np.mean(wrong)), float(np.any(wrong, axis=1).mean()))


def power(spread: Spread, replicates: int, slowdown: float, *, trials: int = 1000, seed: int = 0) -> float:
    """How often one comparison, judged by itself, finds a backend slower that takes 1 + `slowdown` times as
    long."""
    rng = np.random.default_rng([seed, 3])
    theirs, ours = samples_in_turn(rng, 2, (trials, replicates), spread)
    found: list[Word] = [judge([one])[0].word for one in _comparisons(theirs, (1 + slowdown) * ours)]
    return float(np.mean([word == "slower" for word in found]))


def _comparisons(theirs: Floats, ours: Floats) -> list[Comparison]:
    """One for each trial.

    Args:
        theirs, ours: (trials, replicates, ROUNDS, SAMPLES_OF_A_ROUND).
    """
    sides = zip(condensed(theirs), condensed(ours), strict=True)
    return [Comparison(paired_ratio(dict(enumerate(a)), dict(enumerate(b)))) for a, b in sides]
