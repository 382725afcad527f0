"""Did the gradients before training foretell who would learn?  Ranks of trainings against what was measured.

Two trainings are a pair where one solved its task and the other did not, or later.  A quantity foretells the
pair where it is larger for the one that solved (sooner); a tie counts half.  Its share of pairs is the area
under the ROC curve where pairs of one that solved and one that did not are counted alone (Hanley & McNeil
1982), and Harrell's concordance where all are (Harrell et al. 1982, "Evaluating the yield of medical tests"),
a training that was not solved counting as one that would have taken longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.report.frames import Run
from harness.report.statistics import CONFIDENCE
from harness.report.summaries.grouping import groups
from harness.report.summaries.learning import learnings

Floats = NDArray[np.float64]

DRAWS = 2000
"""Of the bootstrap: settings (all axes but the seed) are drawn, with all their seeds."""
FEWEST_SETTINGS = 2
"""On either side of the pairs: of a single one nothing can be drawn but itself."""
PREDICTORS = {
    "norm": "‖∂h_T/∂h_0‖₂ (the larger the better)",
    "closeness": "‖∂h_T/∂h_0‖₂ (the closer to 1 the better)",
    "half-life": "half-life over T (the longer the better)",
}
ALL = "all"
ANY, EACH = "any", "each"
"""Which cells a pair is of: any two, or one and the same."""
FEWEST_TO_DRAW = 3
"""Settings of a stratum, to draw from them."""


@dataclass(frozen=True)
class Share:
    """A share of pairs with its bootstrap interval (NaN where there are too few settings to draw from)."""

    value: float
    low: float
    high: float
    pairs: int


@dataclass(frozen=True)
class Foretelling:
    """Args:
    rows: per predictor, and task and T ("all": pairs of the same task and T, together; "any": of the same
        task at any T), way of training ("all": of each by itself, together) and cells (ANY; EACH: pairs of
        one cell alone, of cells tried under three settings or more): solved, unsolved, settings, auc,
        auc_low, auc_high, concordance, its low and high.
    """

    rows: pd.DataFrame


@lru_cache(maxsize=1)
def foretelling(run: Run) -> Foretelling | None:
    """The summary, or None where no two trainings of the same task and T ended differently."""
    found = learnings(run)
    if found is None:
        return None
    trainings = found.trainings[found.trainings["log10_norm_before"].notna()]
    trainings = trainings.assign(setting=_numbered(trainings, found.axes))
    alike = ["task", "way"]
    blocks = [(ALL, ALL, ALL, ANY, trainings, _numbered(trainings, [*alike, "seq_len"]))]
    of_one = _tried_often(trainings, [*alike, "seq_len", "cell"])
    if trainings["cell"].nunique() > 1 and len(of_one):
        blocks.append((ALL, ALL, ALL, EACH, of_one, _numbered(of_one, [*alike, "seq_len", "cell"])))
    if trainings["seq_len"].nunique() > 1:
        blocks.append((ALL, "any", ALL, ANY, trainings, _numbered(trainings, alike)))
    blocks += [
        (own["task"], own["seq_len"], own["way"], ANY, part, np.zeros(len(part)))
        for own, part in groups(trainings, [*alike, "seq_len"])
    ]
    rows = []
    for task, seq_len, way, cells, part, strata in blocks:
        solved = (part["end"] == "solved").to_numpy()
        took = np.nan_to_num(part["solved_at_step"].to_numpy(float), nan=np.inf)
        for name, values in predictors(part).items():
            auc = share_of_pairs(
                values, np.where(solved, 0.0, np.inf).astype(float), strata, part["setting"].to_numpy()
            )
            if auc is None:
                continue
            concordance = share_of_pairs(values, took, strata, part["setting"].to_numpy())
            rows.append(
                {
                    "task": task,
                    "seq_len": seq_len,
                    "way": way,
                    "cells": cells,
                    "predictor": name,
                    "solved": int(solved.sum()),
                    "unsolved": int((~solved).sum()),
                    "settings": part["setting"].nunique(),
                    **_named("auc", auc),
                    **_named("concordance", concordance or auc),
                }
            )
    return Foretelling(pd.DataFrame(rows)) if rows else None


def predictors(trainings: pd.DataFrame) -> dict[str, Floats]:
    """What was measured before the first step, each so that larger is to mean better."""
    norm = trainings["log10_norm_before"].to_numpy(float)
    half_life = trainings["half_life_before"].astype(float).fillna(np.inf).to_numpy()
    return {
        "norm": norm,
        "closeness": -np.abs(norm),
        "half-life": half_life / trainings["seq_len"].to_numpy(float),
    }


def share_of_pairs(
    values: Floats, took: Floats, strata: NDArray[Any], settings: NDArray[Any]
) -> Share | None:
    """Of all pairs within a stratum of which the first took less, those in which its value is larger.

    Args:
        values, took: (N,); inf where it never came.
        strata, settings: (N,) labels; the interval is over draws of whole settings within each stratum.

    Returns:
        None where there is no such pair.
    """
    comparable = (took[:, None] < took[None, :]) & (strata[:, None] == strata[None, :])
    if not comparable.any():
        return None
    larger = (values[:, None] > values[None, :]) + 0.5 * (values[:, None] == values[None, :])
    won = comparable * larger
    pairs = comparable.astype(float)
    sides = settings[comparable.any(axis=1)], settings[comparable.any(axis=0)]
    enough = min(len(np.unique(side)) for side in sides) >= FEWEST_SETTINGS
    shares = _drawn(won, pairs, strata, settings) if enough else np.empty(0)
    low, high = (
        np.quantile(shares, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]) if len(shares) else (np.nan,) * 2
    )
    return Share(float(won.sum() / pairs.sum()), float(low), float(high), int(pairs.sum()))


def _drawn(won: Floats, pairs: Floats, strata: NDArray[np.generic], settings: NDArray[np.generic]) -> Floats:
    """The share in each draw of settings; draws without a pair are left out."""
    rng = np.random.default_rng(0)
    weights = np.zeros((DRAWS, len(settings)))
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        names, place = np.unique(settings[members], return_inverse=True)
        if len(names) < FEWEST_TO_DRAW:
            return np.empty(0)
        counts = rng.multinomial(len(names), np.full(len(names), 1.0 / len(names)), size=DRAWS)
        weights[:, members] = counts[:, place]
    total = np.einsum("di,di->d", weights @ pairs, weights)
    gained = np.einsum("di,di->d", weights @ won, weights)
    return gained[total > 0] / total[total > 0]


def _tried_often(trainings: pd.DataFrame, axes: Sequence[str]) -> pd.DataFrame:
    """Those of strata with settings enough to draw from."""
    settings = trainings.groupby(list(axes), sort=False, dropna=False)["setting"].transform("nunique")
    return trainings[settings >= FEWEST_TO_DRAW]


def _numbered(frame: pd.DataFrame, axes: Sequence[str]) -> NDArray[Any]:
    """A number for each combination of the axes, (N,)."""
    return frame.groupby(list(axes), sort=False, dropna=False).ngroup().to_numpy()


def _named(name: str, share: Share) -> dict[str, float]:
    return {
        name: share.value,
        f"{name}_low": share.low,
        f"{name}_high": share.high,
        f"{name}_pairs": share.pairs,
    }
