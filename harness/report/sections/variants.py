"""Which parts of an LSTM matter?  Its variants beside it, and beside what the paper found."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import groups, least, most, records
from harness.report.summaries.variants import BETTER, MARGIN, PLAIN, WORSE, Variants, variants
from harness.report.tables import Table
from harness.report.words import counted, listed, missing, significant, times

PAPER = {
    "lstm_peephole": "no significant difference",
    "lstm_coupled": "no significant difference, with a gate less",
    "lstm_no_input_gate": "worse on speech and handwriting, no difference on music",
    "lstm_no_forget_gate": "significantly worse on all three data sets",
    "lstm_no_output_gate": "worse on speech and handwriting, no difference on music",
    "lstm_no_input_activation": "worse on speech and handwriting, no difference on music",
    "lstm_no_output_activation": "significantly worse on all three data sets",
    "lstm_gate_recurrence": "no difference on speech and handwriting, worse on music; advised against",
}
"""Greff et al. 2017, section V, each against the LSTM with peepholes; of these, what their removal did."""

SAME, NEITHER = "about the same", "neither learned anything"


@question(
    "variants",
    heading="Which parts of an LSTM matter?",
    study="learning",
    order=71,
    optional=True,
    beside=("parity", "throughput", "gradient_decay"),
    explanation=(
        "Each variant adds one part to the LSTM or takes one away (Greff et al. 2017, LSTM: a search space "
        "odyssey). Trainings, times and networks of a variant are compared with those of the LSTM that agree "
        "in all but the cell, the learning rate among it. The paper searched the learning rate anew for "
        "every variant and found that it matters most; here a variant that needs another one is judged too "
        "harshly. Sizes are equal in H, not in parameters. Every initialization but pytorch_uniform starts "
        "peepholes and gate recurrences at 0, so that under it lstm_peephole and lstm_gate_recurrence begin "
        "as the LSTM itself and differ by what they learn."
    ),
)
def answer(run: Run) -> Answer | None:
    found = variants(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found.tasks),
        details=tuple(_details(found)),
        table=_table(found),
        summary=found.tasks,
    )


def _sentence(tasks: pd.DataFrame) -> str:
    cells = list(dict.fromkeys(tasks["cell"]))
    told, seen = [], set()
    for verdict in (WORSE, BETTER):
        part = tasks[tasks["verdict"] == verdict]
        words = [f"{own['cell']} at {listed(list(rows['where']))}" for own, rows in groups(part, ["cell"])]
        seen |= set(part["cell"])
        if words:
            told.append(f"{len(words)} learned {verdict} than the LSTM somewhere ({'; '.join(words)})")
    rest = [cell for cell in cells if cell not in seen]
    if not told:
        return f"Between the LSTM and {counted(len(cells), 'variant')} no difference was shown."
    if rest:
        told.append(f"of {len(rest)} no difference was shown ({listed(rest)})")
    return f"Of {counted(len(cells), 'variant')}, {listed(told)}."


def _details(found: Variants) -> list[str]:
    sentences = []
    for own, part in groups(found.times, ["where"]):
        low, high = least(part, "ratio"), most(part, "ratio")
        there = f", {own['where']}" if own["where"] else ""
        sentences.append(
            f"A training pass takes from {times(low['ratio'])} ({low['cell']}) to {times(high['ratio'])} "
            f"({high['cell']}) the LSTM's time{there}."
        )
    lives = found.cells.dropna(subset=["half_life"])
    if len(lives) > 1:
        words = [f"{row['cell']} {_steps(row['half_life'])}" for row in records(lives)]
        sentences.append(f"Steps in which ‖∂h_t/∂h_k‖₂ halves before training: {', '.join(words)}.")
    return [*sentences, *_judgement(found)]


def _judgement(found: Variants) -> list[str]:
    """How it was judged who is worse, better, or about the same, and what was not judged."""
    judged, sentences = found.judged, []
    if len(judged):
        same, differ = int(judged["same"].sum()), int((judged["verdict"] != "").sum())
        comparisons = counted(len(judged), "comparison")
        sentences.append(
            f"Of {comparisons} of a variant with the LSTM at a task, {same} show it about as good, {differ} "
            f"worse or better; {len(judged) - same - differ} are undecided. Compared are last held-out "
            "losses over what knowing nothing costs (at most 1, and 1 where one diverged): about as good "
            f"where the 95 % interval of the mean difference lies within ±{MARGIN:g}, worse or better where "
            "the difference is certain at a false-discovery rate of 5 % over all of them, and beyond "
            f"{MARGIN:g}."
        )
    if found.left_out:
        sentences.append(f"Not judged, as neither had learned anything: {found.left_out}.")
    return sentences


def _table(found: Variants) -> Table:
    tasks, settings = _distinct(found.tasks), _distinct(found.times)
    timed = [f"time {where}".strip() for where in settings]
    rows = []
    for cell in records(found.cells):
        name = str(cell["cell"])
        rows.append(
            (
                name,
                "–" if missing(cell["parameters"]) else f"{int(cell['parameters']):,}",
                *(_time(found.times, name, where) for where in settings),
                significant(cell.get("error_float32", np.nan), 2),
                significant(cell.get("error_float64", np.nan), 2),
                _steps(cell["half_life"]),
                *(_task(found.tasks, name, where) for where in tasks),
                PAPER.get(name, "–"),
            )
        )
    numbers = ("parameters", *timed, "error float32", "error float64", "half-life")
    caption = (
        "Time: of a training pass over the LSTM's (†: some process stayed unstable); errors: the largest "
        "relative one of any result against the reference; half-life: steps in which ‖∂h_t/∂h_k‖₂ halves "
        "before training; tasks: how many trainings solved it, the last held-out loss over the LSTM's, and "
        "what was judged, if anything. The last column is what the paper found, on speech, handwriting and "
        "music, with a learning rate of its own for each variant."
    )
    return Table(("cell", *numbers, *tasks, "the paper"), tuple(rows), caption, frozenset(numbers))


def _distinct(frame: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(frame["where"])) if len(frame) else []


def _steps(half_life: float) -> str:
    if missing(half_life):
        return "–"
    return "does not fall" if np.isinf(half_life) else significant(half_life, 2)


def _time(frame: pd.DataFrame, cell: str, where: str) -> str:
    own = frame[(frame["cell"] == cell) & (frame["where"] == where)]
    if own.empty:
        return times(1.0) if cell == PLAIN else "–"
    row = records(own)[0]
    spread = "" if missing(row["low"]) else f" ({significant(row['low'], 2)}–{significant(row['high'], 2)})"
    return f"{times(row['ratio'])}{spread}{' †' if row['unstable'] else ''}"


def _task(frame: pd.DataFrame, cell: str, where: str) -> str:
    here = frame[frame["where"] == where]
    if cell == PLAIN:
        row = most(here, "trainings")
        return f"{row['solved_plain']} of {row['trainings']}"
    own = records(here[here["cell"] == cell])
    if not own:
        return "–"
    row = own[0]
    words = [f"{row['solved']} of {row['trainings']}"]
    if row["diverged"]:
        words.append(f"{row['diverged']} diverged")
    if not missing(row["ratio"]):
        words.append(f"loss {times(row['ratio'])}")
    told = row["verdict"] or (SAME if row["same"] else "" if row["learned"] else NEITHER)
    return ", ".join(words) + (f": {told}" if told else "")
