"""The LSTM's variants beside the LSTM: whatever a study measured of both, everything else alike.

The one idea: only pairs count, a variant and the LSTM that agree in every axis but the cell, so that a ratio
shows the missing or the added part and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.frames import Run
from harness.report.statistics import median
from harness.report.summaries import gradient_decay
from harness.report.summaries.grouping import groups
from harness.report.summaries.learning import learnings
from harness.report.summaries.pairs import networks, pairs
from harness.report.summaries.parity import parity
from harness.report.summaries.throughput import throughput
from harness.report.words import phrase, setting, split_constant

PLAIN, PREFIX = "lstm", "lstm_"
WORSE, BETTER = "worse", "better"


@dataclass(frozen=True)
class Variants:
    """Args:
    cells: one row per cell, the LSTM first: parameters, half_life (steps in which ‖∂h_t/∂h_k‖₂ halves,
        median over networks; inf where it does not fall), error_float32, error_float64 (the largest relative
        error of any result of any backend); NaN where the run does not say.
    times: one row per variant and setting of a training pass: `where`, ratio (of its seconds over the
        LSTM's), low, high, units, unstable (pairs of which a process did not become steady).
    tasks: one row per variant and task: `where`, ratio (of the last held-out losses), low, high, units,
        trainings, solved, solved_plain, diverged, verdict ("worse", "better", or "" where the interval
        contains 1 or there is none).
    """

    cells: pd.DataFrame
    times: pd.DataFrame
    tasks: pd.DataFrame


@lru_cache(maxsize=1)
def variants(run: Run) -> Variants | None:
    """The summary, or None where no training of a variant stands beside one of the LSTM."""
    tasks = _tasks(run)
    if tasks.empty:
        return None
    times = _times(run)
    names = list(dict.fromkeys([*tasks["cell"], *(times["cell"] if len(times) else ())]))
    columns = {"parameters": _parameters(run), "half_life": _half_lives(run), **_errors(run)}
    cells = pd.DataFrame(
        {"cell": cell, **{name: values.get(cell, np.nan) for name, values in columns.items()}}
        for cell in (PLAIN, *names)
    )
    return Variants(cells, times, tasks)


def beside_plain(frame: pd.DataFrame, axes: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Rows of each variant (_1) beside those of the LSTM (_2) that agree in every axis but the cell.

    Returns:
        The axes, `variant_cell`, and each of the columns twice; empty where there is no pair.
    """
    if "cell" not in frame:
        return pd.DataFrame()
    agree = [axis for axis in axes if axis != "cell"]
    kept = frame[[name for name in ("cell", *agree, *columns) if name in frame]]
    cells = [str(cell) for cell in kept["cell"].unique() if str(cell).startswith(PREFIX)]
    parts = [pairs(kept, "cell", cell, PLAIN, agree).assign(variant_cell=cell) for cell in cells]
    parts = [part for part in parts if not part.empty]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _tasks(run: Run) -> pd.DataFrame:
    found = learnings(run)
    if found is None:
        return pd.DataFrame()
    trainings = found.trainings[found.trainings["last_loss"].astype(float) > 0]
    beside = beside_plain(trainings, [*found.axes, "seed"], ("end", "last_loss"))
    rows = []
    for own, part in groups(beside, ["variant_cell", *(a for a in ("task", "seq_len") if a in beside)]):
        losses = part["last_loss_1"].astype(float) / part["last_loss_2"].astype(float)
        ratio = effects.ratio(losses[np.isfinite(losses)], "pair") if np.isfinite(losses).any() else None
        rows.append(
            {
                "cell": own["variant_cell"],
                "where": phrase(str(own.get("task", "")), setting({"seq_len": own.get("seq_len")})),
                **_interval(ratio),
                "trainings": len(part),
                "solved": int((part["end_1"] == "solved").sum()),
                "solved_plain": int((part["end_2"] == "solved").sum()),
                "diverged": int((part["end_1"] == "diverged").sum()),
                "verdict": _verdict(ratio),
            }
        )
    return pd.DataFrame(rows)


def _verdict(ratio: effects.Effect | None) -> str:
    if ratio is None or np.isnan(ratio.low):
        return ""
    return WORSE if ratio.above(1.0) else BETTER if ratio.below(1.0) else ""


def _interval(ratio: effects.Effect | None) -> dict[str, float]:
    if ratio is None:
        return {"ratio": np.nan, "low": np.nan, "high": np.nan, "units": 0}
    return {"ratio": ratio.value, "low": ratio.low, "high": ratio.high, "units": ratio.units}


def _times(run: Run) -> pd.DataFrame:
    found = throughput(run)
    if found is None:
        return pd.DataFrame()
    processes = found.processes
    if "pass" in processes:
        processes = processes[processes["pass"] == "training"]
    axes = [*found.axes, "backend", "replicate"]
    beside = beside_plain(processes, axes, ("seconds", "unstable"))
    if beside.empty:
        return beside
    named = [axis for axis in (*found.axes, "backend") if axis in beside]
    varying, _ = split_constant(beside, named)
    rows = []
    for own, part in groups(beside, ["variant_cell", *varying]):
        ratio = effects.ratio(part["seconds_1"] / part["seconds_2"], "process")
        where = setting({axis: own[axis] for axis in varying})
        unstable = int(part[["unstable_1", "unstable_2"]].notna().any(axis=1).sum())
        rows.append({"cell": own["variant_cell"], "where": where, **_interval(ratio), "unstable": unstable})
    return pd.DataFrame(rows)


def _parameters(run: Run) -> dict[str, float]:
    """Of the first setting that has a variant and the LSTM: sizes differ between settings."""
    found = learnings(run)
    if found is None or "parameters" not in found.trainings:
        return {}
    beside = beside_plain(found.trainings, [*found.axes, "seed"], ("parameters",))
    sizes = [axis for axis in ("task", "hidden_size") if axis in beside]
    if beside.empty:
        return {}
    _, first = next(groups(beside, sizes))
    own = dict(zip(first["variant_cell"], first["parameters_1"].astype(float), strict=True))
    return {PLAIN: float(first["parameters_2"].iloc[0]), **own}


def _half_lives(run: Run) -> dict[str, float]:
    """Of block hh, over the networks of a variant that stand beside one of the LSTM."""
    drawn = networks(run)
    if drawn is None:
        return {}
    axes = run.axes(gradient_decay.STUDY)
    beside = beside_plain(drawn[drawn["block"] == "hh"], axes, ("key", "nats_per_step"))
    if beside.empty:
        return {}
    plain = beside.drop_duplicates("key_2")["nats_per_step_2"]
    own = {str(cell): part["nats_per_step_1"] for cell, part in beside.groupby("variant_cell", sort=False)}
    return {cell: _half_life(rates) for cell, rates in {PLAIN: plain, **own}.items()}


def _half_life(rates: pd.Series) -> float:
    rate = median(rates.astype(float))
    return float(np.log(2.0) / -rate) if rate < 0 else np.inf


def _errors(run: Run) -> dict[str, dict[str, float]]:
    """The largest of any result, by dtype, over the cases that a variant and the LSTM share."""
    found = parity(run)
    if found is None or "dtype" not in found.rows:
        return {}
    beside = beside_plain(found.rows, [*found.axes, "quantity"], ("relative_error",))
    errors: dict[str, dict[str, float]] = {}
    for own, part in groups(beside, ["dtype", "variant_cell"] if len(beside) else []):
        column = errors.setdefault(f"error_{own['dtype']}", {PLAIN: 0.0})
        column[str(own["variant_cell"])] = float(part["relative_error_1"].max())
        column[PLAIN] = max(column[PLAIN], float(part["relative_error_2"].max()))
    return errors
