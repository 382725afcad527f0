"""What the report says of the LSTM's variants is true: held against runs whose every number was chosen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.plan_file import load_plan
from harness.report import write_report
from harness.report.claim import CLAIMS, UNDECIDED
from harness.report.drawing import style
from harness.report.figures.variants import VERDICTS
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS
from harness.report.sections.variants import PAPER
from harness.report.summaries.variants import variants
from implementations.registry import CELLS
from tests.report.synthetic import Item, write_run
from tests.report.synthetic_claims import decay, training

FEW, MANY = "lstm_coupled", "lstm_gate_recurrence"


def timed(**ratios: float) -> Iterator[Item]:
    """The LSTM takes 1 ms, a variant `ratio` times that; each process is 10 % slower than the one before."""
    for replicate in range(3):
        for cell, ratio in {"lstm": 1.0, **ratios}.items():
            axes = {
                "backend": "numba", "cell": cell, "pass": "training", "dtype": "float32", "seq_len": 8,
                "batch_size": 1, "input_size": 8, "hidden_size": 8,
            }  # fmt: skip
            columns = {
                "phase": ["sample"],
                "index": [0],
                "loops": [1],
                "seconds": [1e-3 * ratio * 1.1**replicate],
            }
            facts = {"flop": 1e6, "steps": 8, "num_threads": 1, "relative_error": 1e-7}
            yield Case("throughput", axes, replicate), Measured(columns, facts)


def agreeing(cell: str, error: float) -> Item:
    axes = {"backend": "numba", "cell": cell, "dtype": "float32", "seq_len": 8}
    columns = {
        "quantity": ["output", "grad_inputs"],
        "relative_error": [error / 2, error],
        "tolerance": [1e-4] * 2,
    }
    return Case("parity", axes), Measured(columns)


def everything() -> list[Item]:
    return [
        *training("lstm", "solved", loss=0.005, parameters=400),
        *training(FEW, "solved", loss=0.005, parameters=300),
        *training(MANY, "not solved", loss=0.1, parameters=1000),
        *timed(**{FEW: 0.75, MANY: 2.0}),
        *decay("lstm", "orthogonal", -math.log(2) / 4),
        *decay(FEW, "orthogonal", -math.log(2) / 8),
        *decay(MANY, "orthogonal", 0.5),
        agreeing("lstm", 3e-7),
        agreeing(MANY, 8e-7),
    ]


def read(folder: Path, items: list[Item]) -> Run:
    return Run.read(write_run(folder, items))


def test_the_paper_has_a_word_on_every_variant() -> None:
    assert set(PAPER) == {name for name in CELLS if name.startswith("lstm_")}


def test_each_stands_beside_the_lstm(tmp_path: Path) -> None:
    found = SECTIONS["variants"].answer(read(tmp_path / "run", everything()))
    assert found is not None
    assert found.sentence == (
        "Of 2 variants, 1 learned worse than the LSTM somewhere (lstm_gate_recurrence at adding, T=50) and "
        "of 1 no difference was shown (lstm_coupled)."
    )
    assert found.details[0].startswith("A training pass takes from 0.75× (lstm_coupled) to 2.0×")
    assert found.table is not None
    rows = {row[0]: row for row in found.table.rows}
    assert list(rows) == ["lstm", FEW, MANY]
    assert rows["lstm"][1:3] == ("400", "1.0×")
    assert rows[FEW][1:3] == ("300", "0.75× (0.75–0.75)")
    assert {"8.0", "3 of 3, loss 1.0×: about the same"} <= set(rows[FEW])
    assert {"does not fall", "0 of 3, loss 20×: worse", PAPER[MANY]} <= set(rows[MANY])
    assert rows["lstm"][5] == "4.0"


def test_only_pairs_count(tmp_path: Path) -> None:
    """A variant at another length, or of another seed, is beside no LSTM."""
    items = [
        *training("lstm", "solved", seeds=[0, 1]),
        *training(FEW, "not solved", seeds=[1, 2]),
        *training(MANY, "solved", seq_len=90),
    ]
    found = variants(read(tmp_path / "run", items))
    assert found is not None
    assert found.tasks["cell"].tolist() == [FEW]
    assert found.tasks["trainings"].tolist() == [1]
    assert found.tasks["verdict"].tolist() == [""]
    assert found.times.empty


def test_each_task_is_judged_by_itself(tmp_path: Path) -> None:
    """A part that helps with one task and hinders with another is not about the same in the mean."""
    items = [
        *training("lstm", "solved", loss=0.005), *training(FEW, "not solved", loss=0.1),
        *training("lstm", "not solved", loss=0.1, seq_len=90),
        *training(FEW, "solved", loss=0.005, seq_len=90),
    ]  # fmt: skip
    run = read(tmp_path / "run", items)
    found, said, judged = variants(run), SECTIONS["variants"].answer(run), CLAIMS["C11"].judge(run)
    assert found is not None
    assert said is not None
    assert judged is not None
    assert found.tasks["verdict"].tolist() == ["worse", "better"]
    assert [(c.words, c.holds) for c in judged.conditions] == [
        ("lstm_coupled at adding, T=50", False),
        ("lstm_coupled at adding, T=90", False),
    ]
    assert judged.effect.startswith("of 2 comparisons, 0 about the same, 2 not, 0 undecided; ")
    assert said.details[-1].startswith(
        "Of 2 comparisons of a variant with the LSTM at a task, 0 show it about as good, 2 worse"
    )


def test_where_neither_learned_anything_nothing_is_judged(tmp_path: Path) -> None:
    """Two that know nothing have the same loss, and one may still have learned what the LSTM has not."""
    items = [
        *(item for cell in ("lstm", FEW) for item in training(cell, "not solved", loss=0.166)),
        *training(MANY, "not solved", loss=0.08),
    ]
    run = read(tmp_path / "run", items)
    found, said, judged = variants(run), SECTIONS["variants"].answer(run), CLAIMS["C11"].judge(run)
    assert found is not None
    assert said is not None
    assert said.table is not None
    assert judged is not None
    assert found.left_out == "adding, T=50 (lstm_coupled)"
    assert [(c.words, c.holds) for c in judged.conditions] == [
        ("lstm_gate_recurrence at adding, T=50", False)
    ]
    assert judged.tested.endswith("left out, as neither had learned anything: adding, T=50 (lstm_coupled)")
    assert said.details[-1].endswith("neither had learned anything: adding, T=50 (lstm_coupled).")
    assert "0 of 3, loss 1.0×: neither learned anything" in {row[0]: row for row in said.table.rows}[FEW]
    most = variants(read(tmp_path / "most", [*items, *training("lstm_peephole", "not solved", loss=0.166)]))
    assert most is not None
    assert most.left_out == "adding, T=50 (all but lstm_gate_recurrence)"
    alone = CLAIMS["C11"].judge(read(tmp_path / "alone", items[:6]))
    assert alone is not None
    assert (alone.verdict, alone.conditions) == (UNDECIDED, ())


def test_one_that_diverged_knows_nothing(tmp_path: Path) -> None:
    """Whatever it knew before: a loss that was read on the way to a divergence is none of a network's."""
    items = [
        *training("lstm", "solved", loss=0.005, seeds=range(6)),
        *training(FEW, "diverged", loss=0.005, seeds=range(3)),
        *training(FEW, "solved", loss=0.005, seeds=range(3, 6)),
    ]
    found = variants(read(tmp_path / "run", items))
    assert found is not None
    (row,) = found.tasks.to_dict("records")
    assert (row["trainings"], row["diverged"]) == (6, 3)
    assert row["difference"] == pytest.approx(0.5 * (1 - 0.03), abs=0.01)
    assert (row["same"], row["verdict"]) == (False, "")


def test_a_difference_has_to_be_certain_beside_all_others(tmp_path: Path) -> None:
    """Alone it is; as one of eight of which no other differs it may be chance."""

    def scattered(cell: str, *losses: float) -> list[Item]:
        return [
            item for seed, loss in enumerate(losses)
            for item in training(cell, "not solved", loss=loss / (1 + 0.01 * seed), seeds=[seed])
        ]  # fmt: skip

    lstm = scattered("lstm", *[0.02] * 4)
    worse = scattered(FEW, 0.04, 0.06, 0.09, 0.10)
    others = [item for cell in PAPER if cell != FEW for item in scattered(cell, *[0.02] * 4)]
    for others_too, verdict in (([], "worse"), (others, "")):
        found = variants(read(tmp_path / f"run-{len(others_too)}", [*lstm, *worse, *others_too]))
        assert found is not None
        assert found.tasks.set_index("cell").loc[FEW, "verdict"] == verdict


def test_one_that_learns_better_is_said_so(tmp_path: Path) -> None:
    items = [*training("lstm", "not solved", loss=0.1), *training(FEW, "solved", loss=0.001)]
    found = SECTIONS["variants"].answer(read(tmp_path / "run", items))
    assert found is not None
    assert found.sentence.startswith(
        "Of 1 variant, 1 learned better than the LSTM somewhere (lstm_coupled at"
    )


@pytest.mark.parametrize("items", [[*training("lstm", "solved")], [*training(FEW, "solved")], [*timed()]])
def test_without_a_pair_there_is_no_section(items: list[Item], tmp_path: Path) -> None:
    assert SECTIONS["variants"].answer(read(tmp_path / "run", items)) is None


def test_the_colours_of_the_figure_are_explained(tmp_path: Path) -> None:
    run = read(tmp_path / "run", list(everything()))
    with style():
        (picture,) = FIGURES["variants"].draw(run)
    told = " ".join(text.get_text() for text in picture.figure.legends[0].get_texts())
    for verdict, words in VERDICTS.items():
        assert (words in told.replace("\n", " ")) == (picture.data["verdict"] == verdict).any()


def test_it_is_in_the_report_with_its_figure(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", everything())
    write_report(folder)
    assert (folder / "figures" / "variants.png").stat().st_size > 10_000
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Which parts of an LSTM matter?" in text
    assert "could not be" not in text


@pytest.mark.parametrize("study", ["learning", "throughput", "gradient_decay", "parity"])
def test_every_variant_of_the_plan_full_stands_beside_an_lstm(study: str) -> None:
    """Else its measurement would be for nothing: whoever changes a block changes both."""
    cases = [case for case in load_plan("full").cases() if case.study == study]

    def rest(case: Case) -> tuple[object, ...]:
        return case.replicate, *(
            value for name, value in case.axes.items() if name not in ("cell", "forget_bias")
        )

    plain = {rest(case) for case in cases if case.axes["cell"] == "lstm"}
    variants_of = [case for case in cases if str(case.axes["cell"]).startswith("lstm_")]
    assert {case.axes["cell"] for case in variants_of} == set(PAPER)
    assert [str(case) for case in variants_of if rest(case) not in plain] == []
