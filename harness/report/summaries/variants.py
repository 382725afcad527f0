"""The LSTM's variants beside the LSTM: whatever a study measured of both, everything else alike.

The one idea: only pairs count, a variant and the LSTM that agree in every axis but the cell, so that a
difference shows the missing or the added part and nothing else.  They are judged task by task, for a part
that helps with one may hinder with another, and where at least one of the two had learned something.  The
section, its figure and the claim all read what is judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.frames import Run
from harness.report.statistics import Floats, median
from harness.report.summaries import gradient_decay
from harness.report.summaries.grouping import groups
from harness.report.summaries.learning import learnings
from harness.report.summaries.pairs import networks, pairs
from harness.report.summaries.parity import parity
from harness.report.summaries.throughput import throughput
from harness.report.words import listed, phrase, setting, split_constant

PLAIN, PREFIX = "lstm", "lstm_"
WORSE, BETTER = "worse", "better"
MARGIN = 0.1
"""Of what knowing nothing costs: a smaller difference of losses does not matter."""
NOTHING = 0.98
"""Of what knowing nothing costs: whose losses are in the mean not below it has learned nothing."""
LEAST_PAIRS = 2


@dataclass(frozen=True)
class Variants:
    """Args:
    cells: one row per cell, the LSTM first: parameters, half_life (steps in which ‖∂h_t/∂h_k‖₂ halves,
        median over networks; inf where it does not fall), error_float32, error_float64 (the largest relative
        error of any result of any backend); NaN where the run does not say.
    times: one row per variant and setting of a training pass: `where`, ratio (of its seconds over the
        LSTM's), low, high, units, unstable (pairs of which a process did not become steady).
    tasks: one row per variant and task: `where`, ratio (of the last held-out losses), low, high, units,
        trainings, solved, solved_plain, diverged; difference (of the losses over what knowing nothing costs,
        at most 1 and 1 where it diverged: the variant's less the LSTM's, in the mean), difference_low and
        difference_high, its interval; learned (had either learned anything?), same (does the interval lie
        within ±MARGIN?), verdict ("worse" or "better" where the difference is certain and beyond MARGIN,
        else "").
    """

    cells: pd.DataFrame
    times: pd.DataFrame
    tasks: pd.DataFrame

    @property
    def judged(self) -> pd.DataFrame:
        """The rows of `tasks` that say whether both are about the same."""
        return self.tasks[self.tasks["learned"] & (self.tasks["trainings"] >= LEAST_PAIRS)]

    @property
    def left_out(self) -> str:
        """Where neither had learned anything: "copy_memory, T=10 (all) and adding, T=50 (lstm_coupled)"."""
        words = []
        for own, part in groups(self.tasks, ["where"]):
            out, kept = (list(part.loc[part["learned"] == learned, "cell"]) for learned in (False, True))
            if out:
                short = f"all but {listed(kept)}" if kept else "all"
                words.append(f"{own['where']} ({short if len(kept) < len(out) > 1 else listed(out)})")
        return listed(words)


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
    trainings = found.trainings.assign(over_nothing=_over_nothing(found.trainings))
    beside = beside_plain(trainings, [*found.axes, "seed"], ("end", "last_loss", "over_nothing"))
    rows, differences = [], []
    for own, part in groups(beside, ["variant_cell", *(a for a in ("task", "seq_len") if a in beside)]):
        losses = part["last_loss_1"].astype(float) / part["last_loss_2"].astype(float)
        losses = losses[np.isfinite(losses) & (losses > 0)]
        difference = effects.mean(part["over_nothing_1"] - part["over_nothing_2"], "pair")
        differences.append((part["over_nothing_1"] - part["over_nothing_2"]).to_numpy(float))
        rows.append(
            {
                "cell": own["variant_cell"],
                "where": phrase(str(own.get("task", "")), setting({"seq_len": own.get("seq_len")})),
                **_interval(effects.ratio(losses, "pair") if len(losses) else None),
                "trainings": len(part),
                "solved": int((part["end_1"] == "solved").sum()),
                "solved_plain": int((part["end_2"] == "solved").sum()),
                "diverged": int((part["end_1"] == "diverged").sum()),
                "difference": difference.value,
                "difference_low": difference.low,
                "difference_high": difference.high,
                "learned": any(_learned(part, side) for side in (1, 2)),
                "same": len(part) >= LEAST_PAIRS and bool(difference.within(-MARGIN, MARGIN)),
            }
        )
    return _with_verdicts(pd.DataFrame(rows), differences)


def _over_nothing(trainings: pd.DataFrame) -> pd.Series:
    """The last held-out loss over what knowing nothing costs: 1 for whoever knows no more, or diverged."""
    share = trainings["last_loss"].astype(float) / trainings["baseline"].astype(float)
    return share.where(trainings["end"] != "diverged").clip(upper=1.0).fillna(1.0)


def _learned(part: pd.DataFrame, side: int) -> bool:
    solved = (part[f"end_{side}"] == "solved").any()
    return bool(solved or part[f"over_nothing_{side}"].mean() < NOTHING)


def _with_verdicts(tasks: pd.DataFrame, differences: list[Floats]) -> pd.DataFrame:
    """Who is worse or better: for certain, at one false-discovery rate over all that are judged together."""
    if tasks.empty:
        return tasks
    certain = np.zeros(len(tasks), dtype=bool)
    judged = np.flatnonzero(tasks["learned"])
    certain[judged] = effects.differing([differences[i] for i in judged])
    matters = certain & (tasks["difference"].abs() > MARGIN).to_numpy()
    words = np.where(tasks["difference"] > 0, WORSE, BETTER)
    return tasks.assign(
        same=tasks["same"] & tasks["learned"], verdict=np.where(matters, words, "").astype(object)
    )


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
