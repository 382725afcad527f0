"""The first page can be scanned, and nothing of what a verdict rests on is lost below it."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.report import escape, write_report
from harness.report.claim import CLAIMS, Claim, Condition, Finding, finding
from harness.report.effects import Effect, exact
from harness.report.frames import Run
from harness.report.telling import count, telling
from tests.report.synthetic import write_run
from tests.report.synthetic_claims import power


def condition(words: str, units: int, holds: bool | None, low: float = 0.5) -> Condition:
    return Condition(words, "loss", Effect(1.0, low, 2.0, units, "training"), holds)


CONDITIONS = [
    *(condition("one", 90, True, math.nan), condition("two", 3, True), condition("three", 9, True)),
    *(condition("four", 9, True), condition("five", 2, None), condition("six | seven", 2, False)),
    *(condition(f"more {i}", 1, True) for i in range(60)),
]


def judged(run: Run) -> Finding | None:
    effect = "; ".join(f"part {i} of what was measured" for i in range(5))
    return finding(CONDITIONS, on="the words", effect=effect, tested="made-up trainings")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The report of a run with a claim of our own, tested under 66 conditions."""
    own = Claim("C2", "The text of it.", "The rule of it.", ("error_surface",), "error_surface", judged)
    CLAIMS.discover()
    monkeypatch.setitem(CLAIMS._items, "C2", own)
    folder = write_run(tmp_path / "run", list(power()))
    write_report(folder)
    return folder


def test_the_most_telling_condition_of_each_kind_is_the_one_that_rests_on_most() -> None:
    assert count(CONDITIONS[:5]) == "holds under 4 of 5 conditions"
    assert telling(CONDITIONS[:5]) == (
        ("holds", "three: 1.00 (0.500 to 2.00, 9 trainings), loss"),
        ("undecided", "five: 1.00 (0.500 to 2.00, 2 trainings), loss"),
    )
    alone = [Condition("all", "loss", exact(2.0), np.False_)]  # type: ignore[arg-type]
    assert telling(alone) == (("does not", "all: 2.00 (1 network), loss"),)
    assert count(alone) == "holds under 0 of 1 condition"


def test_the_table_is_short(folder: Path) -> None:
    html = (folder / "report.html").read_text(encoding="utf-8")
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    (row,) = re.findall(r"^\| \[C2\].*$", markdown, flags=re.MULTILINE)
    assert row == (
        "| [C2](#claim-c2) | The text of it. | [error_surface](#error_surface) | depends on the words | "
        "holds under 64 of 66 conditions"
        "<br>**holds** three: 1.00 (0.500 to 2.00, 9 trainings), loss"
        "<br>**does not** six \\| seven: 1.00 (0.500 to 2.00, 2 trainings), loss"
        "<br>**undecided** five: 1.00 (0.500 to 2.00, 2 trainings), loss |"
    )
    table = html[html.index('<div class="scroll claims">') : html.index("What each verdict rests on")]
    assert '<span class="verdict depends-on">depends on</span> the words' in table
    assert "rule" not in table
    assert "more 7" not in table


def test_the_details_lose_nothing(folder: Path) -> None:
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    details = markdown[markdown.index('<a id="claim-c2"></a>') : markdown.index("## In short")]
    html = (folder / "report.html").read_text(encoding="utf-8")
    block = html[html.index('<details class="claim" id="claim-c2">') : html.index('<section class="short"')]
    claims = pd.read_csv(folder / "tables" / "claims.csv").set_index("claim")
    for column in ("text", "rule", "verdict", "effect", "tested"):
        for part in str(claims.loc["C2", column]).split("; "):
            assert escape.markdown(part) in details, column
            assert part in block, column
    rows = pd.read_csv(folder / "tables" / "claims_summary.csv")
    assert len(rows) == len(CONDITIONS)
    for words, holds in zip(rows["condition"], rows["holds"], strict=True):
        shown = re.escape(escape.markdown(words))
        assert re.search(rf"^\| {shown} \| loss \| 1.00 \| .* \| {holds} \|$", details, flags=re.MULTILINE)
        assert f"<td>{words}</td>" in block
    assert "[its numbers](#error_surface)" in details


def test_a_claim_without_a_section_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Claim("C2", "text", "rule", ("error_surface",), "no_such_section", judged)
    CLAIMS.discover()
    monkeypatch.setitem(CLAIMS._items, "C2", own)
    folder = write_run(tmp_path / "run", list(power()))
    page = write_report(folder).with_suffix(".md").read_text(encoding="utf-8")
    assert "| [C2](#claim-c2) | text | error_surface | depends on" in page
    assert "its numbers" not in page
