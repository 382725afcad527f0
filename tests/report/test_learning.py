"""What the report says of trainings is true: held against a run whose every training is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report import write_report
from harness.report.drawing import style
from harness.report.figures.learning_foretold import MOST_CELLS
from harness.report.frames import Run
from harness.report.pictures import FIGURES, Picture
from harness.report.questions import SECTIONS
from harness.report.summaries.learning import foretold, learnings, loss_of, trained
from harness.training.objectives import cross_entropy, squared_error
from harness.training.tasks import TASKS
from tests.report.synthetic import Item, write_run
from tests.report.synthetic_claims import training

SEEDS = (0, 1, 2)


def trainings(learner: str = "gru", gone: str = "rnn_relu") -> Iterator[Item]:
    """The learner solves its task at step 100 + 10·seed, one diverges at step 31, the others never do."""
    for cell, seq_len, seed in itertools.product(("rnn_tanh", "gru", "rnn_relu"), (20, 40), SEEDS):
        solved = cell == learner
        norm = {"gru": -2.0, "rnn_tanh": -8.0, "rnn_relu": -math.inf}[cell] - seed / 10
        axes = {
            "backend": "numba", "task": "adding", "cell": cell, "initialization": "orthogonal", "gain": 1.0,
            "forget_bias": None, "rule": "global_norm", "place": "parameters", "threshold": 1.0,
            "truncate": None, "seq_len": seq_len, "hidden_size": 8, "batch_size": 4, "steps": 200,
            "seed": seed,
        }  # fmt: skip
        at = 100 + 10 * seed
        rows = [
            ("decay", 0, None, None, 0, 0.0),
            ("decay", 0, None, None, seq_len, norm),
            ("step", 1, 0.2, None, None, None),
            ("score", 50, 0.16, 0.9, None, None),
            ("score", at, 0.005 if solved else 0.17, 0.0 if solved else 0.9, None, None),
        ]
        names = ("quantity", "step", "loss", "error_rate", "lag", "log10_spectral_norm")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        facts = {
            "baseline": 1 / 6, "criterion": "below 0.01", "solved": solved,
            "solved_at_step": at if solved else None, "diverged_at_step": 31 if cell == gone else None,
            "half_life_before": None if cell == "rnn_relu" else 3.0, "horizon_before": 12.0,
            "half_life_after": 5.0,
            "rate_before": -0.2, "log10_norm_before": norm, "log10_norm_after": -1.0,
            "steps_done": at if solved else 200, "training_seconds": 1.0, "clipped_share": None,
        }  # fmt: skip
        yield Case("learning", axes), Measured(columns, facts)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_the_axis_names_the_loss_that_a_task_has(name: str) -> None:
    expected = {squared_error: "mean squared error", cross_entropy: "cross-entropy (nats)"}
    assert loss_of(name) == expected[TASKS[name].objective]
    assert loss_of("somebody's own") == "loss"


def test_who_solves_soon_is_drawn_though_it_was_checked_less_often(tmp_path: Path) -> None:
    """Twelve networks and room for eight: each cell is there, the learner with two checks of each training
    beside five of the others' too."""
    items = []
    for case, outcome in trainings():
        assert isinstance(outcome, Measured)
        for start in ("orthogonal", "identity", "gaussian", "xavier_uniform"):
            columns = dict(outcome.columns)
            if case.axes["cell"] != "gru":
                later = {"quantity": "score", "step": 150, "loss": 0.17, "error_rate": 0.9}
                columns = {name: [*column, *[later.get(name)] * 3] for name, column in columns.items()}
                columns["step"] = [*columns["step"][:-3], 150, 160, 170]
            axes = {**case.axes, "initialization": start}
            items.append((Case("learning", axes), Measured(columns, outcome.facts)))
    with style():
        (picture,) = FIGURES["learning_curves"].draw(Run.read(write_run(tmp_path / "run", items)))
    assert set(picture.data["cell"]) == {"rnn_tanh", "gru", "rnn_relu"}
    assert "Of 12 networks the 8 that solve most often, of each cell its best." in picture.caption
    shown = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert "gru, orthogonal" in shown
    assert not any("global_norm 1" in text for text in shown)  # what all share is in the title
    assert "global_norm 1" in picture.title


def test_the_one_start_that_solves_is_drawn_though_others_were_tried_more_often(tmp_path: Path) -> None:
    starts = ("orthogonal", "identity", "gaussian", "xavier_uniform", "xavier_normal")
    items = [
        *(item for cell in ("rnn_tanh", "lstm") for start in starts
          for item in training(cell, "not solved", initialization=start)),
        *training("lstm", "solved", initialization="chrono", seeds=(0,)),
    ]  # fmt: skip
    with style():
        (picture,) = FIGURES["learning_curves"].draw(Run.read(write_run(tmp_path / "run", items)))
    shown = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert "lstm, chrono" in shown
    assert sum(text.startswith("rnn_tanh") for text in shown) == 4


def test_the_sentences_count(tmp_path: Path) -> None:
    found = SECTIONS["learning"].answer(Run.read(write_run(tmp_path / "run", list(trainings()))))
    assert found is not None
    assert found.sentence == (
        "At adding, T=40, the longest tried: rnn_tanh 0 of 3, gru 3 of 3, rnn_relu 0 of 3 solved it; in all, "
        "6 of 18 trainings solved their task, 6 diverged."
    )
    assert found.details[0] == (
        "adding at T=20: solved by rnn_tanh 0 of 3, gru 3 of 3 (first after 100 steps), rnn_relu 0 of 3."
    )
    assert found.table is not None
    learner = next(row for row in found.table.rows if row[1] == "gru")
    assert {"3 of 3", "110", "0.00500"} <= set(learner)
    assert {"0 of 3", "–", "none"} <= set(next(row for row in found.table.rows if row[1] == "rnn_relu"))


def sentence_of(folder: Path, items: list[Item]) -> str:
    found = SECTIONS["learning"].answer(Run.read(write_run(folder, items)))
    assert found is not None
    return found.sentence


def test_the_sentence_is_of_the_longest_that_anybody_solved(tmp_path: Path) -> None:
    """Of the task with most trainings, though another was solved at a longer one."""
    short = [item for item in trainings() if item[0].axes["seq_len"] == 20]
    nobody = [item for item in trainings(learner="none", gone="none") if item[0].axes["seq_len"] == 40]
    cells = "rnn_tanh 0 of 3, gru 3 of 3, rnn_relu 0 of 3 solved it; in all, "
    assert sentence_of(tmp_path / "both", [*short, *nobody]) == (
        f"At adding, T=20, the longest that was solved: {cells}3 of 18 trainings solved their task, "
        "3 diverged."
    )
    assert sentence_of(tmp_path / "short", short).startswith(f"At adding, T=20: {cells}3 of 9 ")
    assert sentence_of(tmp_path / "nobody", nobody) == "0 of 9 trainings solved their task."
    other = [
        (Case("learning", {**case.axes, "task": "multiplication", "seq_len": 80}), outcome)
        for case, outcome in short
    ]
    both = sentence_of(tmp_path / "tasks", [*short, *nobody, *other])
    assert both.startswith("At adding, T=20, the longest that was solved: ")
    assert sentence_of(tmp_path / "solved", [*nobody, *other]).startswith(
        "At multiplication, T=80: rnn_tanh 0 "
    )


def test_of_many_cells_the_sentence_names_those_that_solved(tmp_path: Path) -> None:
    short = [item for item in trainings() if item[0].axes["seq_len"] == 20]
    idle = next(item for item in short if item[0].axes["cell"] == "rnn_tanh")
    more = [(Case("learning", {**idle[0].axes, "cell": f"lstm_{i}"}), idle[1]) for i in range(4)]
    found = sentence_of(tmp_path / "run", [*short, *more])
    assert found.startswith("At adding, T=20: gru 3 of 3, 6 other cells 0 of 10 solved it; in all, 3 of 13 ")


def test_gradients_that_were_not_finite_are_told(tmp_path: Path) -> None:
    def with_count(item: Item, count: int) -> Item:
        case, outcome = item
        return case, Measured(outcome.columns, {**outcome.facts, "non_finite": count})

    for counts, told in (((3, 4, 0), ("In 2 of 18", "7 entries")), ((0, 0, 0), ())):
        listed = [with_count(item, counts[i] if i < 3 else 0) for i, item in enumerate(trainings())]
        folder = write_run(tmp_path / f"run{sum(counts)}", listed)
        found = SECTIONS["learning"].answer(Run.read(folder))
        assert found is not None
        sentences = [sentence for sentence in found.details if "NaN or infinite" in sentence]
        assert len(sentences) == bool(told)
        assert all(words in sentences[0] for words in told)


def test_a_norm_that_foretells_the_opposite_says_so(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path / "run", list(trainings(learner="rnn_relu", gone="none"))))
    found = learnings(run)
    assert found is not None
    told = foretold(found.trainings)
    assert told is not None
    assert told.share == 0.0
    assert (told.solved, told.unsolved) == (6, 12)
    assert foretold(found.trainings[found.trainings["end"] == "solved"]) is None


def test_its_figures_are_in_the_report(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", list(trainings()))
    write_report(folder)
    for name in ("learning_foretold", "learning_half_life", "learning_curves"):
        assert (folder / "figures" / f"{name}.png").stat().st_size > 10_000
        assert name in (folder / "report.md").read_text(encoding="utf-8")
    text = (folder / "figures" / "learning_curves.svg").read_text(encoding="utf-8")
    assert "mathdefault" not in text


@pytest.mark.parametrize("study", ["learning"])
def test_a_run_without_it_has_no_such_section(study: str, run: Run) -> None:
    assert SECTIONS[study].answer(run) is None


def test_how_it_was_trained_in_words() -> None:
    whole = {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, "steps": 1000, "batch_size": 32}
    assert trained(whole) == "sgd 0.1, momentum 0.9, 1,000 steps of B=32"
    assert trained({**whole, "momentum": None, "batch_size": None}) == "sgd 0.1, 1,000 steps"
    assert trained({"steps": 1}) == "1 step"


def test_what_was_trained_in_several_ways_says_how(tmp_path: Path) -> None:
    def faster(item: Item) -> Item:
        case, outcome = item
        axes = {**case.axes, "optimizer": "adam", "learning_rate": 0.1, "seq_len": 20, "momentum": None}
        return Case("learning", axes), outcome

    others = [faster(item) for item in trainings() if item[0].axes["seq_len"] == 20]
    found = SECTIONS["learning"].answer(Run.read(write_run(tmp_path / "run", [*trainings(), *others])))
    assert found is not None
    assert found.table is not None
    place = found.table.columns.index("trained by")
    assert {row[place] for row in found.table.rows} == {"200 steps of B=4", "adam 0.1, 200 steps of B=4"}


def test_panels_show_trainings_that_can_be_told_apart(tmp_path: Path) -> None:
    """A task that nobody solves says nothing of what foretells solving; it is shown where it is alone."""
    short = [item for item in trainings() if item[0].axes["seq_len"] == 20]
    nobody = [item for item in trainings(learner="none") if item[0].axes["seq_len"] == 40]
    for items, titles in (([*short, *nobody], ["adding, T=20"]), (nobody, ["adding, T=40"])):
        run = Run.read(write_run(tmp_path / f"run-{len(items)}", items))
        with style():
            pictures = list(FIGURES["learning_foretold"].draw(run))
        for picture in pictures:
            found = [panel.get_title().split(";")[0] for panel in picture.figure.axes if panel.get_title()]
            assert found == titles
            assert ("Left out: 1 panel in which" in picture.caption) == (len(items) > len(nobody))


def test_the_half_life_stands_beside_the_norm(tmp_path: Path) -> None:
    """In units of T, as log10; what never halves on the right edge, behind the largest number."""
    run = Run.read(write_run(tmp_path / "run", list(trainings())))
    with style():
        norm, half_life = FIGURES["learning_foretold"].draw(run)
    assert set(norm.data["seq_len"]) == set(half_life.data["seq_len"]) == {20, 40}
    titles = [panel.get_title() for panel in half_life.figure.axes]
    assert titles[0] == "adding, T=20; foretold 25 % of pairs"  # ties with one, loses against the other
    for panel, seq_len in zip(half_life.figure.axes, (20, 40), strict=True):
        offsets = np.concatenate([drawn.get_offsets() for drawn in panel.collections])
        expected = np.log10(3.0 / seq_len)
        assert np.isclose(offsets[:, 0], expected).sum() == 6
        edge = offsets[~np.isclose(offsets[:, 0], expected)]
        assert len(edge) == 3
        assert (edge[:, 0] > 0.0).all()
        assert panel.get_xlim()[1] > edge[0, 0]
    assert [tick.get_text() for tick in half_life.figure.axes[0].get_xticklabels()][-1] == "never"
    assert "Norms that do not fall, and never halve, stand on the right edge." in half_life.caption
    assert "left edge" not in half_life.caption
    assert "stand on the left edge" in norm.caption
    assert "right edge" not in norm.caption
    falling = [item for item in trainings() if item[0].axes["cell"] != "rnn_relu"]
    with style():
        norm, half_life = FIGURES["learning_foretold"].draw(Run.read(write_run(tmp_path / "fall", falling)))
    assert not any("edge" in picture.caption for picture in (norm, half_life))


def test_a_half_life_of_nothing_stands_on_the_left_edge(tmp_path: Path) -> None:
    items = []
    for case, outcome in trainings():
        assert isinstance(outcome, Measured)
        half_life = 0.0 if case.axes["cell"] == "rnn_relu" else 3.0
        items.append((case, Measured(outcome.columns, {**outcome.facts, "half_life_before": half_life})))
    with style():
        _, picture = FIGURES["learning_foretold"].draw(Run.read(write_run(tmp_path, items)))
    offsets = np.concatenate([drawn.get_offsets() for drawn in picture.figure.axes[0].collections])
    assert (offsets[:, 0] < np.log10(3.0 / 40)).sum() == 3
    assert offsets[:, 0].min() > picture.figure.axes[0].get_xlim()[0]
    assert "exactly zero, stand on the left edge" in picture.caption
    assert "right edge" not in picture.caption


def test_how_a_training_ended_is_where_its_mark_stands(tmp_path: Path) -> None:
    """The solved at their steps, above all steps those that did not, above these what diverged."""
    with style():
        pictures = list(FIGURES["learning_foretold"].draw(Run.read(write_run(tmp_path, list(trainings())))))
    for picture in pictures:
        panel = picture.figure.axes[0]
        heights = np.concatenate([drawn.get_offsets()[:, 1] for drawn in panel.collections])
        lanes = {t.get_text(): y for t, y in zip(panel.get_yticklabels(), panel.get_yticks(), strict=True)}
        assert sorted(heights) == [100, 110, 120, *[lanes["not solved"]] * 3, *[lanes["diverged"]] * 3]
        assert 200 < lanes["not solved"] < lanes["diverged"] < panel.get_ylim()[1]


def test_a_mark_says_where_a_training_started_and_whether_it_was_clipped(tmp_path: Path) -> None:
    """A training that nothing was clipped of lies on its like that was: the open mark is the larger one."""
    items = [item for item in trainings() if item[0].axes["seq_len"] == 20]
    for change in ({"rule": "none", "threshold": None}, {"initialization": "gaussian"}):
        items += [
            (Case("learning", {**case.axes, **change}), outcome) for case, outcome in items[: 3 * len(SEEDS)]
        ]
    with style():
        picture, _ = FIGURES["learning_foretold"].draw(Run.read(write_run(tmp_path / "run", items)))
    drawn = picture.figure.axes[0].collections
    filled, unfilled = ([c for c in drawn if bool(len(c.get_facecolor())) is kind] for kind in (True, False))
    assert min(c.get_sizes()[0] for c in unfilled) > 2 * max(c.get_sizes()[0] for c in filled)
    shapes = {len(c.get_paths()[0].vertices) for c in filled}
    assert len(shapes) == 2
    names = legend_of(picture)
    assert {"orthogonal", "gaussian", "filled: clipped", "open: not clipped"} <= set(names)


def legend_of(picture: Picture) -> list[str]:
    return [str(handle.get_label()) for handle in picture.figure.legends[0].legend_handles]


def test_the_legend_names_nothing_that_is_not_drawn(tmp_path: Path) -> None:
    """Six cells have a colour each, and none is another; nothing is open where all were clipped."""
    axes, measured = next(iter(trainings()))
    more = [(Case("learning", {**axes.axes, "cell": f"lstm_{i}"}), measured) for i in range(3)]
    short = [item for item in trainings() if item[0].axes["seq_len"] == 20]
    elsewhere = [  # a panel in which all ended alike is not drawn
        (Case("learning", {**case.axes, "cell": "lstm", "initialization": "chrono"}), outcome)
        for case, outcome in trainings(learner="none")
        if (case.axes["cell"], case.axes["seq_len"]) == ("rnn_tanh", 40)
    ]
    with style():
        pictures = FIGURES["learning_foretold"].draw(
            Run.read(write_run(tmp_path / "run", [*short, *more, *elsewhere]))
        )
        for picture in pictures:
            cells = ["rnn_tanh", "gru", "rnn_relu", "lstm_0", "lstm_1", "lstm_2"]
            assert legend_of(picture) == [*cells, "orthogonal"]
            assert set(picture.data["cell"]) == set(cells)


def test_where_every_training_diverges_at_once_a_figure_is_drawn(tmp_path: Path) -> None:
    """No step was done in any: the axis of steps still has a height, and no warning is given."""
    gone = [
        (case, Measured(found.columns, found.facts | {"steps_done": 0, "diverged_at_step": 1}))
        for case, found in trainings(learner="none")
        if isinstance(found, Measured)
    ]
    with style():
        pictures = list(FIGURES["learning_foretold"].draw(Run.read(write_run(tmp_path / "run", gone))))
        heights = [
            panel.get_ylim()[1]
            for picture in pictures
            for panel in picture.figure.axes
            if panel.get_visible()
        ]
    assert heights
    assert min(heights) > 1.0


def test_panels_name_whole_lengths_and_cells_beyond_the_colours_are_others(tmp_path: Path) -> None:
    axes = next(iter(trainings()))[0].axes
    measured = next(iter(trainings()))[1]
    more = [(Case("learning", {**axes, "cell": f"lstm_{i}"}), measured) for i in range(6)]
    run = Run.read(write_run(tmp_path / "run", [*trainings(), *more]))
    with style():
        foretold_, _ = FIGURES["learning_foretold"].draw(run)
        (curves,) = FIGURES["learning_curves"].draw(run)
    names = [handle.get_label() for handle in foretold_.figure.legends[0].legend_handles]
    assert names[:3] == ["rnn_tanh", "gru", "rnn_relu"]
    assert names[MOST_CELLS] == "other cells"
    for picture in (foretold_, curves):
        titles = [panel.get_title() for panel in picture.figure.axes]
        assert any(title.startswith("adding, T=20") for title in titles)
        assert not any("20.0" in title for title in titles)
