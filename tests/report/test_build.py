"""The report as files: complete, the same again, never half-written, and safe with hostile names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from harness.case import Case
from harness.errors import UserError
from harness.lock import OwnedLock
from harness.outcome import Failed, Measured, Unsupported
from harness.report import build, overview, write_report
from harness.report.frames import Run
from harness.report.pictures import FIGURES, FigureKind
from tests.report.synthetic import sizes, timed, write_run

HOSTILE = "<script>alert('x')</script>|$x_1$ **b** `c`"
FORMULA = "=HYPERLINK(evil)"


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(("ledger", build.LOCK))
    }


def test_all_files_are_there(reported: Path) -> None:
    files = set(tree(reported))
    assert {"report.md", "report.html", "tables/not_measured.csv"} <= files
    for study in ("parity", "throughput", "memory", "gradient_decay", "clipping"):
        assert {f"tables/{study}.csv", f"tables/{study}_summary.csv"} <= files
    stems = {name.rsplit(".", 1)[0] for name in files if name.startswith("figures/")}
    assert len(stems) == 15
    assert {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png", "csv")} <= files
    assert not [name for name in files if name.startswith(".")]


def test_a_rebuilt_report_is_the_same(reported: Path, tmp_path: Path) -> None:
    other = tmp_path / reported.name
    other.mkdir()
    shutil.copy(reported / "ledger.sqlite", other)
    write_report(other)
    assert tree(other) == tree(reported)


def test_the_page_says_everything(reported: Path) -> None:
    page = (reported / "report.html").read_text(encoding="utf-8")
    for words in ("20260101-120000-quick", "Example CPU 9000", "8.00 GiB", "python run_all.py --plan quick"):
        assert words in page
    assert "python run_all.py --plan quick --study memory" in page
    assert "no CUDA device" in page
    assert "worker died of SIGSEGV" in page
    assert "Fatal Python error: &lt;segfault&gt; &amp; more" in page
    assert "planned, not yet run" in page
    assert "Not shown" not in page
    assert page.count('<img src="data:image/svg+xml;base64,') == 15


def test_the_page_refers_to_nothing_outside(reported: Path) -> None:
    page = (reported / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", page)
    assert "@import" not in page
    assert "url(" not in page


def test_markdown_and_html_say_the_same(reported: Path) -> None:
    markdown = (reported / "report.md").read_text(encoding="utf-8")
    page = (reported / "report.html").read_text(encoding="utf-8")
    for sentence in re.findall(r"^\*\*(.+)\*\*$", markdown, flags=re.MULTILINE):
        assert sentence.replace("&", "&amp;").replace("'", "&#39;") in page
    figures = re.findall(r"\]\((figures/\S+)\)", markdown)
    assert len(figures) == 15
    for figure in figures:
        assert (reported / figure).is_file()


def test_the_title_names_plan_and_day_and_the_facts_the_run(tmp_path: Path) -> None:
    case = [(Case("novel", {"backend": "b"}), Measured({"x": [1]}))]
    facts = {"run_id": "20260102-000000-mine", "plan": {"name": "mine"}, "started_at": 1767312000.0}
    run = Run.read(write_run(tmp_path / "run", case, facts))
    assert overview.title(run) == "rnn-harness report: plan mine, 2 January 2026"
    assert ("Run", "20260102-000000-mine") in overview.what_and_where(run)
    bare = Run.read(write_run(tmp_path / "bare", case, {"run_id": None, "plan": None, "started_at": None}))
    assert overview.title(bare) == "rnn-harness report: bare"


def test_the_longest_time_of_a_case_names_its_exceptions(tmp_path: Path) -> None:
    case = [(Case("novel", {"backend": "b"}), Measured({"x": [1]}))]
    plan = {"name": "mine", "max_seconds": 4.0, "studies": {"learning": [], "novel": []}}
    own = {"learning": 300.0, "startup": 60.0}  # of a study that the plan does not have, nothing is said
    run = Run.read(write_run(tmp_path / "some", case, {"plan": {**plan, "max_seconds_of": own}}))
    assert dict(overview.what_and_where(run))["Plan"].endswith("at most 4.0 s per case (learning 5 min 0 s)")
    run = Run.read(write_run(tmp_path / "none", case, {"plan": {**plan, "max_seconds_of": {}}}))
    assert dict(overview.what_and_where(run))["Plan"].endswith("at most 4.0 s per case")


def test_every_link_within_the_page_leads_somewhere(reported: Path) -> None:
    markdown = (reported / "report.md").read_text(encoding="utf-8")
    anchors = set(re.findall(r'<a id="([^"]+)"></a>', markdown))
    links = re.findall(r"\]\(#([^)]+)\)", markdown)
    assert set(links) == anchors
    contents = markdown[markdown.index("## Contents") : markdown.index("## Which claims")]
    assert "- Gradients: [gradient decay](#gradient_decay), " in contents
    page = (reported / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))


def test_in_short_stands_under_what_it_is_about(reported: Path) -> None:
    markdown = (reported / "report.md").read_text(encoding="utf-8")
    short = markdown[markdown.index("## In short") : markdown.index('<a id="throughput"></a>')]
    speed, gradients = short.index("### Speed and memory"), short.index("### Gradients")
    assert speed < short.index("(#throughput)**") < short.index("(#memory)**") < gradients
    assert gradients < short.index("(#gradient_decay)**") < short.index("(#clipping)**")
    page = (reported / "report.html").read_text(encoding="utf-8")
    assert page.index("<h3>Speed and memory</h3>") < page.index("<h3>Gradients</h3>")


def test_reasons_that_differ_in_their_numbers_alone_are_one(reported: Path) -> None:
    markdown = (reported / "report.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\| unsupported .*max_seconds 30 s.*$", markdown, flags=re.MULTILINE)
    assert "and alike, with other numbers" in line
    assert "| 6 |" in line
    rows = pd.read_csv(reported / "tables" / "not_measured.csv")
    assert rows["status"].value_counts().to_dict() == {"unsupported": 54, "failed": 4, "open": 1}


def test_tables_hold_every_observation_and_no_invented_zero(reported: Path) -> None:
    rows = pd.read_csv(reported / "tables" / "throughput.csv")
    assert rows.loc[rows["status"] != "measured", "seconds"].isna().all()
    assert (rows.loc[rows["status"] == "measured", "seconds"] > 0).all()
    decay = pd.read_csv(reported / "tables" / "gradient_decay.csv")
    assert (decay["log10_spectral_norm"] == -float("inf")).any()


def hostile_run(folder: Path) -> Path:
    axes = sizes(HOSTILE, HOSTILE, 8, 1) | {"pass": "../../inference"}
    listed = [
        (Case("throughput", axes), timed(1.0, 8)),
        (Case("throughput", axes | {"backend": FORMULA}), timed(2.0, 8)),
        (Case("throughput", axes | {"backend": "_x"}), Failed(HOSTILE + "\n| a |", "</pre>" + HOSTILE)),
        (Case("../study", {"backend": HOSTILE, "=axis": FORMULA}), Measured({"x": ["@a", "-1"]})),
        (Case("memory", axes), Unsupported(FORMULA)),
    ]
    facts = {
        "run_id": HOSTILE,
        "plan": {"name": f"a; rm -rf {HOSTILE}", "corpus": f"/tmp/{HOSTILE}"},
        "command": None,
        "environment": {HOSTILE: [HOSTILE, {"a": None}], "cpu_model": HOSTILE},
    }
    return write_run(folder, listed, facts)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    folder = hostile_run(tmp_path / "run")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "</pre><script" not in page
    assert "Not shown" not in page
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"```+sh\n.*\n```+", "", markdown)
    assert "python run_all.py --plan 'a; rm -rf <script>" in markdown
    for line in (line for line in markdown.splitlines() if line.startswith("| failed")):
        assert len(re.findall(r"(?<!\\)\|", line)) == 6
    assert {path.parent for path in tmp_path.rglob("*.csv")} == {folder / "tables", folder / "figures"}
    for path in folder.rglob("*.csv"):
        frame = pd.read_csv(path, dtype=str)
        for value in [*frame.columns, *frame.to_numpy().ravel()]:
            assert not str(value).startswith(("=", "@")), path


def test_a_study_that_nobody_knows_still_has_its_table(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [(Case("novel", {"backend": "b"}), Measured({"x": [1, 2]}))])
    page = write_report(folder).read_text(encoding="utf-8")
    assert pd.read_csv(folder / "tables" / "novel.csv")["x"].tolist() == [1, 2]
    assert "tables/novel.csv" in page


def test_a_study_of_which_nothing_worked_says_so(tmp_path: Path) -> None:
    listed = [
        (Case("memory", {"backend": "a"}), Unsupported("cannot reset the peak")),
        (Case("memory", {"backend": "b"}), Failed("SIGSEGV")),
        (Case("memory", {"backend": "c"}), None),
    ]
    page = write_report(write_run(tmp_path / "run", listed)).read_text(encoding="utf-8")
    assert "Nothing was measured: 3 cases: 1 unsupported, 1 failed and 1 open." in page
    assert 'id="throughput"' not in page


def test_what_was_measured_but_answers_nothing_says_so(tmp_path: Path) -> None:
    listed = [(Case("update_by_lag", {"backend": "numpy", "cell": "lstm"}), Measured({"x": [1.0]}))]
    page = write_report(write_run(tmp_path / "run", listed)).read_text(encoding="utf-8")
    assert "What was measured does not answer this: 1 case: 1 measured." in page
    assert "Nothing was measured" not in page


def test_the_command_of_a_section_keeps_only_axes_that_its_study_has(tmp_path: Path) -> None:
    axes = sizes("torch", "gru", 16, 1) | {"pass": "training"}
    listed = [
        (Case("throughput", axes), timed(1e-3, 16)),
        (Case("spectra", {"backend": "b", "lag": 2}), None),
    ]
    command = "python run_all.py --study throughput --study spectra --axis lag=1,2 --axis=cell=gru,lstm"
    run = Run.read(write_run(tmp_path / "run", listed, {"command": command}))
    assert overview.command(run, "throughput") == "python run_all.py --axis cell=gru,lstm --study throughput"
    assert overview.command(run, "spectra") == "python run_all.py --axis lag=1,2 --study spectra"
    assert overview.command(run) == command


def test_a_broken_figure_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: object) -> None:
        raise KeyError("lag")

    len(FIGURES)  # discovers the others before one is added
    monkeypatch.setitem(FIGURES._items, "broken", FigureKind("throughput", 1, broken))  # type: ignore[arg-type]
    case = Case("throughput", sizes("numba", "gru", 8, 1) | {"pass": "inference"})
    page = write_report(write_run(tmp_path / "run", [(case, timed(1.0, 8))])).read_text(encoding="utf-8")
    assert "the figure broken could not be drawn: KeyError: &#39;lag&#39;" in page
    assert "throughput_inference" in page


def test_a_report_that_cannot_be_finished_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_run(tmp_path / "run", [(Case("novel", {"backend": "b"}), Measured({"x": [1]}))])
    write_report(folder)
    before = tree(folder)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(build, "_render", full)
    with pytest.raises(UserError, match="No space left on device"):
        write_report(folder)
    assert tree(folder) == before
    assert not list(folder.glob(".report-*"))


def test_two_builds_of_one_run_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "run", [(Case("novel", {"backend": "b"}), Measured({"x": [1]}))])
    inside: list[str] = []
    replace = build.replace

    def slowly(fresh: Path, run_folder: Path) -> None:
        inside.append("in")
        time.sleep(0.3)  # ample time for the others to come in, were they not kept out
        replace(fresh, run_folder)
        inside.append("out")

    monkeypatch.setattr(build, "replace", slowly)
    with ThreadPoolExecutor(3) as pool:
        monkeypatch.setattr(build, "_fill", fill_plainly)
        for written in [pool.submit(write_report, folder) for _ in range(3)]:
            assert written.result() == folder / "report.html"
    assert inside == ["in", "out"] * 3
    assert not list(folder.glob(".report-*"))


def fill_plainly(run: object, folder: Path) -> None:
    """A report without pictures: Matplotlib draws in one thread alone."""
    for name in build.FOLDERS:
        (folder / name).mkdir()
        (folder / name / "x.csv").write_text("x\n")
    for name in build.PAGES:
        (folder / name).write_text("x\n")


def test_a_build_that_does_not_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_run(tmp_path / "run", [(Case("novel", {"backend": "b"}), Measured({"x": [1]}))])
    other = OwnedLock(folder / build.LOCK, folder.name)
    assert other.try_acquire()
    monkeypatch.setattr(build, "PATIENCE_SECONDS", 0.0)
    with pytest.raises(UserError, match=rf"process {os.getpid()}, since .* is writing its report"):
        write_report(folder)
    assert not (folder / "report.html").exists()
    other.release()
    assert write_report(folder).is_file()


def test_what_a_killed_build_left_is_swept_away(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [(Case("novel", {"backend": "b"}), Measured({"x": [1]}))])
    (folder / ".report-killed" / "old-tables").mkdir(parents=True)
    (folder / ".report-notes").write_text("a file is none of ours")
    (folder / ".report-link").symlink_to(tmp_path, target_is_directory=True)
    write_report(folder)
    assert {path.name for path in folder.glob(".report-*")} == {".report-notes", ".report-link"}
    assert tmp_path.is_dir()


def test_figures_of_an_older_report_do_not_stay(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [(Case("novel", {"backend": "b"}), Measured({"x": [1]}))])
    (folder / "figures").mkdir()
    (folder / "figures" / "old.svg").write_text("")
    write_report(folder)
    assert not (folder / "figures" / "old.svg").exists()


def test_the_report_needs_no_backend() -> None:
    """In a fresh process: the whole report package loads neither torch nor numba."""
    code = (
        "import sys, harness.report\n"
        "assert 'matplotlib' not in sys.modules\n"
        "import harness.report.build\n"
        "print([name for name in ('torch', 'numba', 'harness.studies') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
