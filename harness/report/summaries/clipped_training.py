"""The same training under several clippings: how each went, and how far the gradient reaches afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups, in_order
from harness.report.summaries.learning import CLIPPING, ENDS, STUDY, Learnings, learnings
from harness.report.summaries.pairs import pairs

NO_RULE = "none"
THROWN_OFF = 10.0
"""Times what knowing nothing costs: a network that ends above was thrown off."""


@dataclass(frozen=True)
class ClippedTrainings:
    """Args:
    settings: as of :class:`~harness.report.summaries.learning.Learnings`, of trainings that were done under
        more than one clipping.
    losses: of each of them and each step, the median over seeds of the batch's loss.
    decays: of each of them, `when` ("before", "after") and lag, the median over seeds of log10 ‖∂h_T/∂h_k‖₂.
    same: the axes that trainings which are compared share.
    axes: the study's axes without the seed.
    beside: as of :func:`beside_unclipped`.
    """

    settings: pd.DataFrame
    losses: pd.DataFrame
    decays: pd.DataFrame
    same: list[str]
    axes: list[str]
    beside: pd.DataFrame


def beside_unclipped(found: Learnings) -> pd.DataFrame:
    """Each training under a clipping (_2) beside that of the same network without (_1).

    Returns:
        Columns: the axes but the clipping's, seed, rule, place, threshold; exploded, solved and
        log10_norm_before of either side.
    """
    axes = [*(axis for axis in found.axes if axis not in CLIPPING), "seed"]
    told = found.trainings.assign(
        exploded=exploded(found.trainings), solved=found.trainings["end"] == ENDS[0]
    )
    columns = [*axes, "rule", "place", "threshold", "exploded", "solved", "log10_norm_before"]
    told = told[[column for column in columns if column in told]]
    side = (told["rule"] != NO_RULE).astype(int)
    plain = told[side == 0].drop(columns=["rule", "place", "threshold"])
    rules = told.loc[side == 1, ["rule", "place", "threshold"]]
    beside = pairs(pd.concat([plain, told[side == 1]]).assign(side=side), "side", 0, 1, axes)
    clipping = {f"{name}_2": name for name in rules}
    return beside.drop(columns=[f"{name}_1" for name in rules]).rename(columns=clipping)


def exploded(trainings: pd.DataFrame) -> pd.Series:
    """Did it diverge, or end with a held-out loss above THROWN_OFF times what knowing nothing costs?"""
    off = trainings["last_loss"].astype(float) > THROWN_OFF * trainings["baseline"].astype(float)
    return off | (trainings["end"] == "diverged")


def by_network(beside: pd.DataFrame) -> pd.DataFrame:
    """One row per network of :func:`beside_unclipped`, with the best that any of its clippings did for it.

    Returns:
        Columns: the axes and seed, and of the network without clipping `explodes`, `solves` and `faint` (had
        its gradient vanished before the first step?); with some clipping, `kept` (it does not explode) and
        `solved`.
    """
    own = ("rule", "place", "threshold")
    names = [str(name) for name in beside]
    keys = [name for name in names if name not in own and not name.endswith(("_1", "_2"))]
    rows = [
        {
            **network,
            "explodes": bool(part["exploded_1"].any()),
            "solves": bool(part["solved_1"].any()),
            "faint": bool((part["log10_norm_before_1"].astype(float) < FAINT).any()),
            "kept": not part["exploded_2"].all(),
            "solved": bool(part["solved_2"].any()),
        }
        for network, part in groups(beside, keys)
    ]
    return pd.DataFrame(rows)


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
    curves = _losses(compared, named), _decays(compared, named)
    return ClippedTrainings(settings, *curves, same, found.axes, beside_unclipped(found))


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
