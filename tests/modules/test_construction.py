"""Constructors, names, first values, checkpoints and copies: those of torch's modules."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch

from implementations import modules
from tests.modules.pairs import KINDS, assert_twins, draw, twins

OPTIONS = {"num_layers": 2, "bias": False, "batch_first": True, "dropout": 0.25, "bidirectional": True}


@pytest.mark.parametrize("options", [{}, OPTIONS, {"dtype": torch.float64}], ids=["plain", "all", "double"])
@pytest.mark.parametrize("cell", KINDS)
def test_the_same_seed_gives_the_same_module(cell: str, options: dict[str, Any]) -> None:
    """Names, order, values, dtype, and the random state that is left behind."""
    left = {}
    for side, library in (("ours", modules), ("theirs", torch.nn)):
        torch.manual_seed(3)
        name, more = KINDS[cell]
        left[side] = getattr(library, name)(3, 5, **more, **options).state_dict(), torch.rand(4)
    (ours, after), (theirs, after_theirs) = left["ours"], left["theirs"]
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        assert torch.equal(ours[name], tensor)
    assert torch.equal(after, after_theirs)


def refusal(make: Any, arguments: dict[str, Any]) -> Exception:
    try:
        make(**arguments)
    except Exception as error:
        return error
    raise AssertionError(f"{arguments} was taken")


def test_positional_arguments() -> None:
    assert repr(modules.RNN(3, 4, 2, "relu", False, True, 0.5, True)) == repr(
        torch.nn.RNN(3, 4, 2, "relu", False, True, 0.5, True)
    )
    assert modules.RNN(3, 4, 2, "relu").nonlinearity == "relu"
    for name in ("LSTM", "GRU"):
        arguments = (3, 4, 2, False, True, 0.5, True)
        assert repr(getattr(modules, name)(*arguments)) == repr(getattr(torch.nn, name)(*arguments))
    assert isinstance(modules.GRU(3, 4), torch.nn.GRU)


@pytest.mark.parametrize(
    "arguments",
    [
        {"input_size": 0},
        {"hidden_size": 0},
        {"hidden_size": 2.5},
        {"num_layers": 0},
        {"bias": 1},
        {"dropout": 2},
        {"device": "nonsense"},
        {"dtype": torch.int32},
        {"dtype": "float32"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_what_torch_refuses_is_refused_in_its_words(name: str, arguments: dict[str, Any]) -> None:
    arguments = {"input_size": 3, "hidden_size": 4, **arguments}
    ours, theirs = (refusal(getattr(library, name), arguments) for library in (modules, torch.nn))
    assert type(ours) is type(theirs)
    assert str(ours) == str(theirs)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_what_the_kernels_lack_is_refused_by_name(name: str) -> None:
    make = getattr(modules, name)
    for error, argument, value in (
        (ValueError, "proj_size", 2),
        (RuntimeError, "device", "cuda"),
        (RuntimeError, "device", torch.device("cuda", 0)),
        (ValueError, "dtype", torch.float16),
        (ValueError, "dtype", torch.bfloat16),
    ):
        with pytest.raises(error, match=f"^{argument} must be "):
            make(3, 4, **{argument: value})


def test_an_unknown_nonlinearity_is_refused() -> None:
    with pytest.raises(ValueError, match="nonlinearity 'relux'"):
        modules.RNN(3, 4, nonlinearity="relux")


def test_dropout_without_a_second_layer_warns_as_torch_does() -> None:
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        modules.GRU(3, 4, dropout=0.5)


@pytest.mark.parametrize("cell", KINDS)
def test_checkpoints_go_both_ways(cell: str) -> None:
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    pair, other = twins(cell, 3, 4, **options), twins(cell, 3, 4, seed=1, **options)
    problem = draw(pair.ours, "packed", seq_len=5, batch_size=3, states=True)
    assert_twins(other, problem, "float64")
    file = io.BytesIO()
    torch.save(pair.theirs.state_dict(), file)
    file.seek(0)
    other.ours.load_state_dict(torch.load(file, weights_only=True))
    other.theirs.load_state_dict(pair.ours.state_dict())
    assert_twins(other, problem, "float64")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
@pytest.mark.parametrize("cell", KINDS)
def test_copies_are_their_own(cell: str, duplicate: Any) -> None:
    """Also of a module that has run: the packed weights stay behind."""
    pair = twins(cell, 3, 4)
    problem = draw(pair.ours, "batch", seq_len=5, batch_size=3, states=True)
    assert_twins(pair, problem, "float32")
    copied = type(pair)(duplicate(pair.ours), duplicate(pair.theirs))
    assert_twins(copied, problem, "float32")
    with torch.no_grad():
        copied.ours.weight_hh_l0.zero_()
    assert_twins(pair, problem, "float32")


def test_conversions_switches_and_no_ops() -> None:
    pair = twins("lstm", 3, 4, num_layers=2, dropout=0.5)
    for dtype, change in (("float64", "double"), ("float32", "float")):
        for module in (pair.ours, pair.theirs):
            getattr(module, change)()
        assert_twins(pair, draw(pair.ours, "batch", seq_len=5, batch_size=3, states=True), dtype)
    assert pair.ours.eval().training is False
    assert pair.ours.flatten_parameters() is None
    assert len(pair.ours.all_weights) == 2


def test_a_module_without_weights_yet() -> None:
    """Made on "meta", given its weights later."""
    pair = twins("gru", 3, 4)
    empty = modules.GRU(3, 4, device="meta")
    with pytest.raises(RuntimeError, match="weight_ih_l0 must be on the CPU, got meta"):
        empty(torch.zeros(5, 2, 3))
    empty.to_empty(device="cpu").load_state_dict(pair.theirs.state_dict())
    problem = draw(empty, "batch", seq_len=5, batch_size=2, states=True)
    assert_twins(type(pair)(empty, pair.theirs), problem, "float32")


def test_the_library_alone_loads_no_torch() -> None:
    code = "import sys, implementations, implementations.stack; print({'torch', 'numba'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
