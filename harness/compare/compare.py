"""From two runs to rows with verdicts.

Times: ratio of geometric means over processes with Welch's interval, judged all together.  With `by`, the
cases of a group count as one: per process the geometric mean over all cases that both runs measured.  With
`relative_to`, a time is a multiple of that backend's in the same rounds of the same run, so that a machine
that was slower in one of the runs was so for both.
Memory hardly varies, so a threshold judges it: a peak is the same within 3 % or 1 MiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.compare.hardware import differences
from harness.compare.series import MEMORY, TIME, Measurements, Series, measurements
from harness.errors import UserError
from harness.report import verdicts
from harness.report.frames import Run
from harness.report.statistics import Estimate, geometric_mean
from harness.report.summaries.throughput import throughput
from harness.report.verdicts import THRESHOLD, judge
from harness.report.words import setting
from implementations.registry import did_you_mean

MEBIBYTE = 2**20
_SAME_RECORD = 1e-12
"""Two medians this close in every process are one record, copied: nothing was measured twice."""


@dataclass(frozen=True)
class Row:
    """Args:
    metric: "time" (seconds) or "memory" (bytes).
    group: the axes that name it.
    cases: how many cases it stands for.
    old, new: typical values: seconds (or multiples of a peer's, see `Comparison.relative_to`), bytes.
    change: new over old, with its interval (NaN where there is none): above 1 is slower, or larger.
    word: faster, slower, same, ambiguous, invalid; smaller or larger for memory.
    reason: what the word rests on.
    """

    metric: str
    group: Mapping[str, Any]
    cases: int
    old: float
    new: float
    change: Estimate
    word: str
    reason: str


@dataclass(frozen=True)
class Comparison:
    """Args:
    old, new: the runs.
    rows: every group that both measured, times before memory.
    lost: cases that had a number and now fail, are unsupported or were left open, with why.
    alone: what only the old, only the new run measured: "time of …".
    hardware: what differs between the machines.
    relative_to: the backend whose time in the same rounds is the unit of time; None: the second.
    threshold: a change below it is of no importance.
    """

    old: Run
    new: Run
    rows: tuple[Row, ...]
    lost: tuple[tuple[str, str], ...]
    alone: tuple[tuple[str, ...], tuple[str, ...]]
    hardware: tuple[str, ...]
    relative_to: str | None = None
    threshold: float = THRESHOLD

    def regressions(self, limit: float) -> tuple[Row, ...]:
        """Rows that are certainly worse, and by more than `limit` (0.05: 5 %)."""
        worse = ("slower", "larger")
        return tuple(row for row in self.rows if row.word in worse and row.change.value > 1 + limit)

    @property
    def judged(self) -> int:
        """How many rows have a verdict other than invalid."""
        return sum(row.word != "invalid" for row in self.rows)

    @property
    def unjudged(self) -> tuple[str, ...]:
        """The metrics of which no row at all has a verdict other than invalid."""
        metrics = dict.fromkeys(row.metric for row in self.rows)
        return tuple(m for m in metrics if all(r.word == "invalid" for r in self.rows if r.metric == m))


def compare_runs(
    old: Run,
    new: Run,
    *,
    by: Sequence[str] = (),
    threshold: float = THRESHOLD,
    allow_different_hardware: bool = False,
    relative_to: str | None = None,
) -> Comparison:
    """Compare what both runs measured.

    Args:
        by: axes to group by; every case on its own where empty.
        threshold: a change below it is of no importance.
        allow_different_hardware: show the ratios all the same; every verdict is invalid then.
        relative_to: a backend that both runs timed beside the others.

    Raises:
        UserError: the machines differ, no case is in both runs, or an axis or a backend is unknown.
    """
    hardware = differences(old, new)
    if hardware and not allow_different_hardware:
        raise UserError(
            f"the runs come from different hardware ({'; '.join(hardware)})",
            remedy="measure both on one machine, or add --allow-different-hardware to see the ratios",
        )
    if relative_to is not None:
        for run in (old, new):
            _require_timed(relative_to, run)
    before, after = (measurements(run, relative_to=relative_to) for run in (old, new))
    shared = [setting for setting in before.series if setting in after.series]
    lost = tuple(_lost(before, after))
    if not shared and not lost:
        raise UserError(
            "no time and no memory was measured for the same case in both runs",
            expected="runs of one plan",
            got=f"{len(before.series)} and {len(after.series)} settings, none of them shared",
        )
    pairs = [(before.series[setting], after.series[setting]) for setting in shared]
    rows = _times(_grouped(pairs, TIME, by), threshold, bool(hardware))
    rows += [
        _weighed(group, listed, threshold, bool(hardware)) for group, listed in _grouped(pairs, MEMORY, by)
    ]
    alone = _names_of(before, shared), _names_of(after, shared)
    return Comparison(old, new, tuple(rows), lost, alone, tuple(hardware), relative_to, threshold)


def _names_of(found: Measurements, shared: Sequence[str]) -> tuple[str, ...]:
    rest = [series for key, series in found.series.items() if key not in set(shared)]
    return tuple(f"{s.metric} of {setting(dict(s.axes))}" for s in rest)


def _require_timed(backend: str, run: Run) -> None:
    timed = throughput(run)
    known = [] if timed is None else sorted(set(timed.processes["backend"]))
    if backend not in known:
        raise UserError(
            f"--relative-to {backend}: not timed in {run.folder.name}{did_you_mean(backend, known)}",
            expected=f"one of {', '.join(known)}" if known else "a backend that both runs timed",
        )


Pair = tuple[Series, Series]
Group = tuple[dict[str, Any], list[Pair]]


def _grouped(pairs: Iterable[Pair], metric: str, by: Sequence[str]) -> list[Group]:
    chosen = [pair for pair in pairs if pair[0].metric == metric]
    known = list(dict.fromkeys(axis for old, _ in chosen for axis in old.axes))
    for axis in by:
        if chosen and axis not in known:
            raise UserError(
                f"--by {axis}: no such axis{did_you_mean(axis, known)}",
                expected=f"some of {', '.join(known)}",
            )
    found: dict[tuple[Any, ...], list[Pair]] = {}
    names = list(by) or known
    for pair in chosen:
        found.setdefault(tuple(pair[0].axes.get(name) for name in names), []).append(pair)
    return [(dict(zip(names, values, strict=True)), listed) for values, listed in found.items()]


def _times(groups: Sequence[Group], threshold: float, other_hardware: bool) -> list[Row]:
    sides = [_processes(pairs) for _, pairs in groups]
    ratios = [_ratio(old, new) for old, new in sides]
    reasons = [_why_invalid(pairs, other_hardware) for _, pairs in groups]
    found = judge(
        [verdicts.Comparison(ratio, why) for ratio, why in zip(ratios, reasons, strict=True)],
        threshold=threshold,
    )
    rows = []
    for (group, pairs), (old, new), ratio, verdict in zip(groups, sides, ratios, found, strict=True):
        word, reason = verdict.word, verdict.reason
        if not other_hardware and _one_record(old, new):
            word, reason = "same", "the very same numbers"
        rows.append(Row(TIME, group, len(pairs), _typical(old), _typical(new), _inverse(ratio), word, reason))
    return rows


def _typical(side: Mapping[int, float]) -> float:
    return geometric_mean(list(side.values())) if side else float("nan")


def _processes(pairs: Sequence[Pair]) -> tuple[dict[int, float], dict[int, float]]:
    """Replicate -> geometric mean over the group's cases, on either side: of processes that measured all."""
    found = []
    for side in (0, 1):
        every = set.intersection(*(set(pair[side].values) for pair in pairs))
        found.append({r: geometric_mean([pair[side].values[r] for pair in pairs]) for r in sorted(every)})
    return found[0], found[1]


def _ratio(old: Mapping[int, float], new: Mapping[int, float]) -> Estimate:
    if not old or not new:
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    return verdicts.independent_ratio(list(old.values()), list(new.values()))


def _why_invalid(pairs: Sequence[Pair], other_hardware: bool) -> str | None:
    if other_hardware:
        return "different hardware"
    for old, new in pairs:
        if old.invalid or new.invalid:
            return old.invalid or new.invalid
        if old.num_threads is not None and new.num_threads is not None and old.num_threads != new.num_threads:
            return f"{old.num_threads:g} threads before, {new.num_threads:g} now"
    return None


def _one_record(old: Mapping[int, float], new: Mapping[int, float]) -> bool:
    return (
        bool(old) and old.keys() == new.keys() and all(abs(old[r] / new[r] - 1) <= _SAME_RECORD for r in old)
    )


def _inverse(ratio: Estimate) -> Estimate:
    """Of old over new: new over old."""
    return Estimate(1 / ratio.value, 1 / ratio.high, 1 / ratio.low, ratio.p_value, ratio.processes)


def _weighed(group: dict[str, Any], pairs: Sequence[Pair], threshold: float, other_hardware: bool) -> Row:
    old, new = (sum(float(np.median(list(pair[i].values.values()))) for pair in pairs) for i in (0, 1))
    value = new / old if old > 0 else (1.0 if new == old else np.inf)
    ratio = Estimate(value, np.nan, np.nan, np.nan, min(len(side.values) for pair in pairs for side in pair))
    if other_hardware:
        word, reason = "invalid", "different hardware"
    elif abs(new - old) <= MEBIBYTE or 1 / (1 + threshold) <= value <= 1 + threshold:
        word, reason = "same", f"within {100 * threshold:g} % or 1 MiB"
    else:
        word, reason = ("larger" if new > old else "smaller"), f"by more than {100 * threshold:g} % and 1 MiB"
    return Row(MEMORY, group, len(pairs), old, new, ratio, word, reason)


def _lost(before: Measurements, after: Measurements) -> Iterable[tuple[str, str]]:
    for key, (case, reason) in after.without.items():
        if key in before.series:
            yield str(case), reason
