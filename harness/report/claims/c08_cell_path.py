"""C8: the LSTM's cell path is a product of forget gates; open gates let the gradient through unchanged."""

from __future__ import annotations

import numpy as np

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.gradient_decay import NORM, STUDY
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.pairs import networks, per_seed
from harness.report.words import counted, plain, setting, significant, split_constant

OPEN = 3.0
"""A forget bias from which on a gate counts as open: σ(3) = 0.95."""
KEPT = 100.0
"""A norm that changes by less than this factor over all lags is let through."""
ROUNDING = 1e-6
THEORY = "log10_forget_gate_largest"


@claim(
    "C8",
    text=(
        "The LSTM's cell path is an element-wise product of forget gates: open gates let the gradient "
        "through unchanged."
    ),
    rule=(
        "Supported where, in gates that see their biases alone, ‖∂c_t/∂c_k‖ is σ(b_f)^lag to rounding, and "
        "in networks at work with open gates (b_f ≥ 3) the whole interval of its rate keeps it within a "
        "factor of 100 at the longest lag; it does not hold where the whole interval lies beyond. Networks "
        "of one seed count once."
    ),
    studies=(STUDY,),
    section="decay_rates",
)
def judge(run: Run) -> Finding | None:
    alone, at_work = _alone(run), _at_work(run)
    conditions = [*alone, *at_work]
    return finding(
        conditions,
        on="the forget bias",
        effect="; ".join([measured_words(conditions), *filter(None, map(_changes, at_work))]),
        tested=f"block cc of LSTMs, {counted(len(conditions), 'circumstance')}",
        untested=[
            *([] if alone else ["gates that see their biases alone"]),
            *([] if at_work else ["open gates in networks at work"]),
        ],
    )


def _alone(run: Run) -> list[Condition]:
    measured = run.measured(STUDY)
    if not has(measured, "block", "lag", NORM, THEORY, "gain", "inputs"):
        return []
    alone = measured[
        (measured["block"] == "cc") & (measured["gain"] == 0.0) & (measured["inputs"] == "zeros")
    ]
    alone = alone.dropna(subset=[NORM, THEORY])
    if alone.empty:
        return []
    off = float((alone[NORM] - alone[THEORY]).abs().max())
    effect = effects.exact(off, int(alone["key"].nunique()))
    return [
        Condition(
            "gates that see their biases alone",
            "log10 of the norm off σ(b_f)^lag, at most",
            effect,
            off <= ROUNDING,
        )
    ]


def _at_work(run: Run) -> list[Condition]:
    """One condition for each forget bias, and size where sizes differ."""
    drawn = networks(run)
    if drawn is None or not has(drawn, "forget_bias", "inputs"):
        return []
    open_ = (drawn["cell"] == "lstm") & (drawn["block"] == "cc") & (drawn["inputs"] != "zeros")
    rows = drawn[open_ & (drawn["forget_bias"].astype(float) >= OPEN)]
    sizes = [axis for axis in ("longest_lag", "hidden_size") if axis in rows]
    varying, _ = split_constant(rows, sizes)
    conditions = []
    for own, part in groups(rows, ["forget_bias", *sizes]):
        rates = per_seed(part[np.isfinite(part["nats_per_step"])], "nats_per_step")
        if rates.empty:
            continue
        rate, limit = effects.mean(rates, "seed"), float(np.log(KEPT)) / float(own["longest_lag"])
        size = setting({axis: own[axis] for axis in varying})
        words = f"b_f = {plain(own['forget_bias'])}" + (f" ({size})" if size else "")
        quantity = f"nats per step, within ±{significant(limit)}"
        conditions.append(Condition(words, quantity, rate, rate.within(-limit, limit)))
    return conditions


def _changes(condition: Condition) -> str:
    """Whether the norm certainly grows or falls, however little."""
    if condition.effect.above(0.0):
        return f"with {condition.words} it grows"
    return f"with {condition.words} it falls" if condition.effect.below(0.0) else ""
