"""`python -m harness train`: checkpoints, going on from them bit for bit, and one line for a bad value."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from harness.cli import main
from harness.training.checkpoint import Checkpoint
from tests.harness.command import ROOT, _hear_ctrl_c

SMALL = ("--backend", "numpy", "--cell", "gru", "--seq-len", "6", "--hidden-size", "8", "--batch-size", "16")


def train(*arguments: str | Path | int) -> int:
    """The exit status of the command."""
    with pytest.raises(SystemExit) as ended:
        main(["train", *map(str, arguments)])
    return int(ended.value.code or 0)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str | Path | int) -> str:
    """The one line that it complains with."""
    assert train(*arguments) == 2
    found = capsys.readouterr()
    assert found.err.startswith("error: ")
    assert len(found.err.splitlines()) == 1
    return found.err


@pytest.mark.parametrize(
    "further",
    [
        (),
        ("--optimizer", "sgd"),
        ("--optimizer", "sgd", "--momentum", "0.9"),
        ("--layers", "2"),
        ("--clip", "value", "--place", "state"),
        ("--task", "text"),
    ],
    ids=lambda words: "-".join(words).replace("--", "") or "plain",
)
def test_a_training_that_is_gone_on_from_ends_with_the_same_bits(
    tmp_path: Path, further: tuple[str, ...]
) -> None:
    whole, parts = tmp_path / "whole.safetensors", tmp_path / "parts.safetensors"
    assert train(*SMALL, *further, "--steps", 9, "--every", 2, "--checkpoint", whole) == 0
    assert train(*SMALL, *further, "--steps", 4, "--every", 2, "--checkpoint", parts) == 0
    assert Checkpoint.load(parts).step == 4
    assert train("--resume", parts, "--steps", 9) == 0
    ours, theirs = Checkpoint.load(parts), Checkpoint.load(whole)
    assert ours.step == theirs.step == 9
    for mine, other in ((ours.weights, theirs.weights), (ours.optimizer, theirs.optimizer)):
        assert mine.keys() == other.keys()
        for name, array in other.items():
            np.testing.assert_array_equal(mine[name], array, err_msg=name)


def test_it_says_what_it_is_about_and_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*SMALL, "--steps", 400, "--learning-rate", 0.02) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "adding: knowing nothing costs 0.1667; solved: mean squared error below 0.01"
    assert lines[-1].startswith("400 steps, loss 0.00")
    assert lines[-1].endswith(", solved, did not diverge")
    assert train(*SMALL, "--steps", 1) == 0
    assert ", not solved, " in capsys.readouterr().out


def test_a_training_that_diverges_says_so_and_leaves_its_last_good_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gone.safetensors"
    wild = ("--cell", "rnn_relu", "--optimizer", "sgd", "--learning-rate", "30", "--clip", "none")
    assert train(*SMALL, *wild, "--every", 1, "--checkpoint", file) == 1
    left = Checkpoint.load(file)
    assert f"{left.step} steps, " in capsys.readouterr().out.splitlines()[-3]
    assert all(np.isfinite(array).all() for array in left.weights.values())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "addin"], "did you mean 'adding'"),
        (["--cell", "lstn"], "did you mean 'lstm'"),
        (["--backend", "nunpy"], "did you mean 'numpy'"),
        (["--initialization", "orthogona"], "did you mean 'orthogonal'"),
        (["--clip", "valu"], "did you mean 'value'"),
        (["--optimizer", "adma"], "did you mean 'adam'"),
        (
            ["--clip", "truncated"],
            "how many steps back a gradient goes; expected --truncate N, N at least 1; got none; add it",
        ),
        (["--threads", "1000000"], "--threads: more than this process has cores"),
        (["--hidden-size", "1000000"], "GiB of memory are free"),
        (["--hidden-size", "10000000000"], "GiB of memory are free"),
        (["--seq-len", "100000000000"], "GiB of memory are free"),
        (["--batch-size", "100000000000"], "GiB of memory are free"),
        (["--layers", "1000000000"], "GiB of memory are free"),
        (["--task", "text", "--hidden-size", "1000000"], "GiB of memory are free"),
        (["--momentum", "1"], "momentum must be in [0, 1), got 1.0"),
        (["--forget-bias", "1"], "forget_bias needs a cell with a forget gate f; gru has gates r, z, n"),
        (
            ["--cell", "lstm_peephole", "--clip", "value", "--place", "gates"],
            "cannot be had for lstm_peephole",
        ),
        (["--clip", "value", "--place", "state", "--layers", "2"], "several layers"),
        (["--place", "everywhere"], "place must be one of"),
        (["--threshold", "-1"], "threshold must be a finite number > 0, got -1.0"),
        (["--threshold", "inf"], "threshold must be a finite number > 0, got inf"),
        (["--learning-rate", "0"], "learning_rate must be > 0"),
        (["--gain", "nan"], "gain"),
        (["--steps", "0"], "--steps"),
        (["--task", "temporal_order"], "seq_len must be at least 10, got 6"),
        (["--corpus", "x.txt"], "leave --corpus out"),
        (["--task", "text", "--corpus", "no-such-file.txt"], "no-such-file.txt"),
        (["--checkpoint", "model.bin"], "ends in .safetensors"),
        (["--checkpoint", "no/such/folder/model.safetensors"], "cannot be written"),
        (["--resume", "no-such-file.safetensors"], "cannot read the checkpoint"),
    ],
)
def test_a_bad_value_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in refused(capsys, *SMALL, *arguments)


def test_another_training_is_not_gone_on_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.safetensors"
    train(*SMALL, "--steps", 2, "--checkpoint", file)
    capsys.readouterr()
    line = refused(capsys, "--resume", file, "--steps", 4, "--learning-rate", 0.5, "--cell", "gru")
    assert "got learning_rate 0.5 (there 0.001); leave" in line
    assert "--steps above 2; got 2" in refused(capsys, "--resume", file, "--steps", 2)
    assert f"go on with --resume {file}" in refused(capsys, *SMALL, "--checkpoint", file)
    other = tmp_path / "y.safetensors"
    assert "leave --checkpoint out" in refused(capsys, "--resume", file, "--checkpoint", other)


def test_of_another_text_nothing_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, file = tmp_path / "text.txt", tmp_path / "x.safetensors"
    text.write_text("abcabd" * 100, encoding="utf-8")
    learned = (*SMALL, "--task", "text", "--corpus", text)
    train(*learned, "--steps", 2, "--checkpoint", file)
    text.write_text("abdabc" * 100, encoding="utf-8")
    assert "got corpus " in refused(capsys, "--resume", file, "--steps", 4, "--corpus", text)


@pytest.mark.parametrize(("told", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_told_to_end_it_keeps_its_last_good_state_and_can_be_gone_on_from(
    tmp_path: Path, told: signal.Signals, status: int
) -> None:
    file = tmp_path / "x.safetensors"
    words = [sys.executable, "-m", "harness", "train", *SMALL, "--every", "50", "--checkpoint", str(file)]
    process = subprocess.Popen(
        [*words, "--steps", "1000000"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_hear_ctrl_c,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    process.send_signal(told)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    reached = int(re.search(r"interrupted at step (\d+); ", out)[1])
    assert f"resume with: python -m harness train --resume {file} --steps 1000000" in out
    step = Checkpoint.load(file).step
    assert step in (reached - 1, reached)
    assert train("--resume", file, "--steps", step + 1) == 0
    assert Checkpoint.load(file).step == step + 1


def test_what_it_wrote_can_be_analyzed_as_it_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, file = tmp_path / "text.txt", tmp_path / "x.safetensors"
    text.write_text("abcabd" * 100, encoding="utf-8")
    train(*SMALL, "--task", "text", "--corpus", text, "--steps", 2, "--checkpoint", file)
    told = capsys.readouterr().out.splitlines()[-1]
    assert told.startswith("analyze it with: python -m harness analyze --weights ")
    words = told.split("python -m harness ")[1].replace(" TEXT", f" {text}").split()
    with pytest.raises(SystemExit) as ended:
        main([*words, "--steps", "16", "--results", str(tmp_path / "results")])
    assert ended.value.code == 0
    page = Path(capsys.readouterr().out.strip().splitlines()[-1])
    report = (page.parent / "report.md").read_text(encoding="utf-8")
    assert "own weights/embedding" in report
    assert "gru, as asked, I = 64, H = 8" in report


def test_momentum_and_forget_bias_reach_the_training(tmp_path: Path) -> None:
    lstm = ("--backend", "numpy", "--cell", "lstm", "--seq-len", 6, "--hidden-size", 8, "--batch-size", 16)
    plain, told = tmp_path / "plain.safetensors", tmp_path / "told.safetensors"
    options = ("--optimizer", "sgd", "--learning-rate", 1e-30, "--steps", 1)
    assert train(*lstm, *options, "--checkpoint", plain) == 0
    assert train(*lstm, *options, "--momentum", 0.5, "--forget-bias", 3, "--checkpoint", told) == 0
    before, after = Checkpoint.load(plain), Checkpoint.load(told)
    assert not before.optimizer
    assert set(after.optimizer) == {f"{name}/momentum_buffer" for name in after.weights}
    np.testing.assert_array_equal(after.weights["bias_ih"][8:16], 3.0)
    assert (before.weights["bias_ih"][8:16] != 3.0).all()
    assert (after.settings["momentum"], after.settings["forget_bias"]) == (0.5, 3.0)
    assert not {"momentum", "forget_bias"} & set(before.settings)  # as checkpoints were before there were any


def test_on_resume_another_momentum_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.safetensors"
    train(*SMALL, "--steps", 2, "--checkpoint", file)
    capsys.readouterr()
    assert "got momentum 0.5 (there None)" in refused(
        capsys, "--resume", file, "--steps", 4, "--momentum", 0.5
    )


def test_memory_that_runs_out_all_the_same_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_much(*arguments: object, **options: object) -> None:
        raise MemoryError("Unable to allocate 9 EiB")

    monkeypatch.setattr("harness.training.model.SequenceModel.loss_and_gradients", too_much)
    assert "out of memory: Unable to allocate 9 EiB" in refused(capsys, *SMALL)


def test_a_vocabulary_that_is_somebodys_own_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, file, own = (tmp_path / name for name in ("text.txt", "x.safetensors", "x.vocabulary.json"))
    text.write_text("abcabd" * 100, encoding="utf-8")
    own.write_text("my own", encoding="utf-8")
    learned = (*SMALL, "--task", "text", "--corpus", text, "--steps", 2, "--checkpoint", file)
    assert "x.vocabulary.json: is there already" in refused(capsys, *learned)
    assert own.read_text(encoding="utf-8") == "my own"
    assert not file.exists()
    own.write_text('["a", "b", "c", "d"]', encoding="utf-8")  # as this very training would write it
    assert train(*learned) == 0


def test_a_loss_above_that_of_knowing_nothing_is_said_in_digits_that_count(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("abcabd" * 100, encoding="utf-8")
    learned = (*SMALL, "--task", "text", "--corpus", text)
    train(*learned, "--steps", 5, "--learning-rate", 1e30)
    line = capsys.readouterr().out.splitlines()[-1]
    assert re.search(r" \(\d\.\d{1,3}e\+\d\d bits per character\), above that of knowing nothing, ", line)
    train(*learned, "--steps", 60, "--learning-rate", 0.01)
    assert "knowing nothing" not in capsys.readouterr().out.splitlines()[-1]


def test_a_gain_beyond_all_numbers_diverges_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(*SMALL, "--gain", "1e300", "--steps", 1) == 1
    found = capsys.readouterr()
    assert "diverged at step 1, never was good" in found.out
    assert not found.err
