"""The way to the first result: stages add up, sentences and bars tell what the starts were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.case import Case
from harness.outcome import Measured
from harness.report.drawing import style
from harness.report.figures.startup import draw
from harness.report.frames import Run
from harness.report.sections.startup import answer
from harness.report.sections.throughput import answer as throughput
from harness.report.summaries.startup import STAGES, startup
from tests.report.synthetic import Item, sizes, timed, write_run

COMPILING = {"numba": (8.0, 0.4), "jax": (2.0,)}


def starts() -> Iterator[Item]:
    """Interpreter 0.05 s, imports 1 s, 0.1 s of preparing and a first call of 0.01 s beside compilation; the
    second of equal starts takes 0.2 s more to import."""
    for backend in ("torch", "numba", "jax"):
        compiled = COMPILING.get(backend, (None,))
        caches = ("cold", "warm", "warm") if len(compiled) == 2 else ("none", "none")
        spent = [compiled[min(i, len(compiled) - 1)] for i in range(len(caches))]
        known = [seconds is not None for seconds in spent]
        columns = {
            "start": list(range(len(caches))),
            "cache": list(caches),
            "interpreter_seconds": [0.05] * len(caches),
            "import_seconds": [1.0] * (len(caches) - 1) + [1.2],
            "prepare_seconds": [0.1] * len(caches),
            "first_call_seconds": [0.01 + (seconds or 0.0) for seconds in spent],
            "next_call_seconds": [0.001] * len(caches),
            "compile_seconds": spent,
            "pieces_compiled": [int(c != "warm") if k else None for c, k in zip(caches, known, strict=True)],
            "pieces_loaded": [int(c == "warm") if k else None for c, k in zip(caches, known, strict=True)],
        }
        axes = sizes(backend, "lstm", 32, 1) | {"pass": "training", "starts": 2}
        yield Case("startup", axes), Measured(columns, {"relative_error": 1e-7, "num_threads": 2})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.read(write_run(tmp_path, list(starts())))


def test_stages_add_up(run: Run) -> None:
    summary = startup(run)
    assert summary is not None
    frame = summary.frame.set_index(["backend", "cache"])
    assert frame.loc[("numba", "cold"), "first_result_seconds"] == pytest.approx(9.16)
    assert frame.loc[("numba", "warm"), "first_result_seconds"] == pytest.approx(1.66)
    assert frame.loc[("torch", "none"), "rest_seconds"] == pytest.approx(0.11)
    assert frame[list(STAGES)].sum(axis=1).tolist() == pytest.approx(frame["first_result_seconds"].tolist())
    assert "starts" not in summary.axes


def test_the_answer(run: Run) -> None:
    found = answer(run)
    assert found is not None
    assert found.sentence == (
        "To its first result a fresh process takes up to 1.26 s in torch, 1.66 s in numba and 3.26 s in jax."
    )
    assert found.details == (
        "numba keeps compiled code on disk: 1.7 s with it (every piece of code found), 9.2 s the first "
        "time, up to 5.5× as long.",
        "jax keeps none and compiles in every process: 2.0 s of each start.",
    )
    assert found.table is not None
    assert found.table.columns[:2] == ("backend", "compiled code")
    rows = {row[:2]: row for row in found.table.rows}
    assert rows[("torch", "–")][2:4] == ("1.26", "1.16–1.36")
    assert rows[("jax", "not kept")][-3] == "1 + 0"
    assert rows[("numba", "on disk")][-3] == "0 + 1"


def test_code_that_is_compiled_again_is_told(tmp_path: Path) -> None:
    listed = list(starts())
    columns = listed[1][1].columns  # type: ignore[union-attr]
    again = Measured({**columns, "pieces_compiled": [1, 1, 0]})
    found = answer(Run.read(write_run(tmp_path, [(listed[1][0], again)])))
    assert found is not None
    assert "(1 piece compiled again)" in found.details[0]


def test_a_bar_per_backend_and_cache(run: Run) -> None:
    with style():
        (picture,) = draw(run)
        (axes,) = picture.figure.axes
        picture.figure.canvas.draw()
        assert [text.get_text() for text in axes.get_yticklabels()] == [
            *("torch", "numba, warm", "jax", "numba, cold"),
        ]
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(1.26 + 1.66 + 3.26 + 9.16)


def test_a_run_without_starts_has_no_answer(tmp_path: Path) -> None:
    assert answer(Run.read(write_run(tmp_path, []))) is None


def test_compile_time_has_a_column_of_its_own(tmp_path: Path) -> None:
    listed = []
    for backend, seq_len, pieces in (("numba", 16, (1, 2)), ("numba", 32, (0, 0)), ("torch", 16, None)):
        measured = timed(0.001, seq_len)
        if pieces is not None:
            facts = {"compile_seconds": 0.25 * sum(pieces)}
            facts |= {"pieces_compiled": pieces[0], "pieces_loaded": pieces[1]}
            measured = Measured(measured.columns, {**measured.facts, **facts})
        listed.append(
            (Case("throughput", sizes(backend, "lstm", seq_len, 1) | {"pass": "training"}), measured)
        )
    found = throughput(Run.read(write_run(tmp_path, listed)))
    assert found is not None
    assert found.table is not None
    assert [c for c in found.table.columns if c.endswith("compile")] == ["numba, compile"]
    assert [row[-1] for row in found.table.rows] == ["750 (1 compiled and 2 loaded)", "–"]
    assert any("numba compiled 1 piece of code and loaded 2 from disk" in text for text in found.details)
