"""C8: the LSTM's cell path is a product of forget gates; open gates let the gradient through unchanged."""

from __future__ import annotations

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.summaries.decay_rates import decay_rates
from harness.report.summaries.gradient_decay import NORM, STUDY
from harness.report.summaries.grouping import has, records
from harness.report.words import counted, plain, setting

OPEN = 3.0
"""A forget bias from which on a gate counts as open: σ(3) = 0.95."""
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
        "in networks at work with open gates (b_f ≥ 3) it is stable by the report's own rule, neither "
        "vanishing nor exploding."
    ),
    studies=(STUDY,),
    section="decay_rates",
)
def judge(run: Run) -> Finding | None:
    conditions = [*_alone(run), *_at_work(run)]
    return finding(
        conditions,
        on="what the gates see and how long",
        effect=measured_words(conditions),
        tested=f"block cc of LSTMs, {counted(len(conditions), 'circumstance')}",
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
    found = decay_rates(run)
    if found is None or "forget_bias" not in found[0]:
        return []
    settings = found[0]
    open_ = (settings["cell"] == "lstm") & (settings["block"] == "cc") & (settings["inputs"] != "zeros")
    rows = settings[open_ & (settings["forget_bias"].astype(float) >= OPEN)]
    sizes = [axis for axis in ("seq_len", "batch_size", "hidden_size") if axis in rows]
    conditions = []
    for row in records(rows):
        words = f"b_f = {plain(row['forget_bias'])} ({setting({axis: row[axis] for axis in sizes})})"
        low, high = float(row["nats_per_step_low"]), float(row["nats_per_step_high"])
        effect = Effect(float(row["nats_per_step"]), low, high, int(row["seeds"]))
        conditions.append(Condition(words, "nats per step", effect, row["verdict"] == "stable"))
    return conditions
