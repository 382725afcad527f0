"""C10: the GRU has fewer parameters, and does not differ systematically from the LSTM."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries import gradient_decay, language_model
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.learning import learnings
from harness.report.summaries.pairs import networks, pairs
from harness.report.summaries.throughput import throughput
from harness.report.words import missing, percent, plain, times

GRU, LSTM = "gru", "lstm"
SMALL = 0.1
"""Nats per step, and bits per character."""
EVEN = (0.25, 0.75)


@claim(
    "C10",
    text="A GRU has fewer parameters than an LSTM, and does not differ from it systematically.",
    rule=(
        "Supported where the GRU has fewer weights (or, unknown, less arithmetic), and where what networks, "
        "trainings and language models that differ in the cell alone differ by is shown to be too little to "
        "matter: its whole interval lies within ±0.1 nats per step (rates, over initializations and inputs), "
        "¼ to ¾ (of pairs of which one solved, the GRU's share), ±0.1 bits per character. Contradicted where "
        "the interval leaves out equality and its centre lies beyond that margin. Fewer weights alone test "
        "nothing."
    ),
    studies=("gradient_decay", "learning", "language_model", "throughput"),
    section="decay_rates",
)
def judge(run: Run) -> Finding | None:
    behaviour = (*_decay(run), *_learning(run), *_text(run))
    if not behaviour:
        return None
    kinds = (*_weights(run), *behaviour)
    return finding(
        kinds,
        on="what is compared",
        effect=measured_words(kinds),
        tested="networks of gru beside those of lstm, all else alike",
    )


def _weights(run: Run) -> list[Condition]:
    models = run.measured(language_model.STUDY)
    if has(models, "memory_bytes_of_network", "cell"):
        axes = run.axes(language_model.STUDY)
        beside = pairs(_cases(models, axes, "memory_bytes_of_network"), "cell", GRU, LSTM, axes)
        if not beside.empty:
            ratio = beside["memory_bytes_of_network_1"] / beside["memory_bytes_of_network_2"]
            effect = effects.exact(float(ratio.astype(float).max()), len(beside), "pair")
            return [
                Condition("weights", "of a GRU's network over an LSTM's", effect, effect.below(1.0), times)
            ]
    timed = throughput(run)
    if timed is None or "flop" not in timed.processes:
        return []
    axes = [*timed.axes, "backend", "replicate"]
    beside = pairs(timed.processes[[*axes, "flop"]], "cell", GRU, LSTM, axes)
    if beside.empty:
        return []
    effect = effects.exact(float((beside["flop_1"] / beside["flop_2"]).max()), len(beside), "pair")
    return [Condition("arithmetic", "of a GRU over an LSTM's", effect, effect.below(1.0), times)]


def _decay(run: Run) -> list[Condition]:
    drawn = networks(run)
    if drawn is None:
        return []
    drawn = drawn[(drawn["block"] == "hh") & np.isfinite(drawn["nats_per_step"])]
    beside = pairs(drawn, "cell", GRU, LSTM, run.axes(gradient_decay.STUDY))
    if beside.empty:
        return []
    difference = beside["nats_per_step_1"] - beside["nats_per_step_2"]
    starts = [axis for axis in ("initialization", "gain", "inputs") if axis in beside]
    means = [
        float(part.mean()) for _, part in difference.groupby([beside[axis] for axis in starts], dropna=False)
    ]
    effect = effects.mean(means, "setting")
    return [
        Condition(
            "decay",
            "rate of the GRU less the LSTM's, nats per step",
            effect,
            effect.is_about(0.0, -SMALL, SMALL) if len(means) > 1 else None,
        )
    ]


def _learning(run: Run) -> list[Condition]:
    """Who solves: a GRU has no forget bias, so it stands beside the LSTM under each of the LSTM's own."""
    found = learnings(run)
    if found is None:
        return []
    axes = [*(axis for axis in found.axes if axis != "forget_bias"), "seed"]
    columns = [axis for axis in (*axes, "end") if axis in found.trainings]
    gru = found.trainings[found.trainings["cell"] == GRU]
    conditions = []
    for own, lstm in groups(found.trainings[found.trainings["cell"] == LSTM], ["forget_bias"]):
        beside = pairs(pd.concat([gru, lstm])[columns], "cell", GRU, LSTM, axes)
        if beside.empty:
            continue
        by_gru, by_lstm = (beside[f"end_{side}"] == "solved" for side in (1, 2))
        effect = effects.first_alone(by_gru, by_lstm)
        bias = own.get("forget_bias")
        conditions.append(
            Condition(
                "learning" if missing(bias) else f"learning beside an LSTM with forget bias {plain(bias)}",
                "of pairs of which one solved, by the GRU",
                effect,
                effect.is_about(0.5, *EVEN),
                percent,
            )
        )
    return conditions


def _text(run: Run) -> list[Condition]:
    measured = run.measured(language_model.STUDY)
    if not has(measured, "final_bits_per_character", "cell"):
        return []
    axes = run.axes(language_model.STUDY)
    beside = pairs(_cases(measured, axes, "final_bits_per_character"), "cell", GRU, LSTM, axes)
    if len(beside) < 2:  # one pair says nothing of how much pairs differ
        return []
    difference = beside["final_bits_per_character_1"] - beside["final_bits_per_character_2"]
    effect = effects.mean(difference.astype(float), "pair")
    return [
        Condition(
            "text",
            "bits per character of the GRU less the LSTM's",
            effect,
            effect.is_about(0.0, -SMALL, SMALL),
        )
    ]


def _cases(measured: pd.DataFrame, axes: list[str], column: str) -> pd.DataFrame:
    return measured.drop_duplicates("key")[[*(axis for axis in axes if axis in measured), column]]
