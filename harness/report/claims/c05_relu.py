"""C5: activations with larger derivatives slow the decay."""

from __future__ import annotations

import numpy as np

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.gradient_decay import STUDY, variant
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.pairs import networks, pairs, per_seed, zeros
from harness.report.words import counted


@claim(
    "C5",
    text="Activations with larger derivatives (ReLU) slow the decay.",
    rule=(
        "Networks that differ in the activation alone are paired; pairs of one seed, which share their "
        "weights, count once. It holds for an initialization where the interval of the difference of their "
        "rates, ReLU's less tanh's, lies above 0."
    ),
    studies=(STUDY,),
    section="gradient_decay",
)
def judge(run: Run) -> Finding | None:
    drawn = networks(run)
    if drawn is None:
        return None
    beside = pairs(drawn[drawn["block"] == "hh"], "cell", "rnn_relu", "rnn_tanh", run.axes(STUDY))
    if beside.empty:
        return None
    beside = beside.assign(
        variant=[variant(row).replace(", ", " with ") for row in records(beside)],
        difference=beside["nats_per_step_1"] - beside["nats_per_step_2"],
    )
    conditions, dead = [], 0
    for own, part in groups(beside, ["variant"]):
        alive = part[np.isfinite(part["difference"])]
        dead += len(part) - len(alive)
        if alive.empty:
            continue
        effect = effects.mean(per_seed(alive, "difference"), "seed")
        conditions.append(
            Condition(
                str(own["variant"]),
                "rate of ReLU less that of tanh, nats per step",
                effect,
                effect.above(0.0),
            )
        )
    return finding(
        conditions,
        on="the initialization",
        effect=measured_words(conditions),
        tested=f"{counted(len(beside), 'pair')} of networks, rnn_relu beside rnn_tanh{zeros(dead)}",
    )
