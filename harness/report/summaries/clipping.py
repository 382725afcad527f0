"""Clipping: ‖dL/dh_k‖ before and after, per rule, place and threshold, and the parameter gradient's norm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import Curve, curve
from harness.report.summaries.grouping import Setting, groups, has
from harness.report.words import missing, plain

STUDY = "clipping"
OWN = ("rule", "place", "threshold", "steps")
"""The axes that say how it is clipped."""
BEFORE, AFTER = "log10_norm_unclipped", "log10_norm_clipped"
_NORMS = ("parameter_norm_unclipped", "parameter_norm_clipped")
_FACTS = (*_NORMS, "cosine", "clipped_steps_fraction", "clipped_samples_fraction")


@dataclass(frozen=True)
class Clipped:
    """One rule at one place and threshold, over all seeds.

    Args:
        setting: every axis but the seed.
        before, after: log10 ‖dL/dh_k‖ over lag.
        largest_change: max over lags and observations of |Δ log10 norm|; inf where a norm became zero.
        facts: medians over the cases of parameter_norm_unclipped, parameter_norm_clipped, cosine,
            clipped_steps_fraction and clipped_samples_fraction (NaN where not recorded; the fractions are of
            what is clipped on the way back, and so NaN at place "parameters").
        passes: of each case, the norm of its parameter gradient unclipped and clipped.
        without_direction: cases without a cosine, the gradient being zero, and being not finite.
        non_finite: cases in which a gradient was not finite.
    """

    setting: Setting
    before: Curve
    after: Curve
    largest_change: float
    facts: dict[str, float]
    passes: tuple[tuple[float, float], ...]
    without_direction: tuple[int, int]
    non_finite: int

    @property
    def cases(self) -> int:
        return len(self.passes)

    @property
    def at_parameters(self) -> bool:
        """Whether it is the finished gradient that is clipped, and nothing on the way back."""
        return str(self.setting["place"]) == "parameters"

    @property
    def changed_passes(self) -> int:
        """Cases in which the norm of the parameter gradient is another after clipping than before."""
        return sum(
            before != after for before, after in self.passes if not (missing(before) or missing(after))
        )

    @property
    def rule(self) -> str:
        """The rule in words, with how far back it lets a gradient go."""
        return rule_words(self.setting)

    @property
    def last(self) -> tuple[float, float, float]:
        """The largest lag, log10 of the median norm there before, and after."""
        return float(self.before.x[-1]), float(self.before.median[-1]), float(self.after.median[-1])


@dataclass(frozen=True)
class Clippings:
    """Every clipping of the run, and the study's axes without the seed.

    The rule `none` is not among them: it is the unclipped side of all others.
    """

    curves: tuple[Clipped, ...]
    axes: list[str]


def rule_words(row: Mapping[str, Any]) -> str:
    """ "global_norm", "truncated after 20 steps"."""
    steps = row.get("steps")
    return str(row["rule"]) if missing(steps) else f"{row['rule']} after {plain(steps)} steps"


def only_unclipped(run: Run) -> bool:
    """Whether all that was measured is the rule `none`."""
    measured = run.measured(STUDY)
    return has(measured, "rule") and bool((measured["rule"] == "none").all())


@lru_cache(maxsize=1)
def clippings(run: Run) -> Clippings | None:
    """Every clipping, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "lag", BEFORE, AFTER, "cell", "rule", "place", "threshold"):
        return None
    measured = measured[measured["rule"] != "none"].dropna(subset=["lag", BEFORE, AFTER])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    found = tuple(_clipped(setting, part) for setting, part in groups(measured, axes))
    return Clippings(found, axes) if found else None


def _clipped(setting: Setting, part: pd.DataFrame) -> Clipped:
    cases = part.drop_duplicates("key")
    known = [*_FACTS] if str(setting["place"]) != "parameters" else [*_NORMS, "cosine"]
    facts = {
        name: float(cases[name].median()) if name in cases and name in known else np.nan for name in _FACTS
    }
    non_finite = int((cases["non_finite"].fillna(0) > 0).sum()) if "non_finite" in cases else 0
    norms = cases.reindex(columns=[*_NORMS, "cosine"]).astype(float)
    bare = norms[norms["cosine"].isna() & ("cosine" in cases)][[*_NORMS]]
    zero = int((bare == 0.0).any(axis=1).sum())
    return Clipped(
        setting=setting,
        before=curve(part["lag"], part[BEFORE]),
        after=curve(part["lag"], part[AFTER]),
        largest_change=_largest_change(part),
        facts=facts,
        passes=tuple((float(n), float(c)) for n, c in norms[[*_NORMS]].to_numpy()),
        without_direction=(zero, len(bare) - zero),
        non_finite=non_finite,
    )


def _largest_change(part: pd.DataFrame) -> float:
    before, after = part[BEFORE].to_numpy(float), part[AFTER].to_numpy(float)
    differs = before != after  # equal infinities are no change, and their difference is no number
    return float(np.abs(after[differs] - before[differs]).max()) if differs.any() else 0.0


def to_frame(found: list[Clipped]) -> pd.DataFrame:
    """The curves as tidy rows: what a figure of them shows."""
    parts = []
    for clipped in found:
        frame = pd.DataFrame(
            {
                "lag": clipped.before.x.astype(int),
                "log10_median_unclipped": clipped.before.median,
                "log10_median_clipped": clipped.after.median,
            }
        )
        for position, (axis, value) in enumerate(clipped.setting.items()):
            frame.insert(position, str(axis), value)
        parts.append(frame)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
