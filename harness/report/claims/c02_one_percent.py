"""C2: one percent in w decides over a thousand steps."""

from __future__ import annotations

import numpy as np

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding
from harness.report.frames import Run
from harness.report.summaries.error_surface import STUDY, surfaces
from harness.report.words import significant

ABOVE, BELOW = 1.01, 0.99
ABOUT_20000 = (10_000.0, 40_000.0)
ABOUT_ZERO = 1e-3


@claim(
    "C2",
    text="A deviation of 1 % in w decides over 1000 steps between about 20 000 and about 0.",
    rule=(
        "Supported where y = w^1000 at w = 1.01 lies within a factor of 2 of 20 000, and at w = 0.99 below a "
        "thousandth."
    ),
    studies=(STUDY,),
    section="error_surface",
)
def judge(run: Run) -> Finding | None:
    found = surfaces(run)
    if found is None or "power" not in found.grids:
        return None
    toy = found.grids["power"]
    conditions = []
    for w in (ABOVE, BELOW):
        at = toy[np.isclose(toy["x"].to_numpy(float), w, rtol=0, atol=1e-9)]
        if at.empty:
            return None
        y = float(10.0 ** at["log10_loss"].iloc[0])
        holds = ABOUT_20000[0] <= y <= ABOUT_20000[1] if w == ABOVE else y < ABOUT_ZERO
        conditions.append(Condition(f"w = {w:g}", "y", effects.exact(y, 1, "power"), holds, _exactly))
    effect = ", ".join(f"y = {_exactly(c.effect.value)} at {c.words}" for c in conditions)
    return finding(conditions, on="the side of 1", effect=effect, tested="the toy y = w^1000, exactly")


def _exactly(value: float) -> str:
    return significant(value, 4)
