"""At which rate does each direction grow or shrink?"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.gradient_decay import VARIANT
from harness.report.summaries.lyapunov import ROUNDING, Exponents, exponents, margin
from harness.report.tables import Table
from harness.report.words import counted, phrase, plain, setting, significant, split_constant, symbol


@question(
    "lyapunov",
    heading="At which rate does each direction grow or shrink?",
    study="lyapunov",
    order=44,
    explanation=(
        "Lyapunov exponents by the QR method, in nats per step: the rates of all directions of ∂s_t/∂s_k at "
        "long lags. λ₁ is the rate of the gradient itself; the Kaplan–Yorke dimension counts the directions "
        "that a network's states fill, the entropy rate sums what grows."
    ),
)
def answer(run: Run) -> Answer | None:
    found = exponents(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found.settings),
        details=(*_theory(found.settings), *_exact(found), *_unsettled(found.settings)),
        table=_table(found),
        summary=found.settings,
    )


def _named(row: Any) -> str:
    return f"{row['cell']} under {row['variant']}"


def _rate(row: Any) -> str:
    """λ₁ with what it varies over: the seeds where there are several, else the error of one average."""
    largest, seeds = _number(row["largest_exponent"]), int(row["seeds"])
    moving = seeds - int(row["converged"])
    if seeds == 1:
        error = _number(row["standard_error"], 2)
        return f"{largest} ± {error} nats per step{' (not converged)' if moving else ''}"
    short = f", {moving} of them not converged" if moving else ""
    return (
        f"{largest} nats per step ({_number(row['seed_low'])} to {_number(row['seed_high'])} over "
        f"{seeds} seeds{short})"
    )


def _number(value: float, digits: int = 3) -> str:
    """What is zero but for rounding is zero."""
    return significant(0.0 if abs(value) <= ROUNDING else float(value), digits)


def _sentence(settings: pd.DataFrame) -> str:
    largest = settings["largest_exponent"].to_numpy(float)
    growing = int((largest > margin(settings["standard_error"].to_numpy(float))).sum())
    top, bottom = settings.iloc[int(np.argmax(largest))], settings.iloc[int(np.argmin(largest))]
    sentence = (
        f"λ₁ is above 0 in {growing} of {counted(len(settings), 'setting')}, largest for {_named(top)} with "
        f"{_rate(top)}"
    )
    return (
        f"{sentence}."
        if len(settings) == 1
        else f"{sentence}; smallest for {_named(bottom)} with {_rate(bottom)}."
    )


def _theory(settings: pd.DataFrame) -> list[str]:
    """Mean field against the measurement, where it applies."""
    known = settings.dropna(subset=["mean_field_exponent"])
    known = known[np.isfinite(known["largest_exponent"])]
    if known.empty:
        return []
    gap = (known["largest_exponent"] - known["mean_field_exponent"]).abs()
    worst = known.loc[gap.idxmax()]
    expected, got = float(worst["mean_field_exponent"]), float(worst["largest_exponent"])
    return [
        "Mean-field theory, for large random networks, gives λ₁ to "
        f"{significant(float(gap.median()), 2)} nats per step in the median over "
        f"{counted(len(known), 'setting')}; furthest off for {_named(worst)} at "
        f"H={plain(worst['hidden_size'])}: {significant(expected)} expected, {significant(got)} measured."
    ]


def _exact(found: Exponents) -> list[str]:
    """The linear network against its eigenvalues."""
    if "exponent_theory" not in found.curves:
        return []
    rows = found.curves.dropna(subset=["exponent_theory"])
    if rows.empty:
        return []
    last = rows.groupby(found.axes, dropna=False)["steps"].transform("max")
    rows = rows[rows["steps"] == last]
    pair = rows[["exponent", "exponent_theory"]].to_numpy(float)
    pair = pair[np.isfinite(pair).all(axis=1)]
    error = float(np.abs(pair[:, 0] - pair[:, 1]).max()) if len(pair) else float("nan")
    return [
        f"In the linear network, where the exponents are ln|λᵢ| of W_hh, the largest of "
        f"{counted(len(pair), 'deviation')} is {significant(error, 2)} nats per step."
    ]


def _unsettled(settings: pd.DataFrame) -> list[str]:
    short = settings[settings["converged"] < settings["seeds"]]
    if short.empty:
        return ["Every average passed the test of convergence."]
    names = [
        f"{_named(row)} ({row['seeds'] - row['converged']} of {row['seeds']})"
        for row in short.to_dict("records")
    ]
    return [
        "Not converged in every seed, so that more steps would change some exponent by more than its error: "
        f"{', '.join(names)}."
    ]


def _table(found: Exponents) -> Table:
    rest = [axis for axis in found.axes if axis not in ("cell", *VARIANT, "backend")]
    varying, constant = split_constant(found.settings, rest)
    rows = [
        (
            str(row["cell"]),
            str(row["variant"]),
            *(plain(row[axis]) for axis in varying),
            _number(row["largest_exponent"]),
            _number(row["standard_error"], 2),
            f"{_number(row['seed_low'])} to {_number(row['seed_high'])}",
            significant(row["mean_field_exponent"]),
            f"{row['positive']} of {row['state_size']}",
            significant(row["kaplan_yorke_dimension"]),
            _number(row["entropy_rate"]),
            f"{row['converged']} of {row['seeds']}",
        )
        for row in found.settings.to_dict("records")
    ]
    last = ("λ₁", "± (error)", "over seeds", "½ ln χ", "λ > 0", "dimension", "entropy rate", "converged")
    steps = sorted(set(found.settings["steps"]))
    averaged = f"{steps[0]:,}" if len(steps) == 1 else f"{steps[0]:,} to {steps[-1]:,}"
    caption = phrase(
        f"Exponents in nats per step, averaged over {averaged} steps, means over seeds", setting(constant)
    )
    columns = ("cell", "initialization", *map(symbol, varying), *last)
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "T", "H", "B", "I"}))
