"""Verdicts on trial: identical code, a known slowdown, coverage and power, by simulation and for real."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from harness.report.simulation import Spread, coverage, coverage_of_ratios, false_positives, power
from harness.report.summaries.certainty import STEADY_SPEED, measured_spread, speed_change
from harness.report.summaries.speedups import speedups
from harness.report.summaries.throughput import (
    CANCELLED,
    kinds_of,
    last_attempt,
    throughput,
    why_invalid,
)
from harness.report.words import missing
from harness.selftest import twins
from harness.selftest.row import Row

ON_THE_MACHINE = "on this machine"
COVERAGE, FALSE_POSITIVES, POWER, SLOWDOWN = 0.93, 0.05, 0.90, 0.10
MOST = 0.5
"""Where more than this share of the processes was disturbed, the spread is that of the disturbance."""
USUAL = Spread(processes=0.04, pairs=0.03, within=0.01, drift=0.01)
"""Of a quiet machine; rows at this spread are the same everywhere."""


def rows(*, quick: bool) -> Iterator[Row]:
    """At the usual spread, on the machine, and at the machine's own spread."""
    yield from _simulated(USUAL, "usual", quick=quick, why_not=None)
    size = twins.QUICK if quick else twins.WHOLE
    with tempfile.TemporaryDirectory(prefix="rnn-harness-selftest-") as folder:
        run = twins.run_twins(Path(folder), size, seed=secrets.randbelow(2**31))
        timed, between = throughput(run), speedups(run)
        if timed is None or between is None:
            why = "; ".join(sorted({str(getattr(e.outcome, "reason", "")) for e in run.entries}))
            yield Row(ON_THE_MACHINE, "the twin run", "is measured", why, False)
            return
        frame = between.frame[between.frame["cell"].isna() & between.frame["pass"].isna()]
        change = speed_change(timed.processes)
        unsteady = f"the machine's own speed changed {change:.2f}-fold" if change > STEADY_SPEED else None
        yield Row(
            ON_THE_MACHINE,
            "change of the machine's own speed, by a fixed piece of work",
            f"≤ {STEADY_SPEED:.2f}",
            f"{change:.2f}",
            not unsteady,
            unsteady,
        )
        yield _identical(_pair(frame, twins.FIRST, twins.SECOND))
        yield _slowdown(_pair(frame, twins.SLOWER, twins.FIRST))
        yield _size_of_slowdown(_pair(frame, twins.SLOWER, twins.FIRST))
        measured = run.measured("throughput")
        spread = measured_spread(timed.processes, last_attempt(measured))
        disturbed = why_invalid(timed.processes, harmless=CANCELLED)
        share = float(np.mean([_is_disturbed(why) for why in timed.processes["unstable"]]))
    if spread is not None:
        why_not = disturbed if share > MOST else None
        yield from _simulated(spread, "measured", quick=quick, why_not=why_not)


def _simulated(spread: Spread, kind: str, *, quick: bool, why_not: str | None) -> Iterator[Row]:
    trials = 400 if quick else 2000
    group = f"simulated, {kind} spread: {spread.processes:.1%} of processes, {spread.pairs:.1%} of pairs"

    def row(name: str, target: str, got: float, good: bool) -> Row:
        return Row(group, name, target, f"{got:.1%}", good, why_not)

    for n in (3, 5):
        for what, share in (("times", coverage), ("ratios", coverage_of_ratios)):
            got = share(spread, n, trials=trials)
            name = f"coverage of 95 % intervals of {what}, {n} processes"
            yield row(name, f"≥ {COVERAGE:.0%}", got, got >= COVERAGE)
    comparisons = comparisons_of_quick()
    grids = 100 if quick else 1000
    wrong = false_positives(spread, 3, comparisons, trials=grids)
    name = f"identical code called different, of {comparisons} comparisons"
    yield row(name, f"≤ {FALSE_POSITIVES:.0%}", wrong.of_comparisons, wrong.of_comparisons <= FALSE_POSITIVES)
    chance = 2 * float(np.sqrt(FALSE_POSITIVES * (1 - FALSE_POSITIVES) / grids))
    yield row(
        f"grids of {comparisons} with any such, {grids} trials",
        f"≤ {FALSE_POSITIVES:.0%} + {chance:.1%} of chance",
        wrong.of_grids,
        wrong.of_grids <= FALSE_POSITIVES + chance,
    )
    found = power(spread, 5, SLOWDOWN, trials=trials)
    name = f"power for {SLOWDOWN:.0%} at 5 processes, one comparison"
    yield row(name, f"≥ {POWER:.0%}", found, found >= POWER)


def comparisons_of_quick() -> int:
    """How many speed-ups over a reference the plan `quick` has on a machine without a GPU."""
    from harness.plan_file import load_plan

    cases = [c for c in load_plan("quick").cases() if c.study == "throughput" and c.replicate == 0]
    settings = {case.block for case in cases}
    backends = {case.backend for case in cases} - {"cudnn"}
    return len(settings) * (len(backends) - 1)


def _pair(frame: pd.DataFrame, backend: str, peer: str) -> pd.Series:
    return frame[(frame["backend"] == backend) & (frame["peer"] == peer)].iloc[0]


def _judged(pair: pd.Series) -> int:
    return int(pair["points"] - pair["invalid"])


def _why_none(pair: pd.Series) -> str | None:
    return None if _judged(pair) else "every comparison had a process that stayed unstable"


def _identical(pair: pd.Series) -> Row:
    wrong, judged = int(pair["faster"] + pair["slower"]), _judged(pair)
    return Row(
        ON_THE_MACHINE,
        "identical code called different",
        "0",
        f"{wrong} of {judged}; ratio {pair['speedup']:.3f} ({_interval(pair)})",
        wrong == 0,
        _why_none(pair),
    )


def _is_disturbed(why: object) -> bool:
    return not missing(why) and not set(kinds_of(why)) <= set(CANCELLED)


def _slowdown(pair: pd.Series) -> Row:
    found, judged = int(pair["slower"]), _judged(pair)
    return Row(
        ON_THE_MACHINE,
        f"{twins.SLOWDOWN:.0%} more work called slower, none faster",
        "most",
        f"{found} of {judged}, {int(pair['faster'])} faster",
        found > judged / 2 and not pair["faster"],
        _why_none(pair),
    )


def _size_of_slowdown(pair: pd.Series) -> Row:
    """The interval of the mean has to hold the truth: the cost of a step, times a tenth more of them."""
    low, high = 1 / pair["speedup_high"], 1 / pair["speedup_low"]
    truth = 1 + twins.SLOWDOWN
    return Row(
        ON_THE_MACHINE,
        "size of that slowdown: its interval, widened by 3 %, holds the truth",
        f"{truth:.2f}",
        f"{1 / pair['speedup']:.3f} ({low:.3f} to {high:.3f})",
        low / 1.03 <= truth <= high * 1.03,
        _why_none(pair),
    )


def _interval(pair: pd.Series) -> str:
    return f"{pair['speedup_low']:.3f} to {pair['speedup_high']:.3f}"
