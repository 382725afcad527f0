"""C1: the norm of ∂h_t/∂h_k stays under its bound; below 1 it vanishes, above 1 it can explode."""

from __future__ import annotations

import numpy as np
import pandas as pd

from harness.report import effects
from harness.report.claim import NOT_SUPPORTED, Condition, Finding, claim, finding
from harness.report.frames import Run
from harness.report.summaries.gradient_decay import BOUND, NORM, STUDY
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.pairs import networks, per_seed
from harness.report.words import counted, power_of_ten

TOLERANCE = 1e-6
"""log10 by which a rounded norm may lie above its bound."""
RATE = "nats per step"
BELOW, ABOVE = "β_W β_h < 1", "β_W β_h > 1"


@claim(
    "C1",
    text=(
        "‖∂h_t/∂h_k‖ of a simple RNN stays under (β_W β_h)^(t−k): below 1 it vanishes, above 1 it can "
        "explode."
    ),
    rule=(
        "Supported where no norm at any lag lies above its bound, in each cell the networks with β_W β_h < 1 "
        "lose their norm (the rate's interval over seeds lies below 0), and some setting of some cell with "
        "β_W β_h > 1 gains: it can, and need not (its rate's interval lies above 0; as it is the largest of "
        "several, it holds for all of them at once)."
    ),
    studies=("gradient_decay",),
    section="gradient_decay",
)
def judge(run: Run) -> Finding | None:
    measured, drawn = run.measured(STUDY), networks(run)
    if drawn is None or not has(measured, BOUND, NORM):
        return None
    bounded = measured[(measured["lag"] > 0) & measured[BOUND].notna() & measured[NORM].notna()]
    if bounded.empty:
        return None
    with np.errstate(invalid="ignore"):
        over = (bounded[NORM] - bounded[BOUND]).where(bounded[NORM] != bounded[BOUND], 0.0)
    excess = float(over.max())  # where both are exactly zero the norm is its bound
    count = int(bounded["key"].nunique())
    under = Condition(
        "the bound at every lag",
        "log10 of the norm over its bound, at most",
        effects.exact(excess, count),
        excess <= TOLERANCE,
    )
    factors = (bounded[BOUND] / bounded["lag"]).groupby(bounded["key"]).first()
    drawn = drawn[drawn["block"] == "hh"].assign(factor=drawn["key"].map(factors))
    cells = [(str(own["cell"]), part) for own, part in groups(drawn, ["cell"])]
    below = [condition for cell, part in cells for condition in _below(cell, part)]
    above = _above(drawn, run)
    conditions = [under, *below, *above]
    found = finding(
        conditions,
        on="the side of 1 and the cell",
        effect=_effect(conditions, excess),
        tested=f"{counted(count, 'network')} of simple RNNs, every lag",
        untested=[BELOW] * (len(below) == 0) + [ABOVE] * (len(above) == 0),
    )
    if found is not None and not under.holds:
        return Finding(found.effect, found.tested, found.conditions, NOT_SUPPORTED)
    return found


def _below(cell: str, drawn: pd.DataFrame) -> list[Condition]:
    part = drawn[drawn["factor"] < -TOLERANCE]
    if part.empty:
        return []
    rates = per_seed(part[np.isfinite(part["nats_per_step"])], "nats_per_step")
    # without any rate all norms are exactly zero
    rate = effects.mean(rates, "seed") if len(rates) else effects.exact(-np.inf, len(part))
    return [Condition(f"{BELOW} in {cell}", RATE, rate, rate.below(0.0))]


def _above(drawn: pd.DataFrame, run: Run) -> list[Condition]:
    """The setting that grows most, of whichever cell."""
    part = drawn[(drawn["factor"] > TOLERANCE) & np.isfinite(drawn["nats_per_step"])]
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    settings = [(own["cell"], per_seed(rows, "nats_per_step")) for own, rows in groups(part, axes)]
    rates = [(cell, effects.mean(rates, "seed", of=len(settings))) for cell, rates in settings]
    if not rates:
        return []
    cell, largest = max(rates, key=lambda entry: entry[1].value)
    words = f"{ABOVE} where it grows most, in {cell}"
    return [Condition(words, RATE, largest, largest.above(0.0))]


def _effect(conditions: list[Condition], excess: float) -> str:
    words = f"the largest norm is {power_of_ten(excess)} times its bound"
    rest = [f"{c.words}: {c.effect.words()} {RATE}" for c in conditions[1:]]
    named = " ".join(condition.words for condition in conditions)
    return "; ".join(
        [words, *rest, *(f"no network had {side}" for side in (BELOW, ABOVE) if side not in named)]
    )
