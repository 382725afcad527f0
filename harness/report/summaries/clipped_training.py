"""The same training under several clippings: how each went, and how far the gradient reaches afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.grouping import groups, in_order
from harness.report.summaries.learning import CLIPPING, STUDY, learnings


@dataclass(frozen=True)
class ClippedTrainings:
    """Args:
    settings: as of :class:`~harness.report.summaries.learning.Learnings`, of trainings that were done under
        more than one clipping.
    losses: of each of them and each step, the median over seeds of the batch's loss.
    decays: of each of them, `when` ("before", "after") and lag, the median over seeds of log10 ‖∂h_T/∂h_k‖₂.
    same: the axes that trainings which are compared share.
    axes: the study's axes without the seed.
    """

    settings: pd.DataFrame
    losses: pd.DataFrame
    decays: pd.DataFrame
    same: list[str]
    axes: list[str]


@lru_cache(maxsize=1)
def clipped_trainings(run: Run) -> ClippedTrainings | None:
    """The summary, or None where no training was done under more than one clipping."""
    found = learnings(run)
    if found is None:
        return None
    same = [axis for axis in found.axes if axis not in CLIPPING]
    parts = [part for _, part in groups(found.settings, same) if part["clipped"].nunique() > 1]
    if not parts:
        return None
    settings = in_order(pd.concat(parts), same).reset_index(drop=True)
    trainings = [part for _, part in groups(found.trainings, same) if part["clipped"].nunique() > 1]
    clipped = pd.concat(trainings).set_index("key")["clipped"]
    measured = run.measured(STUDY)
    compared = measured[measured["key"].isin(clipped.index)]
    compared = compared.assign(clipped=compared["key"].map(clipped))
    named = [*found.axes, "clipped"]
    return ClippedTrainings(settings, _losses(compared, named), _decays(compared, named), same, found.axes)


def _losses(compared: pd.DataFrame, named: list[str]) -> pd.DataFrame:
    steps = compared[compared["quantity"] == "step"]
    return steps.groupby([*named, "step"], sort=False, dropna=False)["loss"].median().reset_index()


def _decays(compared: pd.DataFrame, named: list[str]) -> pd.DataFrame:
    """Of a training that diverged, after is its last good state; none where that is the start."""
    rows = compared[compared["quantity"] == "decay"]
    step = rows["step"].astype(float)
    first, last = step == 0, step == rows["key"].map(step.groupby(rows["key"]).max())
    both = [rows[first].assign(when="before"), rows[last & ~first].assign(when="after")]
    by = [*named, "when", "lag"]
    middle = pd.concat(both).groupby(by, sort=False, dropna=False)["log10_spectral_norm"]
    return middle.median().reset_index()
