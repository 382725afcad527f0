"""The first page of a report: each claim, its verdict and the effect in short; below, all that it rests on.

Every claim appears.  Those that the run has no rows for are *not tested*: one sentence names them, and
`tables/claims.csv` says which studies would test each.  The page is left out where the run tests none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from harness.report.claim import (
    CLAIMS,
    DEPENDS,
    NOT_TESTED,
    UNDECIDED,
    WORDS,
    Claim,
    Condition,
    Finding,
)
from harness.report.escape import file_stem, one_line
from harness.report.frames import Run
from harness.report.tables import Table, Written, write_csv
from harness.report.telling import count, telling
from harness.report.words import counted, listed, missing

HEADING = "Which claims does this run support?"
CONDITION_COLUMNS = ("under", "measured", "value", "95 % interval", "units", "holds")


@dataclass(frozen=True)
class Judged:
    """A claim with what was found.

    Args:
        finding: None where the run has no rows for it.
        anchor: of the section that shows its numbers; empty where the report has no such section.
        problem: why it could not be judged, if it raised.
    """

    claim: Claim
    finding: Finding | None
    anchor: str = ""
    problem: str = ""

    @property
    def verdict(self) -> str:
        return self.finding.verdict if self.finding else NOT_TESTED

    @property
    def word(self) -> str:
        """The verdict without what it depends on."""
        return self.finding.word if self.finding else NOT_TESTED

    @property
    def in_short(self) -> str:
        """The verdict's word, and what it depends on; not what it is said of."""
        if self.word != DEPENDS:
            return self.word
        return self.verdict.partition(":")[0]

    @property
    def studies(self) -> str:
        """What tests it."""
        return listed(self.claim.studies)

    @property
    def place(self) -> str:
        """The anchor of the claim's own details."""
        return f"claim-{file_stem(self.claim.name)}".lower()

    @property
    def held(self) -> str:
        """Under how many conditions it holds; without a finding, why there is none."""
        return count(self.finding.conditions) if self.finding else self.effect

    @property
    def telling(self) -> tuple[tuple[str, str], ...]:
        """What was measured, in a few lines: "holds", "does not" or "undecided", and the numbers."""
        return telling(self.finding.conditions) if self.finding else ()

    @property
    def parts(self) -> tuple[str, ...]:
        """The whole of what was measured, in words."""
        return tuple(self.effect.split("; "))

    @property
    def conditions(self) -> Table:
        """What the verdict rests on, for people."""
        return Table(CONDITION_COLUMNS, _rows(self.finding), numeric=frozenset({"value"}))

    @property
    def effect(self) -> str:
        """What was measured, or what would measure it."""
        if self.finding:
            return self.finding.effect
        if self.problem:
            return f"could not be judged: {self.problem}"
        return f"no rows of {listed(self.claim.studies)} for it in this run"

    @property
    def tested(self) -> str:
        return f"{listed(self.claim.studies)}: {self.finding.tested}" if self.finding else "–"


@dataclass(frozen=True)
class ClaimsPage:
    """Args:
    heading, sentence: what the page is, and how many claims ended how.
    judged: every claim that was tested or could not be judged, in their order.
    """

    heading: str
    sentence: str
    judged: tuple[Judged, ...]


def judge(run: Run, sections: Sequence[str]) -> tuple[Judged, ...]:
    """Every claim held against the run.

    Args:
        sections: names of the sections that the report has.
    """
    return tuple(
        _judged(claim, run, sections) for claim in sorted(CLAIMS.values(), key=lambda claim: claim.order)
    )


def _judged(claim: Claim, run: Run, sections: Sequence[str]) -> Judged:
    anchor = file_stem(claim.section) if claim.section in sections else ""
    try:
        return Judged(claim, claim.judge(run), anchor)
    except Exception as error:  # a third party's claim must not cost the report: it is named instead
        return Judged(claim, None, anchor, one_line(f"{type(error).__name__}: {error}")[:300])


def page(judged: Sequence[Judged]) -> ClaimsPage | None:
    """The page, or None where no claim was tested."""
    if not any(entry.finding for entry in judged):
        return None
    shown = tuple(entry for entry in judged if entry.finding or entry.problem)
    return ClaimsPage(HEADING, _sentence(judged), shown)


def _sentence(judged: Sequence[Judged]) -> str:
    counts = Counter(entry.word for entry in judged)
    parts = [f"{counts[word]} {_verb(word, counts[word])}" for word in WORDS if counts[word]]
    untested = [entry.claim.name for entry in judged if not (entry.finding or entry.problem)]
    named = f" (no rows for {listed(untested)})" if untested else ""
    return f"Of {counted(len(judged), 'claim')}, {listed(parts)}{named}."


def _verb(word: str, number: int) -> str:
    if word == DEPENDS:
        return f"{'depends' if number == 1 else 'depend'} on circumstances"
    return f"{'is' if number == 1 else 'are'} {word}"


def _rows(finding: Finding | None) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            condition.words,
            condition.quantity,
            condition.show(condition.effect.value),
            _interval(condition),
            f"{condition.effect.units:,} ({condition.effect.unit})",
            _holds(condition),
        )
        for condition in (finding.conditions if finding else ())
    )


def _holds(condition: Condition) -> str:
    return UNDECIDED if condition.holds is None else "yes" if condition.holds else "no"


def _interval(condition: Condition) -> str:
    effect = condition.effect
    if missing(effect.low):
        return "–"
    return f"{condition.show(effect.low)} to {condition.show(effect.high)}"


def write(judged: Sequence[Judged], folder: Path) -> list[Written]:
    """`claims.csv`, one row per claim, and `claims_summary.csv`, one per condition."""
    verdicts = pd.DataFrame(
        [
            {
                "claim": entry.claim.name,
                "text": entry.claim.text,
                "verdict": entry.verdict,
                "effect": entry.effect,
                "tested": entry.tested,
                "rule": entry.claim.rule,
                "studies": " ".join(entry.claim.studies),
                "section": entry.claim.section,
            }
            for entry in judged
        ]
    )
    conditions = pd.DataFrame(
        [
            {
                "claim": entry.claim.name,
                "condition": condition.words,
                "quantity": condition.quantity,
                "value": condition.effect.value,
                "low": condition.effect.low,
                "high": condition.effect.high,
                "units": condition.effect.units,
                "unit": condition.effect.unit,
                "holds": _holds(condition),
            }
            for entry in judged
            if entry.finding
            for condition in entry.finding.conditions
        ]
    )
    written = []
    for name, frame, what in (
        ("claims", verdicts, "every claim, its verdict, the measured effect and the rule"),
        ("claims_summary", conditions, "the numbers that each verdict rests on"),
    ):
        write_csv(frame, folder / f"{name}.csv")
        written.append(Written(f"tables/{name}.csv", len(frame), what))
    return written
