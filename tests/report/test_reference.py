"""The copy that is kept with the code: it leads to nothing that it lacks, and says what that is."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from harness import cli
from harness.errors import UserError
from harness.report import reference, write_report

NAMED = re.compile(r"`((?:tables|figures)/[^`]+)`|\]\(((?:tables|figures)/[^)]+)\)")


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    """A run's folder that nobody else looks at."""
    own = tmp_path / folder.name
    own.mkdir()
    shutil.copy(folder / "ledger.sqlite", own)
    (own / "plan.toml").write_text('name = "quick"\n', encoding="utf-8")
    (own / "environment.json").write_text(
        json.dumps({"python": "/home/someone/bin/python"}), encoding="utf-8"
    )
    return own


def named(page: str) -> set[str]:
    return {first or second for first, second in NAMED.findall(page)}


def test_every_file_that_the_copy_names_is_there(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "MAXIMUM_BYTES", 5_000)
    copy = tmp_path / "copy"
    (copy / "tables").mkdir(parents=True)
    (copy / "tables" / "old.csv").write_text("x\n")
    (copy / "README.md").write_text("kept")
    assert write_report(own, reference=copy) == copy / "report.md"
    page = (copy / "report.md").read_text(encoding="utf-8")
    said, rest = page.split("\n\n")[1], page.split("\n\n", 2)[2]
    assert said.startswith("This is a copy of the report. ")
    assert "files above 5 kB are left out: " in said
    assert said.endswith("; the command below makes them again.")
    files = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    assert named(rest) <= files
    assert len([name for name in named(rest) if name.endswith(".png")]) == 15
    everything = {f"{kind}/{path.name}" for kind in reference.DATA for path in (own / kind).glob("*.csv")}
    assert named(said) == everything - files
    assert named(said)
    for name in everything & files:
        assert (copy / name).stat().st_size <= 5_000
    assert (copy / "README.md").read_text() == "kept"
    assert {"plan.toml", "environment.json", "report.md"} <= files
    assert not [name for name in files if name.endswith((".svg", ".html", "old.csv"))]
    assert "/home/someone" in (copy / "environment.json").read_text()


def test_nothing_left_out_is_not_said(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "MAXIMUM_BYTES", 10_000_000)
    write_report(own, reference=tmp_path / "copy", redact=True)
    page = (tmp_path / "copy" / "report.md").read_text(encoding="utf-8")
    assert "This is a copy" not in page
    original = (own / "report.md").read_text(encoding="utf-8")
    assert page == original.replace(".svg)", ".png)")
    assert named(original) <= {f"{path.parent.name}/{path.name}" for path in own.rglob("*.*")}
    assert "someone" not in (tmp_path / "copy" / "environment.json").read_text()


def test_a_run_is_no_place_for_a_copy(own: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds a run"):
        write_report(own, reference=own)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is no folder"):
        write_report(own, reference=tmp_path / "file")
    assert not (own / "report.md").exists()


def test_the_command_has_it(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(own), "--reference", str(tmp_path / "copy")])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "copy" / "report.md")
