"""The example's character model on real text: the drop-in GRU follows torch's loss curve."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from implementations import modules
from implementations.tolerances import RELATIVE_TOLERANCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "char_gru.py"
SIZES = {"steps": 200, "seq_len": 32, "batch_size": 16, "hidden_size": 48}


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("char_gru", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


class SlightlyWrongGRU(modules.GRU):
    """Its update gate is off by a little."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        with torch.no_grad():
            self.bias_hh_l0[self.hidden_size : 2 * self.hidden_size] += 0.01


def largest_difference(ours: list[float], theirs: list[float]) -> float:
    return float(np.max(np.abs(np.subtract(ours, theirs)) / np.abs(theirs)))


def test_the_loss_follows_torchs_for_200_steps(example: ModuleType) -> None:
    """Same seed, same text: the same curve to float32 accuracy; a GRU that is a little wrong leaves it."""
    theirs, ours, wrong = example.train_both(**SIZES, grus=(torch.nn.GRU, modules.GRU, SlightlyWrongGRU))
    assert len(theirs.losses) == 200
    assert theirs.losses[-1] < 0.7 * theirs.losses[0]
    assert largest_difference(ours.losses, theirs.losses) < RELATIVE_TOLERANCE["float32"]["output"]
    assert largest_difference(wrong.losses, theirs.losses) > RELATIVE_TOLERANCE["float32"]["output"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--corpus", "no-such-file.txt"], "no-such-file.txt"),
        (["--steps", "-1"], "--steps; expected a whole number from 1; got -1"),
        (["--hidden-size", "0"], "--hidden-size; expected a whole number from 1; got 0"),
    ],
)
def test_a_wrong_option_of_the_example_is_one_line(example: ModuleType, options, words, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["char_gru.py", *options])
    with pytest.raises(SystemExit) as end:
        example.main()
    (line,) = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert line.startswith("error: ")
    assert words in line


def test_the_example_takes_a_single_step(example: ModuleType, monkeypatch, capsys) -> None:
    monkeypatch.setattr("sys.argv", ["char_gru.py", "--steps", "1", "--hidden-size", "4"])
    example.main()
    assert "median step" in capsys.readouterr().out
