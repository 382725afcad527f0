"""The command line from outside: what it lists, what it refuses, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.cli import main
from harness.clipping import CLIPPING_RULES
from harness.commands.lists import print_lists
from harness.training.tasks import TASKS
from implementations.registry import CELLS
from tests.harness.command import ROOT, run_all, write_plan

HEAVY = ("torch", "numba", "matplotlib")


@pytest.mark.parametrize("arguments", [["--help"], ["--list"]])
def test_looking_loads_nothing_heavy(arguments):
    code = (
        "import sys\nfrom harness.cli import run_all\n"
        f"try:\n    run_all({arguments!r})\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules]\nassert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_importing_the_packages_loads_nothing_heavy():
    code = (
        "import sys, harness, implementations\n"
        f"heavy = [m for m in {HEAVY!r} if m in sys.modules]\nassert not heavy, heavy"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_list_names_every_kind():
    out = run_all("--list").stdout
    for word in ("quick", "throughput", "numba", "gru_reset_before", "orthogonal", "adding", "global_norm"):
        assert f"\n  {word} " in out or f"\n  {word}\n" in out


def test_the_columns_of_a_list_stand_apart(capsys):
    print_lists("cells")
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == set(CELLS)
    assert len({len(line) - len(line[2:].split(maxsplit=1)[1]) for line in lines}) == 1


@pytest.mark.parametrize(("kind", "names"), [("tasks", TASKS), ("clipping", CLIPPING_RULES)])
def test_every_task_and_every_clipping_rule_is_listed_with_what_it_is(kind, names, capsys):
    print_lists(kind)
    found = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(found) == set(names)


def test_the_axes_of_a_study_are_listed(capsys):
    print_lists("axes")
    out = capsys.readouterr().out
    for words in (
        "gradient_decay.forget_bias swept, default [",
        "gradient_decay.seq_len swept, required",
        "jacobian_map.grid fixed, default 32",
        "gradient_decay.input_size fixed, default absent",
    ):
        assert words in " ".join(out.split())


GOOD = """
name = "good"
[studies.parity]
backend = ["numpy"]
cell = ["lstm"]
seq_len = [2]
"""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("lstm", "lstn"), ["studies.parity.cell[0]", "'lstn'", "did you mean 'lstm'"]),
        (('"numpy"', '"nunpy"'), ["studies.parity.backend[0]", "did you mean 'numpy'"]),
        (("studies.parity", "studies.paritty"), ["studies.paritty", "did you mean 'parity'"]),
        (("seq_len", "seqlen"), ["studies.parity.seqlen", "did you mean 'seq_len'"]),
        (("[2]", "[0]"), ["studies.parity.seq_len[0]", "greater than or equal to 1", "got 0"]),
        (("[2]", '["two"]'), ["studies.parity.seq_len[0]", "valid integer", 'got "two"']),
        (("[2]", "[]"), ["studies.parity.seq_len", "at least one value"]),
        (("[2]", "[2"), ["not TOML"]),
        (('"good"', '"../good"'), ["name: expected at most 64 letters", 'got "../good"']),
        (('cell = ["lstm"]\nseq_len = [2]', ""), ["studies.parity: missing cell, seq_len", "list axes"]),
        (('name = "good"', ""), ["plan.toml: missing name; add"]),
        (
            ("[studies.parity]", "[studies]\nparity = 3\n[studies.gain_map]"),
            ["parity", "expected a list, or a table"],
        ),
        (
            ("[studies.parity]", "[studies]\nparity = [3]\n[studies.gain_map]"),
            ["parity[0]: expected a table"],
        ),
        (("[studies", "max_seconds_of = 3\n[studies"), ["max_seconds_of: expected a table", "got 3"]),
        (('name = "good"', "name = 3"), ["name: expected a word in quotes; got 3"]),
        (('name = "good"', 'name = "good"\nsed = 1'), ["sed", "did you mean 'seed'"]),
    ],
)
def test_a_wrong_plan_is_one_line_with_its_place(tmp_path, change, words):
    plan = write_plan(tmp_path / "plan.toml", GOOD.replace(*change))
    results = tmp_path / "results"
    refused(run_all("--plan", plan, "--results", results), words)
    assert not results.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plan", "quik"], ["unknown plan 'quik'", "did you mean 'quick'"]),
        (["--plan", "no/such/plan.toml"], ["no/such/plan.toml", "cannot read"]),
        (["--study", "througput"], ["did you mean 'throughput'"]),
        (["--study", "time_to_solve"], ["not in plan quick", "--plan full or --plan learning has it"]),
        (["--axis", "seq_len"], ["NAME=VALUE"]),
        (["--axis", "sequence_len=3"], ["did you mean 'seq_len'"]),
        (["--axis", "seq_len=0"], ["seq_len[0]"]),
        (["--axis", "seq_len=" + "1" + 20 * "0"], ["seq_len[0]", "less than 2147483648", "got 1000"]),
        (["--axis", "seed=" + 5000 * "9"], ["--axis seed", "9… (5000 characters)"]),
        (["--backend", "nmba"], ["did you mean 'numba'"]),
        (["--corpus", "no-such-file.txt"], ["no-such-file.txt"]),
        (["--resume", "no-such-run"], ["no run 'no-such-run'"]),
        (["--no-such-option"], ["--no-such-option"]),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path, arguments, words):
    results = tmp_path / "results"
    refused(run_all(*arguments, "--results", results), words)
    assert not results.exists()


NOTHING = ["--study", "jacobian_map", "--axis", "cell=rnn_tanh,rnn_relu", "--axis", "block=cc"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (NOTHING, ["quick: no cases: jacobian_map: rnn_tanh has no block cc (it has hh, ss), rnn_relu has"]),
        ([*NOTHING, "--dry-run"], ["no cases"]),
    ],
)
def test_a_plan_without_a_case_is_refused_with_the_reason(tmp_path, arguments, words):
    results = tmp_path / "results"
    refused(run_all(*arguments, "--results", results), words)
    assert not results.exists()


def test_a_study_without_a_case_beside_others_is_named():
    done = run_all(*NOTHING, "--study", "gain_map", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("jacobian_map has no cases: rnn_tanh has no block cc")


@pytest.mark.parametrize("options", [["--backend", "numba"], ["--axis", "backend=numba"]])
def test_a_backend_that_no_chosen_study_heeds_is_refused(tmp_path, options):
    results = tmp_path / "results"
    done = run_all("--study", "gradient_decay", "--study", "gain_map", *options, "--results", results)
    refused(done, ["backend", "gradient_decay, gain_map", "throughput", "of plan quick", "got numba"])
    assert "clipping" not in done.stderr
    assert not results.exists()


@pytest.mark.parametrize("options", [["--backend", "torch"], ["--axis", "backend=torch"]])
def test_studies_that_heed_no_backend_are_named_beside_those_that_do(options):
    done = run_all("--study", "gradient_decay", "--study", "parity", *options, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "backend changes nothing in gradient_decay\n" in done.stdout
    assert "gradient_decay backend=numpy" in done.stdout
    assert "gradient_decay backend=torch" not in done.stdout
    assert "parity backend=torch" in done.stdout


def test_a_study_that_trains_with_one_backend_takes_another_by_its_axis():
    done = run_all("--study", "training_decay", "--axis", "backend=torch", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "training_decay backend=torch" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ["export", "latest", "--format", "csv", "--output"],
        ["compare", "latest", "latest", "--output"],
        ["selftest", "--quick", "--json"],
        ["selftest", "--quick", "--markdown"],
    ],
)
def test_a_file_without_a_place_is_refused_before_any_work(command, tmp_path, capsys):
    for place, words in (
        (tmp_path / "no" / "file", f"mkdir -p {tmp_path / 'no'}"),
        (tmp_path, "is a folder"),
    ):
        with pytest.raises(SystemExit) as end:
            main([*command, str(place)])
        (line,) = capsys.readouterr().err.splitlines()
        assert end.value.code == 2
        assert f"error: {command[-1]} {place}: " in line
        assert words in line
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["run", "--dry-run", "--results", ""], "--results: no folder named; expected a folder"),
        (["compare", "old", "new", "--results", ""], "--results: no folder named"),
        (["run", "--dry-run", "--plan", ""], "unknown plan ''"),
        (["run", "--resume", "latest", "--plan", ""], "got --plan"),
    ],
)
def test_an_empty_word_is_not_taken_for_a_choice(command, words, capsys):
    with pytest.raises(SystemExit) as end:
        main(command)
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert words in line


def test_a_binary_corpus_is_refused(tmp_path):
    corpus = tmp_path / "corpus.bin"
    corpus.write_bytes(bytes(range(256)) * 100)
    refused(run_all("--corpus", corpus, "--results", tmp_path / "results"), ["corpus.bin"])


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        ("missing.txt", ["missing.txt", "No such file", "expected a UTF-8 text file"]),
        ("nul\\u0000.txt", ["cannot be read", "null byte"]),
        (str(ROOT), ["is a directory"]),
        (sys.executable, ["is binary"]),
    ],
)
@pytest.mark.parametrize("further", [[], ["--dry-run"]])
def test_a_text_that_a_plan_names_and_nobody_can_read_is_refused(tmp_path, corpus, words, further):
    plan = write_plan(tmp_path / "plan.toml", f'corpus = "{corpus}"\n{GOOD}')
    refused(run_all("--plan", plan, "--results", tmp_path / "results", *further), words)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("text", "words"), [("", "is empty"), ("a" * 5000, "one character repeated")])
def test_a_corpus_that_says_nothing_is_refused(tmp_path, text, words):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(text, encoding="utf-8")
    refused(run_all("--corpus", corpus, "--results", tmp_path / "results"), [words])
    assert not (tmp_path / "results").exists()


def test_a_results_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    plan = write_plan(tmp_path / "plan.toml", GOOD)
    refused(run_all("--plan", plan, "--results", tmp_path / "file" / "results"), ["cannot write"])


def test_dry_run_prints_the_cases_and_writes_nothing(tmp_path):
    plan = write_plan(tmp_path / "plan.toml", GOOD)
    done = run_all("--plan", plan, "--results", tmp_path / "results", "--dry-run")
    assert done.returncode == 0
    assert "2 cases, about" in done.stdout
    assert not (tmp_path / "results").exists()


def test_unsupported_cases_alone_are_no_failure(tmp_path):
    plan = write_plan(tmp_path / "plan.toml", GOOD.replace('"numpy"', '"numpy", "faulty"'))
    done = run_all("--plan", plan, "--results", tmp_path / "results", "--axis", "seq_len=118")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 unsupported" in done.stdout


def refused(done, words):
    """Exit 2, one line on standard error that holds every word, and no traceback."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0], lines[0]
