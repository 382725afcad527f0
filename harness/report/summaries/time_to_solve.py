"""One network, one task, several backends: how long each took to solve it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import Estimate, estimate
from harness.report.summaries.grouping import groups, has, in_order

STUDY = "time_to_solve"
EARLY = 10
"""Steps in which the losses of two backends are compared: later, rounding has grown into another path."""


@dataclass(frozen=True)
class TimesToSolve:
    """Args:
    backends: one row per training and backend: the axes, solved, solved_at_step, steps_done,
        training_seconds, checking_seconds, seconds_per_step, `fastest_seconds` (of the backends that solved
        the same training; NaN where none did), first_loss and `early_difference`, the largest relative
        difference of a batch's loss within EARLY steps to the first backend's; relative_error of a pass to
        the float64 reference.
    scores: one row per training, backend and check: seconds, loss.
    shared: the axes that a comparison shares: all but the backend.
    """

    backends: pd.DataFrame
    scores: pd.DataFrame
    shared: list[str]


@lru_cache(maxsize=1)
def times_to_solve(run: Run) -> TimesToSolve | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "quantity", "step", "loss", "seconds", "solved", "training_seconds"):
        return None
    axes = run.axes(STUDY)
    shared = [axis for axis in axes if axis != "backend"]
    parts = [_compared(part) for _, part in groups(measured, shared)]
    backends = in_order(pd.concat(parts, ignore_index=True), axes).reset_index(drop=True)
    kept = [
        *(*axes, "key", "baseline", "criterion", "solved", "solved_at_step", "steps_done"),
        *("training_seconds", "checking_seconds", "seconds_per_step", "fastest_seconds"),
        *("first_loss", "early_difference", "relative_error"),
    ]
    scores = measured.loc[measured["quantity"] == "score", [*axes, "key", "step", "seconds", "loss"]]
    return TimesToSolve(backends[kept], scores.reset_index(drop=True), shared)


def _compared(part: pd.DataFrame) -> pd.DataFrame:
    """One row per backend of the same training."""
    rows = part.drop_duplicates("key").drop(columns="loss")
    steps = part[(part["quantity"] == "step") & (part["step"] <= EARLY)]
    early = {key: own.sort_values("step")["loss"].to_numpy(float) for key, own in steps.groupby("key")}
    first = next((early[key] for key in rows["key"] if key in early), np.empty(0))
    seconds = rows["training_seconds"].astype(float)
    solved = seconds[rows["solved"].astype(bool)]
    return rows.assign(
        seconds_per_step=seconds / rows["steps_done"].astype(float),
        fastest_seconds=solved.min() if len(solved) else np.nan,
        first_loss=[float(early[key][0]) if len(early.get(key, ())) else np.nan for key in rows["key"]],
        early_difference=[_difference(early.get(key, np.empty(0)), first) for key in rows["key"]],
    )


def _difference(losses: np.ndarray, first: np.ndarray) -> float:
    both = min(len(losses), len(first))
    if not both:
        return np.nan
    return float(np.max(np.abs(losses[:both] - first[:both]) / np.abs(first[:both])))


@dataclass(frozen=True)
class Ratio:
    """Args:
    setting: the axes that the trainings share: all but backend and seed.
    backend, to: which took so many times as long as which.
    whole: of the time to solve, over seeds that both solved; None where there are fewer than two.
    step: of the time of one step, over all seeds; None where there are fewer than two.
    """

    setting: dict[str, Any]
    backend: str
    to: str
    whole: Estimate | None
    step: Estimate | None


def ratios(found: TimesToSolve) -> list[Ratio]:
    """Each backend to the one with the fastest steps, paired by seed."""
    made = []
    for setting, part in groups(found.backends, [axis for axis in found.shared if axis != "seed"]):
        steps = part.pivot(index="seed", columns="backend", values="seconds_per_step")
        solved = part[part["solved"].astype(bool)]
        whole = solved.pivot(index="seed", columns="backend", values="training_seconds")
        fastest = str(np.log(steps).mean().idxmin())
        made += [
            Ratio(setting, str(name), fastest, _paired(whole, name, fastest), _paired(steps, name, fastest))
            for name in steps.columns
            if name != fastest
        ]
    return made


def _paired(seconds: pd.DataFrame, backend: str, to: str) -> Estimate | None:
    if backend not in seconds or to not in seconds:
        return None
    both = (seconds[backend] / seconds[to]).dropna()
    return estimate(both) if len(both) > 1 else None
