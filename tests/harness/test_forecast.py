"""A forecast counts what the machine was found to take: it scales with it, and knows what will not be run."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from harness.case import Case
from harness.folder import LEDGER, create_run
from harness.forecast import Forecast, forecast, spoken
from harness.ledger import Ledger
from harness.measure.outlook import LOADED_BY_A_WORKER, Outlook, Rates
from harness.measure.work import Sizes, flop
from harness.outcome import Unsupported
from harness.plan import Plan, checked
from harness.plan_file import load_plan, preset_names
from implementations import hints
from implementations.hints import Hint, hint_of
from implementations.registry import BACKENDS
from tests.harness.command import run_all

RATES = Rates(multiply_add=4e-8, call=5e-7, flop=2e-11, interpreter=0.15)


def timed(**changes: object) -> Plan:
    axes = {"backend": ["numpy"], "cell": ["lstm"], "seq_len": [8], "batch_size": [2], "hidden_size": [4]}
    return checked(
        {
            "name": "timed",
            "replicates": 2,
            "budget_seconds": 0.1,
            "studies": {"throughput": {**axes, **changes}},
        },
        "test",
    )


def foretold(plan: Plan, rates: Rates = RATES) -> Forecast:
    return forecast(plan, plan.cases(), rates)


@pytest.mark.parametrize("name", preset_names())
def test_every_case_of_a_preset_has_an_estimate(name: str) -> None:
    plan = load_plan(name)
    found = foretold(plan)
    assert [case for case, _ in found.cases] == plan.cases()
    assert all(0 < seconds < 600 and math.isfinite(seconds) for _, seconds in found.cases)
    assert found.seconds == pytest.approx(
        sum(seconds for _, seconds in found.by_study().values()) + sum(found.shared.values())
    )


def test_a_machine_half_as_fast_takes_twice_as_long() -> None:
    plan = load_plan("quick")
    slow = Rates(**{name: 2 * value for name, value in vars(RATES).items()})
    patient = plan.model_copy(
        update={"budget_seconds": 2 * plan.budget_seconds, "max_seconds": 2 * plan.max_seconds}
    )
    assert foretold(patient, slow).seconds == pytest.approx(2 * foretold(plan).seconds)


def test_a_timed_case_takes_its_budget_and_its_proof() -> None:
    (_, short), *_ = foretold(timed()).cases
    assert 0.1 < short < 0.2
    (_, long), *_ = foretold(timed(seq_len=[20_000])).cases
    assert long > 7 * 20_000 * 4 * 10 * RATES.call


LEARNING = {"cell": ["lstm"], "seq_len": [50], "hidden_size": [64], "batch_size": 32, "seed": [0]}


def of_study(name: str, **axes: object) -> float:
    """Seconds foretold of all cases of one study, on a machine of known rates."""
    plan = checked({"name": "one", "max_seconds": 600.0, "studies": {name: axes}}, "test")
    return sum(seconds for _, seconds in foretold(plan).cases)


def test_a_training_costs_its_steps_and_clipping_on_the_way_back_costs_more() -> None:
    short, long = (of_study("learning", **LEARNING, steps=steps) for steps in (100, 1000))
    assert long == pytest.approx(10 * short)
    assert 3e-3 < short / 100 < 3e-2  # a step of 2 ms of products, and what stands around it
    stepwise = of_study("learning", **LEARNING, steps=100, rule=["value"], place=["state"])
    assert stepwise > 3 * short


def test_a_language_model_is_trained_and_read_and_counted() -> None:
    axes = {"cell": ["lstm"], "seq_len": [100], "hidden_size": [128], "orders": 1}
    trained = of_study("language_model", **axes, steps=100, evaluations=1)
    longer = of_study("language_model", **axes, steps=200, evaluations=1)
    oftener = of_study("language_model", **axes, steps=100, evaluations=11)
    counted = of_study("language_model", **{**axes, "orders": 9}, steps=100, evaluations=1)
    assert 2.0 < longer - trained < 20.0
    assert 2.0 < oftener - trained < 20.0
    assert 1.0 < counted - trained < 10.0


def test_a_surface_costs_its_points() -> None:
    short = {"surface": ["trained"], "steps": 1, "plane_steps": 1}
    coarse, fine = (of_study("error_surface", **short, grid=n) for n in (41, 81))
    assert fine / coarse == pytest.approx((81 / 41) ** 2, rel=0.05)
    assert of_study("error_surface", **{**short, "plane_steps": 100}, grid=81) > fine
    assert of_study("error_surface", surface=["power"]) < 0.01
    assert of_study("error_surface", surface=["one_unit"], learning_rate=[0.1], descent_steps=60) < fine


def test_what_takes_too_long_is_probed_and_not_run() -> None:
    sizes = Sizes(512, 32, 64, 64)
    outlook = Outlook(RATES, Hint(interpreted=True), 0.1, max_seconds=4.0)
    assert outlook.pass_seconds("lstm", sizes, training=True) == pytest.approx(
        flop("lstm", sizes, training=True) * RATES.multiply_add
    )
    assert not outlook.started("lstm", sizes, training=True, calls=7)
    plan = timed(backend=["naive"], seq_len=[512], batch_size=[32], hidden_size=[64])
    plan = plan.model_copy(update={"max_seconds": 4.0})
    assert all(seconds < 0.5 for _, seconds in foretold(plan).cases)


def test_who_is_not_here_takes_no_time_but_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Hint("no_such_library", loading=10.0, compiling=50.0)
    monkeypatch.setitem(hints._HINTS, BACKENDS["numpy"], absent)
    found = foretold(timed())
    assert all(seconds < 1e-4 for _, seconds in found.cases)
    assert found.shared["compiling"] == 0
    assert found.shared["starting processes"] == pytest.approx(
        2 * (10.0 + LOADED_BY_A_WORKER) * RATES.interpreter
    )


def test_no_backward_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hints._HINTS, BACKENDS["numpy"], Hint(inference_only=True))
    found = foretold(timed(seq_len=[8]))
    assert {case.axes["pass"]: seconds > 0.1 for case, seconds in found.cases} == {
        "inference": True,
        "training": False,
    }


@pytest.mark.parametrize(
    ("changes", "pieces"),
    [
        ({"missing": lambda passes: len(set(passes))}, 2),  # two passes: kept for the second replicate
        ({"missing": lambda passes: 0}, 0),
        ({}, 2 * 2),  # in each of two replicates
        ({"per_shape": True}, 2 * 2 * 3),  # and of three lengths
    ],
)
def test_what_is_compiled(changes: dict, pieces: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(hints._HINTS, BACKENDS["numpy"], replace(Hint(compiling=10.0), **changes))
    found = foretold(timed(seq_len=[8, 16, 32]))
    assert found.shared["compiling"] == pytest.approx(pieces * 10 * RATES.interpreter)


def test_missing_kernels_are_counted_once_per_module_direction_and_dtype(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("numba")
    from implementations.backends.numba_cpu import shelf

    passes = [("lstm", "float32", True), ("rnn_tanh", "float32", False), ("rnn_relu", "float32", False)]
    passes += [("lstm", "float64", False), ("no_such_cell", "float32", True)]
    for on_disk, missing in ((0, 4), (1, 1), (2, 0)):
        monkeypatch.setattr(shelf, "_on_disk", lambda dispatcher, number=on_disk: number)
        assert shelf.missing_kernels(passes) == missing


def test_kernels_on_disk_are_found(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    import numpy as np
    from numba.core import caching

    from implementations.backends.numba_cpu import shelf
    from implementations.backends.numba_cpu.compiling import kernel

    def add_one(x):
        x[0] += 1

    monkeypatch.setattr(caching.config, "CACHE_DIR", str(tmp_path))
    compiled = kernel(add_one)
    assert shelf._on_disk(compiled) == 0
    compiled(np.zeros(1))
    assert shelf._on_disk(compiled) == 1
    compiled(np.zeros(1, "float32"))
    assert shelf._on_disk(compiled) == 2


def test_the_machine_is_probed_quickly() -> None:
    rates = Rates.probe()
    assert all(0 < rate < 10 for rate in vars(rates).values())
    assert rates.flop < rates.multiply_add < rates.interpreter


def test_a_backend_without_a_hint_is_taken_for_something_usual() -> None:
    assert hint_of("numpy") == hints.UNKNOWN
    assert hint_of("naive").interpreted


def test_a_dry_run_loads_no_library_of_a_backend_that_is_slow_to_load() -> None:
    script = """
import sys
from harness.cli import run_all
try:
    run_all(["--plan", "peers", "--dry-run"])
except SystemExit as end:
    assert end.code == 0
print([name for name in ("torch", "jax", "onnxruntime", "pandas", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=200
    )
    *_, total, loaded = done.stdout.splitlines()
    assert loaded == "[]"
    assert "cases, about" in total


def test_of_a_run_that_goes_on_only_the_rest_is_foretold(tmp_path) -> None:
    plan = timed()
    folder = create_run(tmp_path, plan, {}, "python run_all.py")
    with Ledger.open(folder / LEDGER) as ledger:
        done: Case = plan.cases()[0]
        ledger.record(done, Unsupported("for no reason"), finished_at=time.time(), elapsed_seconds=1.0)
    found = run_all("--resume", folder, "--dry-run")
    assert found.returncode == 0, found.stderr
    assert f"{len(plan.cases()) - 1} cases, about" in found.stdout
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.021, "0.02 s"), (7.4, "7 s"), (192, "3 min 12 s"), (7500, "2 h 5 min")]
)
def test_spoken(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
