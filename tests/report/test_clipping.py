"""What is said and drawn of clipping in one pass: held against rules whose results are known."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report import write_report
from harness.report.claim import CLAIMS
from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES, Picture
from harness.report.questions import SECTIONS
from tests.report.synthetic import Item, write_run

LENGTH = 12
NORMS = {0.8: 4.0, 2.5: 500.0}
AT_PARAMETERS = ("global_norm", "global_norm_pascanu", "lecture_squared_norm")


def clipped(rule: str, place: str, gain: float, threshold: float | None, **more: Any) -> Item:
    norm, c = NORMS[gain], threshold or 1.0
    after = c / norm if rule == "lecture_squared_norm" else min(norm, c)
    before = [lag * 0.1 for lag in range(LENGTH + 1)]
    axes = {
        "backend": "numpy", "cell": "rnn_tanh", "initialization": "gaussian", "gain": gain, "inputs": "noise",
        "seq_len": LENGTH, "hidden_size": 8, "batch_size": 4, "loss": "last", "seed": 0, "steps": None,
        "rule": rule, "place": place, "threshold": threshold, **more,
    }  # fmt: skip
    shift = 0.0 if place == "parameters" else 1.0
    columns = {
        "lag": list(range(LENGTH + 1)),
        "log10_norm_unclipped": before,
        "log10_norm_clipped": [value - shift for value in before],
    }
    facts = {
        "parameter_norm_unclipped": norm, "parameter_norm_clipped": after, "cosine": 1.0,
        "clipped_steps_fraction": 0.0, "clipped_samples_fraction": 0.0, "non_finite": 0,
    }  # fmt: skip
    return Case("clipping", axes), Measured(columns, facts)


def passes() -> Iterator[Item]:
    for gain in NORMS:
        for threshold in (0.25, 1.0):
            yield from (clipped(rule, "parameters", gain, threshold) for rule in AT_PARAMETERS)
            yield clipped("lecture_squared_norm", "state", gain, threshold)
        yield clipped("truncated", "state", gain, None, steps=3)
    yield clipped("global_norm", "parameters", 0.8, 1.0, seq_len=LENGTH, loss="all")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run.read(write_run(tmp_path_factory.mktemp("clipping"), list(passes())))


def drawn(run: Run, name: str) -> Picture:
    with style():
        (picture,) = FIGURES[name].draw(run)
    return picture


def test_the_snippet_is_told_by_its_numbers(run: Run) -> None:
    found = SECTIONS["clipping"].answer(run)
    assert found is not None
    assert [detail for detail in found.details if "squared norm" in detail] == [
        "lecture_squared_norm with threshold 0.25 divides by the squared norm, so that a gradient of norm n "
        "leaves with 0.25/n, the smaller the larger it came: 4.00 to 0.0625 and 500 to 5.00·10⁻⁴, where "
        "clipping by the norm leaves 0.25; norms from 0.25 to 0.500, which that cuts, it leaves as they are.",
        "lecture_squared_norm with threshold 1 divides by the squared norm, so that a gradient of norm n "
        "leaves with 1/n, the smaller the larger it came: 4.00 to 0.250 and 500 to 0.00200, where clipping "
        "by the norm leaves 1.",
    ]


def test_the_snippet_is_told_by_single_gradients(tmp_path: Path) -> None:
    """Of two seeds, the medians before and after are not of one gradient."""
    listed = [with_facts("lecture_squared_norm", n, 0, before=n, after=1.0 / n) for n in (2.0, 500.0)]
    found = SECTIONS["clipping"].answer(Run.read(write_run(tmp_path, listed)))
    assert found is not None
    (told,) = [detail for detail in found.details if "squared norm" in detail]
    assert "2.00 to 0.500 and 500 to 0.00200, where" in told


def with_facts(rule: str, seed: float, change: int, place: str = "parameters", **facts: Any) -> Item:
    """A pass whose parameter gradient has the norms `before` and `after`, and this `cosine`."""
    case, found = clipped(rule, place, 0.8, 1.0, seed=int(seed), hidden_size=8 + change)
    assert isinstance(found, Measured)
    given = {"parameter_norm_unclipped": facts["before"], "parameter_norm_clipped": facts["after"]}
    return case, Measured(found.columns, found.facts | given | {"cosine": facts.get("cosine", 1.0)})


def details(tmp_path: Path, *listed: Item) -> tuple[str, ...]:
    found = SECTIONS["clipping"].answer(Run.read(write_run(tmp_path, list(listed))))
    assert found is not None
    return found.details


def test_passes_without_a_direction_are_told_with_their_reason(tmp_path: Path) -> None:
    found = details(
        tmp_path,
        with_facts("value", 0, 0, before=9.0, after=1.0, cosine=0.5),
        with_facts("value", 1, 0, before=0.0, after=0.0, cosine=None),
        with_facts("value", 0, 1, before=math.inf, after=1.0, cosine=None),
    )
    assert found[0] == (
        "value on parameters: the parameter gradient became smaller in 2 of 2 settings (clipped in 2 of 3 "
        "passes); its direction turned, down to a cosine of 0.500 with the unclipped one; 2 passes had no "
        "direction, before clipping or after: zero in 1 and not finite in 1."
    )


def test_a_rule_of_which_no_pass_had_a_direction_is_not_left_out(tmp_path: Path) -> None:
    found = details(tmp_path, with_facts("value", 0, 0, "state", before=3.0, after=0.0, cosine=None))
    assert found[0] == (
        "value on state: the parameter gradient became smaller in 1 of 1 setting; it had no direction to "
        "compare; 1 pass had no direction, before clipping or after: zero in 1."
    )


def test_a_finished_gradient_has_passes_and_no_steps_that_were_clipped(run: Run, tmp_path: Path) -> None:
    listed = [with_facts("value", n, 0, before=4.0, after=1.0 if n else 4.0) for n in range(4)]
    listed.append(with_facts("value", 0, 0, "state", before=4.0, after=1.0))
    found = SECTIONS["clipping"].answer(Run.read(write_run(tmp_path, listed)))
    assert found is not None
    assert found.table is not None
    names = ("place", "steps clipped (%)", "of samples (%)", "of passes (%)")
    columns = [found.table.columns.index(name) for name in names]
    shown = [tuple(row[column] for column in columns) for row in found.table.rows]
    assert shown == [("parameters", "–", "–", "75.0"), ("state", "0", "0", "–")]
    assert "(clipped in 3 of 4 passes)" in found.details[0]


def test_a_run_without_clipping_says_so(tmp_path: Path) -> None:
    listed = [clipped("none", "parameters", 0.8, None)]
    page = write_report(write_run(tmp_path / "run", listed)).read_text(encoding="utf-8")
    assert "Only none was measured: nothing was clipped." in page
    assert "does not answer this" not in page


def test_where_whole_trainings_were_clipped_it_says_where_they_are(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    heading = SECTIONS["clipped_training"].heading
    found = SECTIONS["clipping"].answer(run)
    assert found is not None
    assert not any(heading in detail for detail in found.details)
    monkeypatch.setattr("harness.report.sections.clipping.clipped_trainings", lambda run: object())
    found = SECTIONS["clipping"].answer(run)
    assert found is not None
    assert found.details[-1] == f"All this is of single passes; of whole trainings see “{heading}”."


def test_the_network_that_met_most_rules_comes_first(run: Run) -> None:
    found = SECTIONS["clipping"].answer(run)
    assert found is not None
    assert found.table is not None
    gain, rule = (found.table.columns.index(name) for name in ("gain", "rule"))
    rows = [(row[gain], row[rule]) for row in found.table.rows]
    assert [row[0] for row in rows[:9]] == ["2.5"] * 9
    assert ("2.5", "truncated after 3 steps") in rows[:9]
    assert "steps" not in found.table.columns


def test_the_snippet_falls_where_the_norm_rules_are_level(run: Run) -> None:
    data = drawn(run, "clipped_norms").data
    for (rule, c), part in data.groupby(["rule", "threshold"]):
        after = part.set_index("parameter_norm_unclipped")["parameter_norm_clipped"].to_dict()
        falls = rule == "lecture_squared_norm"
        assert after == {norm: c / norm if falls else c for norm in NORMS.values()}


def test_two_rules_alone_have_no_figure(tmp_path: Path) -> None:
    few = [clipped(rule, "parameters", 0.8, 1.0) for rule in AT_PARAMETERS[1:]]
    assert not list(FIGURES["clipped_norms"].draw(Run.read(write_run(tmp_path, few))))


def test_no_title_is_wider_than_its_panel(run: Run) -> None:
    picture = drawn(run, "clipping")
    titles = [axes.get_title() for axes in picture.figure.axes]
    assert max(len(line) for title in titles for line in title.split("\n")) <= 24
    assert not any("loss\n" in title for title in titles)
    assert any(title.endswith("lecture_squared_norm\non state") for title in titles)
    assert any(title.endswith("any of 3 rules\non parameters") for title in titles)


def test_a_rule_that_bounds_each_tensor_is_not_held_to_bound_them_all(tmp_path: Path) -> None:
    case, found = clipped("per_tensor_norm", "parameters", 0.8, 1.0)
    assert isinstance(found, Measured)
    twice = Measured(found.columns, {**found.facts, "parameter_norm_clipped": 2.0})
    listed = [clipped("global_norm", "parameters", 0.8, 1.0), (case, twice)]
    claimed = CLAIMS["C4"].judge(Run.read(write_run(tmp_path, listed)))
    assert claimed is not None
    assert claimed.effect.endswith("explosion (check of one pass): 1.00 (1 clipped pass)")
