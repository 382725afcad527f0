"""The report on updates by lag, from made-up terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.report import write_report
from harness.report.frames import Run
from harness.report.questions import SECTIONS
from harness.report.summaries.update_by_lag import updates
from tests.report.synthetic import write_run
from tests.report.synthetic_claims import updated


def test_how_far_back_an_update_reaches(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [*updated("rnn_tanh", -1.0), *updated("lstm", 0.0)])
    run = Run.read(folder)
    found = updates(run)
    assert found is not None
    by_cell = found.networks.groupby("cell").first()
    assert by_cell.loc["rnn_tanh", "nearly_all_lag"] == 1  # 0.9 and 0.09 of the sum
    assert by_cell.loc["rnn_tanh", "far_share"] < 1e-19
    assert by_cell.loc["lstm", "nearly_all_lag"] == 38
    assert by_cell.loc["lstm", "far_share"] == pytest.approx(0.5, abs=0.02)
    assert by_cell.loc["lstm", "furthest_log10"] == 0.0
    assert by_cell.loc["rnn_tanh", "furthest_log10"] == -30.0
    answer = SECTIONS["update_by_lag"].answer(run)
    assert answer is not None
    assert answer.sentence.startswith("99 % of an update comes from the last 2 steps in rnn_tanh under")
    assert "and from the last 39 in lstm" in answer.sentence
    write_report(folder)
    assert (folder / "figures" / "update_by_lag.png").stat().st_size > 10_000


def test_a_run_without_it_has_no_such_section(run: Run) -> None:
    assert SECTIONS["update_by_lag"].answer(run) is None
