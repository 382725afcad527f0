"""What does clipping do to training?"""

from __future__ import annotations

import math

import pandas as pd

from harness.report.frames import Run
from harness.report.questions import Answer, question
from harness.report.summaries.clipped_training import (
    THROWN_OFF,
    ClippedTrainings,
    by_network,
    clipped_trainings,
)
from harness.report.summaries.grouping import groups, records
from harness.report.summaries.learning import LOOKED_AT, TRAINED
from harness.report.tables import Table
from harness.report.words import (
    counted,
    known,
    listed,
    missing,
    percent,
    phrase,
    plain,
    power_of_ten,
    setting,
    significant,
    split_constant,
    symbol,
)

NONE = "no clipping"
NONE_EXPLODES, ALL_SOLVE = "No network explodes without clipping", "all solve their task without it"
PLACES = {"parameters": "the parameters", "state": "the state", "gates": "the gates"}


@question(
    "clipped_training",
    heading="What does clipping do to training?",
    study="learning",
    order=52,
    explanation=(
        "The same networks, from the same start and on the same batches, are trained under several "
        "clippings: of the finished parameter gradient, which leaves every ∂h_t/∂h_k of that pass as it was, "
        "and on the way back through time. ‖∂h_T/∂h_k‖₂ is measured before the first step and after the "
        "last; a half-life is the lag at which its typical value has fallen to one half. A network explodes "
        f"where it diverges or ends with a held-out loss above {THROWN_OFF:g} times what knowing nothing "
        "costs; of several rules and thresholds that which leaves it best counts."
    ),
    optional=True,
)
def answer(run: Run) -> Answer | None:
    found = clipped_trainings(run)
    if found is None:
        return None
    return Answer(
        sentence=_sentence(found),
        details=(*_by_rule(found), *_reach(found)),
        table=_table(found),
        summary=found.settings,
    )


def _sentence(found: ClippedTrainings) -> str:
    if found.beside.empty:
        settings = counted(len(found.settings), "setting")
        return f"{settings} under several clippings, none of whose networks was trained without."
    places = [(_place(own["place"]), by_network(part)) for own, part in groups(found.beside, ["place"])]
    kept = _counted(places, "explodes", True, "kept", "do not")
    solved = _counted(places, "solves", False, "solved", "do")
    first = f"Of the networks that explode without clipping, {kept}" if kept else NONE_EXPLODES
    second = f"of those that do not solve their task without it, {solved}" if solved else ALL_SOLVE
    return f"{first}; {second}."


def _counted(places: list[tuple[str, pd.DataFrame]], asked: str, state: bool, told: str, verb: str) -> str:
    """ "3 of 6 do when clipped on the state and 1 of 3 on the gates"; "" where there is no such network."""
    words: list[str] = []
    for place, networks in places:
        chosen = networks[networks[asked] == state]
        if len(chosen):
            then = "" if words else f" {verb} when clipped"
            words.append(f"{int(chosen[told].sum())} of {len(chosen)}{then} on {place}")
    return listed(words)


def _place(place: object) -> str:
    return PLACES.get(str(place), str(place))


def _by_rule(found: ClippedTrainings) -> list[str]:
    """Of each rule and place the same counts, and what it costs those that solve their task without it."""
    sentences = []
    for own, part in groups(found.beside, ["rule", "place"]):
        networks = by_network(part)
        exploding, solving = networks[networks["explodes"]], networks[networks["solves"]]
        others = networks[~networks["solves"]]
        words = []
        if len(exploding):
            words.append(
                f"{int(exploding['kept'].sum())} of {len(exploding)} that exploded no longer do "
                f"({int(exploding['solved'].sum())} of them solve their task)"
            )
        if len(others):
            solved = int(others["solved"].sum())
            words.append(f"{solved} of {len(others)} that did not solve their task now do")
        if len(solving):
            words.append(f"{int(solving['solved'].sum())} of {len(solving)} that solved their task still do")
        sentences.append(f"{own['rule']} on {_place(own['place'])}: {', '.join(words)}.")
    return sentences


def _reach(found: ClippedTrainings) -> list[str]:
    """Of each start: its half-life, and what it is after training without clipping and under each."""
    sentences = []
    varying, _ = split_constant(found.settings, _shown(found))
    for shared, part in groups(found.settings, found.same):
        part = part.assign(**{when: _half_lives(part, when) for when in ("before", "after")})
        after = [f"{_steps(row['after'])} without clipping" for row in records(part[part["clipped"] == NONE])]
        clipped = records(part[(part["clipped"] != NONE) & part["after"].notna()].sort_values("after"))
        if clipped:
            low, high = (f"{_steps(end['after'])} ({end['clipped']})" for end in (clipped[0], clipped[-1]))
            after.append(f"{low} with it" if low == high else f"from {low} to {high} with it")
        named = setting({axis: shared[axis] for axis in varying}) or str(shared["cell"])
        before = _steps(float(part["before"].iloc[0]))
        sentences.append(f"{named}: half-life {before} before training; after it {listed(after)}.")
    return sentences


def _shown(found: ClippedTrainings) -> list[str]:
    """The axes that are named one by one."""
    return [axis for axis in found.same if axis not in (*TRAINED, *LOOKED_AT)]


def _half_lives(part: pd.DataFrame, when: str) -> pd.Series:
    """∞ of a norm that never falls to one half; NaN where there was none to measure."""
    half_lives = part[f"half_life_{when}"].astype(float)
    return half_lives.where(half_lives.notna() | part[f"log10_norm_{when}"].isna(), math.inf)


def _steps(value: float) -> str:
    if math.isnan(value):
        return "unknown"
    return "beyond T" if math.isinf(value) else f"{significant(value)} steps"


def _table(found: ClippedTrainings) -> Table:
    varying, constant = split_constant(found.settings, _shown(found))
    ways = found.settings["way"].tolist()
    several = len(set(ways)) > 1
    last = (
        *("diverged", "at step", "solved", "loss", "baseline", "worst loss", "clipped"),
        *("half-life before", "after", "norm before", "after "),
    )
    rows = [
        (
            *(plain(row[axis]) for axis in varying),
            *([way] if several else []),
            "none" if row["rule"] == "none" else str(row["rule"]),
            "–" if row["rule"] == "none" else str(row["place"]),
            known(row["threshold"], spoken=plain),
            f"{row['diverged']} of {row['trainings']}",
            known(row["diverged_at_step"], spoken=plain),
            f"{row['solved']} of {row['trainings']}",
            significant(row["last_loss"]),
            significant(row["baseline"]),
            significant(row["worst_loss"]),
            known(row["clipped_share"], spoken=percent),
            *(
                known(row[f"half_life_{when}"], "–" if missing(row[f"log10_norm_{when}"]) else "beyond T")
                for when in ("before", "after")
            ),
            *(known(row[f"log10_norm_{when}"], spoken=power_of_ten) for when in ("before", "after")),
        )
        for row, way in zip(records(found.settings), ways, strict=True)
    ]
    caption = phrase(
        "Medians over seeds; the loss is the last one on held-out sequences, the worst that of a batch on "
        "the way; clipped: of the steps (place parameters) or of the step-and-sample pairs (state, gates) "
        "that the rule met, those it changed; half-lives in steps; the norm is ‖∂h_T/∂h_0‖₂",
        setting(constant),
        "" if several else f"trained by {ways[0]}",
    )
    columns = (
        *map(symbol, varying),
        *(["trained by"] if several else []),
        "rule",
        "place",
        "threshold",
        *last,
    )
    return Table(columns, tuple(rows), caption + ".", frozenset({*last, "threshold", "gain", "T", "H", "B"}))
