"""C6: identity initialization with zero bias keeps the gradient from shrinking."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.effects import Effect
from harness.report.frames import Run
from harness.report.summaries.decay_rates import decay_rates
from harness.report.summaries.gradient_decay import FAINT, NORM, STUDY
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.pairs import last_lags, networks, per_seed
from harness.report.summaries.spectra import STUDY as SPECTRA
from harness.report.summaries.spectra import VALUE
from harness.report.words import counted, percent, plain, significant

IDENTITIES = ("identity", "irnn")
ROUNDING = 1e-12


@claim(
    "C6",
    text="Identity initialization with zero bias keeps the gradient from shrinking.",
    rule=(
        "The norm: it holds for a simple RNN's activation where none of its settings under an identity "
        "initialization is vanishing by the report's own rule (the rate's interval below 0 and the norm "
        "below 1 %), and certainly fewer than half of the sequences lose their gradient to an exact zero. "
        "Its directions: where at the longest lag certainly more than half of the singular values are above "
        "1 %. Networks of one seed count once."
    ),
    studies=(STUDY, SPECTRA),
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
        mine = drawn[(drawn["cell"] == own["cell"]) & np.isfinite(drawn["nats_per_step"])]
        rates = per_seed(mine, "nats_per_step")
        lost = np.isneginf(ends.loc[ends["cell"] == own["cell"], NORM].astype(float))
        effect = effects.mean(rates, "seed") if len(rates) else effects.exact(-np.inf, len(lost), "sequence")
        holds = False if (part["verdict"] == "vanishing").any() else _few(int(lost.sum()), len(lost))
        conditions.append(
            Condition(f"the norm in {own['cell']}", "rate in nats per step", effect, holds, _rate)
        )
        if lost.any():
            words.append(
                f"in {own['cell']} {int(lost.sum())} of {counted(len(lost), 'sequence')} lose it altogether"
            )
    directions = _directions(run)
    return finding(
        [*conditions, *directions],
        on="the activation and what is kept",
        effect="; ".join(filter(None, [measured_words(conditions), *words, measured_words(directions)])),
        tested=f"{counted(len(settings), 'setting')} of simple RNNs under identity initializations",
    )


def _directions(run: Run) -> list[Condition]:
    """How many directions of each simple RNN under an identity survive the longest lag."""
    measured = run.measured(SPECTRA)
    if not has(measured, VALUE, "lag", "cell", "initialization", "gain"):
        return []
    simple = measured["cell"].astype(str).str.startswith("rnn_")
    part = measured[simple & measured["initialization"].isin(IDENTITIES) & (measured["gain"] == 1.0)]
    part = part.dropna(subset=[VALUE])
    conditions = []
    for own, rows in groups(part, ["cell"]):
        lag = rows["lag"].max()
        last = rows[rows["lag"] == lag]
        kept = _share(effects.mean(per_seed(last.assign(kept=last[VALUE] > FAINT), "kept"), "seed"))
        conditions.append(
            Condition(
                f"most directions in {own['cell']}",
                f"share of singular values above 1 % at lag {plain(lag)}",
                kept,
                kept.above(0.5),
                percent,
            )
        )
    return conditions


def _share(effect: Effect) -> Effect:
    """The mean of shares, whose interval ends at none and at all."""
    return replace(effect, low=float(np.maximum(effect.low, 0.0)), high=float(np.minimum(effect.high, 1.0)))


def _few(lost: int, of: int) -> bool | None:
    return True if not lost else effects.share(lost, of, "sequence").below(0.5)


def _rate(value: float) -> str:
    """Rounding of a norm that stays at 1 is no rate."""
    return significant(0.0 if abs(value) < ROUNDING else value)
