"""What does a character cost a recurrent network, and what would counting need for as much?"""

from __future__ import annotations

from typing import Any

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.grouping import records
from harness.report.summaries.language_model import LanguageModels, language_models
from harness.report.tables import Table
from harness.report.words import (
    counted,
    duration,
    missing,
    phrase,
    plain,
    setting,
    significant,
    size,
    split_constant,
    symbol,
    times,
)

SHOWN_CHARACTERS = 240
"""Of what a network writes."""


@question(
    "language_model",
    heading="What does a character cost a recurrent network, and what would counting need for as much?",
    study="language_model",
    order=72,
    explanation=(
        "Networks learn to predict the next character of real text and are read on files held out, in bits "
        "per character; counting models of order n predict it from the last n − 1, interpolated after Witten "
        "and Bell. Memory is that of all weights in float32, and of all counts in sorted arrays."
    ),
)
def answer(run: Run) -> Answer | None:
    found = language_models(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found),
        details=tuple(_learned(row, _named(row, found)) for row in records(found.networks)),
        table=_table(found),
        summary=found.networks.drop(columns="said"),
        quotes=tuple(
            (f"{_named(row, found)} says", str(row["said"])[:SHOWN_CHARACTERS])
            for row in records(found.networks)
            if not missing(row["said"])
        ),
    )


def _sentence(found: LanguageModels) -> str:
    well = found.networks[found.networks["diverged"] < found.networks["networks"]]
    counting = found.best_ngram
    rival = (
        f"the best counting model, of order {plain(counting['order'])}, takes "
        f"{significant(counting['bits_per_character'])} in {size(counting['memory_bytes'])}"
    )
    if well.empty:
        return f"Every training diverged; {rival}."
    best = records(well.nsmallest(1, "bits_per_character"))[0]
    words = (
        f"The best network, {_named(best, found)}, takes {significant(best['bits_per_character'])} bits per "
        f"character in {size(best['memory_bytes'])}"
    )
    if missing(best["smallest_ngram_bytes"]):
        return f"{words}; {rival}, and none is as good as the network."
    ratio = best["smallest_ngram_bytes"] / best["memory_bytes"]
    return f"{words}; the smallest counting model that is as good needs {times(ratio)} the memory; {rival}."


def _named(row: dict[str, Any], found: LanguageModels) -> str:
    return f"{row['cell']} with {setting({axis: row[axis] for axis in found.telling('hidden_size')})}"


def _learned(row: dict[str, Any], named: str) -> str:
    if missing(row["said"]):
        if missing(row["last_good_step"]):
            return f"{named} {_gone(row)}, before anything was learned."
        after = counted(int(row["last_good_step"]), "step")
        return (
            f"{named} {_gone(row)}; its last good state, after {after}, "
            f"takes {significant(row['bits_per_character'])} bits per character."
        )
    diverged = f", {_gone(row)}" if row["diverged"] else ""
    return (
        f"{named} learned for {duration(row['training_seconds'])} ({counted(int(row['steps']), 'step')}"
        f"{diverged})."
    )


def _gone(row: dict[str, Any]) -> str:
    """ "diverged at step 4"; of several trainings how many did, and the first one's step."""
    at = f"at step {plain(row['diverged_at_step'])}"
    if row["networks"] == 1:
        return f"diverged {at}"
    return f"{plain(row['diverged'])} of {plain(row['networks'])} trainings diverged, first {at}"


def _table(found: LanguageModels) -> Table:
    rest = [axis for axis in found.axes if axis not in ("cell", "backend")]
    varying, constant = split_constant(found.networks, rest)
    rows = [
        (
            str(row["cell"]),
            *(plain(row[axis]) for axis in varying),
            significant(row["bits_per_character"]),
            size(row["memory_bytes"]),
            _gone(row) if row["diverged"] else duration(row["training_seconds"]),
        )
        for row in records(found.networks)
    ]
    rows += [
        (
            f"counting, order {plain(row['order'])}",
            *("–" for _ in varying),
            significant(row["bits_per_character"]),
            size(row["memory_bytes"]),
            "–",
        )
        for row in records(found.ngrams)
    ]
    columns = ("model", *map(symbol, varying), "bits per character", "memory", "training")
    caption = phrase("On held-out text; networks are means over seeds", setting(constant))
    right = frozenset({"bits per character", "memory", "training", "H", "T"})
    return Table(columns, tuple(rows), f"{caption}. {found.remark}".strip(), right)
