"""--redact: run with a peculiar user, host and path, then look into every file that was written."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.folder import find_run
from harness.outcome import Failed
from harness.redact import Redactor
from harness.report import write_report
from tests.harness.command import FAULTY, ROOT, only_run

USER, HOST, PLACE = "zebulon", "quixotebox", "wunderkammer"
PLAN = """
name = "peculiar"
timeout_seconds = 60
[studies.parity]
backend = ["numpy", "numba", "faulty"]
cell = ["lstm"]
dtype = ["float64"]
seq_len = [2, 115]
[studies.gradient_decay]
backend = ["numpy"]
cell = ["gru"]
seq_len = [4]
batch_size = 1
hidden_size = [4]
inputs = ["text"]
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A home whose every name is peculiar: a corpus with a space in its name, a plan, a faulty backend."""
    home = tmp_path_factory.mktemp("homes") / "home" / USER / PLACE
    shutil.copytree(FAULTY, home / "backends")
    faulty = home / "backends" / "faulty_backend.py"
    faulty.write_text(faulty.read_text().replace('"went wrong on purpose"', 'os.environ["FAULTY_SAYS"]'))
    (home / f"{PLACE} notes.txt").write_text("the quick brown fox jumps over the lazy dog. " * 50)
    (home / f"{PLACE}.toml").write_text(PLAN)
    return home


def harness(place: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {
        **os.environ,
        "USER": USER,
        "LOGNAME": USER,
        "HOSTNAME": f"{HOST}.example.org",
        "HOME": str(place.parent),
        "FAULTY_SAYS": f"{USER}@{HOST}: {place}/file, on {HOST}",
        "XLA_FLAGS": f"--xla_dump_to={place}/dump",
        "PYTHONPATH": os.pathsep.join([str(place / "backends"), str(ROOT)]),
    }
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=110)


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess:
    corpus = str(place / f"{PLACE} notes.txt")
    options = ["--plan", f"{PLACE}.toml", "--corpus", corpus, "--results", str(place / "results")]
    return harness(place, "run", *options, *arguments)


def peculiar(folder: Path) -> list[str]:
    """Every file below `folder` that holds one of the words, with the word."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            found += [f"{path.name}: {word}" for word in (USER, HOST, PLACE) if word.encode() in content]
    return found


def test_a_redacted_run_names_neither_user_nor_host_nor_place(place):
    done = run(place, "--redact")
    assert done.returncode == 1, done.stderr
    folder = only_run(place / "results")
    assert peculiar(folder) == []
    text = (folder / "environment.json").read_text()
    assert "--xla_dump_to=<path>" in text
    report = (folder / "report.md").read_text()
    assert "<corpus>" in report.replace("&lt;", "<").replace("&gt;", ">")
    assert "<user>@<host>" in "".join(path.read_text() for path in (folder / "tables").glob("not_meas*.csv"))

    resumed = harness(place, "run", "--resume", str(folder))
    assert resumed.returncode == 1, resumed.stderr
    assert peculiar(folder) == []


def test_an_open_redacted_run_asks_for_its_text_again(place, tmp_path):
    from harness.ledger import Ledger

    run(place, "--redact", "--study", "gradient_decay", "--results", str(tmp_path))
    folder = only_run(tmp_path)
    with Ledger.open(folder / "ledger.sqlite") as ledger, ledger._connection as connection:
        connection.execute("DELETE FROM outcomes")
    refused = harness(place, "run", "--resume", str(folder))
    assert refused.returncode == 2
    assert "--corpus FILE" in refused.stderr
    (tmp_path / "other.txt").write_text("another text altogether, long enough to be read. " * 50)
    wrong = harness(place, "run", "--resume", str(folder), "--corpus", str(tmp_path / "other.txt"))
    assert wrong.returncode == 2
    assert "not the text" in wrong.stderr
    resumed = harness(place, "run", "--resume", str(folder), "--corpus", f"{PLACE} notes.txt")
    assert resumed.returncode == 0, resumed.stderr
    assert peculiar(folder) == []


def test_the_report_of_a_run_that_was_not_redacted_can_be(place, tmp_path):
    run(place, "--results", str(tmp_path))
    folder = only_run(tmp_path)
    assert len(peculiar(folder)) > 5
    shown = tmp_path / "shown"
    shown.mkdir()
    shutil.copy(folder / "ledger.sqlite", shown)
    done = harness(place, "report", str(shown), "--redact")
    assert done.returncode == 0, done.stderr
    (shown / "ledger.sqlite").unlink()
    assert peculiar(shown) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('File "/opt/code/harness/x.py", line 3', 'File "<project>/harness/x.py", line 3'),
        ("/opt/code/results/secret", "<path>"),
        ("'/home/ann/my documents/a file.txt'", "'<path>'"),
        ("~/a/b ../c/d file:///e/f", "<path> <path> <path>"),
        (r"C:\Users\ann\x", "<path>"),
        ("ann@box.example.org wrote", "<user>@<host> wrote"),
        ("ann's box, annual boxes", "<user>'s <host>, annual boxes"),
        ("886/886 at 3.5 GiB/s, ∂h_t/∂h_k, https://example.org/a", None),
        ("cannot reset the peak through /proc/self/clear_refs", None),
    ],
)
def test_what_becomes_of_a_text(text, expected):
    redactor = Redactor({"/opt/code": "project"}, frozenset({"ann"}), frozenset({"box"}))
    assert redactor.text(text) == (text if expected is None else expected)


def test_users_of_another_machine_are_heard_in_their_paths():
    redactor = Redactor({}, frozenset(), frozenset())
    facts = {"run_id": "bob-1", "command": "python x --corpus /home/bob/t.txt", "note": "by bob", "plan": {}}
    told = redactor.facts(facts)
    assert told["note"] == "by <user>"
    assert told["command"] == "python x --corpus <corpus>"
    assert told["run_id"] == "bob-1"
    assert redactor.heard_in(facts).outcome(Failed("bob", "bob/")) == Failed("<user>", "<user>/")


def test_redacting_twice_changes_nothing():
    redactor = Redactor.of_this_machine()
    once = redactor({"a": [f"{Path.home()}/x", str(ROOT / "harness" / "run.py")], "command": "x"})
    assert redactor(once) == once
    assert "/" not in once["a"][0]


def test_writing_it_again_redacted_leaves_the_record_alone(place, tmp_path):
    from harness.ledger import Ledger

    run(place, "--results", str(tmp_path), "--study", "gradient_decay")
    folder = find_run("latest", tmp_path)
    write_report(folder, redact=True)
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        assert PLACE in ledger.facts()["command"]
