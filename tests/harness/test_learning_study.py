"""The long-lag study: solved, not solved and diverged are three different ends, and the decay comes first."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harness.case import Case
from harness.clipping import Clipping
from harness.gradients import jacobian_decay, summarize_decay
from harness.initializations import initialize
from harness.measure import estimate
from harness.outcome import Measured, Unsupported
from harness.studies import learning, training_record
from harness.studies.study import STUDIES, Context
from harness.training.evaluate import batch_of, score
from harness.training.model import Batch, Loss, SequenceModel
from harness.training.radius import spectral_radius
from harness.training.tasks import TASKS
from harness.training.through_time import Counts, met_non_finite
from implementations.backends.numpy_loop import NumpyLayer
from implementations.registry import CELLS, load_backend
from tests.harness.studying import measure, measured, points

TINY: dict[str, Any] = {
    "backend": ["numpy"], "cell": ["gru"], "seq_len": [6], "hidden_size": [16], "batch_size": 32, "seed": [0],
    "learning_rate": [0.02], "steps": 300, "check_every": 50, "samples": 2,
}  # fmt: skip


def rows_of(found: Measured, quantity: str) -> pd.DataFrame:
    rows = pd.DataFrame(found.columns)
    return rows[rows["quantity"] == quantity]


def test_a_task_is_solved_and_the_training_ends() -> None:
    found = measured("learning", **TINY)
    facts = found.facts
    assert facts["solved"] is True
    assert facts["solved_at_step"] == facts["steps_done"] <= 300
    scores = rows_of(found, "score")
    assert scores["step"].iloc[-1] == facts["solved_at_step"]
    assert scores["loss"].iloc[-1] < 0.01 < scores["loss"].iloc[0] < 1.2 * facts["baseline"]
    steps = rows_of(found, "step")
    assert (steps["clipped_norm"] <= np.minimum(1.0, steps["gradient_norm"]) + 1e-6).all()
    assert facts["diverged_at_step"] is None
    clipped = np.mean(steps["clipped_norm"].astype(float) < steps["gradient_norm"].astype(float))
    assert facts["clipped_share"] == clipped
    assert 0 < measured("learning", **{**TINY, "steps": 1, "threshold": [1e-4]}).facts["clipped_share"] == 1


def test_the_task_is_tried_after_the_last_step_too() -> None:
    """Whether or not a whole number of intervals ends there."""
    for steps, check_every, tried in ((3, 100, [3]), (5, 2, [2, 4, 5]), (4, 2, [2, 4])):
        found = measured("learning", **{**TINY, "steps": steps, "check_every": check_every})
        assert rows_of(found, "score")["step"].tolist() == tried
        assert found.facts["steps_done"] == steps


def test_a_training_may_be_solved_by_its_last_step() -> None:
    at = measured("learning", **{**TINY, "check_every": 1}).facts["solved_at_step"]
    assert isinstance(at, int)
    assert 1 < at < 300
    found = measured("learning", **{**TINY, "steps": at, "check_every": 1000})
    assert (found.facts["solved"], found.facts["solved_at_step"]) == (True, at)
    decay = rows_of(found, "decay")
    assert not decay.duplicated(["step", "lag"]).any()


@pytest.mark.parametrize("rule", ["none", "value"])
def test_what_the_first_pass_takes_longer_is_no_time_of_training(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a hundred seconds in the first pass, and by one in every other; what comes
    out is as if that pass had not been."""
    axes = {**TINY, "rule": [rule], "place": ["state" if rule == "value" else "parameters"]}
    axes |= {"threshold": [1e-3], "steps": 5}
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    act, passes = SequenceModel.loss_and_gradients, []

    def compiling(model: SequenceModel, batch: Batch) -> Loss:
        clock.now += 1.0 if passes else 100.0
        passes.append(batch)
        return act(model, batch)

    plain = measured("learning", **axes)
    monkeypatch.setattr(training_record, "time", clock)
    monkeypatch.setattr(SequenceModel, "loss_and_gradients", compiling)
    found = measured("learning", **axes)
    assert found.facts["training_seconds"] == 5.0
    assert clock.now == 106.0  # and a look at what came of the last step
    clocked = {"seconds", "training_seconds", "checking_seconds"}
    for first, second in ((plain.columns, found.columns), (plain.facts, found.facts)):
        assert {n: v for n, v in first.items() if n not in clocked} == {
            n: v for n, v in second.items() if n not in clocked
        }


def test_the_first_pass_is_in_no_count_of_clipping(monkeypatch: pytest.MonkeyPatch) -> None:
    """T + 1 places of each of 32 sequences, in three steps and the look at what came of them."""
    counts: list[Counts] = []
    monkeypatch.setattr(
        learning, "met_non_finite", lambda layer: counts.append(layer.counts) or met_non_finite(layer)
    )
    measured("learning", **{**TINY, "rule": ["value"], "place": ["state"], "steps": 3})
    assert counts[0].met == 4 * 7 * 32


def test_the_decay_before_is_the_networks_as_it_starts() -> None:
    found = measured("learning", **{**TINY, "steps": 1})
    assert found.facts["solved"] is False
    decay = rows_of(found, "decay")
    before = decay[decay["step"] == 0]
    inputs = TASKS["adding"].batch(np.random.default_rng([0, 10]), 6, 2).inputs
    expected = jacobian_decay("gru", initialize("pytorch_uniform", "gru", 2, 16), inputs)
    np.testing.assert_allclose(
        before["log10_spectral_norm"].to_numpy(float),
        np.median(expected.log10_spectral_norm["hh"], axis=1),
        atol=1e-5,  # the layer learns in float32
    )
    assert found.facts["log10_norm_before"] == pytest.approx(
        expected.log10_spectral_norm["hh"][-1].mean(), abs=1e-4
    )
    assert sorted(decay["step"].unique()) == [0, 1]


def test_every_setting_reaches_the_training() -> None:
    """At a rate that moves nothing, all can be computed again from the settings alone."""
    task, seed = TASKS["copy_memory"], 3
    axes = {"task": [task.name], "cell": ["lstm"], "gain": [0.7], "forget_bias": [2.0], "seed": [seed]}
    still = {"learning_rate": [1e-30], "steps": 4, "check_every": 2, "hidden_size": [8], "batch_size": 5}
    found = measured("learning", **{**TINY, **axes, **still})
    start = initialize("pytorch_uniform", "lstm", task.input_size, 8, seed=seed, gain=0.7, forget_bias=2.0)
    layer = load_backend("numpy").bind("lstm", start, "float32")
    model = SequenceModel(layer, task.output_size, task.objective, seed=seed)
    steps, scores = rows_of(found, "step"), rows_of(found, "score")
    expected = [model.loss(batch_of(task, step, 6, 5, seed=seed)) for step in (1, 2, 3, 4)]
    np.testing.assert_allclose(steps["loss"].astype(float), expected, rtol=1e-6)
    held_out = score(model, task, 6, seed=seed)
    assert scores["step"].tolist() == [2, 4]
    np.testing.assert_allclose(scores["loss"].astype(float), held_out.loss, rtol=1e-6)
    np.testing.assert_allclose(scores["error_rate"].astype(float), held_out.error_rate, atol=1e-9)
    assert found.facts["baseline"] == task.baseline(6)
    inputs = task.batch(np.random.default_rng([seed, 10]), 6, 2).inputs
    norms = jacobian_decay("lstm", start, inputs).log10_spectral_norm["hh"]
    summary = summarize_decay(np.arange(27), norms[:, None, :])
    for when in ("before", "after"):
        assert found.facts[f"half_life_{when}"] == pytest.approx(summary.half_life, rel=1e-3)
        assert found.facts[f"horizon_{when}"] == pytest.approx(summary.horizon_1_percent, rel=1e-3)
        assert found.facts[f"rate_{when}"] == pytest.approx(summary.rate, rel=1e-3)
        assert found.facts[f"log10_norm_{when}"] == pytest.approx(norms[-1].mean(), abs=1e-4)


def test_a_divergence_is_recorded_at_its_step() -> None:
    found = measured(
        "learning",
        **{**TINY, "cell": ["rnn_linear"], "optimizer": "sgd", "learning_rate": [1e6], "rule": ["none"]},
    )
    assert found.facts["diverged_at_step"] is not None
    assert found.facts["solved"] is False
    assert found.facts["steps_done"] == found.facts["diverged_at_step"] - 1


EXPLODING: dict[str, Any] = {**TINY, "optimizer": "sgd", "rule": ["none"], "check_every": 1}


def test_after_a_divergence_the_decay_is_that_of_the_last_good_state() -> None:
    """That state is where a training ends that had one step fewer, and was looked at then."""
    found = measured("learning", **{**EXPLODING, "cell": ["rnn_relu"], "learning_rate": [30.0]})
    last = found.facts["last_good_step"]
    assert isinstance(last, int)
    assert 0 < last < found.facts["diverged_at_step"]
    shorter = measured(
        "learning", **{**EXPLODING, "cell": ["rnn_relu"], "learning_rate": [30.0], "steps": last}
    )
    assert shorter.facts["diverged_at_step"] is None
    assert shorter.facts["last_good_step"] is None
    for name in ("half_life_after", "horizon_after", "rate_after", "log10_norm_after"):
        assert found.facts[name] == shorter.facts[name], name
    decay = rows_of(found, "decay")
    assert decay["step"].max() == last
    assert (decay[decay["step"] == last].groupby("lag").size() == 1).all()
    assert decay[decay["step"] == last]["lag"].tolist() == list(range(7))


def test_a_first_update_that_goes_off_leaves_the_start() -> None:
    found = measured("learning", **{**EXPLODING, "cell": ["rnn_relu"], "learning_rate": [1e38]})
    assert found.facts["last_good_step"] == 0
    assert found.facts["log10_norm_after"] == found.facts["log10_norm_before"]
    assert len(rows_of(found, "decay")) == 7  # of the start, once


@pytest.mark.parametrize(
    ("rule", "place", "cell"),
    [
        ("value", "state", "gru"),
        ("value", "gates", "lstm"),
        ("value", "gates", "gru"),
        ("truncated", "state", "rnn_tanh"),
    ],
)
def test_clipping_on_the_way_back(rule: str, place: str, cell: str) -> None:
    axes = {"rule": [rule], "place": [place], "cell": [cell], "threshold": [1e-4], "truncate": 2, "steps": 3}
    found = measured("learning", **{**TINY, **axes})
    share = found.facts["clipped_share"]
    assert (share is None) if rule == "truncated" else (0 < share <= 1)


TRUNCATED: dict[str, Any] = {"rule": ["truncated"], "place": ["state"]}
WAYS_BACK: list[tuple[str, dict[str, Any], float]] = [
    ("one pass, and one back", {}, 2e-3),
    ("of each step one pass, and one back", {"rule": ["value"], "place": ["state"]}, 0.2),
    ("the same", {"rule": ["value"], "place": ["gates"]}, 0.2),
    ("and of the last 10 steps another", {**TRUNCATED, "truncate": 10}, 0.12),
    (
        "and of as many steps as back another",
        {**TRUNCATED, "truncate": 1000},
        0.3,
    ),
]


@pytest.mark.parametrize(("way", "axes", "seconds"), WAYS_BACK, ids=[way for way, *_ in WAYS_BACK])
def test_the_limit_holds_for_the_steps_that_clipping_takes(
    way: str, axes: dict[str, Any], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by a millisecond with each pass of the layer, and each pass back."""
    clock = SimpleNamespace(now=0.0)
    clock.perf_counter = lambda: clock.now
    monkeypatch.setattr(estimate, "time", clock)

    def ticking(act: Callable[..., Any]) -> Callable[..., Any]:
        def ticked(*arguments: Any, **options: Any) -> Any:
            clock.now += 1e-3
            return act(*arguments, **options)

        return ticked

    for name in ("forward", "backward"):
        monkeypatch.setattr(NumpyLayer, name, ticking(getattr(NumpyLayer, name)))
    (point,) = points("learning", **{**TINY, "cell": ["rnn_tanh"], "seq_len": [100], "steps": 10, **axes})
    backend = load_backend("numpy")
    reasons = [
        STUDIES["learning"].why_not(
            Case("learning", point), Context(backend, 1, None, 0.1, share * 10 * seconds)
        )
        for share in (0.9, 1.1)
    ]
    assert reasons[0] is not None, way
    assert f"would take about {10 * seconds:.0f} s" in reasons[0]
    assert reasons[1] is None


def test_the_estimate_is_of_sequences_as_long_as_the_task_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def estimated(*arguments: Any, **options: Any) -> float:
        seen.append(arguments[3].seq_len)
        return 0.0

    monkeypatch.setattr(learning, "estimate_seconds", estimated)
    measure("learning", **{**TINY, "task": ["copy_memory"], "steps": 1})
    assert seen == [26]


def test_infinite_gradients_that_a_rule_clamped_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in each backward pass: "value" makes a number of it, so that the loss never tells."""
    clip = Counts.apply
    axes = {**TINY, "rule": ["value"], "place": ["state"], "threshold": [1e-3], "steps": 3}
    assert measured("learning", **axes).facts["non_finite"] == 0

    def stormy(self: Counts, clipping: Clipping, gradient: np.ndarray) -> np.ndarray:
        if self.met % (7 * len(gradient)) == 0:
            gradient[0, 0] = np.inf
        return clip(self, clipping, gradient)

    monkeypatch.setattr(Counts, "apply", stormy)
    found = measured("learning", **axes)
    assert found.facts["diverged_at_step"] is None
    assert found.facts["non_finite"] == 4  # of three steps, and of the look at what came of them


@pytest.mark.parametrize("rule", ["none", "global_norm"])
def test_gradients_that_end_a_training_are_counted(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = SequenceModel.loss_and_gradients

    def stormy(self: SequenceModel, batch: Batch) -> Loss:
        found = calm(self, batch)
        found.gradients["bias_hh"][:2] = np.nan
        return found

    monkeypatch.setattr(SequenceModel, "loss_and_gradients", stormy)
    found = measured("learning", **{**TINY, "rule": [rule]})
    assert (found.facts["diverged_at_step"], found.facts["non_finite"]) == (1, 2)


def test_what_is_clipped_so_far_down_falls_on_below() -> None:
    """Of the T + 1 gradients that value at the state meets, the first is far above and all others below."""
    axes = {"rule": ["value"], "place": ["state"], "threshold": [1e-30], "steps": 3}
    assert measured("learning", **{**TINY, **axes}).facts["clipped_share"] == pytest.approx(1 / 7)


def test_what_cannot_be_had_is_unsupported() -> None:
    short = measure("learning", **{**TINY, "task": ["temporal_order"]})
    assert isinstance(short, Unsupported)
    assert "seq_len of at least 10, got 6" in short.reason
    axes = {"cell": ["lstm_peephole"], "rule": ["value"], "place": ["gates"]}
    gates = measure("learning", **{**TINY, **axes})
    assert isinstance(gates, Unsupported)
    assert "cannot be had for lstm_peephole" in gates.reason
    elsewhere = measure("learning", **{**TINY, "rule": ["adaptive"], "place": ["state"]})
    assert isinstance(elsewhere, Unsupported)
    assert "'adaptive' cannot act at place 'state'" in elsewhere.reason


def test_a_task_whose_data_are_absent_is_unsupported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    found = measure("learning", **{**TINY, "task": ["digit_rows"], "seq_len": [8]})
    assert isinstance(found, Unsupported)
    assert found.reason == "task digit_rows reads scikit-learn's digits: pip install '.[digits]'"


def test_a_rule_comes_once_for_what_it_does_not_look_at() -> None:
    axes = {**TINY, "rule": ["none", "global_norm", "truncated"], "threshold": [0.1, 1.0]}
    axes |= {"place": ["parameters", "state"], "truncate": 3}
    found = [(p["rule"], p["place"], p["threshold"], p["truncate"]) for p in points("learning", **axes)]
    assert found == [
        ("none", "parameters", None, None),
        ("global_norm", "parameters", 0.1, None),
        ("global_norm", "parameters", 1.0, None),
        ("global_norm", "state", 0.1, None),
        ("global_norm", "state", 1.0, None),
        ("truncated", "parameters", None, 3),  # which says that it cannot be had
        ("truncated", "state", None, 3),
    ]


def test_the_decay_is_measured_at_intervals_too() -> None:
    """At eight checks, evenly over the training, at a few lags; at the end at all of them, as at the start.

    Each is that of a training that ends there.
    """
    axes = {**TINY, "seq_len": [20], "steps": 40, "check_every": 2, "learning_rate": [1e-3]}
    decay = rows_of(measured("learning", **axes), "decay")
    assert sorted(set(decay["step"])) == [0, 4, 10, 16, 20, 24, 30, 36, 40]
    sizes = decay.groupby("step").size()
    assert sizes[0] == sizes[40] == 21
    assert (sizes.drop([0, 40]) <= 8).all()
    assert not decay.duplicated(["step", "lag"]).any()
    along = decay[decay["step"] == 20].set_index("lag")["log10_spectral_norm"]
    assert along.index.tolist()[-1] == 20
    shorter = rows_of(measured("learning", **{**axes, "steps": 20}), "decay")
    ends = shorter[shorter["step"] == 20].set_index("lag")["log10_spectral_norm"]
    np.testing.assert_allclose(along.astype(float), ends[along.index].astype(float), rtol=1e-9)


def test_a_training_that_is_solved_at_an_interval_has_one_decay_there() -> None:
    decay = rows_of(measured("learning", **{**TINY, "check_every": 10}), "decay")
    assert len(set(decay["step"])) > 2
    assert not decay.duplicated(["step", "lag"]).any()
    assert (decay[decay["step"] == decay["step"].max()]["lag"] == np.arange(7)).all()


@pytest.mark.parametrize(("cell", "gate"), [("gru", "n"), ("lstm", "g"), ("lstm_no_input_gate", "g")])
def test_of_a_gated_cell_the_radius_is_the_candidates(cell: str, gate: str) -> None:
    still = {"cell": [cell], "learning_rate": [1e-30], "steps": 2, "check_every": 1}
    found = measured("learning", **{**TINY, **still})
    scores, steps = rows_of(found, "score"), rows_of(found, "step")
    start = initialize("pytorch_uniform", cell, 2, 16, seed=0)
    block = CELLS[cell].gate(start.weight_hh, gate)
    expected = np.abs(np.linalg.eigvals(block)).max()
    np.testing.assert_allclose(scores["spectral_radius"].astype(float), expected, rtol=1e-5)
    np.testing.assert_allclose(steps["spectral_radius"].astype(float), expected, rtol=1e-5)


def test_the_radius_is_that_after_each_step() -> None:
    """Where a score is taken after every step, both look at the same weights."""
    found = measured("learning", **{**TINY, "cell": ["rnn_tanh"], "steps": 6, "check_every": 1})
    steps, scores = (rows_of(found, q)["spectral_radius"].astype(float) for q in ("step", "score"))
    assert len(set(steps)) == 6
    assert steps.tolist() == scores.tolist()


def test_nothing_is_looked_at_between_steps_that_are_timed() -> None:
    found = measured("time_to_solve", **{**TINY, "steps": 6, "check_every": 3})
    assert rows_of(found, "step")["spectral_radius"].isna().all()
    assert rows_of(found, "score")["spectral_radius"].notna().all()


def test_the_radius_of_one_matrix_only() -> None:
    assert spectral_radius(np.diag([0.5, -2.0])) == pytest.approx(2.0)
    assert spectral_radius(np.array([[0.5, 9.0], [0.0, 0.25]])) == pytest.approx(0.5)  # not the norm
    assert spectral_radius(np.ones((4, 2))) is None
    assert spectral_radius(np.full((2, 2), np.nan)) is None
