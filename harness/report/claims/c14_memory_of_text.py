"""C14: recurrent language models need less memory than counting models."""

from __future__ import annotations

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.language_model import STUDY, LanguageModels, language_models
from harness.report.words import counted, listed, setting, significant, size, times

QUANTITY = "memory of counting over the network's"


@claim(
    "C14",
    text="RNN language models need less memory than n-gram models.",
    rule=(
        "Each network is held against the smallest counting model that takes no more bits per character on "
        "the same held-out text. It holds where the interval of the ratio of memories (the value, where all "
        "ratios are the same) lies above 1. Where no counting model is as good, that with the fewest bits "
        "stands in, which shows a ratio above its own: above 1 it holds, else nothing is known."
    ),
    studies=(STUDY,),
    section="language_model",
)
def judge(run: Run) -> Finding | None:
    found = language_models(run)
    if found is None or found.ngrams.empty:
        return None
    cases = run.measured(STUDY).drop_duplicates("key").dropna(subset=["final_bits_per_character"])
    telling = found.telling("hidden_size", "steps")
    conditions, words = [], []
    for own, part in groups(cases, found.axes):
        name = f"{own['cell']} ({setting({axis: own[axis] for axis in telling})})"
        conditions.append(_condition(name, part, found))
        bits = float(part["final_bits_per_character"].astype(float).mean())
        words.append(
            f"{significant(bits)} bits per character in "
            f"{size(float(part['memory_bytes_of_network'].iloc[0]))}"
        )
    best = found.best_ngram
    rival = (
        f"counting takes {significant(best['bits_per_character'])} bits at its best, in "
        f"{size(best['memory_bytes'])}"
    )
    return finding(
        conditions,
        on="how well the network has learned",
        effect=f"{measured_words(conditions)}; the networks take {listed(words)}; {rival}",
        tested=(
            f"{counted(len(cases), 'network')} and {counted(len(found.ngrams), 'counting model')}, "
            "held-out text"
        ),
    )


def _condition(name: str, part: pd.DataFrame, found: LanguageModels) -> Condition:
    """Of networks that differ in the seed; where counting is not as good as one of them, the least that all
    of them show."""
    ratios, matched = [], []
    for row in records(part):
        as_good = found.ngrams[found.ngrams["bits_per_character"] <= row["final_bits_per_character"]]
        matched.append(not as_good.empty)
        memory = found.best_ngram["memory_bytes"] if as_good.empty else as_good["memory_bytes"].min()
        ratios.append(float(memory) / float(row["memory_bytes_of_network"]))
    if not all(matched):
        effect = effects.exact(min(ratios), len(ratios))
        known = [ratio for ratio, is_matched in zip(ratios, matched, strict=True) if is_matched]
        show = _at_least if min(ratios) in known else _more_than
        return Condition(name, QUANTITY, effect, effect.above(1.0) or None, show)
    # counting models come in steps: ratios that are all the same have no spread, rather than a known one
    alike = len(set(ratios)) == 1
    effect = effects.exact(ratios[0], len(ratios)) if alike else effects.ratio(ratios)
    return Condition(name, QUANTITY, effect, effect.above(1.0), times)


def _at_least(ratio: float) -> str:
    return f"at least {times(ratio)}"


def _more_than(ratio: float) -> str:
    return f"more than {times(ratio)}"
