"""The helpers that compare, seen to fail: a tolerance helper that cannot say no is no helper."""

from __future__ import annotations

import numpy as np
import pytest

from implementations.contract import DTYPES
from implementations.tolerances import RELATIVE_TOLERANCE, relative_error
from tests.conformance.scene import assert_agree, assert_raises, assert_same, draw

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("actual", "reference", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.2], [1.0, 2.0], 0.1),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
        ([], [], 0.0),
        ([1e-300], [0.0], INF),
        ([0.0], [1e-300], 1.0),
        ([1.0], [1.0, 1.0], INF),
        ([[1.0]], [1.0], INF),
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([NAN, 1.0], [NAN, 2.0], 0.5),
        ([NAN], [1.0], INF),
        ([1.0], [NAN], INF),
        ([INF], [INF], 0.0),
        ([INF], [-INF], INF),
        ([INF], [NAN], INF),
        ([NAN], [INF], INF),
        ([INF], [1.0], INF),
        ([1e308], [INF], INF),
    ],
)
def test_relative_error(actual: list[float], reference: list[float], expected: float) -> None:
    assert relative_error(np.array(actual), np.array(reference)) == pytest.approx(expected, abs=1e-15)


def test_relative_error_is_never_nan() -> None:
    values = [0.0, 1.0, -1e300, NAN, INF, -INF]
    for a in values:
        for b in values:
            assert not np.isnan(relative_error(np.array([a, 1.0]), np.array([b, 1.0])))


def test_every_dtype_has_its_tolerances() -> None:
    assert set(RELATIVE_TOLERANCE) == set(DTYPES)
    for tolerances in RELATIVE_TOLERANCE.values():
        assert set(tolerances) == {"output", "gradient"}
        assert all(0 < value < 1 for value in tolerances.values())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "kind"), [("output", "output"), ("grad_inputs", "gradient")])
def test_assert_agree_says_no_just_beyond_the_table(dtype: str, name: str, kind: str) -> None:
    tolerance, exact = RELATIVE_TOLERANCE[dtype][kind], np.ones(3)
    assert_agree({name: exact + 0.9 * tolerance}, {name: exact}, dtype)
    with pytest.raises(AssertionError, match=name):
        assert_agree({name: exact + 1.1 * tolerance}, {name: exact}, dtype)


def test_assert_agree_misses_nothing() -> None:
    with pytest.raises(AssertionError, match="grad_bias_hh is missing"):
        assert_agree({"output": np.ones(2)}, {"output": np.ones(2), "grad_bias_hh": np.ones(2)}, "float64")


def test_assert_same_says_no() -> None:
    assert_same({"a": np.array([1.0, NAN])}, {"a": np.array([1.0, NAN])})
    for other in ({"a": np.array([1.0, 2.0])}, {"b": np.array([1.0, NAN])}, {}):
        with pytest.raises(AssertionError):
            assert_same(other, {"a": np.array([1.0, NAN])})


def test_assert_raises_wants_the_error_and_the_word() -> None:
    def refuse(message: str) -> None:
        raise ValueError(message)

    assert_raises(ValueError, lambda: refuse("inputs must be 3-d"), "inputs")
    with pytest.raises(AssertionError, match="does not mention"):
        assert_raises(ValueError, lambda: refuse("no"), "inputs")
    with pytest.raises(AssertionError):
        assert_raises(ValueError, lambda: refuse("inputs\nmust"), "inputs")
    with pytest.raises(pytest.fail.Exception):
        assert_raises(ValueError, lambda: None, "inputs")


def test_a_scene_has_nothing_that_hides_a_fault() -> None:
    """No zero, no bias or state that is absent: what is multiplied by zero is not tested."""
    scene = draw("lstm", "float64")
    arrays = [*scene.parameters.arrays().values(), scene.inputs, *scene.initial_state, scene.grad_output]
    assert all(np.all(array != 0) for array in [*arrays, *scene.grad_final_state])
