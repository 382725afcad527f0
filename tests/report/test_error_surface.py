"""The report on the error surface, from rows that are measured at once."""

from __future__ import annotations

from pathlib import Path

from harness.case import Case
from harness.report import write_report
from harness.report.frames import Run
from harness.report.questions import SECTIONS
from harness.report.summaries.error_surface import surfaces
from tests.harness.studying import measured, points
from tests.report.synthetic import write_run

SMALL = {
    "backend": ["numpy"],
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
    assert found.sentence.endswith("1 of 3 plain descents leapt off, and 0 of 3 with clipping.")
    assert any("y runs from 10⁻⁴ to 20,959" in sentence for sentence in found.details)
    assert found.table is not None
    assert len(found.table.rows) == 6
    assert any(sentence.startswith("In the planes through 1 trained network: ") for sentence in found.details)
    summary = surfaces(run)
    assert summary is not None
    assert summary.ends.query("quantity == 'clipped'")["longest_step"].max() <= 0.0100001
    assert summary.plane.groupby(["start", "quantity"]).ngroups == len(summary.plane_ends) == 6
    assert set(summary.ends["learning_rate"]) == {0.1}  # a plane's descents are its own
    write_report(folder)
    for name in ("error_surface", "error_surface_trained"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
