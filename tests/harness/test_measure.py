"""Measuring: known amounts come out, wrong results are caught, estimates are near."""

from __future__ import annotations

import time

import numpy as np
import pytest

from harness.measure import estimate
from harness.measure.agreement import Disagreement, agreements, require_agreement
from harness.measure.estimate import estimate_seconds, why_too_large
from harness.measure.problem import Problem
from harness.measure.timing import MINIMUM_SAMPLES, time_calls
from harness.measure.work import Sizes, Work, flop
from implementations.registry import CELLS, load_backend


def test_samples_are_in_order_with_the_first_call_and_warm_ups_apart():
    pauses = iter([0.05] + [0.003] * 1000)
    samples = time_calls(lambda: time.sleep(next(pauses)), lambda: None, budget_seconds=0.05)
    phases = [s.phase for s in samples]
    assert phases[0] == "first_call"
    assert phases == sorted(phases, key=["first_call", "warmup", "sample"].index)
    assert phases.count("sample") >= MINIMUM_SAMPLES
    assert [s.index for s in samples if s.phase == "sample"] == list(range(phases.count("sample")))
    assert samples[0].seconds >= 0.05
    assert all(s.seconds >= 0.003 for s in samples)


def test_short_calls_are_looped_until_the_clock_can_see_them():
    samples = time_calls(lambda: None, lambda: None, budget_seconds=0.02)
    assert all(s.loops > 100 for s in samples if s.phase == "sample")


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_reference_agrees_with_itself(cell, dtype):
    problem = Problem.draw(cell, dtype, Sizes(5, 2, 3, 4))
    actual = problem.on(load_backend("numpy")).results(training=True)
    found = agreements(actual, problem.reference(training=True), dtype)
    names = {a.quantity for a in found}
    assert {"output", "final_h", "grad_inputs", "grad_initial_h", "grad_weight_hh", "grad_bias_ih"} <= names
    assert require_agreement(found) < 1e-5


def test_a_wrong_gradient_is_a_disagreement():
    problem = Problem.draw("gru", "float64", Sizes(5, 2, 3, 4))
    actual = problem.on(load_backend("numpy")).results(training=True)
    actual["grad_bias_hh"] = actual["grad_bias_hh"] * (1 + 1e-6)
    with pytest.raises(Disagreement, match="grad_bias_hh differs"):
        require_agreement(agreements(actual, problem.reference(training=True), "float64"))


@pytest.mark.parametrize(("disturbed", "refused"), [(0, False), (1, False), (100, True)])
def test_a_case_is_not_refused_for_a_disturbed_probe(monkeypatch, disturbed, refused):
    """A pass takes a millisecond, and 60 while others are at work; its limit is 50 ms."""
    now, probes = 0.0, 0

    class Prepared:
        def run(self, *, training):
            nonlocal now, probes
            probes += 1
            now += 0.06 if 1 < probes <= 1 + disturbed else 1e-3  # the first only warms up

    class Clock:
        def perf_counter(self):
            return now

    monkeypatch.setattr(estimate, "time", Clock())
    monkeypatch.setattr(Problem, "on", lambda self, backend: Prepared())
    sizes = Sizes(1, 1, 4, 4)
    found = estimate_seconds(
        load_backend("numpy"), "rnn_tanh", "float32", sizes, training=False, limit_seconds=0.05
    )
    assert (found > 0.05) == refused
    assert probes <= 1 + estimate.PROBES


def test_a_fixed_cost_is_not_multiplied(monkeypatch):
    """A call that waits 10 ms, whatever its size, is started where 50 ms are allowed."""
    monkeypatch.setattr(estimate, "_seconds", lambda *_, **__: 0.01)
    limits = {"training": False, "limit_seconds": 0.05}
    assert estimate_seconds(load_backend("numpy"), "gru", "float32", Sizes(64, 8, 32, 32), **limits) <= 0.05


def test_a_fixed_cost_that_changes_is_not_multiplied_either(monkeypatch):
    """Smallest probes take 0.1 ms, all larger ones 0.4 ms and a little: by the difference, the whole would
    take seconds; it takes a millisecond."""

    class Prepared:
        def __init__(self, problem):
            self.seq_len, self.hidden_size = problem.inputs.shape[0], problem.parameters.hidden_size

        def run(self, *, training): ...

    def seconds(backend, prepared, *, training):
        return 1e-4 if prepared.hidden_size <= 8 else 4e-4 + 5e-6 * prepared.seq_len

    monkeypatch.setattr(estimate, "_seconds", seconds)
    monkeypatch.setattr(Problem, "on", lambda self, backend: Prepared(self))
    limits = {"training": True, "limit_seconds": 5e-3}
    found = estimate_seconds(load_backend("numpy"), "gru", "float32", Sizes(100, 32, 32, 32), **limits)
    assert found == pytest.approx(9e-4, rel=0.2)


@pytest.mark.parametrize("wait", [0.006, 0.03, 0.2])
def test_probes_that_wait_for_others_refuse_nothing(monkeypatch, wait):
    """On a busy machine 3 in 4 calls wait their turn, longer than they take: the whole is a millisecond."""
    turns = np.random.default_rng(0)

    class Prepared:
        def __init__(self, problem):
            self.seconds = 1e-3 * problem.inputs.shape[0] / 200

        def run(self, *, training): ...

    def seconds(backend, prepared, *, training):
        return prepared.seconds + (turns.uniform(0.5, 2.0) * wait if turns.random() < 0.75 else 0.0)

    monkeypatch.setattr(estimate, "_seconds", seconds)
    monkeypatch.setattr(Problem, "on", lambda self, backend: Prepared(self))
    limits = {"training": True, "limit_seconds": 0.2}
    sizes = Sizes(200, 20, 2, 100)
    found = [estimate_seconds(load_backend("numpy"), "gru", "float32", sizes, **limits) for _ in range(200)]
    assert sum(seconds > 0.2 for seconds in found) <= 12  # by one probe and the next larger: 101 to 152


def test_what_is_far_too_long_is_tried_once_more_alone(monkeypatch):
    """Two probes that take more than the whole limit are enough to know."""
    monkeypatch.setattr(estimate, "_seconds", lambda *_, **__: seen.append(1) or 1.0)
    seen: list[int] = []
    limits = {"training": False, "limit_seconds": 0.05}
    assert estimate_seconds(load_backend("numpy"), "gru", "float32", Sizes(1, 1, 4, 4), **limits) == 1.0
    assert len(seen) == 2


def test_an_estimate_is_within_a_factor_of_the_truth():
    backend, sizes = load_backend("naive"), Sizes(8, 2, 24, 24)
    prepared = Problem.draw("lstm", "float64", sizes).on(backend)
    prepared.run(training=True)
    start = time.perf_counter()
    prepared.run(training=True)
    seconds = time.perf_counter() - start
    found = estimate_seconds(backend, "lstm", "float64", sizes, training=True, limit_seconds=1e-3)
    assert seconds / 4 < found < seconds * 4


def test_flop_counts_two_per_multiplication_of_the_products():
    assert flop("lstm", Sizes(7, 5, 3, 4), training=False) == 2 * 7 * 5 * (4 * 4) * (3 + 4)
    assert flop("gru", Sizes(7, 5, 3, 4), training=True) == 3 * 2 * 7 * 5 * (3 * 4) * (3 + 4)


def test_flop_count_what_a_cell_has_beside_its_gates():
    plain = flop("lstm", Sizes(7, 5, 3, 4), training=False)
    peepholes, recurrence = (
        flop(cell, Sizes(7, 5, 3, 4), training=False) - plain
        for cell in ("lstm_peephole", "lstm_gate_recurrence")
    )
    assert (peepholes, recurrence) == (2 * 7 * 5 * 3 * 4, 2 * 7 * 5 * (3 * 4) ** 2)
    assert flop("lstm_coupled", Sizes(7, 5, 3, 4), training=False) == 0.75 * plain


def test_what_does_not_fit_into_memory_says_so():
    assert why_too_large(Work(1.0, 1e6)) is None
    assert "GiB" in why_too_large(Work(1.0, 1e16))
