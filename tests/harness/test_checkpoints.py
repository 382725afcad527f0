"""A checkpoint that is not what a training wrote is refused in one line, and left as it is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from harness.errors import UserError
from harness.training import checkpoint
from harness.training.checkpoint import Checkpoint
from harness.training.fit import fit
from harness.training.optimizers import Optimizer
from tests.harness.command import ROOT
from tests.harness.test_train_command import SMALL, refused, train
from tests.harness.test_training import characters, model

Tensors = dict[str, np.ndarray]
Metadata = dict[str, str]
MOMENT = "optimizer/weight_hh/exp_avg"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("written") / "x.safetensors"
    assert train(*SMALL, "--steps", 3, "--checkpoint", file) == 0
    return file


def changed(written: Path, to: Path, change: Callable[[Tensors, Metadata], Any], *, vouch: bool) -> Path:
    """A copy of a checkpoint, changed by somebody; `vouch`: who also writes the digest of the change."""
    with safe_open(str(written), "numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        metadata = file.metadata()
    change(tensors, metadata)
    if vouch and {"step", "settings"} <= metadata.keys():
        metadata["sha256"] = checkpoint._digest(tensors, metadata["step"], metadata["settings"])
    save_file(tensors, to, metadata)
    return to


def other(name: str, array: Callable[[np.ndarray], np.ndarray]) -> Callable[[Tensors, Metadata], Any]:
    return lambda tensors, metadata: tensors.__setitem__(name, array(tensors[name]))


def without(part: str) -> Callable[[Tensors, Metadata], Any]:
    return lambda tensors, metadata: [tensors.pop(name) for name in list(tensors) if part in name]


def setting(name: str, value: Any) -> Callable[[Tensors, Metadata], Any]:
    def change(tensors: Tensors, metadata: Metadata) -> None:
        metadata["settings"] = json.dumps({**json.loads(metadata["settings"]), name: value})

    return change


def mark(**words: str | None) -> Callable[[Tensors, Metadata], Any]:
    def change(tensors: Tensors, metadata: Metadata) -> None:
        metadata.update({name: word for name, word in words.items() if word is not None})
        for name in (name for name, word in words.items() if word is None):
            metadata.pop(name)

    return change


CHANGES: dict[str, tuple[Callable[[Tensors, Metadata], Any], str]] = {
    "a shorter moment": (other(MOMENT, lambda a: a[:-1]), "weight_hh/exp_avg is float32 (23, 8), expected"),
    "a wider type": (other(MOMENT, lambda a: a.astype(np.float64)), "is float64 (24, 8), expected float32"),
    "no moments": (without("optimizer/"), "bias_hh/exp_avg is missing"),
    "no second moments": (without("exp_avg_sq"), "bias_hh/exp_avg_sq is missing"),
    "a moment of nothing": (
        lambda tensors, metadata: tensors.update({"optimizer/foo/exp_avg": np.zeros(3, np.float32)}),
        "foo/exp_avg is none of its own",
    ),
    "a moment that is NaN": (other(MOMENT, lambda a: a * np.nan), f"{MOMENT} is not finite"),
    "a weight that is NaN": (other("weights/weight_hh", lambda a: a * np.nan), "weight_hh is not finite"),
    "a weight that is inf": (other("weights/weight_hh", lambda a: a + np.inf), "weight_hh is not finite"),
    "a missing weight": (without("weights/bias_hh"), "bias_hh is missing"),
    "wider weights": (other("weights/bias_hh", lambda a: a.astype(np.float64)), "bias_hh is float64"),
    "a step in words": (mark(step="abc"), "its metadata's step is no number of steps"),
    "a step below 0": (mark(step="-5"), "got '-5'"),
    "no step": (mark(step=None), "step is no number of steps; expected a whole number, 0 or more; got none"),
    "settings in words": (mark(settings="{oops"), "its metadata's settings cannot be read"),
    "a list of settings": (mark(settings="[1]"), "expected a JSON object; got '[1]'"),
    "deep settings": (mark(settings="[" * 100_000), "its metadata's settings cannot be read"),
    "no settings": (mark(settings=None), "expected a JSON object; got none"),
    "a size in words": (setting("hidden_size", "16"), "its hidden_size is '16', expected int"),
    "a size that is true": (setting("hidden_size", True), "its hidden_size is 'True', expected int"),
    "a size below 1": (setting("batch_size", -1), "its batch_size must be at least 1, got -1"),
    "a rate in words": (setting("learning_rate", "x"), "its learning_rate is 'x', expected float"),
    "a backend by number": (setting("backend", 7), "its backend is '7', expected str"),
    "a setting of nothing": (setting("colour", "red"), "it has a setting 'colour'"),
    "another size": (setting("hidden_size", 17), "bias_hh is float32 (24,), expected float32 (51,)"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_training_did_not_write_is_one_line(
    tmp_path: Path, written: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    change, words = CHANGES[name]
    file = changed(written, tmp_path / "y.safetensors", change, vouch=True)
    before = file.read_bytes()
    assert words in refused(capsys, "--resume", file, "--steps", 5)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    "change",
    [other("weights/weight_hh", np.negative), other(MOMENT, np.negative), mark(step="2"), setting("seed", 3)],
    ids=["weight", "moment", "step", "setting"],
)
def test_a_change_that_fits_shows_in_the_digest(
    tmp_path: Path, written: Path, capsys: pytest.CaptureFixture[str], change: Callable[..., Any]
) -> None:
    file = changed(written, tmp_path / "y.safetensors", change, vouch=False)
    assert "its SHA-256 is not that of its content" in refused(capsys, "--resume", file, "--steps", 5)


def test_a_flipped_bit_shows(tmp_path: Path, written: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray(written.read_bytes())
    content[-3] ^= 0x40
    file = tmp_path / "y.safetensors"
    file.write_bytes(content)
    assert "the checkpoint is damaged" in refused(capsys, "--resume", file, "--steps", 5)


def test_a_checkpoint_from_before_digests_is_gone_on_from(tmp_path: Path, written: Path) -> None:
    """Single numbers stood in arrays of one then."""

    def older(tensors: Tensors, metadata: Metadata) -> None:
        metadata.update(format="rnn-harness training 1")
        metadata.pop("sha256")
        for name in tensors:
            tensors[name] = np.ascontiguousarray(tensors[name])

    files = [tmp_path / "new.safetensors", changed(written, tmp_path / "old.safetensors", older, vouch=False)]
    files[0].write_bytes(written.read_bytes())
    for file in files:
        assert train("--resume", file, "--steps", 5) == 0
    found, wanted = (Checkpoint.load(file) for file in files)
    for name, array in wanted.optimizer.items():
        np.testing.assert_array_equal(found.optimizer[name], array, err_msg=name)


def test_an_optimiser_takes_back_no_state_of_another_shape() -> None:
    """Its kernels would read beside the arrays."""
    weights = {"a": np.ones((3, 2), np.float32)}
    optimizer = Optimizer("adam", weights, 0.1)
    optimizer.step({"a": np.ones((3, 2), np.float32)})
    whole = optimizer.state()
    for wrong in (
        {**whole, "a/exp_avg": whole["a/exp_avg"][:1]},
        {**whole, "a/exp_avg": whole["a/exp_avg"].astype(np.float64)},
        {**whole, "b/exp_avg": whole["a/exp_avg"]},
        {name: array for name, array in whole.items() if name != "a/exp_avg_sq"},
    ):
        with pytest.raises(ValueError, match="the optimizer's state does not fit"):
            optimizer.load_state(wrong)
    optimizer.load_state({})
    assert optimizer.state() == {}


def test_an_inf_that_adam_came_to_by_itself_is_no_damage(tmp_path: Path) -> None:
    file = tmp_path / "x"
    Checkpoint(1, {"a": np.ones(2)}, {"a/exp_avg_sq": np.full(2, np.inf)}, {}).save(file)
    assert np.isinf(Checkpoint.load(file).optimizer["a/exp_avg_sq"]).all()


@pytest.mark.parametrize(
    "place",
    [
        "/proc/x.safetensors",
        "x" * 260 + ".safetensors",
        "x" * 241 + ".safetensors",
        "/dev/null/x.safetensors",
    ],
    ids=["proc", "long", "long-draft", "no-folder"],
)
def test_a_file_that_cannot_be_written_is_said_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    line = refused(capsys, *SMALL, "--steps", 10**9, "--checkpoint", tmp_path / place)
    assert "cannot be written" in line
    assert not list(tmp_path.iterdir())


def test_a_name_of_240_characters_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / ("x" * 228 + ".safetensors")
    assert train(*SMALL, "--steps", 1, "--checkpoint", file) == 0
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_disk_that_is_full_is_said_before_the_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    file = tmp_path / "x.safetensors"
    line = refused(capsys, *SMALL, "--steps", 10**9, "--checkpoint", file)
    assert "x.safetensors: cannot be written: No space left on device" in line
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "x"
    Checkpoint(1, {"a": np.ones(2)}, {}, {}).save(file)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint.os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        Checkpoint(2, {"a": np.zeros(2)}, {}, {}).save(file)
    assert Checkpoint.load(file).step == 1
    assert list(tmp_path.iterdir()) == [file]


def test_it_is_on_the_disk_before_it_takes_the_name_and_as_readable_as_any_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(checkpoint.os, "fsync", lambda descriptor: (seen.append("sync"), sync(descriptor)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (seen.append("replace"), replace(self, to)))
    file, plain = tmp_path / "x", tmp_path / "plain"
    Checkpoint(1, {"a": np.ones(2)}, {}, {}).save(file)
    assert seen[:2] == ["sync", "replace"]
    plain.touch()
    assert file.stat().st_mode == plain.stat().st_mode


def test_a_kill_leaves_one_draft_at_most(tmp_path: Path) -> None:
    file = tmp_path / "x"
    words = (
        "import numpy as np, itertools; from pathlib import Path\n"
        "from harness.training.checkpoint import Checkpoint\n"
        "weights = {'a': np.zeros(3_000_000)}\n"
        f"for step in itertools.count(): Checkpoint(step, weights, {{}}, {{}}).save(Path({str(file)!r}))"
    )
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", words], cwd=ROOT)
        deadline = time.monotonic() + 60
        while {path.name for path in tmp_path.iterdir()} <= {"x"} and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert {path.name for path in tmp_path.iterdir()} <= {"x", ".x.draft"}


def test_a_training_that_is_interrupted_keeps_its_last_good_state(tmp_path: Path) -> None:
    """Between two steps, where it is thrown in, and within one."""
    for place in ("between", "within"):
        file = tmp_path / place
        network = model(dtype="float32")
        calm = network.loss_and_gradients

        def heard(batch: Any, calm: Callable[..., Any] = calm, place: str = place) -> Any:
            if place == "within" and batch.inputs.shape[1] == 1:
                raise KeyboardInterrupt
            return calm(batch)

        network.loss_and_gradients = heard  # type: ignore[method-assign]
        going = fit(
            network,
            lambda step: characters(batch_size=1 if step == 5 else 3),
            Optimizer("adam", network.weights, 0.05),
            9,
            checkpoint=file,
            every=100,
        )
        for _ in range(4):
            next(going)
        with pytest.raises(KeyboardInterrupt):
            going.throw(KeyboardInterrupt()) if place == "between" else next(going)
        assert Checkpoint.load(file).step == 3
