"""Error surfaces: how steep beside how flat, and where descents ended with and without clipping."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.grouping import groups, has

STUDY = "error_surface"
LEAP = 1.0
"""A step of a descent that is longer than this, measured in the plane, left the part of it that is shown."""
LEARNED = 0.5
"""A network whose loss lies below this share of what knowing nothing costs has learned something."""


@dataclass(frozen=True)
class Surfaces:
    """Args:
    grids: surface -> rows of the grid: x, y, log10_loss, log10_gradient_norm.
    descents: on one unit, one row per step: learning_rate, quantity (plain, clipped), start, step, x, y,
        log10_loss.
    ends: one row per such descent: learning_rate, quantity, start, first_loss, last_loss, steps,
        longest_step, leapt.
    plane: the descents in the plane of `grids`, as `descents`.
    plane_ends: one row per descent in any plane: key, of its case, and as `ends`.
    facts: one row per surface: surface, steepness, flat_share, lowest and highest log10 loss; of a
        training that diverged diverged_at_step and last_good_step.
    networks: one row per network that a plane was cut through: key, cell, seq_len, seed, steepness,
        centre_loss (its own, in the plane's middle), baseline (what knowing nothing costs), learned.
    """

    grids: dict[str, pd.DataFrame]
    descents: pd.DataFrame
    ends: pd.DataFrame
    plane: pd.DataFrame
    plane_ends: pd.DataFrame
    facts: pd.DataFrame
    networks: pd.DataFrame


@lru_cache(maxsize=1)
def surfaces(run: Run) -> Surfaces | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "quantity", "surface", "x", "log10_loss", "steepness"):
        return None
    on_grid = measured[measured["quantity"] == "surface"]
    first = [part[part["key"] == part["key"].iloc[0]] for _, part in groups(on_grid, ["surface"])]
    grids = {str(part["surface"].iloc[0]): part.reset_index(drop=True) for part in first}
    every = measured[measured["quantity"].isin(["plain", "clipped"])].reset_index(drop=True)
    descents, planes = (every[every["surface"] == name] for name in ("one_unit", "trained"))
    ends = _ends(descents, ["learning_rate", "start", "quantity"])
    drawn = planes[planes["key"] == grids["trained"]["key"].iloc[0]] if "trained" in grids else planes
    facts = [
        {
            "surface": name,
            "steepness": float(part["steepness"].iloc[0]),
            "flat_share": float(part["flat_share"].iloc[0]),
            "lowest_log10_loss": float(part["log10_loss"].min()),
            "highest_log10_loss": float(part["log10_loss"].max()),
            **{
                fact: float(part[fact].iloc[0]) if fact in part and part[fact].notna().any() else np.nan
                for fact in ("diverged_at_step", "last_good_step")
            },
        }
        for name, part in grids.items()
    ]
    plane_ends = _ends(planes, ["key", "start", "quantity"])
    networks = _networks(measured[measured["surface"] == "trained"].drop_duplicates("key"))
    return Surfaces(grids, descents, ends, drawn, plane_ends, pd.DataFrame(facts), networks)


def _networks(cases: pd.DataFrame) -> pd.DataFrame:
    names = ("key", "cell", "seq_len", "seed", "steepness", "centre_loss", "baseline")
    found = cases.reindex(columns=list(names))
    numbers = ["steepness", "centre_loss", "baseline"]
    found[numbers] = found[numbers].astype(float)
    return found.assign(learned=found["centre_loss"] < LEARNED * found["baseline"]).reset_index(drop=True)


def _ends(descents: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    return pd.DataFrame([{**setting, **_end(part)} for setting, part in groups(descents, axes)])


def _end(part: pd.DataFrame) -> dict[str, float | int | bool]:
    part = part.sort_values("step")
    single = part["step"].astype(float).diff() == 1.0  # of a long descent not every step is recorded
    longest = float(np.hypot(part["x"].diff(), part["y"].diff())[single].max())
    return {
        "first_loss": float(10 ** part["log10_loss"].iloc[0]),
        "last_loss": float(10 ** part["log10_loss"].iloc[-1]),
        "steps": int(part["step"].iloc[-1]),
        "longest_step": longest,
        "leapt": longest > LEAP,
    }
