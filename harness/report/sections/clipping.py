"""What does clipping do to the gradient?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.clipping import OWN, Clipped, Clippings, clippings, rule_words
from harness.report.summaries.grouping import groups, records
from harness.report.tables import Table
from harness.report.words import (
    counted,
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
        return None
    places = dict.fromkeys(str(clipped.setting["place"]) for clipped in found.curves)
    by_place = {
        place: [clipped for clipped in found.curves if str(clipped.setting["place"]) == place]
        for place in places
    }
    parts = [_place(place, curves) for place, curves in by_place.items()]
    sentence = "; ".join(parts)
    return Answer(
        sentence=f"{sentence[0].upper()}{sentence[1:]}.",
        details=(*_directions(found), *_squared(found), *_non_finite(found)),
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
        if not missing(clipped.facts["cosine"]):
            key = (clipped.rule, str(clipped.setting["place"]))
            by_rule.setdefault(key, []).append(clipped)
    sentences = []
    for (rule, place), listed in by_rule.items():
        cosine = min(clipped.facts["cosine"] for clipped in listed)
        shrunk = [
            c for c in listed if c.facts["parameter_norm_clipped"] < c.facts["parameter_norm_unclipped"]
        ]
        direction = (
            "it kept its direction everywhere"
            if cosine > KEPT
            else f"its direction turned, down to a cosine of {significant(cosine)} with the unclipped one"
        )
        sentences.append(
            f"{rule} on {place}: the parameter gradient became smaller in {len(shrunk)} of "
            f"{counted(len(listed), 'setting')}; {direction}."
        )
    return sentences


def _squared(found: Clippings) -> list[str]:
    """What a rule does that compares with, and divides by, the square of the norm."""
    by_threshold: dict[float, list[Clipped]] = {}
    for clipped in found.curves:
        c, norm = clipped.setting["threshold"], clipped.facts["parameter_norm_unclipped"]
        if clipped.setting["rule"] == SQUARED and clipped.setting["place"] == "parameters" and norm**2 > c:
            by_threshold.setdefault(float(c), []).append(clipped)
    sentences = []
    for c, listed in sorted(by_threshold.items()):
        norms = sorted(
            (clipped.facts["parameter_norm_unclipped"], clipped.facts["parameter_norm_clipped"])
            for clipped in listed
        )
        cut = [f"{significant(before)} to {significant(after)}" for before, after in (norms[0], norms[-1])]
        sentence = (
            f"{SQUARED} with threshold {plain(c)} divides by the squared norm, so that a gradient of norm n "
            f"leaves with {plain(c)}/n, the smaller the larger it came: {' and '.join(dict.fromkeys(cut))}, "
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
                "non_finite_cases": clipped.non_finite,
                "cases": clipped.cases,
            }
        )
    return pd.DataFrame(rows)


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
            significant(100 * row["clipped_steps_fraction"]),
            significant(100 * row["clipped_samples_fraction"]),
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
    )
    caption = phrase(
        "‖dL/dh_k‖ is that at the largest t − k; medians over seeds",
        setting(constant),
        "cosine: of the parameter gradient to the unclipped one",
        "of samples: of all steps and samples, those in which δ was changed",
    )
    columns = (*map(symbol, varying), "rule", "place", *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "T", "H", "B", "I"}))
