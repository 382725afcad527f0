"""How far the statistics can be trusted, by simulation: coverage, false positives, power at a given spread.

A simulated process has a level of its own, exp(N(0, between)), and samples around it with a long upper tail,
as times have: noise can make a call slower without end, and hardly faster.  Everything after the samples is
what the report itself does: the median within a process, :func:`paired_ratio`, :func:`estimate`,
:func:`judge`.  Seeded: the same spread gives the same figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.report.statistics import Estimate, estimate
from harness.report.verdicts import Comparison, Word, judge, paired_ratio

Floats = NDArray[np.float64]

SAMPLES = 15
"""Samples in each simulated process."""


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the logarithm of a time: `between` processes of one backend and case, once what
    a replicate does to all of them is taken off, and `within` one process.

    Raises:
        ValueError: one that is negative or no number.
    """

    between: float
    within: float

    def __post_init__(self) -> None:
        if not (self.between >= 0 and self.within >= 0):
            raise ValueError(f"a spread is a number of at least 0, got {self}")


def process_medians(rng: np.random.Generator, shape: tuple[int, ...], spread: Spread) -> Floats:
    """The medians of simulated processes whose true time is 1."""
    levels = spread.between * rng.standard_normal(shape)
    tail = rng.standard_exponential((*shape, SAMPLES)) - np.log(2.0)  # its median is 0, its deviation 1
    medians: Floats = np.exp(levels + np.median(spread.within * tail, axis=-1))
    return medians


def coverage(spread: Spread, replicates: int, *, trials: int = 2000, seed: int = 0) -> float:
    """How often the 95 % interval of `estimate` holds the true time."""
    medians = process_medians(np.random.default_rng([seed, 1]), (trials, replicates), spread)
    found = [estimate(row) for row in medians]
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
        a, b = process_medians(rng, (2, comparisons, replicates), spread)
        words = [v.word for v in judge([Comparison(_ratio(x, y)) for x, y in zip(a, b, strict=True)])]
        wrong.append([word in ("faster", "slower") for word in words])
    return FalsePositives(float(np.mean(wrong)), float(np.any(wrong, axis=1).mean()))


def power(spread: Spread, replicates: int, slowdown: float, *, trials: int = 1000, seed: int = 0) -> float:
    """How often one comparison, judged by itself, finds a backend slower that takes 1 + `slowdown` times as
    long."""
    rng = np.random.default_rng([seed, 3])
    theirs, ours = process_medians(rng, (2, trials, replicates), spread)
    found: list[Word] = [
        judge([Comparison(_ratio(a, (1 + slowdown) * b))])[0].word for a, b in zip(theirs, ours, strict=True)
    ]
    return float(np.mean([word == "slower" for word in found]))


def _ratio(theirs: Sequence[float] | Floats, ours: Sequence[float] | Floats) -> Estimate:
    return paired_ratio(dict(enumerate(theirs)), dict(enumerate(ours)))
