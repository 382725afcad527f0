"""The machine's limits: shapes and demands add up, the kernels compute, each shape is measured once."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from harness.case import Case
from harness.measure.kernels import NoKernel, cpu_cache_bytes, recurrent_steps, time_copies, time_products
from harness.measure.roofline import (
    MAXIMUM_ROWS,
    Shape,
    demands,
    input_shape,
    minimum_bytes,
    recurrent_shape,
)
from harness.measure.work import Sizes, flop
from harness.outcome import Measured, Unsupported
from harness.plan_file import load_plan, preset_names
from harness.studies.study import STUDIES, Context
from implementations.registry import CELLS, load_backend

SIZES = Sizes(seq_len=7, batch_size=5, input_size=3, hidden_size=4)


def test_the_shapes_are_those_of_the_layer():
    assert input_shape("lstm", SIZES) == Shape(7 * 5, 3, 16)
    assert recurrent_shape("gru", SIZES) == Shape(5, 4, 12)
    assert Shape(10**6, 3, 4).capped() == Shape(MAXIMUM_ROWS, 3, 4)
    assert Shape(10**6, 2048, 8192).capped() == Shape(596, 2048, 8192)
    assert Shape(100, 2048, 8192).capped() == Shape(100, 2048, 8192)


@pytest.mark.parametrize("cell", list(CELLS))
def test_the_products_add_up_to_all_flop(cell):
    for training in (False, True):
        found = demands(cell, "float32", SIZES, training=training)
        total = found.input_product_flop + found.recurrent_product_flop
        assert total == flop(cell, SIZES, training=training)


def test_training_chains_the_recurrent_product_twice():
    forward = demands("lstm", "float32", SIZES, training=False)
    both = demands("lstm", "float32", SIZES, training=True)
    assert both.recurrent_product_flop == 2 * forward.recurrent_product_flop


def test_bytes_are_inputs_output_and_parameters():
    parameters = 16 * 3 + 16 * 4 + 2 * 16
    assert minimum_bytes("lstm", "float32", SIZES, training=False) == 4 * (35 * 3 + 35 * 4 + parameters)
    double, half = (minimum_bytes("lstm", dtype, SIZES, training=True) for dtype in ("float64", "bfloat16"))
    assert double == 4 * half == 3 * 8 * (35 * 7 + parameters)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
def test_a_product_is_timed_in_every_way_there_is(backend):
    timed = time_products(
        load_backend(backend), "float32", Shape(8, 4, 6), steps=3, num_threads=2, budget_seconds=0.001
    )
    assert [way.method for way in timed] == (["whole", "split"] if backend == "numpy" else ["whole"])
    assert all(sample.seconds > 0 for way in timed for sample in way.samples)


def test_one_row_cannot_be_split():
    timed = time_products(
        load_backend("numpy"), "float64", Shape(1, 4, 6), steps=2, num_threads=2, budget_seconds=0.001
    )
    assert [way.method for way in timed] == ["whole"]


def test_every_way_computes_the_whole_product(monkeypatch):
    """What is timed is the work that is counted: `out` holds all products afterwards."""
    kept = {}

    class Spy:
        synchronize = staticmethod(lambda: None)

        def to_native(self, array, dtype):
            kept[len(kept)] = array
            return array

    time_products(Spy(), "float32", Shape(5, 4, 6), steps=3, num_threads=2, budget_seconds=0.001)
    left, right, out = (kept[i] for i in range(3))
    np.testing.assert_allclose(out, left @ right, rtol=1e-5, atol=1e-5)


def test_a_copy_moves_more_than_the_cache_holds(monkeypatch):
    monkeypatch.setattr("harness.measure.kernels.cpu_cache_bytes", lambda: 2**18)
    timed, moved, cache = time_copies(load_backend("numpy"), num_threads=2, budget_seconds=0.001)
    assert cache == 2**18
    assert moved == 2 * 4 * 2**18
    assert [way.method for way in timed] == ["whole", "split"]
    rates = [moved / min(s.seconds for s in way.samples if s.phase == "sample") for way in timed]
    assert all(1e8 < rate < 1e13 for rate in rates)


def test_the_cache_of_this_machine_is_plausible():
    assert 2**16 <= cpu_cache_bytes() <= 2**32


def test_large_products_are_not_repeated():
    assert recurrent_steps(Shape(1, 64, 64)) == 16
    assert recurrent_steps(Shape(1500, 2048, 8192)) == 1


def test_lists_have_no_product():
    with pytest.raises(NoKernel, match="builtins"):
        time_products(
            load_backend("naive"), "float64", Shape(2, 2, 2), steps=1, num_threads=1, budget_seconds=0.001
        )


def points(*dtypes):
    """What the study adds to a plan that times two cells at a few sizes."""
    planned = [
        Case("throughput", {"backend": "numba", "cell": cell, "pass": direction, "dtype": dtype} | sizes)
        for cell in ("lstm", "gru")
        for direction in ("inference", "training")
        for dtype in dtypes or ("float32",)
        for seq_len in (4, 8)
        for batch_size in (2, 4)
        for sizes in [{"seq_len": seq_len, "batch_size": batch_size, "input_size": None, "hidden_size": 3}]
    ]
    study = STUDIES["limits"]
    axes = study.Axes.model_validate({"backend": ["numpy"]})
    alone, beside = list(study.points(axes)), list(study.points_beside(axes, planned))
    return [*alone, *(point for point in beside if point not in alone)]


def test_each_shape_is_a_case_once():
    found = points()
    assert len({tuple(point.values()) for point in found}) == len(found)
    rows = {point["rows"] for point in found if point["kernel"] == "input_product"}
    assert rows == {8, 16, 32}  # 4·4 and 8·2 are the same product
    assert sum(point["kernel"] == "recurrent_product" for point in found) == 2 * 2
    assert [point["dtype"] for point in found if point["kernel"] == "copy"] == [None]
    assert len(points("float32", "float64")) == 2 * len(found) - 1


def outcome(backend, point):
    study = STUDIES["limits"]
    case = Case("limits", {**point, "backend": backend})
    context = Context(load_backend(backend), 2, None, budget_seconds=0.005, max_seconds=5.0)
    reason = study.why_not(case, context)
    return Unsupported(reason) if reason else study.measure(case, context)


def test_a_case_keeps_its_samples_and_its_work():
    point = next(point for point in points() if point["kernel"] == "recurrent_product")
    found = outcome("numpy", point)
    assert isinstance(found, Measured)
    assert set(found.columns["method"]) == {"whole", "split"}
    assert {"first_call", "warmup", "sample"} == set(found.columns["phase"])
    assert found.facts["flop"] == 16 * 2 * point["rows"] * point["inner"] * point["columns"]
    assert found.facts["device"] == "cpu"


def test_only_a_product_of_ones_own_is_timed_as_such():
    own = {"kernel": "own_recurrent_product", "dtype": "float32", "rows": 4, "inner": 3, "columns": 12}
    found = outcome("numba", own)
    assert isinstance(found, Measured)
    assert set(found.columns["method"]) == {"own"}
    assert found.facts["flop"] == 256 * 2 * 4 * 3 * 12
    assert "not by one of its own" in outcome("numpy", own).reason


def test_only_timed_backends_have_their_own_product_measured():
    study = STUDIES["limits"]
    axes = {"backend": "numba", "cell": "lstm", "pass": "inference", "dtype": "float32"}
    sizes = {"seq_len": 8, "batch_size": 2, "input_size": None, "hidden_size": 3}
    timed = [Case("throughput", {**axes, **sizes, "backend": name}) for name in ("numba", "numpy", "numba")]
    found = study.points_beside(study.Axes.model_validate({"backend": ["numpy"]}), timed)
    own = [point for point in found if point["kernel"] == "own_recurrent_product"]
    assert [tuple(point.values()) for point in own] == [
        ("numba", "own_recurrent_product", "float32", 2, 3, 12)
    ]


def test_what_cannot_multiply_or_does_not_fit_says_why():
    small = next(point for point in points() if point["kernel"] == "input_product")
    assert "no matrix product" in outcome("naive", small | {"dtype": "float64"}).reason
    assert "bfloat16" in outcome("numpy", small | {"dtype": "bfloat16"}).reason
    assert "GiB" in outcome("numpy", small | {"inner": 10**7, "columns": 10**7}).reason


def test_a_timed_case_says_what_it_demands():
    axes = {"backend": "numpy", "cell": "gru", "pass": "training", "dtype": "float32"}
    axes |= {"seq_len": 3, "batch_size": 2, "input_size": None, "hidden_size": 4}
    context = Context(load_backend("numpy"), 2, None, budget_seconds=0.005, max_seconds=5.0)
    facts = STUDIES["throughput"].measure(Case("throughput", axes), context).facts
    expected = vars(demands("gru", "float32", Sizes(3, 2, 4, 4), training=True))
    assert SimpleNamespace(**{name: facts[name] for name in expected}) == SimpleNamespace(**expected)
    assert facts["device"] == "cpu"


@pytest.mark.parametrize("name", preset_names())
def test_every_timed_case_of_a_preset_has_its_shapes_measured(name):
    plan = load_plan(name).select(axes={"hidden_size": [48]}) if name == "quick" else load_plan(name)
    cases = plan.cases()
    measured = {tuple(c.axes.values())[1:] for c in cases if c.study == "limits"}  # once for all replicates
    for case in (c for c in cases if c.study == "throughput"):
        sizes = Sizes.of(case)
        product = recurrent_shape(str(case.axes["cell"]), sizes)
        shape = (product.rows, product.inner, product.columns)
        assert ("recurrent_product", case.axes["dtype"], *shape) in measured, str(case)


def test_without_timed_cases_there_is_no_shape_to_measure():
    cases = load_plan("quick").select(studies=["limits"]).cases()
    assert {case.axes["kernel"] for case in cases} == {"copy", "large_product"}
