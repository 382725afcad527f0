"""Verdicts on speed: same, faster, slower, ambiguous or invalid.

The one idea: a difference has to be both certain and large enough to matter, and sameness has to be shown,
not assumed.  With the practical threshold of 3 %, and r the ratio of times (above 1: ours is faster),

    same       the whole 95 % interval of r lies within [1/1.03, 1.03]
    faster     r differs from 1 at a false-discovery rate of 5 % over the whole grid, and r > 1.03
    slower     the same, and r < 1/1.03
    invalid    no judgement is allowed: one process only, samples that stayed unstable (but by what took both
               sides alike, where they took turns), other hardware
    ambiguous  everything else: more processes would tell

`same` is an equivalence test (Schuirmann 1987, at the interval's level); the false-discovery rate is
Benjamini and Hochberg's (1995), over every comparison that is judged together.  Whoever shows a grid of
comparisons calls :func:`judge` once, with all of it: judged one by one they are not corrected.

Ratios come from :func:`paired_ratio` (both sides measured in the same blocks, within one run) or from
:func:`independent_ratio` (two runs, whose replicates have nothing to do with each other).  Both take one
value per process: the process is the unit, and samples within it are condensed to their median before.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from harness.report.pairs import Process, pair_ratios
from harness.report.statistics import CONFIDENCE, Estimate, distinguishable, estimate

THRESHOLD = 0.03
"""A difference below 3 % is of no practical importance."""
FEWEST_PROCESSES = 2
"""One process says nothing about how much processes differ."""

Word = Literal["same", "faster", "slower", "ambiguous", "invalid"]
WORDS: tuple[Word, ...] = ("faster", "slower", "same", "ambiguous", "invalid")


@dataclass(frozen=True)
class Comparison:
    """Args:
    ratio: time of theirs over time of ours, with its interval; see `paired_ratio`, `independent_ratio`.
    invalid: why nothing may be concluded from it, or None.
    """

    ratio: Estimate
    invalid: str | None = None


@dataclass(frozen=True)
class Verdict:
    """`word` is one of WORDS; `reason` says what it rests on, in one phrase."""

    word: Word
    reason: str


def paired_ratio(theirs: Mapping[Hashable, Process], ours: Mapping[Hashable, Process]) -> Estimate:
    """Geometric mean of theirs/ours within each block, and its t-interval.

    What a block does to both sides (a warm machine, a busy minute) cancels.

    Args:
        theirs, ours: block (a replicate) -> its process.  Blocks that one side lacks are left out:
            `Estimate.processes` is the number of pairs, 0 where there is none (then all is NaN).
    """
    ratios = pair_ratios(theirs, ours)
    if not ratios:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    return estimate(list(ratios.values()))


def independent_ratio(theirs: ArrayLike, ours: ArrayLike) -> Estimate:
    """Ratio of geometric means of two independent groups of processes: Welch's interval on logarithms.

    Args:
        theirs, ours: seconds, one positive value per process.  `Estimate.processes` is the smaller number.

    Raises:
        ValueError: a side without values, or with one that is not positive.
    """
    a, b = (np.log(_positive(values)) for values in (theirs, ours))
    centre, fewest = float(a.mean() - b.mean()), min(len(a), len(b))
    if fewest < FEWEST_PROCESSES:
        return Estimate(float(np.exp(centre)), np.nan, np.nan, np.nan, fewest)
    if not np.ptp(a) and not np.ptp(b):
        exact = float(np.exp(centre))
        return Estimate(exact, exact, exact, float(centre == 0), fewest)
    from scipy import stats  # half a second to import

    test = stats.ttest_ind(a, b, equal_var=False)
    low, high = test.confidence_interval(CONFIDENCE)
    return Estimate(
        float(np.exp(centre)), float(np.exp(low)), float(np.exp(high)), float(test.pvalue), fewest
    )


def judge(comparisons: Sequence[Comparison], *, threshold: float = THRESHOLD) -> list[Verdict]:
    """One verdict for each comparison of a grid, corrected over all that may be judged.

    Raises:
        ValueError: a threshold that is not above 0.
    """
    if not threshold > 0:
        raise ValueError(f"threshold must be above 0, got {threshold}")
    reasons = [_why_invalid(comparison) for comparison in comparisons]
    p_values = [
        np.nan if reason else comparison.ratio.p_value
        for comparison, reason in zip(comparisons, reasons, strict=True)
    ]
    return [
        Verdict("invalid", reason) if reason else _judged(comparison.ratio, bool(differs), threshold)
        for comparison, reason, differs in zip(comparisons, reasons, distinguishable(p_values), strict=True)
    ]


def _why_invalid(comparison: Comparison) -> str | None:
    ratio = comparison.ratio
    if comparison.invalid:
        return comparison.invalid
    if ratio.processes == 0:
        return "never measured side by side"
    if ratio.processes < FEWEST_PROCESSES:
        return "one process only"
    return None


def _judged(ratio: Estimate, differs: bool, threshold: float) -> Verdict:
    limit = 1 + threshold
    if 1 / limit <= ratio.low and ratio.high <= limit:
        return Verdict("same", f"the interval lies within ±{100 * threshold:g} %")
    if differs and ratio.value > limit:
        return Verdict("faster", "certain over the whole grid, and large enough to matter")
    if differs and ratio.value < 1 / limit:
        return Verdict("slower", "certain over the whole grid, and large enough to matter")
    if differs:
        return Verdict("ambiguous", f"a difference, but perhaps below {100 * threshold:g} %")
    return Verdict("ambiguous", "the interval is too wide to tell")


def _positive(values: ArrayLike) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.size == 0 or not (array > 0).all():
        raise ValueError(f"expected positive values, got {array.tolist()}")
    return array
