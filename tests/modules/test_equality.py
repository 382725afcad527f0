"""Outputs, final states and every gradient are those of torch's module, whatever the options."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from implementations import modules
from tests.modules.pairs import DTYPES, KINDS, assert_twins, draw, results, twins

LAYOUTS = ("batch", "batch_first", "unbatched", "packed")


@st.composite
def options(drawn: Any) -> dict[str, Any]:
    return {
        "num_layers": drawn(st.integers(1, 3)),
        "bias": drawn(st.booleans()),
        "bidirectional": drawn(st.booleans()),
        "dropout": drawn(st.sampled_from([0.0, 0.3, 1.0])),
    }


@pytest.mark.filterwarnings("ignore:dropout option adds dropout after all but last")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", KINDS)
@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    options=options(),
    layout=st.sampled_from(LAYOUTS),
    states=st.booleans(),
    training=st.booleans(),
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 4), st.integers(1, 9)),
)
def test_everything_agrees_with_torch(
    cell: str,
    dtype: str,
    options: dict[str, Any],
    layout: str,
    states: bool,
    training: bool,
    sizes: tuple[int, int, int, int],
) -> None:
    """Dropout included: the masks are those that torch draws from the same seed."""
    seq_len, batch_size, input_size, hidden_size = sizes
    if dtype == "float32":
        hidden_size += 3  # errors are relative to an array's largest element: of one alone, a sum may cancel
    batch_first = layout == "batch_first"
    pair = twins(cell, input_size, hidden_size, batch_first=batch_first, dtype=DTYPES[dtype], **options)
    problem = draw(pair.ours, layout, seq_len=seq_len, batch_size=batch_size, states=states)
    assert_twins(pair, problem, dtype, lambda module: module.train(training))


@pytest.mark.usefixtures("three_threads")
@pytest.mark.parametrize("cell", KINDS)
@pytest.mark.parametrize("batch_size", [1, 24])
def test_sizes_at_which_threads_share_the_work(cell: str, batch_size: int) -> None:
    pair = twins(cell, 40, 48, num_layers=2, bidirectional=True)
    problem = draw(pair.ours, "packed", seq_len=140, batch_size=batch_size, states=True)
    assert_twins(pair, problem, "float32")


@pytest.mark.parametrize("cell", KINDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides_are_torchs_too(cell: str, layout: str) -> None:
    """A user's `.view` works, or fails, as it did."""
    pair = twins(cell, 3, 4, bidirectional=True, batch_first=layout == "batch_first")
    problem = draw(pair.ours, layout, seq_len=5, batch_size=2, states=True)
    (given, hx), _ = problem.arguments()
    for ours, theirs in zip(pair.ours(given, hx), pair.theirs(given, hx), strict=True):
        for one, other in zip(_tensors(ours), _tensors(theirs), strict=True):
            assert (one.shape, one.is_contiguous()) == (other.shape, other.is_contiguous())


@pytest.mark.parametrize("cell", KINDS)
def test_a_packed_sequence_keeps_its_order(cell: str) -> None:
    pair = twins(cell, 3, 4)
    samples = [torch.randn(length, 3) for length in (2, 5, 3)]
    for packed in (
        pack_sequence(samples, enforce_sorted=False),
        pack_padded_sequence(torch.randn(5, 3, 3), torch.tensor([5, 3, 2])),
    ):
        ours, theirs = pair.ours(packed)[0], pair.theirs(packed)[0]
        assert isinstance(ours, PackedSequence)
        for one, other in zip(ours[1:], theirs[1:], strict=True):
            assert (one is None and other is None) or torch.equal(one, other)


@pytest.mark.parametrize("cell", KINDS)
def test_without_a_gradient_the_same_comes_out(cell: str) -> None:
    """no_grad, inference_mode and frozen weights take the inference path."""
    pair = twins(cell, 3, 5, num_layers=2, bidirectional=True, dtype=torch.float64)
    problem = draw(pair.ours, "batch", seq_len=6, batch_size=3, states=True)
    expected = torch.from_numpy(results(pair.theirs, problem)["output"])
    for context in (torch.no_grad(), torch.inference_mode()):
        with context:
            output, _ = pair.ours(problem.input, _hx(problem.states))
        assert not output.requires_grad
        torch.testing.assert_close(output, expected, rtol=1e-10, atol=1e-12)
    pair.ours.requires_grad_(False)
    assert not pair.ours(problem.input)[0].requires_grad


@pytest.mark.parametrize("cell", KINDS)
def test_an_empty_batch(cell: str) -> None:
    pair = twins(cell, 3, 4, num_layers=2, bidirectional=True)
    ours, theirs = pair.ours(torch.zeros(5, 0, 3)), pair.theirs(torch.zeros(5, 0, 3))
    assert ours[0].shape == theirs[0].shape


def test_autocast_computes_in_the_weights_dtype() -> None:
    module = modules.GRU(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = module(torch.zeros(5, 2, 3, dtype=torch.bfloat16))
    assert output.dtype == torch.float32


def test_the_comparison_can_fail() -> None:
    pair = twins("gru", 3, 4)
    problem = draw(pair.ours, "batch", seq_len=5, batch_size=2, states=True)
    assert_twins(pair, problem, "float32")
    with torch.no_grad():
        pair.ours.bias_hh_l0[-1] += 0.01
    with pytest.raises(AssertionError, match="relative error"):
        assert_twins(pair, problem, "float32")


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, PackedSequence):
        return [value.data]
    return list(value) if isinstance(value, tuple) else [value]


def _hx(states: tuple[torch.Tensor, ...] | None) -> Any:
    return states if states is None or len(states) == 2 else states[0]
