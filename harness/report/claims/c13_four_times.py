"""C13: four gates, four times the parameters and arithmetic: what do they cost on each backend?"""

from __future__ import annotations

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.machines import with_place
from harness.report.statistics import geometric_mean
from harness.report.summaries.grouping import groups
from harness.report.summaries.memory import memory
from harness.report.summaries.pairs import pairs
from harness.report.summaries.throughput import throughput
from harness.report.words import counted, listed, times

ABOUT_FOUR = (3.0, 5.0)
LSTM, SIMPLE = "lstm", "rnn_tanh"


@claim(
    "C13",
    text=(
        "An LSTM layer has four times the parameters and arithmetic of a simple RNN, and costs about four "
        "times the time and memory."
    ),
    rule=(
        "Time is that of the LSTM over that of rnn_tanh at the same sizes in the same replicate, memory "
        "the same of peaks. It holds for a backend and pass where the ratio's interval lies within 3 to 5, "
        "and does not where it lies outside."
    ),
    studies=("throughput", "memory"),
    section="throughput",
)
def judge(run: Run) -> Finding | None:
    conditions = [*_arithmetic(run), *_time(run), *_memory(run)]
    if not conditions:
        return None
    ratios = [f"{c.words} {times(c.effect.value)}" for c in conditions]
    return finding(
        conditions,
        on="the backend and what is counted",
        effect=f"LSTM over rnn_tanh: {'; '.join(ratios)}",
        tested=listed([f"{counted(len(conditions), 'ratio')} of geometric means over all sizes"]),
    )


def _arithmetic(run: Run) -> list[Condition]:
    found = throughput(run)
    if found is None or "flop" not in found.processes:
        return []
    cases = found.processes[[*found.axes, "backend", "replicate", "flop"]]
    beside = pairs(cases, "cell", LSTM, SIMPLE, [*found.axes, "backend", "replicate"])
    if beside.empty:
        return []
    value = geometric_mean(beside["flop_1"].astype(float) / beside["flop_2"].astype(float))
    return [
        Condition(
            "arithmetic",
            "FLOP ratio",
            effects.exact(value, len(beside), "pair"),
            abs(value - 4.0) < 1e-6,
            times,
        )
    ]


def _time(run: Run) -> list[Condition]:
    found = throughput(run)
    if found is None or "cell" not in found.axes:
        return []
    cases = found.processes[[*found.axes, "backend", "replicate", "seconds"]]
    beside = pairs(cases, "cell", LSTM, SIMPLE, [*found.axes, "backend", "replicate"])
    conditions = []
    for own, part in groups(beside, [*(axis for axis in ("machine", "backend", "pass") if axis in beside)]):
        part = part.assign(ratio=part["seconds_1"] / part["seconds_2"])
        effect = _over_replicates(part, [axis for axis in found.axes if axis in part])
        name = f"time of {own.get('pass', 'a pass')} on {with_place(str(own['backend']), own)}"
        conditions.append(Condition(name, "time ratio", effect, effect.within(*ABOUT_FOUR), times))
    return conditions


def _over_replicates(part: pd.DataFrame, axes: list[str]) -> Effect:
    """Geometric mean over the sizes, judged by its values in the replicates that have all of them."""
    sizes = part.groupby(axes, dropna=False, sort=False).ngroup()
    table = part.assign(setting=sizes).pivot_table(index="replicate", columns="setting", values="ratio")
    whole = table.dropna()
    if len(whole) < 2:
        return effects.exact(geometric_mean(part["ratio"]), max(1, len(table)), "process")
    return effects.ratio([geometric_mean(row) for row in whole.to_numpy()], "process")


def _memory(run: Run) -> list[Condition]:
    found = memory(run)
    if found is None or "cell" not in found.peaks:
        return []
    axes = [*found.axes, "backend", "seq_len"]
    beside = pairs(found.peaks[[*axes, "peak_bytes"]], "cell", LSTM, SIMPLE, axes)
    beside = beside[(beside["peak_bytes_1"] > 0) & (beside["peak_bytes_2"] > 0)]
    conditions = []
    for own, part in groups(beside, [*(axis for axis in ("machine", "backend", "pass") if axis in beside)]):
        effect = effects.ratio(part["peak_bytes_1"] / part["peak_bytes_2"], "size")
        name = f"memory of {own.get('pass', 'a pass')} on {with_place(str(own['backend']), own)}"
        conditions.append(Condition(name, "memory ratio", effect, effect.within(*ABOUT_FOUR), times))
    return conditions
