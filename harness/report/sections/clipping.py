"""What does clipping do to the gradient?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import SECTIONS, Answer, question
from harness.report.summaries.clipped_training import clipped_trainings
from harness.report.summaries.clipping import (
    OWN,
    Clipped,
    Clippings,
    clippings,
    only_unclipped,
    rule_words,
)
from harness.report.summaries.grouping import groups, records
from harness.report.tables import Table
from harness.report.words import (
    counted,
    known,
    missing,
    phrase,
    plain,
    power_of_ten,
    setting,
    significant,
    split_constant,
    symbol,
)

SQUARED = "lecture_squared_norm"
KEPT = 0.9995
"""Cosine above which a direction counts as kept: what rounds to 1.000."""


@question(
    "clipping",
    heading="What does clipping do to the gradient?",
    study="clipping",
    order=50,
    explanation=(
        "‖dL/dh_k‖ at every step of the backward pass, and the parameter gradient, with and without "
        "clipping: either the finished parameter gradient is clipped, or at each step on the way back the "
        "gradient of the state, or that of the gates' pre-activations."
    ),
)
def answer(run: Run) -> Answer | None:
    found = clippings(run)
    if found is None:
        return Answer("Only none was measured: nothing was clipped.") if only_unclipped(run) else None
    places = dict.fromkeys(str(clipped.setting["place"]) for clipped in found.curves)
    by_place = {
        place: [clipped for clipped in found.curves if str(clipped.setting["place"]) == place]
        for place in places
    }
    parts = [_place(place, curves) for place, curves in by_place.items()]
    sentence = "; ".join(parts)
    return Answer(
        sentence=f"{sentence[0].upper()}{sentence[1:]}.",
        details=(*_directions(found), *_squared(found), *_non_finite(found), *_over_training(run)),
        table=_table(found),
        summary=_summary(found),
    )


def _place(place: str, curves: Sequence[Clipped]) -> str:
    settings = counted(len(curves), "setting")
    if all(clipped.largest_change == 0 for clipped in curves):
        return f"clipping on the {place} left every ‖dL/dh_k‖ exactly as it was, in all {settings}"
    changed = [clipped for clipped in curves if clipped.largest_change > 0]
    # what truncation cuts off is gone by definition: it is no largest change
    most = min([c for c in changed if math.isfinite(_fall(c))] or changed, key=_fall)
    lag, before, after = most.last
    words = _words(most)
    return (
        f"clipping on the {place} changed ‖dL/dh_k‖ in {len(changed)} of {settings}, most at the largest lag "
        f"for {words}: from {power_of_ten(before)} to {power_of_ten(after)} at t − k = {plain(lag)}"
    )


def _fall(clipped: Clipped) -> float:
    """Change of log10 of the median norm at the largest lag; the smallest is the strongest fall."""
    _, before, after = clipped.last
    return 0.0 if before == after else after - before


def _words(clipped: Clipped) -> str:
    s = clipped.setting
    axes = {axis: s.get(axis) for axis in ("cell", "initialization", "gain", "rule", "threshold")}
    return setting({**axes, "rule": clipped.rule})


def _directions(found: Clippings) -> list[str]:
    """Per rule and place: how far the parameter gradient's norm and direction moved."""
    by_rule: dict[tuple[str, str], list[Clipped]] = {}
    for clipped in found.curves:
        by_rule.setdefault((clipped.rule, str(clipped.setting["place"])), []).append(clipped)
    sentences = []
    for (rule, place), curves in by_rule.items():
        if not any(map(_recorded, curves)):
            continue
        shrunk = [
            c for c in curves if c.facts["parameter_norm_clipped"] < c.facts["parameter_norm_unclipped"]
        ]
        sentence = (
            f"{rule} on {place}: the parameter gradient became smaller in {len(shrunk)} of "
            f"{counted(len(curves), 'setting')}{_passes(curves)}; {_direction(curves)}"
        )
        sentences.append(f"{sentence}{_without_direction(curves)}.")
    return sentences


def _recorded(clipped: Clipped) -> bool:
    return any(not missing(before) for before, _ in clipped.passes)


def _passes(curves: Sequence[Clipped]) -> str:
    """Of clipping on the parameters: in how many passes it did anything."""
    if not all(clipped.at_parameters for clipped in curves):
        return ""
    changed, every = (sum(getattr(c, name) for c in curves) for name in ("changed_passes", "cases"))
    return f" (clipped in {changed} of {counted(every, 'pass', 'passes')})"


def _direction(curves: Sequence[Clipped]) -> str:
    cosines = [c.facts["cosine"] for c in curves if not missing(c.facts["cosine"])]
    if not cosines:
        return "it had no direction to compare"
    if min(cosines) > KEPT:
        return "it kept its direction everywhere"
    return f"its direction turned, down to a cosine of {significant(min(cosines))} with the unclipped one"


def _without_direction(curves: Sequence[Clipped]) -> str:
    """Why some passes have no cosine; nothing where all have."""
    zero, not_finite = (sum(c.without_direction[n] for c in curves) for n in (0, 1))
    reasons = [f"{why} in {n:,}" for n, why in ((zero, "zero"), (not_finite, "not finite")) if n]
    if not reasons:
        return ""
    without = counted(zero + not_finite, "pass", "passes")
    return f"; {without} had no direction, before clipping or after: {' and '.join(reasons)}"


def _squared(found: Clippings) -> list[str]:
    """What a rule does that compares with, and divides by, the square of the norm: by single gradients, since
    a median over seeds before and one after need not be of the same gradient.
    """
    by_threshold: dict[float, list[tuple[float, float]]] = {}
    for clipped in found.curves:
        if clipped.setting["rule"] == SQUARED and clipped.at_parameters:
            c = float(clipped.setting["threshold"])
            cut = [(n, after) for n, after in clipped.passes if math.isfinite(n) and n > c**0.5]
            by_threshold.setdefault(c, []).extend(cut)
    sentences = []
    for c, norms in sorted(by_threshold.items()):
        if not norms:
            continue
        told = [
            f"{significant(before)} to {significant(after)}" for before, after in (min(norms), max(norms))
        ]
        sentence = (
            f"{SQUARED} with threshold {plain(c)} divides by the squared norm, so that a gradient of norm n "
            f"leaves with {plain(c)}/n, the smaller the larger it came: {' and '.join(dict.fromkeys(told))}, "
            f"where clipping by the norm leaves {plain(c)}"
        )
        if c < 1.0:
            sentence += (
                f"; norms from {plain(c)} to {significant(c**0.5)}, which that cuts, it leaves as they are"
            )
        sentences.append(f"{sentence}.")
    return sentences


def _non_finite(found: Clippings) -> list[str]:
    number = sum(clipped.non_finite for clipped in found.curves)
    return [f"Gradients were not finite in {counted(number, 'case')}."] if number else []


def _over_training(run: Run) -> list[str]:
    """This section is of single passes: where the other one is."""
    if clipped_trainings(run) is None:
        return []
    return [f"All this is of single passes; of whole trainings see “{SECTIONS['clipped_training'].heading}”."]


def _summary(found: Clippings) -> pd.DataFrame:
    rows = []
    for clipped in found.curves:
        lag, before, after = clipped.last
        rows.append(
            {
                **clipped.setting,
                "largest_lag": lag,
                "log10_median_unclipped_at_largest_lag": before,
                "log10_median_clipped_at_largest_lag": after,
                "largest_change_log10": clipped.largest_change,
                **clipped.facts,
                "clipped_passes_fraction": _share_of_passes(clipped),
                "non_finite_cases": clipped.non_finite,
                "cases": clipped.cases,
            }
        )
    return pd.DataFrame(rows)


def _share_of_passes(clipped: Clipped) -> float:
    """Of those whose finished gradient the rule saw: NaN at the other places."""
    seen = clipped.at_parameters and _recorded(clipped)
    return clipped.changed_passes / clipped.cases if seen else math.nan


def _most_rules_first(summary: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """The network on which most rules were tried comes first; of several, that with the largest gradient."""
    parts = [part for _, part in groups(summary, axes)]
    parts.sort(key=lambda part: (-part["rule"].nunique(), -part["parameter_norm_unclipped"].max()))
    return pd.concat(parts)


def _table(found: Clippings) -> Table:
    summary = _summary(found)
    axes = [axis for axis in found.axes if axis not in (*OWN, "backend")]
    varying, constant = split_constant(summary, axes)
    summary = _most_rules_first(summary, varying)
    rows = [
        (
            *(plain(row[axis]) for axis in varying),
            rule_words(row),
            plain(row["place"]),
            plain(row["threshold"]),
            power_of_ten(row["log10_median_unclipped_at_largest_lag"]),
            power_of_ten(row["log10_median_clipped_at_largest_lag"]),
            significant(row["parameter_norm_unclipped"]),
            significant(row["parameter_norm_clipped"]),
            significant(row["cosine"]),
            *(known(100 * row[f"clipped_{of}_fraction"]) for of in ("steps", "samples", "passes")),
        )
        for row in records(summary)
    ]
    last = (
        "threshold",
        "‖dL/dh_k‖ before",
        "after",
        "parameter gradient before",
        "after ",
        "cosine",
        "steps clipped (%)",
        "of samples (%)",
        "of passes (%)",
    )
    caption = phrase(
        "‖dL/dh_k‖ is that at the largest t − k; medians over seeds",
        setting(constant),
        "cosine: of the parameter gradient to the unclipped one",
        "of steps, and of all steps and samples, those in which δ was changed on the way back",
        "of passes: those whose finished gradient was changed",
    )
    columns = (*map(symbol, varying), "rule", "place", *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "T", "H", "B", "I"}))
