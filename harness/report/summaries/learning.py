"""Trainings on tasks that need a memory: how each ended, and what its gradients foretold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import median
from harness.report.summaries.gradient_decay import VARIANT, variant
from harness.report.summaries.grouping import groups, has, in_order, records
from harness.report.words import counted, missing, phrase, plain

STUDY = "learning"
ENDS = ("solved", "not solved", "diverged")
_MEDIANS = (
    *("baseline", "half_life_before", "horizon_before", "log10_norm_before", "rate_before"),
    *("half_life_after", "log10_norm_after", "last_loss", "last_error_rate", "worst_loss"),
    *("clipped_share", "diverged_at_step", "training_seconds", "steps_done"),
)
CLIPPING = ("rule", "place", "threshold", "truncate")
TRAINED = ("optimizer", "learning_rate", "momentum", "steps", "batch_size")
"""How it was trained; what :func:`trained` puts in words."""
SQUARED, NATS = "mean squared error", "cross-entropy (nats)"
LOSSES = {
    **dict.fromkeys(("adding", "adding_mean", "multiplication"), SQUARED),
    **dict.fromkeys(("temporal_order", "copy_memory", "digit_rows", "digit_pixels"), NATS),
}
"""What the loss of each of the project's tasks is."""
LOOKED_AT = ("check_every", "samples")
"""How often and on how much it was measured."""


@dataclass(frozen=True)
class Learnings:
    """Args:
    trainings: one row per training: the axes, `variant` (initialization, gain and forget bias in one),
        `clipped` (the rule in words), `way` (how it was trained, in words), end (one of ENDS), and the
        study's facts.
    settings: one row per combination of the axes but the seed: trainings, solved, diverged, median of
        solved_at_step over those that solved, medians of what was measured before and after, of the last
        held-out loss and error rate, and of the worst loss of a batch on the way.
    scores: one row per setting and step: loss, median over seeds, of held-out sequences.
    axes: the study's axes without the seed.
    """

    trainings: pd.DataFrame
    settings: pd.DataFrame
    scores: pd.DataFrame
    axes: list[str]


@dataclass(frozen=True)
class Foretold:
    """How well the decay before training tells who will solve a task from who will not.

    Args:
        share: of pairs of one that solved and one that did not, those in which the first had the larger value
            (a tie counts half): 1 foretells all, ½ nothing.
        p_value: of Mann and Whitney's test.
        solved, unsolved: how many trainings.
    """

    share: float
    p_value: float
    solved: int
    unsolved: int


@lru_cache(maxsize=1)
def learnings(run: Run) -> Learnings | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "quantity", "step", "loss", "task", "cell", "solved"):
        return None
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    measured = measured.assign(
        variant=[variant(row) for row in records(measured[list(VARIANT)])],
        clipped=[clipping(row) for row in records(measured[list(CLIPPING)])],
        way=[trained(row) for row in records(measured[[axis for axis in TRAINED if axis in measured]])],
    )
    trainings = measured.drop_duplicates("key").reset_index(drop=True)
    last = measured[measured["quantity"] == "score"].groupby("key").last()
    worst = measured[measured["quantity"] == "step"].groupby("key")["loss"].max()
    trainings = trainings.drop(columns=["quantity", "step", "loss", "error_rate", "lag"]).assign(
        end=[_end(row) for row in records(trainings)],
        last_loss=trainings["key"].map(last["loss"]),
        last_error_rate=trainings["key"].map(last["error_rate"]),
        worst_loss=trainings["key"].map(worst),
    )
    named = [*axes, "variant", "clipped", "way"]
    settings, scores = [], []
    for setting, part in groups(trainings, named):
        settings.append({**setting, **_condensed(part)})
        own = measured[measured["key"].isin(part["key"]) & (measured["quantity"] == "score")]
        curve = own.groupby("step")["loss"].median().reset_index()
        scores.append(curve.assign(**{axis: [value] * len(curve) for axis, value in setting.items()}))
    return Learnings(
        in_order(trainings, axes).reset_index(drop=True),
        in_order(pd.DataFrame(settings), axes).reset_index(drop=True),
        pd.concat(scores, ignore_index=True),
        axes,
    )


def foretold(trainings: pd.DataFrame, by: str = "log10_norm_before") -> Foretold | None:
    """By ‖∂h_T/∂h_0‖₂ before the first step, or another column; None unless some solved and some did not.

    Of trainings of one task, T and way; over several see :mod:`harness.report.summaries.foretelling`.
    """
    known = trainings[trainings[by].notna()]
    solved = known.loc[known["end"] == "solved", by].to_numpy(float)
    unsolved = known.loc[known["end"] != "solved", by].to_numpy(float)
    if not len(solved) or not len(unsolved):
        return None
    # an exact zero is −inf, below everything, what never halves inf, above: ranks need no more
    from scipy import stats  # half a second to import

    ranks = stats.rankdata(np.concatenate([solved, unsolved]))
    found = stats.mannwhitneyu(ranks[: len(solved)], ranks[len(solved) :], alternative="two-sided")
    share = float(found.statistic) / (len(solved) * len(unsolved))
    return Foretold(share, float(found.pvalue), len(solved), len(unsolved))


def loss_of(task: object) -> str:
    """The loss of a task with its unit, for an axis; "loss" of somebody's own."""
    return LOSSES.get(str(task), "loss")


def clipping(row: Mapping[Any, Any]) -> str:
    """ "no clipping", "global_norm 1", "value 0.1 at state", "truncated after 20 steps"."""
    if row["rule"] == "none":
        return "no clipping"
    if not pd.isna(row["truncate"]):
        return f"truncated after {row['truncate']:g} steps"
    place = "" if row["place"] == "parameters" else f" at {row['place']}"
    return f"{row['rule']} {row['threshold']:g}{place}"


def trained(row: Mapping[Any, Any]) -> str:
    """ "adam 0.005, 1000 steps of B=32"; what a run does not have is left out."""
    optimizer, rate, momentum, steps, batch_size = (row.get(name) for name in TRAINED)
    words = " ".join(plain(value) for value in (optimizer, rate) if not missing(value))
    words = phrase(words, "" if missing(momentum) else f"momentum {plain(momentum)}")
    many = "" if steps is None or missing(steps) else counted(int(steps), "step")
    return phrase(words, many if missing(batch_size) else f"{many} of B={plain(batch_size)}".strip())


def _end(row: Mapping[Any, Any]) -> str:
    if row["solved"]:
        return ENDS[0]
    return ENDS[1] if pd.isna(row["diverged_at_step"]) else ENDS[2]


def _condensed(part: pd.DataFrame) -> dict[str, object]:
    found: dict[str, object] = {
        "trainings": len(part),
        "solved": int((part["end"] == "solved").sum()),
        "diverged": int((part["end"] == "diverged").sum()),
        "solved_at_step": median(part["solved_at_step"].astype(float)),
    }
    for name in _MEDIANS:
        found[name] = median(part[name].astype(float))
    return found
