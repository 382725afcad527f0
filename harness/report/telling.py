"""What was measured for a claim, in short: under how many conditions it holds, and the most telling of each
kind.  All of them stand in the claim's details.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.report.claim import UNDECIDED, Condition
from harness.report.words import counted

KINDS = ((True, "holds"), (False, "does not"), (None, UNDECIDED))
"""What a condition says, in the order in which it is told."""


def said(condition: Condition) -> str:
    """ "holds", "does not" or "undecided"."""
    return next(word for holds, word in KINDS if _is(condition, holds))


def telling(conditions: Sequence[Condition]) -> tuple[tuple[str, str], ...]:
    """(what it says, the numbers) of at most one condition that holds, one that does not and one undecided:
    of each kind the one with an interval and the most units; the first of several."""
    return tuple(
        (word, _words(max(alike, key=_weight)))
        for holds, word in KINDS
        if (alike := [condition for condition in conditions if _is(condition, holds)])
    )


def count(conditions: Sequence[Condition]) -> str:
    """ "holds under 2 of 3 conditions"."""
    held = sum(_is(condition, True) for condition in conditions)
    return f"holds under {held:,} of {counted(len(conditions), 'condition')}"


def _weight(condition: Condition) -> tuple[bool, int]:
    return not np.isnan(condition.effect.low), condition.effect.units


def _is(condition: Condition, holds: bool | None) -> bool:
    """A verdict may be NumPy's True, which is not Python's."""
    return (
        condition.holds is None if holds is None else condition.holds is not None and condition.holds == holds
    )


def _words(condition: Condition) -> str:
    """ "orthogonal: 0.40 (0.30 to 0.50, 5 pairs), rate in nats per step"."""
    number = condition.effect.words(condition.show).replace("(95 % interval ", "(", 1)
    return f"{condition.words}: {number}, {condition.quantity}"
