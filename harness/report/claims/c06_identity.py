"""C6: identity initialization with zero bias keeps the gradient from shrinking."""

from __future__ import annotations

import numpy as np

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.decay_rates import decay_rates
from harness.report.summaries.gradient_decay import STUDY
from harness.report.summaries.grouping import groups
from harness.report.summaries.pairs import networks, zeros
from harness.report.words import counted, significant

IDENTITIES = ("identity", "irnn")
ROUNDING = 1e-12


@claim(
    "C6",
    text="Identity initialization with zero bias keeps the gradient from shrinking.",
    rule=(
        "It holds for a simple RNN's activation where none of its settings under an identity "
        "initialization is vanishing by the report's own rule (the rate's interval below 0 and the norm "
        "below 1 %)."
    ),
    studies=(STUDY,),
    section="decay_rates",
)
def judge(run: Run) -> Finding | None:
    found, drawn = decay_rates(run), networks(run)
    if found is None or drawn is None:
        return None
    settings = found[0]
    simple = settings["cell"].astype(str).str.startswith("rnn_") & (settings["block"] == "hh")
    settings = settings[simple & settings["initialization"].isin(IDENTITIES) & (settings["gain"] == 1.0)]
    drawn = drawn[(drawn["block"] == "hh") & (drawn["gain"] == 1.0)]
    drawn = drawn[drawn["initialization"].isin(IDENTITIES)]
    conditions, dead = [], 0
    for own, part in groups(settings, ["cell"]):
        rates = drawn.loc[drawn["cell"] == own["cell"], "nats_per_step"]
        alive = rates[np.isfinite(rates)]
        dead += len(rates) - len(alive)
        effect = effects.mean(alive) if len(alive) else effects.exact(-np.inf, len(rates))
        holds = not (part["verdict"] == "vanishing").any()
        conditions.append(Condition(str(own["cell"]), "rate in nats per step", effect, holds, _rate))
    return finding(
        conditions,
        on="the activation",
        effect=measured_words(conditions),
        tested=(
            f"{counted(len(settings), 'setting')} of simple RNNs under identity initializations{zeros(dead)}"
        ),
    )


def _rate(value: float) -> str:
    """Rounding of a norm that stays at 1 is no rate."""
    return significant(0.0 if abs(value) < ROUNDING else value)
