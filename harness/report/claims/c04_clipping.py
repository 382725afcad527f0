"""C4: clipping by norm solves explosion, and does not solve vanishing."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from harness.report import effects
from harness.report.claim import Condition, Finding, claim, finding, measured_words
from harness.report.frames import Run
from harness.report.statistics import CONFIDENCE
from harness.report.summaries import clipping as one_pass
from harness.report.summaries.clipped_training import beside_unclipped, by_network
from harness.report.summaries.clipping import AFTER, BEFORE
from harness.report.summaries.gradient_decay import FAINT
from harness.report.summaries.grouping import groups, has
from harness.report.summaries.learning import learnings
from harness.report.words import listed, percent, setting, split_constant

BY_NORM = ("global_norm", "global_norm_pascanu", "per_sample_norm", "per_tensor_norm")
PLURAL = {"state": "the state"}
EXPLOSION, VANISHING = "explosion", "vanishing"
SETTING = ("task", "seq_len", "cell", "initialization", "gain", "forget_bias")
"""What tells networks apart that may fare differently."""
ROUNDING = 1e-5
"""Of a norm that was scaled to its threshold."""


@claim(
    "C4",
    text="Clipping by norm solves explosion; it does not solve vanishing.",
    rule=(
        "Supported where in training, at each place, certainly more than half of the networks that explode "
        "(diverge, or end above 10 times what knowing nothing costs) do not under some threshold tried, and "
        "certainly less than half of those whose gradient had vanished and that do not solve their task "
        "solve it under some threshold tried. Where tasks, cells or starts differ in that by an exact test "
        "(5 %), each is judged by itself. Two checks of one pass hold nearly by construction: a clipped norm "
        "keeps to its threshold, and no ‖dL/dh_0‖ below 1 % is raised to it."
    ),
    studies=("clipping", "learning"),
    section="clipping",
)
def judge(run: Run) -> Finding | None:
    passes = _one_pass(run)
    exploding, vanishing = _trainings(run)
    conditions = [*passes, *exploding, *vanishing]
    trainings = bool(exploding or vanishing)
    kinds = ["single backward passes"] * bool(passes) + ["pairs of trainings"] * trainings
    return finding(
        conditions,
        on="what is asked of it",
        effect=measured_words(conditions),
        tested=f"{listed(kinds)}, clipped by norm and not",
        untested=[
            *([] if exploding else [f"{EXPLOSION} in training"]),
            *([] if vanishing else [f"{VANISHING} in training"]),
        ],
    )


def _one_pass(run: Run) -> list[Condition]:
    measured = run.measured(one_pass.STUDY)
    if not has(measured, BEFORE, AFTER, "rule", "place", "threshold", "parameter_norm_clipped"):
        return []
    measured = measured[measured["rule"].isin(BY_NORM)]
    conditions = []
    # clipping tensor by tensor bounds each of them, and not the norm of all
    whole = (measured["place"] == "parameters") & (measured["rule"] != "per_tensor_norm")
    cases = measured[whole].drop_duplicates("key")
    large = cases[cases["parameter_norm_unclipped"] > cases["threshold"].astype(float)]
    if not large.empty:
        over = (large["parameter_norm_clipped"] / large["threshold"].astype(float)).max()
        effect = effects.exact(float(over), len(large), "clipped pass")
        conditions.append(
            Condition(
                f"{EXPLOSION} (check of one pass)",
                "the clipped norm over its threshold, at most",
                effect,
                float(over) <= 1.0 + ROUNDING,
            )
        )
    last = measured[measured["lag"] == measured.groupby("key")["lag"].transform("max")]
    gone = last[last[BEFORE] < FAINT]
    if not gone.empty:
        raised = float((gone[AFTER] - gone[BEFORE]).max())
        effect = effects.exact(10.0**raised, int(gone["key"].nunique()), "clipped network")
        conditions.append(
            Condition(
                f"{VANISHING} (check of one pass)",
                "‖dL/dh_0‖ clipped over unclipped, at most",
                effect,
                bool((gone[AFTER] < FAINT).all()),
            )
        )
    return conditions


def _trainings(run: Run) -> tuple[list[Condition], list[Condition]]:
    """What clipping changed in training, place by place: of networks that explode without it, and of those
    that had vanished.

    The unit is a network without clipping, which counts once: as the best of its thresholds leaves it.
    """
    found = learnings(run)
    exploding: list[Condition] = []
    vanishing: list[Condition] = []
    if found is None:
        return exploding, vanishing
    beside = beside_unclipped(found)
    for own, part in groups(beside[beside["rule"].isin(BY_NORM)], ["place"]):
        rows = by_network(part)
        place = PLURAL.get(str(own["place"]), str(own["place"]))
        for where, networks in _alike(rows[rows["explodes"]], "kept"):
            kept = _share(networks, "kept")
            told = f"of networks that explode, do not when clipped – {_solving(networks)}"
            words = f"{EXPLOSION} in training{where} clipped on {place}"
            exploding.append(Condition(words, told, kept, kept.above(0.5), percent))
        for where, networks in _alike(rows[~rows["explodes"] & ~rows["solves"] & rows["faint"]], "solved"):
            solved = _share(networks, "solved")
            told = "of networks that had vanished and do not solve, solve when clipped"
            words = f"{VANISHING} in training{where} clipped on {place}"
            vanishing.append(Condition(words, told, solved, solved.below(0.5), percent))
    return exploding, vanishing


def _share(networks: pd.DataFrame, has_it: str) -> effects.Effect:
    return effects.share(int(networks[has_it].sum()), len(networks), "network")


def _solving(networks: pd.DataFrame) -> str:
    number = int(networks["solved"].sum())
    return f"{number or 'none'} of {len(networks)} {'solves' if number == 1 else 'solve'} the task"


def _alike(networks: pd.DataFrame, has_it: str) -> Iterator[tuple[str, pd.DataFrame]]:
    """All networks together; one setting after the other, with its name, where they differ for certain."""
    if networks.empty:
        return
    varying, _ = split_constant(networks, [axis for axis in SETTING if axis in networks])
    settings = list(groups(networks, varying))
    counts = [(int(part[has_it].sum()), len(part)) for _, part in settings]
    if effects.p_of_equal_shares(counts) > 1 - CONFIDENCE:
        yield "", networks
        return
    for own, part in settings:
        yield f" of {setting(own)},", part
