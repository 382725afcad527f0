"""C6: identity initialization with zero bias keeps the gradient from shrinking."""

from __future__ import annotations

import numpy as np

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.decay_rates import decay_rates
from harness.report.summaries.gradient_decay import NORM, STUDY
from harness.report.summaries.grouping import groups
from harness.report.summaries.pairs import last_lags, networks
from harness.report.words import counted, significant

IDENTITIES = ("identity", "irnn")
ROUNDING = 1e-12


@claim(
    "C6",
    text="Identity initialization with zero bias keeps the gradient from shrinking.",
    rule=(
        "It holds for a simple RNN's activation where none of its settings under an identity "
        "initialization is vanishing by the report's own rule (the rate's interval below 0 and the norm "
        "below 1 %), and certainly fewer than half of the sequences lose their gradient to an exact zero."
    ),
    studies=(STUDY,),
    section="decay_rates",
)
def judge(run: Run) -> Finding | None:
    found, drawn, ends = decay_rates(run), networks(run), last_lags(run)
    if found is None or drawn is None or ends is None:
        return None
    settings = found[0]
    simple = settings["cell"].astype(str).str.startswith("rnn_") & (settings["block"] == "hh")
    settings = settings[simple & settings["initialization"].isin(IDENTITIES) & (settings["gain"] == 1.0)]
    drawn = drawn[(drawn["block"] == "hh") & (drawn["gain"] == 1.0)]
    drawn = drawn[drawn["initialization"].isin(IDENTITIES)]
    ends = ends[ends["initialization"].isin(IDENTITIES) & (ends["gain"] == 1.0) & (ends["block"] == "hh")]
    conditions, words = [], []
    for own, part in groups(settings, ["cell"]):
        rates = drawn.loc[drawn["cell"] == own["cell"], "nats_per_step"]
        alive = rates[np.isfinite(rates)]
        effect = effects.mean(alive) if len(alive) else effects.exact(-np.inf, len(rates))
        lost = np.isneginf(ends.loc[ends["cell"] == own["cell"], NORM].astype(float))
        holds = False if (part["verdict"] == "vanishing").any() else _few(int(lost.sum()), len(lost))
        conditions.append(Condition(str(own["cell"]), "rate in nats per step", effect, holds, _rate))
        if lost.any():
            words.append(
                f"in {own['cell']} {int(lost.sum())} of {counted(len(lost), 'sequence')} lose it altogether"
            )
    return finding(
        conditions,
        on="the activation",
        effect="; ".join([measured_words(conditions), *words]),
        tested=f"{counted(len(settings), 'setting')} of simple RNNs under identity initializations",
    )


def _few(lost: int, of: int) -> bool | None:
    return True if not lost else effects.share(lost, of, "sequence").below(0.5)


def _rate(value: float) -> str:
    """Rounding of a norm that stays at 1 is no rate."""
    return significant(0.0 if abs(value) < ROUNDING else value)
