"""The report on the error surface, from rows that are measured at once."""

from __future__ import annotations

from pathlib import Path

from harness.case import Case
from harness.report import write_report
from harness.report.frames import Run
from harness.report.questions import SECTIONS
from harness.report.sections.error_surface import _flat
from harness.report.summaries.error_surface import surfaces
from tests.harness.studying import measured, points
from tests.report.synthetic import write_run
from tests.report.synthetic_claims import cliff

SMALL = {
    "backend": ["numpy"],
    "cell": "rnn_tanh",
    "grid": 9,
    "steps": 2,
    "hidden_size": 4,
    "batch_size": 4,
    "learning_rate": [0.1],
}


def test_sentences_table_and_figures(tmp_path: Path) -> None:
    listed = []
    for surface in ("one_unit", "trained", "power"):
        axes = {**SMALL, "surface": [surface]}
        (point,) = points("error_surface", **axes)
        listed.append((Case("error_surface", point), measured("error_surface", **axes)))
    folder = write_run(tmp_path / "run", listed)
    run = Run.read(folder)
    found = SECTIONS["error_surface"].answer(run)
    assert found is not None
    assert found.sentence.endswith("3 of 3 plain descents leapt off, and 0 of 3 with clipping.")
    assert any("y runs from 10⁻⁴ to 20,959" in sentence for sentence in found.details)
    assert found.table is not None
    assert len(found.table.rows) == 6
    (one,) = [sentence for sentence in found.details if sentence.startswith("On one unit, in at most 2,000 ")]
    assert "without clipping 3 of 3 descents leapt, 1 ended below half the loss they began with" in one
    assert "with it 0 of 3 descents leapt, 3 ended below half the loss they began with and 0 above it" in one
    assert any(
        sentence.startswith("In the planes through networks, in at most") for sentence in found.details
    )
    (middle,) = [sentence for sentence in found.details if sentence.startswith("In the middle of 1 plane")]
    assert middle.endswith(
        "where knowing nothing costs 0.167: 0 of 1 had learned, to less than half of that."
    )
    summary = surfaces(run)
    assert summary is not None
    assert summary.ends.query("quantity == 'clipped'")["longest_step"].max() <= 0.0100001
    assert summary.plane.groupby(["start", "quantity"]).ngroups == len(summary.plane_ends) == 6
    assert set(summary.ends["learning_rate"]) == {0.1}  # a plane's descents are its own
    write_report(folder)
    for name in ("error_surface", "error_surface_trained"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000


def test_a_descent_that_ends_worse_than_it_began_is_told(tmp_path: Path) -> None:
    found = SECTIONS["error_surface"].answer(Run.read(write_run(tmp_path / "run", cliff(1e4, served=(0.1,)))))
    assert found is not None
    (told,) = found.details[1:]
    assert "with it 0 of 4 descents leapt, 4 ended below half" in told
    worse = list(cliff(1e4, served=(), clipped=0.75))
    found = SECTIONS["error_surface"].answer(Run.read(write_run(tmp_path / "worse", worse)))
    assert found is not None
    (told,) = found.details[1:]
    assert told.endswith("0 ended below half the loss they began with and 4 above it (worst: 1.00 → 5.62).")


def test_nearly_all_of_a_grid_is_not_called_all_of_it() -> None:
    assert _flat(0.9) == "90 %"
    assert _flat(0.9997) == "all but 0.030 %"
