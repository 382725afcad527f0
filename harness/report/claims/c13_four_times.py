"""C13: four gates, four times the parameters and arithmetic: what do they cost on each backend?"""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.machines import with_place
from harness.report.statistics import geometric_mean
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.memory import memory
from harness.report.summaries.pairs import over_processes, pairs
from harness.report.summaries.throughput import throughput
from harness.report.words import counted, listed, times

ABOUT_FOUR = (3.0, 5.0)
LSTM, SIMPLE, SINGLE = "lstm", "rnn_tanh", "1 layer"
DRAWN = ("process", "size")
"""Units over which a ratio has an interval, where there is more than one of them."""
FLOAT32_BYTES = 4


@claim(
    "C13",
    text=(
        "An LSTM layer has four times the parameters and arithmetic of a simple RNN, and costs about four "
        "times the time and memory."
    ),
    rule=(
        "Arithmetic and parameters: exactly four times. Time is that of the LSTM over that of rnn_tanh at "
        "the same sizes in the same replicate, memory the same of peaks. It holds for a backend and pass "
        "where the ratio's interval lies within 3 to 5, does not where it lies outside, and is undecided "
        "without an interval."
    ),
    studies=("throughput", "memory"),
    section="throughput",
)
def judge(run: Run) -> Finding | None:
    costs = [*_time(run), *_memory(run)]
    counts = _counts(run)
    if not costs and not any(condition.words == "arithmetic" for condition in counts):
        return None
    conditions = [*counts, *costs]
    ratios = [f"{c.words} {_ratio(c.effect)}" for c in conditions]
    return finding(
        conditions,
        on="the backend and what is counted",
        effect=f"LSTM over rnn_tanh: {'; '.join(ratios)}{_outputs_alone(run)}",
        tested=f"{counted(len(conditions), 'ratio')} of geometric means over all sizes",
    )


def _ratio(effect: Effect) -> str:
    """ "3.3× (3.1× to 3.5×)"; of an exact one the number alone."""
    if np.isnan(effect.low):
        return times(effect.value) + (" (no interval)" if effect.unit in DRAWN else "")
    return f"{times(effect.value)} ({times(effect.low)} to {times(effect.high)})"


def _about_four(effect: Effect) -> bool | None:
    return None if np.isnan(effect.low) else effect.within(*ABOUT_FOUR)


def _counts(run: Run) -> list[Condition]:
    """Arithmetic and parameters, which nothing random enters."""
    return [
        Condition(
            name, f"ratio of {what}", effects.exact(ratio, units, "pair"), abs(ratio - 4.0) < 1e-6, times
        )
        for name, what, (ratio, units) in (
            ("arithmetic", "FLOP", _arithmetic(run)),
            ("parameters", "how many numbers a layer has", _parameters(run)),
        )
        if units
    ]


def _arithmetic(run: Run) -> tuple[float, int]:
    """The ratio, and over how many pairs."""
    found = throughput(run)
    if found is None or "flop" not in found.processes or "cell" not in found.axes:
        return np.nan, 0
    cases = found.processes[[*found.axes, "backend", "replicate", "flop"]]
    return _mean_ratio(pairs(cases, "cell", LSTM, SIMPLE, [*found.axes, "backend", "replicate"]), "flop")


def _parameters(run: Run) -> tuple[float, int]:
    """Of single layers, as the studies of structures and of learning counted them."""
    found = []
    for study in ("structures", "learning"):
        measured = run.measured(study)
        if not has(measured, "parameters", "cell"):
            continue
        if "structure" in measured:
            measured = measured[measured["structure"] == SINGLE]
        sizes = [axis for axis in ("input_size", "hidden_size", "task") if axis in measured]
        layers = measured.dropna(subset=["parameters"])[["cell", *sizes, "parameters"]].drop_duplicates()
        found.append(pairs(layers, "cell", LSTM, SIMPLE, sizes))
    return _mean_ratio(pd.concat(found), "parameters") if found else (np.nan, 0)


def _mean_ratio(beside: pd.DataFrame, column: str) -> tuple[float, int]:
    if beside.empty:
        return np.nan, 0
    ratios = beside[f"{column}_1"].astype(float) / beside[f"{column}_2"].astype(float)
    return geometric_mean(ratios), len(beside)


def _time(run: Run) -> list[Condition]:
    found = throughput(run)
    if found is None or "cell" not in found.axes:
        return []
    cases = found.processes[[*found.axes, "backend", "replicate", "seconds"]]
    beside = pairs(cases, "cell", LSTM, SIMPLE, [*found.axes, "backend", "replicate"])
    conditions = []
    for own, part in groups(beside, [axis for axis in ("pass", "machine", "backend") if axis in beside]):
        part = part.assign(ratio=part["seconds_1"] / part["seconds_2"])
        effect = over_processes(part, [axis for axis in found.axes if axis in part])
        name = f"time of {own.get('pass', 'a pass')} on {with_place(str(own['backend']), own)}"
        conditions.append(Condition(name, "time ratio", effect, _about_four(effect), times))
    return conditions


def _memory(run: Run) -> list[Condition]:
    found = memory(run)
    if found is None or "cell" not in found.peaks:
        return []
    axes = [*found.axes, "backend", "seq_len"]
    beside = pairs(found.peaks[[*axes, "peak_bytes"]], "cell", LSTM, SIMPLE, axes)
    beside = beside[(beside["peak_bytes_1"] > 0) & (beside["peak_bytes_2"] > 0)]
    conditions = []
    for own, part in groups(beside, [axis for axis in ("pass", "machine", "backend") if axis in beside]):
        effect = effects.ratio(part["peak_bytes_1"] / part["peak_bytes_2"], "size")
        name = f"memory of {own.get('pass', 'a pass')} on {with_place(str(own['backend']), own)}"
        conditions.append(Condition(name, "memory ratio", effect, _about_four(effect), times))
    return conditions


def _outputs_alone(run: Run) -> str:
    """Why a pass without a backward takes about as much memory in both: where the rows show that nothing but
    the outputs grows with T."""
    found = memory(run)
    if found is None or not has(found.slopes, "cell", "pass", "batch_size", "hidden_size", "dtype"):
        return ""
    slopes = found.slopes[
        (found.slopes["pass"] == "inference")
        & found.slopes["cell"].isin([LSTM, SIMPLE])
        & (found.slopes["dtype"] == "float32")
    ].dropna(subset=["bytes_per_step"])
    outputs = FLOAT32_BYTES * slopes["batch_size"].astype(float) * slopes["hidden_size"].astype(float)
    slopes = slopes.assign(outputs=(slopes["bytes_per_step"] / outputs).between(0.8, 1.25))
    names = [
        str(own["backend"])
        for own, part in groups(slopes, ["backend"])
        if part["outputs"].all() and part["cell"].nunique() == len((LSTM, SIMPLE))
    ]
    if not names:
        return ""
    return f"; inference on {listed(names)} keeps the outputs alone, which are as large in both"
