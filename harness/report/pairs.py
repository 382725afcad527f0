"""Pairs: what two backends took in one replicate, where they were measured in turn.

The one idea: the finest thing that both met is compared.  Measured in turn, they share rounds of some
milliseconds; the ratio of a pair is then the median of its ratios by round, and a machine that changes
its speed from round to round cancels.  Where they share none (each was measured in one go, or not
together), it is the ratio of their medians.  Either way a pair is one observation: the process remains
the unit.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from statistics import median

FEWEST_ROUNDS = 3
"""Fewer shared rounds than this are no median."""


@dataclass(frozen=True)
class Process:
    """What one process took for one case.

    Args:
        seconds: the median of its samples.
        rounds: the median of each round, by a name that only those share who were measured in turn.
    """

    seconds: float
    rounds: Mapping[Hashable, float] = field(default_factory=dict)


def in_turn(one: Process, other: Process) -> list[Hashable]:
    """The rounds that both share, or none where there are too few."""
    shared = [name for name in one.rounds if name in other.rounds]
    return shared if len(shared) >= FEWEST_ROUNDS else []


def pair_ratio(theirs: Process, ours: Process) -> float:
    """Time of theirs over time of ours."""
    shared = in_turn(theirs, ours)
    if not shared:
        return theirs.seconds / ours.seconds
    return math.exp(median(math.log(theirs.rounds[name] / ours.rounds[name]) for name in shared))


def pair_ratios(
    theirs: Mapping[Hashable, Process], ours: Mapping[Hashable, Process]
) -> dict[Hashable, float]:
    """Block (a replicate) -> ratio, of the blocks that both sides have."""
    return {block: pair_ratio(theirs[block], ours[block]) for block in theirs if block in ours}
