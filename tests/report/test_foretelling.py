"""Shares of pairs against their definitions, and what is said of a run whose trainings are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from harness.case import Case
from harness.outcome import Measured
from harness.report.frames import Run
from harness.report.questions import SECTIONS
from harness.report.summaries.foretelling import foretelling, predictors, share_of_pairs
from tests.report.synthetic import Item, write_run
from tests.report.synthetic_claims import training
from tests.report.test_learning import trainings

ONE = np.zeros(40)
EACH = np.arange(40)


def test_of_solved_and_not_it_is_the_area_under_the_curve() -> None:
    rng = np.random.default_rng(0)
    values, solved = rng.integers(0, 9, 40).astype(float), rng.random(40) < 0.4
    found = share_of_pairs(values, np.where(solved, 0.0, np.inf), ONE, EACH)
    assert found is not None
    assert found.value == pytest.approx(roc_auc_score(solved, values))
    assert found.pairs == solved.sum() * (~solved).sum()


def test_where_all_solved_it_is_somers_d() -> None:
    rng = np.random.default_rng(1)
    values, took = rng.standard_normal(40), rng.permutation(40).astype(float)
    found = share_of_pairs(values, took, ONE, EACH)
    assert found is not None
    assert 2 * found.value - 1 == pytest.approx(-stats.somersd(took, values).statistic)


def test_pairs_are_within_a_stratum() -> None:
    """In each of two the larger value wins; between the two it would lose."""
    values = np.array([1.0, 0.0, 11.0, 10.0])
    took = np.array([5.0, np.inf, 7.0, np.inf])
    apart = share_of_pairs(values, took, np.array([0, 0, 1, 1]), np.arange(4))
    together = share_of_pairs(values, took, np.zeros(4), np.arange(4))
    assert apart is not None
    assert together is not None
    assert (apart.value, apart.pairs) == (1.0, 2)
    assert (together.value, together.pairs) == (3 / 5, 5)
    assert np.isnan(apart.low)  # of two settings in a stratum nothing can be drawn


def test_what_never_differs_has_no_pairs() -> None:
    assert share_of_pairs(np.arange(3.0), np.full(3, np.inf), np.zeros(3), np.arange(3)) is None


def test_the_interval_is_of_settings_and_not_of_seeds() -> None:
    """Ten seeds of each setting that all say the same do not make the interval narrower."""
    rng = np.random.default_rng(2)
    values, solved = rng.standard_normal(12), rng.random(12) < 0.5
    took = np.where(solved, 0.0, np.inf)
    once = share_of_pairs(values, took, np.zeros(12), np.arange(12))
    often = share_of_pairs(
        np.repeat(values, 10), np.repeat(took, 10), np.zeros(120), np.repeat(np.arange(12), 10)
    )
    assert once is not None
    assert often is not None
    assert (once.value, once.low, once.high) == pytest.approx((often.value, often.low, often.high))
    assert 0.2 < once.high - once.low < 1.0


def test_the_interval_covers_the_truth() -> None:
    """Solved with values from N(1, 1), not with N(0, 1): the area is Φ(1/√2)."""
    truth, covered = stats.norm.cdf(1 / np.sqrt(2)), 0
    rng = np.random.default_rng(3)
    for _ in range(60):
        solved = np.arange(40) < 20
        values = rng.standard_normal(40) + solved
        found = share_of_pairs(values, np.where(solved, 0.0, np.inf), ONE, EACH)
        assert found is not None
        covered += found.low <= truth <= found.high
    assert covered >= 51  # of 60 at 95 %, fewer than 51 once in 2000


def test_one_setting_that_fails_gives_no_interval() -> None:
    took = np.array([1.0, 2.0, 3.0, np.inf])
    found = share_of_pairs(-took, took, np.zeros(4), np.arange(4))
    assert found is not None
    assert not np.isnan(found.low)  # who was sooner: several on either side
    solved = np.where(np.isfinite(took), 0.0, np.inf)
    alone = share_of_pairs(-took, solved, np.zeros(4), np.arange(4))
    assert alone is not None
    assert alone.value == 1.0
    assert np.isnan(alone.low)
    assert np.isnan(alone.high)


def test_larger_means_better_of_each_quantity() -> None:
    frame = pd.DataFrame(
        {
            "log10_norm_before": [-3.0, 0.5, 2.0, -np.inf],
            "half_life_before": [4.0, None, 50.0, 1.0],
            "seq_len": [20, 20, 100, 20],
        }
    )
    found = predictors(frame)
    assert found["norm"].tolist() == [-3.0, 0.5, 2.0, -np.inf]
    assert found["closeness"].tolist() == [-3.0, -0.5, -2.0, -np.inf]
    assert found["half-life"].tolist() == [0.2, np.inf, 0.5, 0.05]


def test_what_is_said_of_a_run(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path / "run", list(trainings())))
    found = SECTIONS["foretelling"].answer(run)
    assert found is not None
    assert found.sentence == (
        "Yes: the training that solved had the larger ‖∂h_T/∂h_0‖₂ before its first step in "
        "100 % [100 %, 100 %] of pairs of the same task and T (solved by 6 of 18 trainings)."
    )
    summary = foretelling(run)
    assert summary is not None
    assert set(summary.rows["seq_len"]) == {"all", "any", 20, 40}
    half_life = summary.rows.set_index(["seq_len", "predictor"]).loc[("all", "half-life")]
    # rnn_tanh has the learner's own (a tie), rnn_relu none that ends
    assert half_life["auc"] == pytest.approx(0.25)


def test_of_too_few_settings_no_share_is_told_as_an_answer(tmp_path: Path) -> None:
    alike = [item for item in trainings() if item[0].axes["cell"] in ("rnn_tanh", "gru")]
    found = SECTIONS["foretelling"].answer(Run.read(write_run(tmp_path / "run", alike)))
    assert found is not None
    assert found.sentence.startswith("Too few settings to say: the task was solved by ")
    assert "%" not in found.sentence
    assert found.table is not None  # what there is stands there


def test_the_opposite_is_said_too(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path / "run", list(trainings(learner="rnn_relu", gone="none"))))
    summary = foretelling(run)
    assert summary is not None
    norm = summary.rows.set_index(["seq_len", "predictor"]).loc[("all", "norm")]
    assert norm["auc"] == norm["auc_high"] == 0.0


def test_pairs_of_one_cell_are_counted_apart(tmp_path: Path) -> None:
    """In each of two cells the larger norm solves; the cell with all the smaller ones solves more often."""
    starts = ("orthogonal", "identity", "irnn", "gaussian")
    items = [
        *(item for place, start in enumerate(starts) for item in training(
            "gru", "solved" if place else "not solved", norm=-20.0 + place, initialization=start)),
        *(item for place, start in enumerate(starts) for item in training(
            "rnn_tanh", "not solved" if place < 3 else "solved", norm=-10.0 + place, initialization=start)),
    ]  # fmt: skip
    run = Run.read(write_run(tmp_path / "run", items))
    summary = foretelling(run)
    assert summary is not None
    rows = summary.rows[(summary.rows["seq_len"] == "all") & (summary.rows["predictor"] == "norm")]
    shares = rows.set_index("cells")["auc"]
    # of 4 settings solved and 4 that did not: 3 + 3 within a cell, and 1 of the 10 between the two
    assert shares["each"] == 1.0
    assert shares["any"] == pytest.approx((3 + 3 + 1) / 16)
    found = SECTIONS["foretelling"].answer(run)
    assert found is not None
    assert found.sentence.startswith("Not beyond chance, where cells differ; within one cell: yes: ")
    assert "and in 100 % [100 %, 100 %] of those of one cell" in found.sentence
    assert found.table is not None
    assert {row[found.table.columns.index("cells")] for row in found.table.rows} == {"any", "one"}


def test_only_what_was_trained_in_one_way_is_compared(tmp_path: Path) -> None:
    """Another way in which nobody solves, with the largest norms of all, is no evidence."""

    def hopeless(item: Item) -> Item:
        case, outcome = item
        assert isinstance(outcome, Measured)
        facts = {**outcome.facts, "solved": False, "solved_at_step": None, "log10_norm_before": 5.0}
        return Case("learning", {**case.axes, "optimizer": "sgd"}), Measured(outcome.columns, facts)

    items = [*trainings(), *map(hopeless, trainings())]
    found = foretelling(Run.read(write_run(tmp_path / "run", items)))
    assert found is not None
    assert (found.rows[found.rows["predictor"] == "norm"]["auc"] == 1.0).all()


def test_ways_of_training_are_told_apart_where_there_are_two(tmp_path: Path) -> None:
    way = {"optimizer": "adam", "learning_rate": 0.1, "momentum": None}
    others = [(Case("learning", {**case.axes, **way}), outcome) for case, outcome in trainings()]
    for name, items in (("one", list(trainings())), ("two", [*trainings(), *others])):
        found = SECTIONS["foretelling"].answer(Run.read(write_run(tmp_path / name, items)))
        assert found is not None
        assert found.table is not None
        assert ("trained by" in found.table.columns) == (name == "two")
        if name == "two":
            place = found.table.columns.index("trained by")
            ways = {row[place] for row in found.table.rows}
            assert ways == {"all", "200 steps of B=4", "adam 0.1, 200 steps of B=4"}


def test_nothing_is_said_where_all_ended_alike(tmp_path: Path, run: Run) -> None:
    assert SECTIONS["foretelling"].answer(run) is None
    alike = [item for item in trainings() if item[0].axes["cell"] == "gru"]
    assert foretelling(Run.read(write_run(tmp_path / "run", alike))) is None
