"""What a claim is: a sentence that a study can contradict, how it is judged, and what was found.

One claim is one file in `claims/`.  Its verdict flows from the ledger alone, by the rule that stands beside
it: a claim is tested under one or more conditions, each of which holds, does not, or is left undecided by
numbers that are too few or too scattered.  Where all hold it is *supported*, where some do and some do not it
*depends on* what tells them apart, where none holds and some do not it is *not supported*.  Where some are
undecided and none speaks against it, it is *undecided* itself: to be supported, a claim has to be shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.words import listed, significant
from implementations.registry import Registry

SUPPORTED, NOT_SUPPORTED, NOT_TESTED = "supported", "not supported", "not tested"
DEPENDS, UNDECIDED = "depends on", "undecided"
WORDS = (SUPPORTED, DEPENDS, NOT_SUPPORTED, UNDECIDED, NOT_TESTED)
NAMED_CONDITIONS = 6
"""Of either kind: more are counted."""


@dataclass(frozen=True)
class Condition:
    """One circumstance in which the claim was held against numbers.

    Args:
        words: which.
        quantity: what was measured, with its unit.
        effect: how much.
        holds: whether the claim holds here, by its rule; None where the numbers do not decide it.
        show: a number of it -> text.
    """

    words: str
    quantity: str
    effect: Effect
    holds: bool | None
    show: Callable[[float], str] = significant


@dataclass(frozen=True)
class Finding:
    """Args:
    effect: the measured effect in words, with its interval.
    tested: on which cases.
    conditions: everything that the verdict rests on.
    verdict: SUPPORTED, or a word of NOT_SUPPORTED, DEPENDS and UNDECIDED, with what it is said of.
    """

    effect: str
    tested: str
    conditions: tuple[Condition, ...]
    verdict: str

    @property
    def word(self) -> str:
        """The verdict without what it depends on."""
        return next(word for word in WORDS if self.verdict.startswith(word))


Judge = Callable[[Run], Finding | None]


@dataclass(frozen=True)
class Claim:
    """Args:
    name: "C1".
    text: the claim in one sentence.
    rule: when it is supported.
    studies: which studies test it.
    section: the section of the report that shows the numbers.
    judge: run -> what was found, or None where the run has no rows for it.
    """

    name: str
    text: str
    rule: str
    studies: tuple[str, ...]
    section: str
    judge: Judge

    @property
    def order(self) -> tuple[int, str]:
        """C2 before C10."""
        digits = re.search(r"\d+", self.name)
        return (int(digits.group()) if digits else 10**6, self.name)


CLAIMS: Registry[Claim] = Registry("claim", "harness.report.claims", "rnn_harness.claims")


def claim(
    name: str, *, text: str, rule: str, studies: tuple[str, ...], section: str
) -> Callable[[Judge], Judge]:
    """Decorator: register a function that judges `text` under `name`."""

    def enter(judge: Judge) -> Judge:
        CLAIMS.register(name)(Claim(name, text, rule, studies, section, judge))
        return judge

    return enter


def verdict(conditions: Sequence[Condition], on: str, untested: Sequence[str] = ()) -> str:
    """The verdict over these conditions; `on` is what tells them apart, "the initialization"; `untested` what
    the claim says and the run has nothing of.

    Raises:
        ValueError: no conditions.
    """
    if not conditions:
        raise ValueError("a claim without conditions is not tested, and has no verdict")
    held = [condition.words for condition in conditions if condition.holds]
    open_ = [*(condition.words for condition in conditions if condition.holds is None), *untested]
    failed = [c.words for c in conditions if c.holds is not None and not c.holds]
    left = f"; {UNDECIDED} for {_named(open_)}" if open_ else ""
    if failed:
        word = (
            f"{DEPENDS} {on}: holds for {_named(held)}; not for {_named(failed)}" if held else NOT_SUPPORTED
        )
        return f"{word}{left}"
    if not open_:
        return SUPPORTED
    return f"{UNDECIDED} for {_named(open_)}; holds for {_named(held)}" if held else UNDECIDED


def _named(words: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(words))
    if len(distinct) <= NAMED_CONDITIONS:
        return listed(distinct)
    return f"{', '.join(distinct[: NAMED_CONDITIONS - 1])} and {len(distinct) - NAMED_CONDITIONS + 1} more"


def finding(
    conditions: Sequence[Condition], *, on: str, effect: str, tested: str, untested: Sequence[str] = ()
) -> Finding | None:
    """What was found under these conditions; None where there is none of them."""
    if not conditions:
        return None
    return Finding(effect, tested, tuple(conditions), verdict(conditions, on, untested))


def measured_words(conditions: Sequence[Condition], limit: int = NAMED_CONDITIONS) -> str:
    """The conditions as one phrase; what was measured is said once where it is the same for all."""
    quantities = list(dict.fromkeys(condition.quantity for condition in conditions))
    shared = len(quantities) == 1
    shown = [
        f"{c.words}{'' if shared else f' ({c.quantity})'}: {c.effect.words(c.show)}"
        for c in conditions[:limit]
    ]
    more = len(conditions) - limit
    text = "; ".join([*shown, *([f"and {more} more"] if more > 0 else [])])
    return f"{quantities[0]}: {text}" if shared else text
