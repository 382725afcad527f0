"""C14: recurrent language models need less memory than counting models."""

from __future__ import annotations

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.language_model import STUDY, language_models
from harness.report.words import counted, listed, setting, significant, size, times


@claim(
    "C14",
    text="RNN language models need less memory than n-gram models.",
    rule=(
        "Each network is held against the smallest counting model that takes no more bits per character on "
        "the same held-out text, or against the largest where none is as good. It holds where the interval "
        "of the ratio of memories lies above 1."
    ),
    studies=(STUDY,),
    section="language_model",
)
def judge(run: Run) -> Finding | None:
    found = language_models(run)
    if found is None or found.ngrams.empty:
        return None
    cases = run.measured(STUDY).drop_duplicates("key")
    conditions, words = [], []
    for own, part in groups(cases, found.axes):
        ratios = []
        for row in records(part):
            as_good = found.ngrams[found.ngrams["bits_per_character"] <= row["final_bits_per_character"]]
            memory = as_good["memory_bytes"].min() if len(as_good) else found.ngrams["memory_bytes"].max()
            ratios.append(float(memory) / float(row["memory_bytes_of_network"]))
        rest: dict[str, object] = {axis: own[axis] for axis in ("hidden_size", "steps") if axis in own}
        name = f"{own['cell']} ({setting(rest)})"
        effect = effects.ratio(ratios)
        conditions.append(
            Condition(name, "memory of counting over the network's", effect, effect.above(1.0), times)
        )
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
