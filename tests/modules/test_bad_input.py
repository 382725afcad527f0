"""What does not fit is refused as torch refuses it, naming the argument; NaN and threads are harmless."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from implementations import modules
from implementations.modules.binding import shared_backend
from tests.modules.pairs import KINDS, assert_twins, draw, results, twins


def hx(count: int, *sizes: int, **options: Any) -> Any:
    states = tuple(torch.zeros(*sizes, **options) for _ in range(count))
    return states if count == 2 else states[0]


MISFITS: dict[str, tuple[Callable[[int], tuple[Any, ...]], str]] = {
    "one axis": (lambda n: (torch.zeros(3),), "input"),
    "four axes": (lambda n: (torch.zeros(5, 2, 3, 1),), "input"),
    "input_size": (lambda n: (torch.zeros(5, 2, 4),), "input"),
    "unbatched input_size": (lambda n: (torch.zeros(5, 4),), "input"),
    "no step": (lambda n: (torch.zeros(0, 2, 3),), "sequence length"),
    "integers": (lambda n: (torch.zeros(5, 2, 3, dtype=torch.int64),), "input"),
    "double input": (lambda n: (torch.zeros(5, 2, 3, dtype=torch.float64),), "input"),
    "batch of hx": (lambda n: (torch.zeros(5, 2, 3), hx(n, 1, 3, 4)), "h"),
    "layers of hx": (lambda n: (torch.zeros(5, 2, 3), hx(n, 2, 2, 4)), "h"),
    "hidden_size of hx": (lambda n: (torch.zeros(5, 2, 3), hx(n, 1, 2, 5)), "h"),
    "axes of hx": (lambda n: (torch.zeros(5, 2, 3), hx(n, 2, 4)), "hx"),
    "axes of hx, unbatched": (lambda n: (torch.zeros(5, 3), hx(n, 1, 1, 4)), "hx"),
    "packed input_size": (
        lambda n: (pack_padded_sequence(torch.zeros(5, 2, 4), torch.tensor([5, 2])),),
        "input",
    ),
    "packed hx": (
        lambda n: (pack_padded_sequence(torch.zeros(5, 2, 3), torch.tensor([5, 2])), hx(n, 1, 3, 4)),
        "h",
    ),
}


@pytest.mark.parametrize("misfit", MISFITS)
@pytest.mark.parametrize("cell", KINDS)
def test_misfits_raise_what_torch_raises(cell: str, misfit: str) -> None:
    pair = twins(cell, 3, 4)
    make, mention = MISFITS[misfit]
    arguments = make(2 if cell == "lstm" else 1)
    errors = []
    for module in (pair.ours, pair.theirs):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            module(*arguments)
        errors.append(caught)
    assert errors[0].type is errors[1].type
    assert mention in str(errors[0].value)
    assert "\n" not in str(errors[0].value)


@pytest.mark.parametrize("cell", KINDS)
def test_a_state_of_another_dtype_or_device(cell: str) -> None:
    module, count = twins(cell, 3, 4).ours, 2 if cell == "lstm" else 1
    for options, found in (({"dtype": torch.float64}, "torch.float64"), ({"device": "meta"}, "meta")):
        with pytest.raises(RuntimeError, match=rf"^hx(\[0\])? must be .* got {found}"):
            module(torch.zeros(5, 2, 3), hx(count, 1, 2, 4, **options))
    with pytest.raises(RuntimeError, match=r"^input must be on the CPU, got meta"):
        module(torch.zeros(5, 2, 3, device="meta"))


@pytest.mark.parametrize("cell", KINDS)
def test_a_state_that_is_none(cell: str) -> None:
    module = twins(cell, 3, 4).ours
    wrong = torch.zeros(1, 2, 4) if cell == "lstm" else (torch.zeros(1, 2, 4),)
    with pytest.raises(TypeError, match=r"^hx must be a "):
        module(torch.zeros(5, 2, 3), wrong)


def test_half_precision_weights() -> None:
    with pytest.raises(ValueError, match=r"weight_ih_l0 must be .* got torch.float16; .*module.float\(\)"):
        modules.GRU(3, 4).half()(torch.zeros(5, 2, 3, dtype=torch.float16))


def test_one_weight_of_another_dtype() -> None:
    module = modules.GRU(3, 4)
    module.bias_hh_l0 = torch.nn.Parameter(module.bias_hh_l0.detach().double())
    with pytest.raises(RuntimeError, match=r"^bias_hh_l0 must be torch.float32 .* got torch.float64"):
        module(torch.zeros(5, 2, 3))


@pytest.mark.filterwarnings("ignore:.torch.jit.trace.*. is deprecated:DeprecationWarning")
def test_tracing_is_refused() -> None:
    """It would record what came out as a constant."""
    with pytest.raises(RuntimeError, match=r"GRU cannot be traced: load its state_dict into torch.nn.GRU"):
        torch.jit.trace(modules.GRU(3, 4), torch.zeros(5, 2, 3))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", KINDS)
def test_a_nan_goes_where_torch_lets_it_go(cell: str, bidirectional: bool, value: float) -> None:
    """Into its own sample's later steps (earlier ones, in reverse), and into no other sample."""
    pair = twins(cell, 3, 4, bidirectional=bidirectional, dtype=torch.float64)
    problem = draw(pair.ours, "batch", seq_len=6, batch_size=3, states=True)
    problem.input[2, 1, 0] = value
    ours, theirs = results(pair.ours, problem), results(pair.theirs, problem)
    assert not np.isfinite(ours["output"]).all() or value == float("inf")
    assert np.isfinite(ours["output"][:, [0, 2]]).all()
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", KINDS)
def test_more_threads_than_cores(cell: str) -> None:
    """Taken at their word: torch's number is the kernels' number, in force at each call."""
    pair = twins(cell, 16, 48, num_layers=2, bidirectional=True)
    problem = draw(pair.ours, "packed", seq_len=20, batch_size=40, states=True)
    alone = results(pair.ours, problem)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(24)
        crowded = results(pair.ours, problem)
        assert shared_backend().num_threads == 24
        again = results(pair.ours, problem)
    finally:
        torch.set_num_threads(before)
    for name, array in alone.items():
        np.testing.assert_array_equal(crowded[name], again[name])
        np.testing.assert_allclose(crowded[name], array, rtol=1e-4, atol=1e-4)
    assert_twins(pair, problem, "float32")


def test_nothing_given_is_changed() -> None:
    pair = twins("lstm", 3, 4, num_layers=2, bidirectional=True, dropout=0.5)
    problem = draw(pair.ours, "batch", seq_len=6, batch_size=3, states=True)
    kept = [tensor.clone() for tensor in (problem.input, *(problem.states or ()))]
    weights = {name: tensor.clone() for name, tensor in pair.ours.state_dict().items()}
    results(pair.ours, problem)
    assert all(map(torch.equal, (problem.input, *(problem.states or ())), kept))
    assert all(torch.equal(tensor, weights[name]) for name, tensor in pair.ours.state_dict().items())
