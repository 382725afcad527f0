"""C3: flat plains and steep cliffs, so that no one learning rate serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.error_surface import STUDY, surfaces
from harness.report.summaries.grouping import groups
from harness.report.words import counted, listed, plain, times

STEEP = 100.0
SERVED = 0.5


@claim(
    "C3",
    text=(
        "The error surface of an RNN has flat plains and steep cliffs, so that no one learning rate serves."
    ),
    rule=(
        "Supported where on each surface the steepest slope is more than 100 times the median one (planes "
        "count where the loss of the network in the middle is below half of what knowing nothing costs), "
        "and none of two or more learning rates brings a plain descent from every start to half its loss "
        "without a leap."
    ),
    studies=(STUDY,),
    section="error_surface",
)
def judge(run: Run) -> Finding | None:
    found = surfaces(run)
    if found is None:
        return None
    cases = run.measured(STUDY).drop_duplicates("key")
    conditions = [*_one_unit(cases), *_planes(found.networks)]
    rates = serving(found.ends)
    effect_words = measured_words(conditions)
    if len(rates) > 1:
        good = [rate for rate, served in rates.items() if served]
        conditions.append(
            Condition(
                "the learning rates",
                "learning rates that serve every start",
                effects.exact(len(good), len(rates), "learning rate"),
                not good,
                plain,
            )
        )
        effect_words += (
            f"; of the learning rates {listed([plain(rate) for rate in rates])}, "
            f"{_named(good)} every start within {counted(int(found.ends['steps'].max()), 'step')}"
        )
    effect_words += _left_out(found.networks)
    return finding(
        conditions,
        on="the surface",
        effect=effect_words,
        tested=f"{counted(len(cases), 'surface')}, and the descents on it",
    )


def _one_unit(cases: pd.DataFrame) -> list[Condition]:
    steep = cases.loc[cases["surface"] == "one_unit", "steepness"].astype(float).drop_duplicates()
    return [_steep("one unit", steep)] if len(steep) and steep.notna().all() else []


def _planes(networks: pd.DataFrame) -> list[Condition]:
    """Planes through networks that learned: one condition for each cell and length."""
    learned = networks[networks["learned"] & networks["steepness"].notna()]
    return [
        _steep(f"planes through trained {own['cell']} at T={plain(own['seq_len'])}", part["steepness"])
        for own, part in groups(learned, ["cell", "seq_len"])
    ]


def _steep(name: str, steepness: pd.Series) -> Condition:
    effect = effects.ratio(steepness, "surface")
    return Condition(name, "steepest slope over the median one", effect, effect.above(STEEP), times)


def _left_out(networks: pd.DataFrame) -> str:
    """The planes that are not judged, with why."""
    known = networks["centre_loss"].notna() & networks["baseline"].notna()
    words = []
    for why, rows in (
        ("as the network in the middle had not learned", networks[known & ~networks["learned"]]),
        ("as nothing says whether the network in the middle had learned", networks[~known]),
    ):
        parts = [
            f"{counted(len(part), 'plane')} through {own['cell']} at T={plain(own['seq_len'])}"
            for own, part in groups(rows, ["cell", "seq_len"])
        ]
        words += [f"; left out, {why}: {listed(parts)}"] if parts else []
    return "".join(words)


def _named(rates: Sequence[float]) -> str:
    if not rates:
        return "none serves"
    return f"{listed([plain(rate) for rate in rates])} {'serves' if len(rates) == 1 else 'serve'}"


def serving(ends: pd.DataFrame) -> dict[Any, bool]:
    """Learning rate -> whether each plain descent with it halved its loss and never leapt."""
    if ends.empty:
        return {}
    plain_ends = ends[ends["quantity"] == "plain"]
    return {
        setting["learning_rate"]: bool(
            (~part["leapt"].astype(bool) & (part["last_loss"] <= SERVED * part["first_loss"])).all()
        )
        for setting, part in groups(plain_ends, ["learning_rate"])
    }
