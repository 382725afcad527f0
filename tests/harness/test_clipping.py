"""Every clipping rule against its definition, at its edges, and against torch where torch has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.clipping import CLIPPING_RULES, Clipping

THRESHOLD_RULES = [name for name in CLIPPING_RULES if "threshold" in CLIPPING_RULES[name].needs]
NORM_RULES = ["global_norm", "global_norm_pascanu", "per_tensor_norm", "lecture_squared_norm"]


def clipping(rule: str, threshold: float = 1.0) -> Clipping:
    return Clipping(rule, threshold, steps=3)


def draw(scale: float = 1.0) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {"weight": scale * rng.standard_normal((4, 6)), "bias": scale * rng.standard_normal(4)}


def norm(gradients: dict[str, Any]) -> float:
    return float(np.linalg.norm(np.concatenate([np.ravel(array) for array in gradients.values()])))


@pytest.mark.parametrize("scale", [1e-3, 0.3, 1.0, 50.0])
def test_global_norm_is_torchs(scale: float) -> None:
    gradients = draw(scale)
    tensors = [torch.nn.Parameter(torch.zeros(array.shape).double()) for array in gradients.values()]
    for tensor, array in zip(tensors, gradients.values(), strict=True):
        tensor.grad = torch.from_numpy(array.copy())
    torch.nn.utils.clip_grad_norm_(tensors, 1.5)
    clipped = Clipping("global_norm", 1.5).apply(gradients).gradients
    for tensor, array in zip(tensors, clipped.values(), strict=True):
        assert tensor.grad is not None
        np.testing.assert_allclose(array, tensor.grad.numpy(), rtol=1e-14)


def test_the_two_global_norms_differ_at_the_threshold() -> None:
    exactly = {"weight": np.array([3.0, 4.0])}
    assert Clipping("global_norm_pascanu", 5.0).apply(exactly).norm_after == 5.0
    assert Clipping("global_norm", 5.0).apply(exactly).norm_after == pytest.approx(
        5.0 / (1 + 2e-7), rel=1e-12
    )
    assert Clipping("global_norm", 5.0).apply(exactly).norm_after < 5.0


@pytest.mark.parametrize("n", [1.5, 3.0, 40.0])
def test_the_lectures_rule_makes_a_larger_gradient_smaller(n: float) -> None:
    clipped = Clipping("lecture_squared_norm", 2.0).apply({"weight": np.array([n, 0.0])})
    assert clipped.norm_after == pytest.approx(2.0 / n, rel=1e-14)


def test_the_lectures_rule_compares_the_square() -> None:
    below = {"weight": np.array([np.sqrt(1.99)])}
    assert Clipping("lecture_squared_norm", 2.0).apply(below).gradients["weight"] == below["weight"]


def test_per_tensor_norm_bounds_each_tensor_alone() -> None:
    clipped = (
        Clipping("per_tensor_norm", 1.0)
        .apply({"a": np.array([3.0, 4.0]), "b": np.array([0.3, 0.4])})
        .gradients
    )
    np.testing.assert_allclose(clipped["a"], [0.6, 0.8], rtol=1e-15)
    np.testing.assert_array_equal(clipped["b"], [0.3, 0.4])


def test_value_clamps_each_entry() -> None:
    clipped = Clipping("value", 0.5).apply({"a": np.array([-2.0, -0.5, 0.1, 7.0])}).gradients
    np.testing.assert_array_equal(clipped["a"], [-0.5, -0.5, 0.1, 0.5])


def test_per_sample_norm_bounds_each_sample_alone() -> None:
    clipped = (
        Clipping("per_sample_norm", 1.0, place="state")
        .apply({"h": np.array([[3.0, 4.0], [0.3, 0.4]])})
        .gradients
    )
    np.testing.assert_allclose(clipped["h"], [[0.6, 0.8], [0.3, 0.4]], rtol=1e-15)


def test_adaptive_bounds_each_unit_by_its_weights() -> None:
    weights = {"w": np.array([[3.0, 4.0], [0.0, 0.0]]), "b": np.array([0.6, 0.8])}
    gradients = {"w": np.ones((2, 2)), "b": np.array([1e-3, 0.0])}
    clipped = Clipping("adaptive", 0.01).apply(gradients, weights).gradients
    np.testing.assert_allclose(np.linalg.norm(clipped["w"], axis=1), [0.05, 1e-5], rtol=1e-12)
    np.testing.assert_array_equal(clipped["b"], gradients["b"])


@pytest.mark.parametrize("rule", CLIPPING_RULES)
def test_a_small_gradient_passes_and_nothing_given_is_changed(rule: str) -> None:
    for scale in (1e-6, 10.0):
        gradients, parameters = draw(scale), draw(1.0)
        before = {name: array.copy() for name, array in gradients.items()}
        if rule == "per_sample_norm":
            gradients = before = {"h": gradients["weight"]}
        clipped = clipping(rule).apply(gradients, parameters)
        for name, array in clipped.gradients.items():
            assert array is not gradients[name]
            np.testing.assert_array_equal(gradients[name], before[name])
            if scale < 1.0:
                np.testing.assert_array_equal(array, before[name])
        assert clipped.norm_after <= clipped.norm_before == pytest.approx(norm(before), rel=1e-14)
        assert clipped.non_finite == 0


@pytest.mark.parametrize("rule", [*NORM_RULES, "per_sample_norm"])
@pytest.mark.parametrize("huge", [1e30, 1e200, 1.7e308])
def test_huge_gradients_are_scaled_and_not_zeroed(rule: str, huge: float) -> None:
    dtype = np.float32 if huge < 1e38 else np.float64
    given = {"a": np.full((1, 4), huge, dtype)}
    clipped = clipping(rule, 1e160 if rule == "lecture_squared_norm" else 1.0).apply(given).gradients["a"]
    assert clipped.dtype == dtype
    assert np.all(clipped > 0.0)
    if rule != "lecture_squared_norm":
        np.testing.assert_allclose(clipped, 0.5, rtol=1e-6)


@pytest.mark.parametrize("rule", NORM_RULES)
def test_tiny_gradients_stay(rule: str) -> None:
    given = {"a": np.full(4, 1e-200)}
    clipped = clipping(rule).apply(given)
    np.testing.assert_array_equal(clipped.gradients["a"], given["a"])
    assert clipped.norm_before == pytest.approx(2e-200)


def as_array(values: list[float]) -> Any:
    return np.array(values)


def as_tensor(values: list[float]) -> Any:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("kind", [as_array, as_tensor])
@pytest.mark.parametrize("size", [1e-310, 1e-315, 5e-324])
@pytest.mark.parametrize("rule", [*NORM_RULES, "per_sample_norm", "adaptive"])
def test_numbers_below_the_normal_ones_stay(rule: str, size: float, kind: Any) -> None:
    clipped = clipping(rule).apply({"a": kind([size, -size])}, {"a": kind([1.0, 1.0])})
    assert clipped.gradients["a"].tolist() == [size, -size]
    assert clipped.non_finite == 0
    if rule != "per_sample_norm":  # of which torch is given on the way back alone
        return
    inside = clipping(rule).clip({"a": kind([size, -size])})["a"]
    assert inside.tolist() == [size, -size]


def test_global_norm_of_next_to_nothing_is_torchs() -> None:
    """Below 1e-6 its divisor is that offset: a gradient of 1e-315 is scaled by 1e-7 / 1e-6."""
    clipped = Clipping("global_norm", 1e-7).apply({"a": np.array([1e-315])}).gradients["a"]
    assert clipped.item() == pytest.approx(1e-316, rel=1e-6)


@pytest.mark.parametrize("kind", [as_array, as_tensor])
@pytest.mark.parametrize("threshold", [1e-16, 1e-200, 1e-300])
@pytest.mark.parametrize("rule", ["global_norm", "global_norm_pascanu", "per_tensor_norm", "per_sample_norm"])
def test_a_factor_that_no_number_holds(rule: str, threshold: float, kind: Any) -> None:
    given = {"a": kind([[3e307, 4e307]])}
    for found in (clipping(rule, threshold).apply(given).gradients, clipping(rule, threshold).clip(given)):
        np.testing.assert_allclose(np.asarray(found["a"]) / threshold, [[0.6, 0.8]], rtol=1e-12)


def test_adaptive_factors_that_no_number_holds() -> None:
    given, weights = {"a": np.array([[3e307, 4e307], [3.0, 4.0]])}, {"a": np.array([[0.0, 1e-6], [3e3, 4e3]])}
    clipped = Clipping("adaptive", 1e-15).apply(given, weights).gradients["a"]
    np.testing.assert_allclose(clipped, [[0.6e-18, 0.8e-18], [3e-12, 4e-12]], rtol=1e-12)


def test_a_small_entry_beside_a_huge_one_keeps_its_share() -> None:
    for rule, large, threshold, share in (
        ("global_norm_pascanu", 1e300, 1e297, 1e-3),
        ("lecture_squared_norm", 1e150, 1e290, 1e-10),
    ):
        clipped = Clipping(rule, threshold).apply({"a": np.array([large, 1e-200])}).gradients["a"]
        np.testing.assert_allclose(clipped, [share * large, share * 1e-200], rtol=1e-12)


def test_the_norm_after_is_of_what_is_returned() -> None:
    """A threshold that single precision has not got: the entry is zero, and the outcome says so."""
    for dtype, huge, threshold in ((np.float32, 3e38, 1e-7), (np.float16, 6e4, 1e-4)):
        clipped = Clipping("lecture_squared_norm", threshold).apply({"a": np.array([huge, 0.0], dtype)})
        np.testing.assert_array_equal(clipped.gradients["a"], 0.0)
        assert clipped.norm_after == 0.0
        assert clipped.zeroed == 1
    tiny = Clipping("global_norm_pascanu", 1.0).apply({"a": np.array([3e38, 1e-10], np.float32)})
    assert (tiny.norm_after, tiny.zeroed) == (1.0, 1)
    half = Clipping("global_norm_pascanu", 0.1).apply({"a": torch.tensor([1.0], dtype=torch.bfloat16)})
    assert half.norm_after == float(half.gradients["a"].item()) != 0.1
    assert half.zeroed == 0


@pytest.mark.parametrize("rule", ["global_norm_pascanu", "value", "none"])
def test_whole_numbers_come_back_as_float64(rule: str) -> None:
    expected = {"global_norm_pascanu": [0.6, 0.8], "value": [1.0, 1.0], "none": [3.0, 4.0]}[rule]
    for given in ([3, 4], np.array([3, 4]), torch.tensor([3, 4])):
        clipped = Clipping(rule, 1.0).apply({"a": given})
        found = clipped.gradients["a"]
        assert type(found) is (torch.Tensor if isinstance(given, torch.Tensor) else np.ndarray)
        assert str(found.dtype).removeprefix("torch.") == "float64"
        np.testing.assert_allclose(np.asarray(found), expected)
        assert clipped.norm_after == pytest.approx(float(np.linalg.norm(expected)))


def test_what_is_no_array_of_real_numbers_is_refused_by_name() -> None:
    for bad, got in (
        (None, "None"),
        (np.array([1 + 2j]), "complex128"),
        (["x"], "str"),
        ([[1], [2, 3]], "list"),
    ):
        with pytest.raises(ValueError, match=rf"gradient w must be an array of real numbers, got .*{got}"):
            Clipping("value", 1.0).apply({"b": np.ones(2), "w": bad})
        with pytest.raises(ValueError, match=rf"parameter w must be an array of real numbers, got .*{got}"):
            Clipping("adaptive", 1.0).apply({"w": np.ones(1)}, {"w": bad})


@pytest.mark.parametrize("rule", CLIPPING_RULES)
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)])
def test_an_array_without_entries_passes(rule: str, shape: tuple[int, ...]) -> None:
    clipped = clipping(rule).apply({"a": np.zeros(shape)}, {"a": np.zeros(shape)})
    assert clipped.gradients["a"].shape == shape
    assert (clipped.norm_before, clipped.norm_after, clipped.non_finite) == (0.0, 0.0, 0)


def test_shapes_that_do_not_fit_are_named() -> None:
    per_sample = Clipping("per_sample_norm", 1.0)
    with pytest.raises(ValueError, match=r"needs arrays \(B, …\) of one B, got a \(\)$"):
        per_sample.apply({"a": np.array(3.0)})
    with pytest.raises(ValueError, match=r"needs arrays \(B, …\) of one B, got a \(2, 3\), b \(4,\)$"):
        per_sample.apply({"a": np.ones((2, 3)), "b": np.ones(4)})
    adaptive = Clipping("adaptive", 1.0)
    with pytest.raises(ValueError, match=r"needs the parameters too: missing b of shape \(4,\)$"):
        adaptive.apply({"a": np.ones(2), "b": np.ones(4)}, {"a": np.ones(2)})
    with pytest.raises(ValueError, match=r"a: gradient \(2, 2\), parameter \(3, 2\)$"):
        adaptive.apply({"a": np.ones((2, 2))}, {"a": np.ones((3, 2))})


@pytest.mark.parametrize("rule", CLIPPING_RULES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_entries_stay_visible_and_are_counted(rule: str, bad: float) -> None:
    given = {"a": np.array([[bad, 1.0], [2.0, 3.0]])}
    clipped = clipping(rule).apply(given, {"a": np.ones((2, 2))})
    assert clipped.non_finite == 1
    assert not np.any(clipped.gradients["a"] == 0.0)
    if rule != "value":
        np.testing.assert_array_equal(clipped.gradients["a"][0], given["a"][0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_torch_tensors_come_back_as_they_were(dtype: torch.dtype) -> None:
    given = {"a": torch.tensor([3.0, 4.0], dtype=dtype)}
    clipped = Clipping("global_norm_pascanu", 1.0).apply(given).gradients["a"]
    assert clipped.dtype == dtype
    assert torch.allclose(clipped.double(), torch.tensor([0.6, 0.8]).double(), rtol=5e-3)
    assert given["a"].tolist() == [3.0, 4.0]


@pytest.mark.parametrize("rule", THRESHOLD_RULES)
@pytest.mark.parametrize(
    "threshold", [0.0, -1.0, np.nan, np.inf, True, "1", [1], 1 + 0j, np.ones((2, 2)), 10**400]
)
def test_bad_thresholds_are_refused(rule: str, threshold: Any) -> None:
    with pytest.raises(ValueError, match=r"^threshold must be a finite number > 0, got .*$") as caught:
        Clipping(rule, threshold)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="needs a threshold > 0, got none"):
        Clipping(rule)


@pytest.mark.parametrize("threshold", [1, np.float32(0.5), np.int64(2)])
def test_numbers_of_any_type_are_thresholds(threshold: Any) -> None:
    clipped = Clipping("value", threshold).apply({"a": np.array([7.0])})
    assert clipped.gradients["a"].item() == threshold


@pytest.mark.parametrize(("rule", "place"), [("per_sample_norm", "parameters"), ("adaptive", "state")])
def test_a_rule_where_it_cannot_act_is_refused(rule: str, place: Any) -> None:
    with pytest.raises(ValueError, match=f"{rule!r} cannot act at place {place!r}: .*; it can at"):
        Clipping(rule, 1.0, place=place)


def test_other_bad_arguments_are_refused() -> None:
    with pytest.raises(KeyError, match="did you mean 'global_norm'"):
        Clipping("global_nrm", 1.0)
    with pytest.raises(ValueError, match="place must be one of parameters, state, gates, got 'states'"):
        Clipping("value", 1.0, place="states")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs steps"):
        Clipping("truncated")
    for steps in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"steps must be a whole number of at least 1, got {steps}"):
            Clipping("truncated", steps=steps)  # type: ignore[arg-type] # which is the point
    with pytest.raises(ValueError, match="needs the parameters too: missing a"):
        Clipping("adaptive", 0.1).apply({"a": np.ones(2)})


def test_the_default_place() -> None:
    assert Clipping("value", 1.0).place == "parameters"
    assert Clipping("truncated", steps=2).place == "state"
