"""What the report says of trainings is true: held against a run whose every training is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report import write_report
from harness.report.drawing import style
from harness.report.figures.learning_foretold import MOST_CELLS
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS
from harness.report.summaries.learning import foretold, learnings, loss_of, trained
from harness.training.objectives import cross_entropy, squared_error
from harness.training.tasks import TASKS
from tests.report.synthetic import Item, write_run

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
    assert "Of 12 networks the 8 with most trainings." in picture.caption
    shown = [text.get_text() for text in picture.figure.legends[0].get_texts()]
    assert "gru, orthogonal" in shown
    assert not any("global_norm 1" in text for text in shown)  # what all share is in the title
    assert "global_norm 1" in picture.title


def test_the_sentences_count(tmp_path: Path) -> None:
    found = SECTIONS["learning"].answer(Run.read(write_run(tmp_path / "run", list(trainings()))))
    assert found is not None
    assert found.sentence == "6 of 18 trainings solved their task, 6 diverged."
    assert found.details[0] == (
        "adding at T=20: solved by rnn_tanh 0 of 3, gru 3 of 3 (first after 100 steps), rnn_relu 0 of 3."
    )
    assert found.table is not None
    learner = next(row for row in found.table.rows if row[1] == "gru")
    assert {"3 of 3", "110", "0.00500"} <= set(learner)
    assert {"0 of 3", "–", "none"} <= set(next(row for row in found.table.rows if row[1] == "rnn_relu"))


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
    for name in ("learning_foretold", "learning_curves"):
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
            (picture,) = FIGURES["learning_foretold"].draw(run)
        found = [panel.get_title().split(";")[0] for panel in picture.figure.axes if panel.get_title()]
        assert found == titles
        assert ("Left out: 1 panel in which" in picture.caption) == (len(items) > len(nobody))


def test_panels_name_whole_lengths_and_cells_beyond_the_colours_are_others(tmp_path: Path) -> None:
    axes = next(iter(trainings()))[0].axes
    measured = next(iter(trainings()))[1]
    more = [(Case("learning", {**axes, "cell": f"lstm_{i}"}), measured) for i in range(6)]
    run = Run.read(write_run(tmp_path / "run", [*trainings(), *more]))
    with style():
        (foretold_,) = FIGURES["learning_foretold"].draw(run)
        (curves,) = FIGURES["learning_curves"].draw(run)
    names = [handle.get_label() for handle in foretold_.figure.legends[0].legend_handles]
    assert names[:3] == ["rnn_tanh", "gru", "rnn_relu"]
    assert names[MOST_CELLS] == "other cells"
    for picture in (foretold_, curves):
        titles = [panel.get_title() for panel in picture.figure.axes]
        assert any(title.startswith("adding, T=20") for title in titles)
        assert not any("20.0" in title for title in titles)
