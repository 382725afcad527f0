"""What is said of clipping over training: held against a run in which every training is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report import write_report
from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS
from harness.report.summaries.clipped_training import clipped_trainings
from tests.report.synthetic import Item, write_run
from tests.report.synthetic_claims import training

CLIPPINGS = (
    ("none", "parameters", None),
    ("global_norm", "parameters", 1.0),
    ("per_sample_norm", "state", 0.1),
)
SEEDS = (0, 1, 2)


def trainings(gains: tuple[float, ...] = (0.8, 2.5)) -> Iterator[Item]:
    """At gain 2.5 whoever does not clip diverges at step 7 + seed, with a loss of 100 before; clipping of the
    parameters leaves half-lives as they are, clipping at the state doubles them."""
    for gain, (rule, place, threshold), seed in itertools.product(gains, CLIPPINGS, SEEDS):
        explodes = gain > 1.0 and rule == "none"
        half_life = 4.0 if gain < 1.0 else None
        after = None if half_life is None else half_life * (2.0 if place == "state" else 1.0)
        axes = {
            "backend": "numba", "task": "temporal_order", "cell": "rnn_tanh", "initialization": "gaussian",
            "gain": gain, "forget_bias": None, "rule": rule, "place": place, "threshold": threshold,
            "truncate": None, "seq_len": 20, "hidden_size": 8, "seed": seed,
        }  # fmt: skip
        last = 6 + seed if explodes else 10
        falls = math.log10(0.5) / (after or -4.0)
        rows = [("decay", 0, None, None, lag, -0.1 * lag) for lag in (0, 10, 20)]
        rows += [("step", n, 1.4, None, None, None) for n in range(1, last)]
        rows += [("step", last, 100.0 if explodes else 1.3, None, None, None)]
        rows += [("score", 5, 1.2, 0.7, None, None)]
        rows += [("decay", last, None, None, lag, falls * lag) for lag in (0, 10, 20)]
        names = ("quantity", "step", "loss", "error_rate", "lag", "log10_spectral_norm")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        facts = {
            "baseline": math.log(4), "criterion": "all", "solved": False, "solved_at_step": None,
            "diverged_at_step": last + 1 if explodes else None, "half_life_before": half_life,
            "half_life_after": after, "horizon_before": None, "rate_before": -0.2, "log10_norm_before": -2.0,
            "log10_norm_after": falls * 20, "steps_done": last, "training_seconds": 1.0,
            "clipped_share": None if rule == "none" else 0.25,
        }  # fmt: skip
        yield Case("learning", axes), Measured(columns, facts)


def test_who_diverged_and_how_far_the_gradient_reaches(tmp_path: Path) -> None:
    found = SECTIONS["clipped_training"].answer(Run.read(write_run(tmp_path / "run", list(trainings()))))
    assert found is not None
    assert found.sentence == (
        "Of the networks that explode without clipping, 3 of 3 do not when clipped on the parameters and 3 "
        "of 3 on the state; of those that do not solve their task without it, 0 of 6 do when clipped on the "
        "parameters and 0 of 6 on the state."
    )
    assert found.details == (
        "global_norm on the parameters: 3 of 3 that exploded no longer do (0 of them solve their task), 0 of "
        "6 that did not solve their task now do.",
        "per_sample_norm on the state: 3 of 3 that exploded no longer do (0 of them solve their task), 0 of "
        "6 that did not solve their task now do.",
        "gain 0.8: half-life 4.00 steps before training; after it 4.00 steps without clipping and from 4.00 "
        "steps (global_norm 1) to 8.00 steps (per_sample_norm 0.1 at state) with it.",
        "gain 2.5: half-life beyond T before training; after it beyond T without clipping and from beyond T "
        "(global_norm 1) to beyond T (per_sample_norm 0.1 at state) with it.",
    )
    assert found.table is not None
    rows = {row[:4]: row for row in found.table.rows}
    gone = rows["2.5", "none", "–", "–"]
    assert gone[4:10] == ("3 of 3", "8", "0 of 3", "1.20", "1.39", "100")
    kept = rows["0.8", "per_sample_norm", "state", "0.1"]
    assert kept[4:6] == ("0 of 3", "–")
    assert kept[10:13] == ("25 %", "4.00", "8.00")


def test_networks_are_counted_beside_themselves_by_their_best_threshold(tmp_path: Path) -> None:
    """A network solves with 0.1, none with 1; one that solved without clipping does with neither."""
    none: dict[str, Any] = {"rule": "none", "threshold": None}
    items = [
        *training("rnn_tanh", "not solved", seeds=[0, 1], **none),
        *training("rnn_tanh", "solved", seeds=[2], **none),
        *training("rnn_tanh", "solved", seeds=[0], threshold=0.1),
        *training("rnn_tanh", "not solved", seeds=[1, 2], threshold=0.1),
        *training("rnn_tanh", "not solved", seeds=[0, 1, 2], threshold=1.0),
        *training("rnn_tanh", "solved", seeds=[7], threshold=1.0),  # beside nothing
    ]
    found = SECTIONS["clipped_training"].answer(Run.read(write_run(tmp_path / "run", items)))
    assert found is not None
    assert found.sentence == (
        "No network explodes without clipping; of those that do not solve their task without it, 1 of 2 do "
        "when clipped on the parameters."
    )
    assert found.details[0] == (
        "global_norm on the parameters: 1 of 2 that did not solve their task now do, 0 of 1 that solved "
        "their task still do."
    )


def test_where_nothing_was_trained_without_clipping_nothing_is_counted(tmp_path: Path) -> None:
    listed = [item for item in trainings() if item[0].axes["rule"] != "none"]
    found = SECTIONS["clipped_training"].answer(Run.read(write_run(tmp_path / "run", listed)))
    assert found is not None
    assert found.sentence == "4 settings under several clippings, none of whose networks was trained without."


def test_a_reach_that_was_not_measured_is_unknown_and_not_beyond_t(tmp_path: Path) -> None:
    """Trainings that diverged before their first good step have no network after training."""

    def gone(item: Item) -> Item:
        case, outcome = item
        assert isinstance(outcome, Measured)
        if outcome.facts["diverged_at_step"] is None:
            return item
        facts = {**outcome.facts, "half_life_after": None, "log10_norm_after": None}
        kept = [i for i, (q, n) in enumerate(_kinds(outcome)) if q != "decay" or n == 0]
        return case, Measured({name: [v[i] for i in kept] for name, v in outcome.columns.items()}, facts)

    run = Run.read(write_run(tmp_path / "run", [gone(item) for item in trainings()]))
    found, drawn = SECTIONS["clipped_training"].answer(run), clipped_trainings(run)
    assert found is not None
    assert found.table is not None
    assert drawn is not None
    assert "after it unknown without clipping and from beyond T" in found.details[-1]
    row = next(row for row in found.table.rows if row[:2] == ("2.5", "none"))
    assert row[-4:] == ("beyond T", "–", "0.0100", "–")
    after = drawn.decays[drawn.decays["when"] == "after"]
    assert "no clipping" not in set(after.loc[after["gain"] == 2.5, "clipped"])


def _kinds(outcome: Measured) -> list[tuple[Any, Any]]:
    return list(zip(outcome.columns["quantity"], outcome.columns["step"], strict=True))


def test_one_clipping_is_no_range(tmp_path: Path) -> None:
    listed = [item for item in trainings() if item[0].axes["rule"] in ("none", "global_norm")]
    found = SECTIONS["clipped_training"].answer(Run.read(write_run(tmp_path / "run", listed)))
    assert found is not None
    assert found.details[1].endswith(
        "after it 4.00 steps without clipping and 4.00 steps (global_norm 1) with it."
    )


def test_the_curves_are_those_before_and_after(tmp_path: Path) -> None:
    found = clipped_trainings(Run.read(write_run(tmp_path / "run", list(trainings()))))
    assert found is not None
    decays = found.decays[(found.decays["gain"] == 0.8) & (found.decays["lag"] == 20)]
    ends = decays.set_index(["clipped", "when"])["log10_spectral_norm"]
    assert ends["no clipping", "before"] == pytest.approx(-2.0)
    assert ends["no clipping", "after"] == pytest.approx(5 * math.log10(0.5))
    assert ends["per_sample_norm 0.1 at state", "after"] == pytest.approx(2.5 * math.log10(0.5))
    losses = found.losses[(found.losses["gain"] == 2.5) & (found.losses["clipped"] == "no clipping")]
    # three seeds that end at steps 6, 7 and 8
    assert losses["step"].tolist() == list(range(1, 9))
    assert losses["loss"].tolist()[-3:] == [1.4, 50.7, 100.0]


def test_of_a_norm_and_an_exact_zero_there_is_no_mean(tmp_path: Path) -> None:
    def dead(item: Item) -> Item:
        case, outcome = item
        assert isinstance(outcome, Measured)
        norms = [-math.inf if lag == 20 else norm for lag, norm in _decay_rows(outcome)]
        return case, Measured({**outcome.columns, "log10_spectral_norm": norms}, outcome.facts)

    items = [item for item in trainings() if item[0].axes["seed"] < 2]
    items = [dead(item) if item[0].axes["seed"] == 1 else item for item in items]
    found = clipped_trainings(Run.read(write_run(tmp_path / "run", items)))
    assert found is not None
    rows = found.decays[found.decays["lag"] == 20]
    assert (rows["log10_spectral_norm"] == -math.inf).all()


def _decay_rows(outcome: Measured) -> list[tuple[Any, Any]]:
    return list(zip(outcome.columns["lag"], outcome.columns["log10_spectral_norm"], strict=True))


def test_one_clipping_alone_is_no_comparison(tmp_path: Path) -> None:
    one = [item for item in trainings() if item[0].axes["rule"] == "none"]
    run = Run.read(write_run(tmp_path / "run", one))
    assert clipped_trainings(run) is None
    assert SECTIONS["clipped_training"].answer(run) is None


def test_its_figure_is_in_the_report(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", list(trainings()))
    write_report(folder)
    assert (folder / "figures" / "clipped_training.png").stat().st_size > 20_000
    assert "clipped_training" in (folder / "report.md").read_text(encoding="utf-8")


def test_what_leaps_off_has_a_picture_of_its_own(tmp_path: Path) -> None:
    """Two gains at which nothing diverges are most of the run; one at which networks do has another size."""
    leaping = [
        (Case("learning", {**case.axes, "hidden_size": 16}), outcome) for case, outcome in trainings((2.5,))
    ]
    calm = list(trainings((0.7, 0.8)))
    with style():
        names = [
            [picture.name for picture in FIGURES["clipped_training"].draw(Run.read(write_run(folder, items)))]
            for folder, items in ((tmp_path / "calm", calm), (tmp_path / "both", [*calm, *leaping]))
        ]
    assert names == [["clipped_training"], ["clipped_training", "clipped_training_leaping"]]
