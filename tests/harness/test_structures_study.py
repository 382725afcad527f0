"""The studies of structures: their points, what they measure, what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harness.case import Case
from harness.errors import UserError
from harness.measure.agreement import Disagreement
from harness.measure.outlook import Outlook, Rates
from harness.measure.structured import StackProblem, count_parameters, equal_hidden_size, structure_work
from harness.measure.work import Sizes
from harness.outcome import Measured, Unsupported
from harness.plan import checked
from harness.studies.depth_decay import chosen_lags
from harness.studies.study import STUDIES, Context
from implementations.hints import Hint
from implementations.registry import load_backend
from implementations.structure import Structure
from tests.harness.studying import SMALL, measured, points
from tests.harness.studying import measure as measure_one

PASS = {
    "backend": ["numpy"],
    "cell": ["gru"],
    "pass": ["training"],
    "seq_len": [9],
    "batch_size": [2],
    "hidden_size": [8],
}


def measure(backend: str, words: str, **axes: list[str]) -> Measured:
    point = points("structures", **{**PASS, "backend": [backend], "structure": [words], **axes})[0]
    context = Context(load_backend(backend), 1, None, 0.02, 60.0)
    case = Case("structures", point)
    assert STUDIES["structures"].why_not(case, context) is None
    found = STUDIES["structures"].measure(case, context)
    assert isinstance(found, Measured)
    return found


def test_each_structure_comes_with_one_layer_of_as_many_parameters() -> None:
    found = points("structures", structure=["1 layer", "4 layers", "2 layers, skip 4"], **PASS)
    assert [(p["structure"], p["hidden_size"]) for p in found] == [
        ("1 layer", 8),
        ("4 layers", 8),
        ("1 layer", 16),  # of both: each case is there once
        ("2 layers, skip 4", 8),
    ]
    assert {p["input_size"] for p in found} == {8}


def test_parameters_are_those_of_the_layers() -> None:
    for words in ("1 layer", "3 layers, both ways", "2 layers, residual, skip 4"):
        structure = Structure.parse(words)
        problem = StackProblem.draw("lstm", "float32", structure, Sizes(2, 2, 5, 8))
        counted = sum(array.size for layer in problem.layers for array in layer.arrays().values())
        assert counted == count_parameters("lstm", structure, 5, 8)
    wide = equal_hidden_size("lstm", Structure(4), 64, 64)
    ratio = count_parameters("lstm", Structure(), 64, wide) / count_parameters("lstm", Structure(4), 64, 64)
    assert ratio == pytest.approx(1.0, abs=0.1)
    assert equal_hidden_size("lstm", Structure(), 5, 13) == 13


@pytest.mark.parametrize("words", ["2 layers", "4 layers, both ways", "1 layer, skip 4"])
def test_the_nearest_width_is_the_nearest_of_all(words: str) -> None:
    structure = Structure.parse(words)
    for hidden in (1, 7, 20, 33):
        wanted = count_parameters("gru", structure, 5, hidden)
        every = range(8, 400, 8)
        nearest = min(every, key=lambda h: abs(count_parameters("gru", Structure(), 5, h) - wanted))
        assert equal_hidden_size("gru", structure, 5, hidden) == nearest


def test_a_giant_width_is_found_without_a_search_of_as_many_steps() -> None:
    wanted = count_parameters("lstm", Structure(2), 2**31, 2**31)
    wide = equal_hidden_size("lstm", Structure(2), 2**31, 2**31)
    assert count_parameters("lstm", Structure(), 2**31, wide) == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("backend", ["numpy", "numba", "torch", "torch_stack"])
@pytest.mark.parametrize("words", ["2 layers, both ways", "2 layers, residual, skip 4"])
def test_a_structure_is_timed_and_proved(backend: str, words: str) -> None:
    if backend == "torch_stack" and "residual" in words:
        pytest.skip("torch.nn has none: the refusal is tested below")
    found = measure(backend, words)
    assert found.facts["relative_error"] < 1e-4
    assert found.facts["parameters"] == count_parameters("gru", Structure.parse(words), 8, 8)
    sizes = Sizes(9, 2, 8, 8)
    wanted = structure_work("gru", "float32", Structure.parse(words), sizes, training=True).flop
    assert found.facts["flop"] == wanted
    assert min(found.columns["seconds"]) > 0


def test_a_wrong_structure_shows_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is of the composition: layers that are right alone, added where they should not be."""
    from implementations.stack import Stack

    reference = StackProblem.reference
    adds = Stack._adds

    def broken(self: StackProblem, *, training: bool) -> dict[str, np.ndarray]:
        with monkeypatch.context() as context:
            context.setattr(Stack, "_adds", lambda stack, first: not adds(stack, first))
            return reference(self, training=training)

    monkeypatch.setattr(StackProblem, "reference", broken)
    with pytest.raises(Disagreement):
        measure("numpy", "2 layers")


def test_what_a_backend_lacks_is_a_reason() -> None:
    (point, *_) = points("structures", **{**PASS, "backend": ["torch_stack"]}, structure=["2 layers, skip 4"])
    context = Context(load_backend("torch_stack"), 1, None, 0.02, 60.0)
    assert "across time" in str(STUDIES["structures"].why_not(Case("structures", point), context))
    slow = Context(load_backend("naive"), 1, None, 0.02, 1e-4)
    (point, *_) = points("structures", **{**PASS, "backend": ["naive"]}, structure=["4 layers"])
    assert "max_seconds" in str(STUDIES["structures"].why_not(Case("structures", point), slow))


def test_a_residual_connection_that_adds_nothing_is_a_reason() -> None:
    """Before anything is bound: it would be one layer under another name, or a failure."""
    words, sizes = "1 layer, residual", {"input_size": 3, "hidden_size": [8]}
    (point, *_) = points("structures", structure=[words], **{**PASS, **sizes})
    context = Context(load_backend("numpy"), 1, None, 0.02, 60.0)
    assert "reads 3 and writes 8" in str(STUDIES["structures"].why_not(Case("structures", point), context))
    found = measure_one("depth_decay", cell=["gru"], structure=[words], **{**SMALL, **sizes})
    assert isinstance(found, Unsupported)
    assert "reads 3 and writes 8" in found.reason
    measured("depth_decay", cell=["gru"], structure=[words], **SMALL)  # I = H


def test_a_misspelt_structure_is_refused_with_its_place() -> None:
    plan = {"name": "mine", "studies": {"structures": {**PASS, "structure": ["2 layer deep"]}}}
    with pytest.raises(UserError, match="structure must be"):
        checked(plan, "plan.toml")


def test_forecasts_grow_with_the_structure() -> None:
    outlook = Outlook(Rates(1e-8, 1e-6, 1e-10, 0.2), Hint(), 0.2, 6.0)
    for study, axes in (("structures", PASS), ("depth_decay", {"cell": ["gru"], **SMALL})):
        one, four = (
            STUDIES[study].seconds(Case(study, points(study, **axes, structure=[words])[0]), outlook)
            for words in ("1 layer", "4 layers")
        )
        assert 0 < one < four < 10 * 4 * one


def test_depth_decay_has_every_pair_of_layers() -> None:
    found = measured("depth_decay", cell=["lstm"], structure=["2 layers, both ways"], **SMALL)
    rows = pd.DataFrame(found.columns)
    pairs = rows[["later_layer", "earlier_layer"]].drop_duplicates()
    assert pairs.to_numpy().tolist() == [[1, 1], [2, 1], [2, 2]]
    assert (rows["lag"].min(), rows["lag"].max(), found.facts["anchor"]) == (-6, 5, 6)
    at_once = rows[(rows["lag"] == 0) & (rows["later_layer"] == rows["earlier_layer"])]
    np.testing.assert_allclose(at_once["log10_spectral_norm"], 0.0, atol=0.5)


def test_a_skip_carries_further_in_the_study() -> None:
    axes = {**SMALL, "seq_len": [60], "hidden_size": [16], "cell": ["rnn_tanh"]}
    ends = []
    for words in ("1 layer", "1 layer, skip 8"):
        rows = pd.DataFrame(measured("depth_decay", structure=[words], **axes).columns)
        ends.append(rows[rows["lag"] == 56]["log10_spectral_norm"].mean())
    assert ends[1] > ends[0] + 3


def test_lags_are_all_near_and_spaced_far() -> None:
    assert chosen_lags(0, 9).tolist() == list(range(10))
    far = chosen_lags(-500, 499)
    assert (far[0], far[-1]) == (-500, 499)
    assert set(range(-128, 129)) <= set(far.tolist())
    assert len(far) < 257 + 2 * 96
