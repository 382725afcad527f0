"""Counting models against their definition by hand, and text drawn from a network."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from harness.initializations import initialize
from harness.training.model import SequenceModel
from harness.training.ngram import NGram, highest_order
from harness.training.objectives import cross_entropy
from harness.training.sampling import sample_text
from implementations.registry import load_backend


def by_hand(text: list[int], context: list[int], character: int, size: int) -> float:
    """Witten and Bell's interpolation as it stands in the docstring, counted with plain loops."""
    below = 1 / size if not context else by_hand(text, context[1:], character, size)
    if not context:
        followers = text
    else:
        n = len(context)
        followers = [text[i + n] for i in range(len(text) - n) if text[i : i + n] == context]
    if not followers:
        return below
    kinds = len(set(followers))
    return (followers.count(character) + kinds * below) / (len(followers) + kinds)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_it_is_the_definition(order: int) -> None:
    rng = np.random.default_rng(0)
    text, other = rng.integers(0, 4, 60), rng.integers(0, 5, 25)
    found = NGram(text, 5, order).probabilities(other)
    for place, character in enumerate(other):
        context = other[max(0, place - order + 1) : place].tolist()
        assert found[place] == pytest.approx(by_hand(text.tolist(), context, int(character), 5), rel=1e-12)


def test_probabilities_add_up_to_one() -> None:
    text = np.random.default_rng(1).integers(0, 6, 200)
    model = NGram(text, 7, 3)
    last = [model.probabilities(np.array([2, 3, c]))[-1] for c in range(7)]
    assert sum(last) == pytest.approx(1.0)
    assert min(last) > 0.0


def test_more_context_tells_more_and_weighs_more() -> None:
    text = np.tile([0, 1, 2, 0, 2, 1], 100)
    models = [NGram(text, 3, order) for order in (1, 2, 3)]
    bits = [model.bits_per_character(text) for model in models]
    assert bits[0] == pytest.approx(np.log2(3), abs=0.01)
    assert bits[2] < bits[1] < bits[0]
    assert models[0].memory_bytes < models[1].memory_bytes < models[2].memory_bytes
    assert models[0].entries == 3


def test_what_it_costs_does_not_depend_on_how_the_counts_are_kept() -> None:
    """Bits per character of a text of its own, as they were with a table of whole contexts."""
    rng = np.random.default_rng(7)
    text = np.minimum(rng.geometric(0.25, 3000), 12) - 1
    text[1::3] = (text[0::3] * 5 + 1) % 12
    expected = {1: 3.2430983204782207, 2: 2.7917892268144278, 3: 2.7751413963692855, 5: 3.110750482988359}
    for order, bits in expected.items():
        model = NGram(text[:2000], 12, order)
        assert model.bits_per_character(text[2000:]) == pytest.approx(bits, rel=1e-14)


def test_its_memory_is_that_of_tables_that_say_nothing_twice() -> None:
    """Of "0 1 2 0 2 1" a hundred times: 3 characters and 6 pairs, each a byte, each with a count, and where
    those that go on from each of them begin, and the last end."""
    text = np.tile([0, 1, 2, 0, 2, 1], 100)
    model = NGram(text, 3, 2)
    pairs = {(int(a), int(b)) for a, b in itertools.pairwise(text)}
    assert len(pairs) == 5 + 1  # the sixth where one repetition ends and the next begins
    characters, successors = (2 + 3 + 3), (4 + 6 + 6)
    assert NGram(text, 3, 1).memory_bytes == characters
    assert model.memory_bytes == characters + successors
    # in binary a character's 200 has 8 digits, a pair's 100 (one has 99) 7
    packed = (3 * (np.log2(3) + 1 + 8) + 6 * (np.log2(3) + 1 + 7)) / 8
    assert model.memory_bytes_packed == pytest.approx(packed)


def test_many_characters_and_counts_take_wider_integers() -> None:
    text = np.append(np.arange(300), np.zeros(70_000, int))
    assert NGram(text, 300, 1).memory_bytes == 2 * 2 + 300 * (2 + 4)
    model = NGram(text, 300, 3)
    assert model.memory_bytes_packed < model.memory_bytes


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (([0, 1], 2, 0), "order must be at least 1"),
        ((range(40), 700, 7), "order 7 over 700 characters does not fit in 63 bits"),
        (([0, 1], 2, 3), "at least 3 characters"),
        ((range(40), 100, 10), "63 bits"),
    ],
)
def test_what_cannot_be_counted_is_refused(arguments: tuple, complaint: str) -> None:
    tokens, size, order = arguments
    with pytest.raises(ValueError, match=complaint):
        NGram(np.array(tokens), size, order)
    with pytest.raises(ValueError, match="at least 1 character"):
        NGram(np.array([0, 1]), 2, 1).bits_per_character(np.array([], int))


@pytest.mark.parametrize(
    ("characters", "wanted", "highest"),
    [(700, 7, 6), (700, 6, 6), (100, 9, 9), (2**21, 3, 2), (1, 9, 9), (2**40, 1, 1)],
)
def test_the_highest_order_is_the_last_that_can_be_counted(
    characters: int, wanted: int, highest: int
) -> None:
    assert highest_order(characters, wanted) == highest
    text = np.random.default_rng(0).integers(0, characters, 50)
    assert NGram(text, characters, highest).bits_per_character(text) >= 0.0
    if highest < wanted:
        with pytest.raises(ValueError, match="63 bits"):
            NGram(text, characters, highest + 1)


def test_a_network_says_what_it_is_sure_of() -> None:
    """A readout that always means the next letter of "abc"."""
    layer = load_backend("numpy").bind("rnn_linear", initialize("identity", "rnn_linear", 3, 3), "float64")
    model = SequenceModel(layer, 3, cross_entropy, embedding=np.eye(3))
    weights = {**model.weights, "weight_ih": np.eye(3), "weight_hh": np.zeros((3, 3))}
    model.update({**weights, "readout_weight": 100.0 * np.roll(np.eye(3), 1, axis=0)})
    assert sample_text(model, "abc", 5, start="ab") == "abcabca"
    assert sample_text(model, "abc", 3) == "bca"
    with pytest.raises(ValueError, match="known characters, got 'z'"):
        sample_text(model, "abc", 5, start="z")
    with pytest.raises(ValueError, match="temperature must be > 0"):
        sample_text(model, "abc", 5, temperature=0.0)
    uniform = {**model.weights, "readout_weight": np.zeros((3, 3))}
    model.update(uniform)
    said = sample_text(model, "abc", 300, seed=1)
    assert min(said.count(letter) for letter in "abc") > 70
