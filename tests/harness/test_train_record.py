"""`train --record`: a row per step, the decay at intervals, and a file that a resumed training goes on in."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.errors import UserError
from harness.gradients import depth_decay, jacobian_decay
from harness.training import record
from harness.training.checkpoint import Checkpoint
from harness.training.job import Settings, layers_of, prepare
from harness.training.loop import Step
from harness.training.radius import recurrent_radius
from harness.training.record import COLUMNS, DECAYS, LAGS, TrainingRecord, chosen_lags, points
from tests.harness.test_train_command import SMALL, refused, train


def rows(file: Path, quantity: str) -> pd.DataFrame:
    found = pd.read_csv(file)
    assert list(found) == list(COLUMNS)
    return found[found["quantity"] == quantity].reset_index(drop=True)


def test_it_has_a_row_per_step_and_the_decay_at_intervals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.csv"
    assert train(*SMALL, "--steps", 20, "--threshold", 0.01, "--record", file) == 0
    assert str(file) in capsys.readouterr().out.splitlines()
    steps, decay = rows(file, "step"), rows(file, "decay")
    assert steps["step"].tolist() == list(range(1, 21))
    assert (steps["clipped_norm"] < 0.0101).all()
    assert (steps["gradient_norm"] > steps["clipped_norm"]).all()
    assert steps["loss"].notna().all()
    assert steps[["lag", "log10_spectral_norm"]].isna().all(axis=None)
    assert sorted(decay["step"].unique()) == [0, *sorted(points(20)), 20]
    assert decay.groupby("step")["lag"].apply(list).map(lambda lags: lags == list(range(7))).all()
    assert (decay.loc[decay["lag"] == 0, "log10_spectral_norm"] == 0.0).all()


@pytest.mark.parametrize("layers", [1, 2])
def test_its_numbers_are_those_of_the_network_on_held_out_sequences(tmp_path: Path, layers: int) -> None:
    """Of several layers the top one's."""
    csv, file = tmp_path / "x.csv", tmp_path / "x.safetensors"
    options = ("--layers", layers, "--steps", 3, "--record", csv, "--checkpoint", file)
    assert train(*SMALL, *options) == 0
    job = prepare(Settings.from_json(Checkpoint.load(file).settings))
    start = rows(csv, "decay")
    at_start = start[start["step"] == 0]["log10_spectral_norm"].to_numpy()
    own, inputs = layers_of(job.model, layers), job.observed()
    if layers == 1:
        found = jacobian_decay("gru", own[0], inputs).log10_spectral_norm["hh"]
    else:
        found = depth_decay("gru", own, inputs).log10_spectral_norm[2, 2]
    np.testing.assert_allclose(at_start, np.median(found, axis=1), rtol=1e-6, atol=1e-12)
    job.model.update({name: array.copy() for name, array in Checkpoint.load(file).weights.items()})
    radius = recurrent_radius("gru", layers_of(job.model, layers)[-1].weight_hh)
    assert rows(csv, "step")["spectral_radius"].iloc[-1] == pytest.approx(radius, rel=1e-6)


def test_of_a_text_it_reads_held_out_text(tmp_path: Path) -> None:
    text, file = tmp_path / "text.txt", tmp_path / "x.csv"
    text.write_text("abcabd" * 100, encoding="utf-8")
    assert train(*SMALL, "--task", "text", "--corpus", text, "--steps", 2, "--record", file) == 0
    job = prepare(
        Settings(
            task="text", backend="numpy", cell="gru", seq_len=6, hidden_size=8, batch_size=16
        ),
        corpus=str(text),
    )  # fmt: skip
    found = jacobian_decay("gru", job.layers[0], job.observed()).log10_spectral_norm["hh"]
    decay = rows(file, "decay")
    at_start = decay[decay["step"] == 0]["log10_spectral_norm"].to_numpy()
    np.testing.assert_allclose(at_start, np.median(found, axis=1), rtol=1e-6, atol=1e-12)


def test_one_that_is_gone_on_from_ends_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    """Rows beyond the checkpoint, a half line too, are cut; what it holds is there."""
    csvs, files = (
        [tmp_path / f"{name}.{end}" for name in ("whole", "parts")] for end in ("csv", "safetensors")
    )
    for csv, file in zip(csvs, files, strict=True):
        assert train(*SMALL, "--steps", 9, "--every", 4, "--checkpoint", file, "--record", csv) == 0
        if csv is csvs[1]:
            csv.write_text(csv.read_text() + "step,10,0.5,0.5,0.5,0.5,,\ndecay,10,,,,,3,-0.\nstep,1")
        assert train("--resume", file, "--steps", 18, "--record", csv) == 0
    whole, parts = (csv.read_bytes() for csv in csvs)
    assert parts == whole
    assert rows(csvs[1], "step")["step"].tolist() == list(range(1, 19))
    assert {0, 9, 18} <= set(rows(csvs[1], "decay")["step"])


def test_it_is_on_the_disk_before_the_checkpoint_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    csv, file = tmp_path / "x.csv", tmp_path / "x.safetensors"
    save, seen = Checkpoint.save, []

    def look(self: Checkpoint, path: Path) -> None:
        seen.append((self.step, rows(csv, "step")["step"].max()))
        save(self, path)

    monkeypatch.setattr(Checkpoint, "save", look)
    assert train(*SMALL, "--steps", 7, "--every", 3, "--checkpoint", file, "--record", csv) == 0
    assert seen == [(3, 3), (6, 6), (7, 7)]


def test_after_a_divergence_no_decay_stays_beyond_the_last_good_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "x.csv"
    wild = ("--cell", "rnn_relu", "--optimizer", "sgd", "--learning-rate", "30", "--clip", "none")
    assert train(*SMALL, *wild, "--steps", 50, "--record", file) == 1
    steps, decay = rows(file, "step"), rows(file, "decay")
    back = int(re.search(r"is back at step (\d+)", capsys.readouterr().out)[1])
    assert decay["step"].max() == back <= steps["step"].max()
    at_start = decay[decay["step"] == 0]
    assert decay[decay["step"] == back]["lag"].tolist() == at_start["lag"].tolist()
    assert not decay.duplicated(["step", "lag"]).any()


def test_a_new_training_takes_no_file_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    csv, file = tmp_path / "x.csv", tmp_path / "x.safetensors"
    csv.write_text("a,b\n1,2\n")
    both = ("--checkpoint", file, "--record", csv)
    assert "x.csv: is there already" in refused(capsys, *SMALL, "--steps", 2, *both)
    assert csv.read_text() == "a,b\n1,2\n"
    assert train(*SMALL, "--steps", 2, "--checkpoint", file) == 0
    capsys.readouterr()
    going_on = ("--resume", file, "--steps", 4, "--record", csv)
    assert "x.csv: not a record of a training" in refused(capsys, *going_on)
    csv.write_bytes(b"\xff\xfe\0")
    assert "x.csv: not a record of a training" in refused(capsys, *going_on)
    csv.write_text(",".join(COLUMNS) + "\nstep,1,0.5,0.5,0.5,0.5,,\n")
    assert "ends before the checkpoint does; expected rows up to step 2; got up to 1" in refused(
        capsys, *going_on
    )
    csv.unlink()
    assert train(*going_on) == 0
    assert rows(csv, "step")["step"].tolist() == [3, 4]
    assert sorted(set(rows(csv, "decay")["step"]))[0] == 2


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("none/x.csv", "there is no folder"),
        ("x.txt", "x.txt: no name of a record; expected one that ends in .csv"),
        ("x" * 260 + ".csv", "cannot be written: File name too long"),
        ("/proc/x.csv", "/proc/x.csv: cannot be written"),
        (".csv", "no name of a record"),
    ],
)
def test_a_record_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str, words: str
) -> None:
    assert words in refused(capsys, *SMALL, "--steps", 10**9, "--record", tmp_path / place)
    assert not list(tmp_path.iterdir())


def test_points_and_lags_are_few() -> None:
    assert points(1) == set()
    assert points(3) <= {1, 2}
    assert points(5) == {1, 2, 3, 4}
    assert len(points(1000)) == DECAYS
    assert max(points(1000)) < 1000
    assert chosen_lags(10).tolist() == list(range(11))
    far = chosen_lags(10_000)
    assert (far[0], far[1], far[-1]) == (0, 1, 10_000)
    assert len(far) <= LAGS + 1


@pytest.mark.parametrize("lines", [1, None])
def test_a_training_that_goes_on_from_its_start_goes_on_in_its_record(
    tmp_path: Path, lines: int | None
) -> None:
    """Whether the file was interrupted with its first decay in it, or with its head alone."""
    file = tmp_path / "x.csv"
    job = prepare(Settings(backend="numpy", cell="gru", seq_len=6, hidden_size=8))
    TrainingRecord(file, job, done=0, steps=1).flush()
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:lines]))
    with pytest.raises(UserError, match="is there already"):
        TrainingRecord(file, job, done=0, steps=1)
    TrainingRecord(file, job, done=0, steps=1, resumed=True).flush()
    assert rows(file, "decay")["lag"].tolist() == list(range(7))


def test_rows_that_were_half_written_when_it_was_interrupted_stand_there_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x.csv"
    job = prepare(Settings(backend="numpy", cell="gru", seq_len=6, hidden_size=8))
    held = TrainingRecord(file, job, done=0, steps=1)
    held.step(Step(1, 0.5, 2.0, 1.0))
    sync = record.os.fsync

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(record.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        held.flush()
    monkeypatch.setattr(record.os, "fsync", sync)
    held.flush()
    held.flush()
    assert rows(file, "step")["step"].tolist() == [1]
    assert rows(file, "decay")["lag"].tolist() == list(range(7))
