"""Startup: seconds from a process's start to its first result, and what they are spent on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.grouping import groups, has, in_order

STUDY = "startup"
STAGES = ("interpreter_seconds", "import_seconds", "compile_seconds", "rest_seconds")
"""What the way to the first result is made of, in order."""
WAY = ("interpreter_seconds", "import_seconds", "prepare_seconds", "first_call_seconds")


@dataclass(frozen=True)
class Startup:
    """Args:
    frame: one row per setting, backend and cache ("cold", "warm", "none"): starts; means over these of
        first_result_seconds, of `STAGES` (they add up; compile_seconds is NaN where the backend does not
        compile or cannot tell: then it is in rest_seconds) and of next_call_seconds; the shortest and the
        longest way to the first result (low, high); pieces_compiled, pieces_loaded (most in any start).
    axes: what makes a setting: every axis but the backend and the number of starts.
    """

    frame: pd.DataFrame
    axes: list[str]


@lru_cache(maxsize=1)
def startup(run: Run) -> Startup | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "backend", "cache", "compile_seconds", *WAY):
        return None
    measured = measured.dropna(subset=list(WAY))
    if measured.empty:
        return None
    axes = [axis for axis in run.axes(STUDY) if axis not in ("backend", "starts")]
    measured = measured.assign(
        compile_seconds=measured["compile_seconds"].astype(float),
        first_result_seconds=measured[list(WAY)].sum(axis=1),
    )
    rows = [{**setting, **_means(part)} for setting, part in groups(measured, [*axes, "backend", "cache"])]
    return Startup(in_order(pd.DataFrame(rows), [*axes, "backend"]).reset_index(drop=True), axes)


def _means(part: pd.DataFrame) -> dict[str, float]:
    way = part["first_result_seconds"]
    mean = {name: float(part[name].mean()) for name in ("interpreter_seconds", "import_seconds")}
    compiling = float(part["compile_seconds"].mean())
    known = 0.0 if np.isnan(compiling) else compiling
    return {
        "starts": len(part),
        "first_result_seconds": float(way.mean()),
        "low": float(way.min()),
        "high": float(way.max()),
        **mean,
        "compile_seconds": compiling,
        "rest_seconds": float(way.mean()) - sum(mean.values()) - known,
        "next_call_seconds": float(part["next_call_seconds"].mean()),
        "pieces_compiled": _most(part, "pieces_compiled"),
        "pieces_loaded": _most(part, "pieces_loaded"),
    }


def _most(part: pd.DataFrame, column: str) -> float:
    return float(part[column].astype(float).max())
