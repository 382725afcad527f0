"""What was run and where, how each study ended, and the command that runs it again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from harness.outcome import Measured
from harness.report.escape import one_line
from harness.report.frames import Run
from harness.report.machines import machine_of
from harness.report.tables import Table
from harness.report.words import counted, duration, listed, missing, phrase, plain, size

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
STATUSES = ("measured", "unsupported", "failed", "open")


def title(run: Run) -> str:
    """ "rnn-harness report: plan full, 22 November 2026"; the run's name where neither is known."""
    plan, day = one_line(_mapping(run.facts.get("plan")).get("name", "")), _day(run.facts.get("started_at"))
    words = phrase(f"plan {plan}" if plan else "", day)
    return f"rnn-harness report: {words or name(run)}"


def name(run: Run) -> str:
    """The run's id, or its folder's name."""
    return one_line(run.facts.get("run_id") or run.folder.name)


def what_and_where(run: Run) -> list[tuple[str, str]]:
    """The few lines that say what was run, where, and how it ended."""
    plan, environment = _mapping(run.facts.get("plan")), _mapping(run.facts.get("environment"))
    seconds = sum(entry.elapsed_seconds or 0.0 for entry in run.entries)
    lines = [
        ("Run", name(run)),
        ("Plan", _plan(plan)),
        ("Studies", listed(run.studies)),
        ("Backends", listed(run.backends)),
        ("Cases", ending(run)),
        ("Started", _moment(run.facts.get("started_at"))),
        ("Time in cases", duration(seconds)),
        ("Measured on", _shares(run)),
        ("Machine", _machines(run) or _machine(environment)),
        ("Threads", _threads(run, plan)),
        ("Software", _software(environment)),
        *_warnings(environment),
        ("Corpus", plain(plan.get("corpus")) if plan.get("corpus") else ""),
    ]
    return [(head, text) for head, text in lines if text]


def ending(run: Run, study: str | None = None) -> str:
    """ "120 cases: 100 measured, 15 unsupported and 5 failed"."""
    counts = run.counts(study)
    parts = [f"{number:,} {name}" for name, number in counts.items()]
    return f"{counted(sum(counts.values()), 'case')}: {listed(parts)}" if counts else "no cases"


def environment_lines(run: Run) -> list[tuple[str, str]]:
    """Everything recorded of the machine and its software, flattened."""
    recorded = dict(_mapping(run.facts.get("environment")))
    recorded.pop("warnings", None)  # they stand among the facts at the top
    return sorted(_flat(recorded))


def study_table(run: Run) -> Table:
    """How each study ended."""
    rows = []
    for study in run.studies:
        counts = run.counts(study)
        seconds = sum(e.elapsed_seconds or 0.0 for e in run.entries if e.case.study == study)
        numbers = [f"{counts[name]:,}" if name in counts else "–" for name in STATUSES]
        rows.append((study, *numbers, duration(seconds)))
    columns = ("study", *STATUSES, "time")
    return Table(columns, tuple(rows), numeric=frozenset({*STATUSES, "time"}))


def command(run: Run, *studies: str) -> str:
    """The command that runs it all again, or some studies of it."""
    recorded = run.facts.get("command")
    plan = str(_mapping(run.facts.get("plan")).get("name", "quick"))
    text = recorded if isinstance(recorded, str) else f"python run_all.py --plan {shlex.quote(plan)}"
    if not studies:
        return one_line(text)
    try:
        words = shlex.split(text)
    except ValueError:  # an unclosed quotation mark
        words = ["python", "run_all.py", "--plan", plan]
    axes = {axis for study in studies for axis in run.axes(study)}
    chosen = [word for study in studies for word in ("--study", study)]
    return one_line(shlex.join([*_for_axes(words, axes), *chosen]))


def _for_axes(words: list[str], axes: set[str]) -> list[str]:
    """The command without its choice of studies, and without axes that are none of these: they are refused
    where no chosen study has them."""
    kept, rest = [], iter(words)
    for word in rest:
        option, joined, value = word.partition("=")
        if option not in ("--study", "--axis"):
            kept.append(word)
            continue
        value = value if joined else next(rest, "")
        if option == "--axis" and value.partition("=")[0].strip() in axes:
            kept += [option, value]
    return kept


def _plan(plan: Mapping[str, Any]) -> str:
    if not plan:
        return ""
    words = [str(plan.get("name", ""))]
    if not missing(plan.get("replicates")):
        words.append(f"{counted(int(plan['replicates']), 'process', 'processes')} per case")
    if not missing(plan.get("seed")):
        words.append(f"seed {plain(plan['seed'])}")
    if not missing(plan.get("max_seconds")):
        words.append(f"at most {duration(float(plan['max_seconds']))} per case{_but(plan)}")
    return ", ".join(filter(None, words))


def _but(plan: Mapping[str, Any]) -> str:
    """ " (learning 5 min 0 s)": the studies that may take another time, of those that the plan has."""
    own = _mapping(plan.get("max_seconds_of"))
    studies = _mapping(plan.get("studies"))
    words = [
        f"{one_line(study)} {duration(float(seconds))}"
        for study, seconds in sorted(own.items())
        if isinstance(seconds, int | float) and (study in studies or not studies)
    ]
    return f" ({', '.join(words)})" if words else ""


def _machine(environment: Mapping[str, Any]) -> str:
    words = [str(environment[name]) for name in ("cpu_model",) if environment.get(name)]
    if environment.get("logical_cores"):
        words.append(counted(int(environment["logical_cores"]), "logical core"))
    if environment.get("memory_bytes"):
        words.append(f"{size(float(environment['memory_bytes']))} of memory")
    words.extend(_gpus(environment.get("gpus")))
    if environment.get("platform"):
        words.append(str(environment["platform"]))
    return ", ".join(words)


def _machines(run: Run) -> str:
    """Where there were several: which, by the short names that the tables and figures use."""
    if len(run.machines) < 2:
        return ""
    recorded = _mapping(run.facts.get("machines"))
    words = [
        f"{name}: {_machine(_mapping(recorded.get(fingerprint))) or one_line(fingerprint)}"
        for fingerprint, name in run.machines.items()
    ]
    return (
        f"{counted(len(words), 'machine')}, whose times are never compared with each other: "
        f"{'; '.join(words)}"
    )


def _shares(run: Run) -> str:
    """Where there were several machines: how much each measured, and how long it took there."""
    if len(run.machines) < 2:
        return ""
    words = []
    for fingerprint, name in run.machines.items():
        there = [e for e in run.entries if machine_of(e) == fingerprint]
        seconds = sum(entry.elapsed_seconds or 0.0 for entry in there)
        words.append(f"{name}: {counted(len(there), 'case')} in {duration(seconds)}")
    return "; ".join(words)


def _gpus(recorded: Any) -> list[str]:
    entries = recorded if isinstance(recorded, list) else [recorded]
    return [
        str(entry.get("name", entry) if isinstance(entry, dict) else entry)
        for entry in entries
        if entry not in (None, "", {}, False)
    ]


def _threads(run: Run, plan: Mapping[str, Any]) -> str:
    asked = plan.get("num_threads")
    words = [f"{plain(asked)} asked for" if not missing(asked) else "as many as the process may use"]
    in_force: dict[str, set[int]] = {}
    for entry in run.entries:
        count = entry.outcome.facts.get("num_threads") if isinstance(entry.outcome, Measured) else None
        if isinstance(count, int):
            in_force.setdefault(run.machines.get(machine_of(entry) or "", ""), set()).add(count)
    several = len(run.machines) > 1
    words += [
        f"{listed([str(n) for n in sorted(counts)])} in force" + (f" on {name}" if several and name else "")
        for name, counts in sorted(in_force.items())
    ]
    return ", ".join(words)


def _software(environment: Mapping[str, Any]) -> str:
    words = [f"Python {environment['python']}"] if environment.get("python") else []
    packages = _mapping(environment.get("packages"))
    named = [name for name in ("rnn-harness", "numpy", "numba", "torch") if packages.get(name)]
    return ", ".join([*words, *(f"{name} {packages[name]}" for name in named)])


def _warnings(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was found at the start that spoils numbers."""
    recorded = environment.get("warnings")
    found = [_mapping(warning) for warning in recorded] if isinstance(recorded, list) else []
    return [
        (
            f"{one_line(warning.get('level', 'warning')).capitalize()}: {one_line(warning.get('check', ''))}",
            text,
        )
        for warning in found
        if (text := one_line(warning.get("text", "")))
    ]


def _moment(seconds: Any) -> str:
    moment = _instant(seconds)
    return moment.strftime("%Y-%m-%d %H:%M UTC") if moment else ""


def _day(seconds: Any) -> str:
    """ "22 November 2026"."""
    moment = _instant(seconds)
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}" if moment else ""


def _instant(seconds: Any) -> datetime | None:
    if not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        return [pair for key, inner in value.items() for pair in _flat(inner, f"{prefix}{key}.")]
    if isinstance(value, list):
        return [pair for i, inner in enumerate(value) for pair in _flat(inner, f"{prefix}{i}.")]
    return [(prefix.rstrip("."), one_line("" if value is None else value))]
