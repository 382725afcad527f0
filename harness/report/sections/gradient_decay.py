"""How far does the gradient reach under each initialization?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.gradient_decay import (
    GROWN,
    VARIANT,
    Decay,
    Decays,
    cell_words,
    common_slice,
    decays,
    variant,
)
from harness.report.tables import Table
from harness.report.words import (
    counted,
    phrase,
    plain,
    power_of_ten,
    setting,
    significant,
    split_constant,
    symbol,
)


@question(
    "gradient_decay",
    heading="How far does the gradient reach under each initialization?",
    study="gradient_decay",
    order=40,
    explanation=(
        "Spectral norm of ∂h_t/∂h_k, taken from the product of full state Jacobians, over the lag t − k. "
        "The gradient's reach is the number of steps before the median norm first falls below 1 %."
    ),
)
def answer(run: Run) -> Answer | None:
    found = decays(run)
    if found is None:
        return None
    curves, shared, _ = common_slice(found, ["cell", *VARIANT])
    curves = [decay for decay in curves if decay.block == "hh"] or curves
    return Answer(
        sentence=_sentence(curves, shared),
        details=tuple(_by_variant(curves)),
        table=_table(found),
        summary=_summary(found),
    )


def _ending(decay: Decay) -> str:
    """explodes: above 100 at the largest lag; vanishes: fell below 1 % on the way; carries: neither."""
    if decay.last[1] > GROWN:
        return "explodes"
    return "carries" if decay.reach is None else "vanishes"


def _named(decay: Decay) -> str:
    return f"{cell_words(decay.setting)} under {variant(decay.setting, forget_bias=False)}"


def _sentence(curves: Sequence[Decay], shared: str) -> str:
    by_ending: dict[str, list[Decay]] = {}
    for decay in curves:
        by_ending.setdefault(_ending(decay), []).append(decay)
    parts = []
    if gone := by_ending.get("vanishes"):
        first = min(gone, key=lambda decay: decay.horizon or 0.0)
        parts.append(
            f"it falls below 1 % in {len(gone)}, soonest for {_named(first)}, after "
            f"{significant(first.horizon or 0.0)} steps"
        )
    if kept := by_ending.get("carries"):
        best = max(kept, key=lambda decay: decay.last[1])
        lag, norm = best.last
        parts.append(
            f"it lasts to the end in {len(kept)}, strongest for {_named(best)} with a norm of "
            f"{power_of_ten(norm)} at lag {plain(lag)}{_dead(best, ' ({} samples exactly zero there)')}"
        )
    if grown := by_ending.get("explodes"):
        worst = max(grown, key=lambda decay: decay.last[1])
        lag, norm = worst.last
        parts.append(
            f"it explodes in {len(grown)}, most for {_named(worst)} with a norm of {power_of_ten(norm)} at "
            f"lag {plain(lag)}"
        )
    where = f" ({shared})" if shared else ""
    return f"Of {counted(len(curves), 'combination')} of cell and initialization{where}, {'; '.join(parts)}."


def _by_variant(curves: Sequence[Decay]) -> list[str]:
    by_name: dict[str, list[Decay]] = {}
    for decay in curves:
        by_name.setdefault(variant(decay.setting, forget_bias=False), []).append(decay)
    return [f"{name}: {'; '.join(map(_reach, listed))}." for name, listed in by_name.items()]


def _reach(decay: Decay) -> str:
    name, (lag, norm) = cell_words(decay.setting), decay.last
    match _ending(decay):
        case "vanishes":
            return f"{name} reaches {counted(int(decay.reach or 0), 'step')}"
        case "explodes":
            return f"{name} explodes to {power_of_ten(norm)} at lag {plain(lag)}"
        case _:
            dead = _dead(decay, "; {} samples exactly zero there")
            return f"{name} reaches all {plain(lag)} steps ({power_of_ten(norm)}{dead})"


def _dead(decay: Decay, words: str) -> str:
    """Of how many the norm at the largest lag is exactly zero, where the median is not: "4 of 12"."""
    if not decay.zeros or decay.last[1] == -np.inf:
        return ""
    return words.format(f"{decay.zeros} of {decay.observations}")


def _summary(found: Decays) -> pd.DataFrame:
    rows = []
    for decay in found.curves:
        lag, norm = decay.last
        rows.append(
            {
                **decay.setting,
                "block": decay.block,
                "reach_steps": np.nan if decay.reach is None else decay.reach,
                "ending": _ending(decay),
                "largest_lag": lag,
                "log10_median_norm_at_largest_lag": norm,
                "nats_per_step": decay.nats_per_step,
                "observations": decay.observations,
                "exact_zeros_at_largest_lag": decay.zeros,
            }
        )
    return pd.DataFrame(rows)


def _table(found: Decays) -> Table:
    curves = [decay for decay in found.curves if decay.block == "hh"] or list(found.curves)
    axes = [axis for axis in found.axes if axis not in ("cell", *VARIANT, "backend")]
    settings = pd.DataFrame([{**decay.setting} for decay in curves], columns=found.axes)
    varying, constant = split_constant(settings, axes)
    rows = []
    for decay in curves:
        lag, norm = decay.last
        rate = decay.nats_per_step
        rows.append(
            (
                cell_words(decay.setting),
                variant(decay.setting, forget_bias=False),
                *(plain(decay.setting[axis]) for axis in varying),
                "all" if decay.reach is None else plain(decay.reach),
                plain(lag),
                power_of_ten(norm),
                significant(float(np.exp(rate))),
                _ending(decay) + _dead(decay, " ({} exactly zero)"),
            )
        )
    last = ("reach (steps)", "largest lag", "norm there", "factor per step", "gradient")
    columns = ("cell", "initialization", *map(symbol, varying), *last)
    caption = phrase(
        "Medians over seeds and samples, block hh",
        setting(constant),
        "factor per step: over the second half of the lags",
    )
    return Table(columns, tuple(rows), caption + ".", frozenset({*last[:-1], "T", "H", "B", "I"}))
