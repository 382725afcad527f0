"""pytest-benchmark's JSON, as `--benchmark-json` and `--benchmark-save-data` write it.

A setting is a benchmark, its processes together: `stats.data` holds their samples one after another, and
`extra_info.processes` says of each sample which process it comes from.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from harness.case import Scalar
from harness.errors import UserError
from harness.exchange.checked import (
    Loops,
    Name,
    Part,
    Seconds,
    json_of,
    keepable,
    listing,
    mapping,
    model_of,
)
from harness.exchange.format import FORMATS, Format, Imported
from harness.exchange.times import Process, Timed, cases, moment, numbered, scalars, times
from harness.report.frames import Run

VERSION = "5.3.1"
"""Of pytest-benchmark, whose schema this is."""
_PROCESS_NAMES = ("processes", "process", "replicate", "pid")


class Stats(Part):
    data: Annotated[list[Seconds], Field(min_length=1)]
    iterations: Loops = 1


class Benchmark(Part):
    name: Name
    fullname: Name | None = None
    params: dict[str, Any] | None = None
    extra_info: dict[str, Any] = {}
    stats: Stats


class File(Part):
    machine_info: dict[str, Any] = {}
    commit_info: dict[str, Any] | None = None
    benchmarks: Annotated[list[Benchmark], Field(min_length=1)]


class PytestBenchmark(Format):
    def write(self, run: Run) -> bytes:
        environment = dict(mapping(run.facts.get("environment")))
        data = {
            "machine_info": _machine_info(environment),
            "commit_info": _commit_info(mapping(environment.get("git"))),
            "benchmarks": [_benchmark(timed) for timed in times(run)],
            "datetime": moment(run.facts.get("started_at")),
            "version": VERSION,
        }
        return json.dumps(data, indent=1).encode()

    def looks_like(self, content: bytes) -> bool:
        return content.lstrip()[:1] == b"{" and b'"machine_info"' in content and b'"benchmarks"' in content

    def read(self, content: bytes, name: str) -> Imported:
        data = json_of(content, name)
        for entry in listing(mapping(data).get("benchmarks")):
            if "stats" in mapping(entry) and "data" not in mapping(entry["stats"]):
                raise UserError(
                    f"{name}: stats.data is missing",
                    expected="the single measurements",
                    remedy="save them with --benchmark-save-data, or write --benchmark-json",
                )
        file = model_of(File, data, name)
        settings = [(_axes(b), _processes(b)) for b in file.benchmarks]
        facts = {"environment": _environment(file)}
        with keepable(name):
            return Imported(facts, list(cases(numbered(settings))))


def _benchmark(timed: Timed) -> dict[str, Any]:
    data = [second for process in timed.processes for second in process.seconds]
    return {
        "group": " ".join(str(timed.axes[name]) for name in ("cell", "pass") if name in timed.axes) or None,
        "name": timed.name,
        "fullname": timed.name,
        "params": None,
        "param": None,
        "extra_info": {
            "axes": dict(timed.axes),
            **scalars({name: value for name, value in timed.axes.items() if name != "axes"}),
            "processes": [p.replicate for p in timed.processes for _ in p.seconds],
            "loops": [loops for p in timed.processes for loops in p.loops],
            "first_call_seconds": {str(p.replicate): p.first_call for p in timed.processes},
            "warmups": {str(p.replicate): list(p.warmups) for p in timed.processes},
            "facts": {str(p.replicate): dict(p.facts) for p in timed.processes},
        },
        "options": {
            "disable_gc": False,
            "timer": "perf_counter",
            "min_rounds": 5,
            "max_time": 1.0,
            "min_time": 0.000005,
            "warmup": True,
        },
        "stats": {**_stats(data), "iterations": max(loops for p in timed.processes for loops in p.loops)},
    }


def _quartile(ordered: Sequence[float]) -> float:
    """The first: of an even number the median of the lower half, of an odd one the weighted mean of two that
    pytest-benchmark takes.  The third is the first from the other end."""
    number, rest = divmod(len(ordered), 4)
    if len(ordered) == 1:
        return ordered[0]
    if rest == 1:
        return 0.25 * ordered[number - 1] + 0.75 * ordered[number]
    if rest == 3:
        return 0.75 * ordered[number] + 0.25 * ordered[number + 1]
    return statistics.median(ordered[: len(ordered) // 2])


def _stats(data: Sequence[float]) -> dict[str, Any]:
    """As pytest-benchmark computes them: its quartiles, and outliers by 1.5 of their distance."""
    ordered, mean = sorted(data), statistics.fmean(data)
    spread = statistics.stdev(data) if len(data) > 1 else 0.0
    median = statistics.median(ordered)
    q1, q3 = _quartile(ordered), -_quartile([-value for value in reversed(ordered)])
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    outside = sum(not low <= value <= high for value in data)
    far = sum(abs(value - mean) > spread for value in data)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(data),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": outside,
        "stddev_outliers": far,
        "outliers": f"{far};{outside}",
        "ld15iqr": min((v for v in ordered if v >= low), default=ordered[0]),
        "hd15iqr": max((v for v in ordered if v <= high), default=ordered[-1]),
        "ops": 1 / mean,
        "total": sum(data),
        "data": list(data),
    }


def _machine_info(environment: dict[str, Any]) -> dict[str, Any]:
    return {
        "node": "",
        "processor": environment.get("cpu_model") or "",
        "machine": "",
        "python_compiler": "",
        "python_implementation": "CPython",
        "python_implementation_version": environment.get("python") or "",
        "python_version": environment.get("python") or "",
        "python_build": ["", ""],
        "release": environment.get("platform") or "",
        "system": str(environment.get("platform") or "").partition("-")[0],
        "cpu": {"brand_raw": environment.get("cpu_model"), "count": environment.get("logical_cores")},
        "rnn_harness": environment,
    }


def _commit_info(git: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": git.get("commit") or "unknown",
        "time": None,
        "author_time": None,
        "dirty": bool(git.get("dirty")),
        "project": "rnn-harness",
        "branch": "(unknown)",
    }


def _environment(file: File) -> dict[str, Any]:
    """Ours where it is there, otherwise what pytest-benchmark knows of a machine."""
    info = file.machine_info
    ours, cpu = mapping(info.get("rnn_harness")), mapping(info.get("cpu"))
    if ours:
        return dict(ours)
    words = [str(info[name]) for name in ("system", "release", "machine") if info.get(name)]
    count = cpu.get("count") if isinstance(cpu.get("count"), int) else None
    found = {
        "cpu_model": cpu.get("brand_raw") or cpu.get("brand") or info.get("processor") or None,
        "logical_cores": count,
        "allowed_cores": count,
        "platform": "-".join(words) or None,
        "python": info.get("python_version"),
    }
    commit = mapping(file.commit_info)
    if commit.get("id"):
        found["git"] = {"commit": str(commit["id"])[:100], "dirty": bool(commit.get("dirty"))}
    return {name: value for name, value in found.items() if value is not None}


def _axes(benchmark: Benchmark) -> dict[str, Scalar]:
    ours = mapping(benchmark.extra_info.get("axes"))
    if ours:
        return {"backend": "imported", **scalars(ours)}
    params = scalars(mapping(benchmark.params))
    backend = benchmark.extra_info.get("backend", params.get("backend", "imported"))
    return {**params, "backend": str(backend)[:100], "benchmark": benchmark.fullname or benchmark.name}


def _processes(benchmark: Benchmark) -> list[Process]:
    """The samples of each process; one process where the file does not say."""
    extra, data = benchmark.extra_info, benchmark.stats.data
    named = next((extra[name] for name in _PROCESS_NAMES if name in extra), 0)
    owners = named if isinstance(named, list) and len(named) == len(data) else [named] * len(data)
    given = extra.get("loops")
    loops = None
    if isinstance(given, list) and len(given) == len(data):
        loops = [n if isinstance(n, int) and 1 <= n <= 10**12 else 1 for n in given]
    found = []
    for number, owner in enumerate(dict.fromkeys(map(str, owners))):
        mine = [i for i, other in enumerate(owners) if str(other) == owner]
        facts = scalars(mapping(mapping(extra.get("facts")).get(owner)))
        if not facts:
            kept = ("backend", "axes", *_PROCESS_NAMES)
            facts = scalars({n: v for n, v in extra.items() if n not in kept and not isinstance(v, list)})
        found.append(
            Process(
                int(owner) if owner.isdigit() and int(owner) < 10**6 else number,
                [data[i] for i in mine],
                [loops[i] if loops else benchmark.stats.iterations for i in mine],
                _warmups(mapping(extra.get("warmups")).get(owner)),
                _first_call(mapping(extra.get("first_call_seconds")).get(owner)),
                facts,
            )
        )
    return found


def _warmups(recorded: Any) -> list[tuple[int, float]]:
    pairs = recorded if isinstance(recorded, list) else []
    return [
        (pair[0], float(pair[1]))
        for pair in pairs
        if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], int) and _positive(pair[1])
    ]


def _first_call(recorded: Any) -> float | None:
    return float(recorded) if _positive(recorded) else None


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9


FORMATS.register("pytest-benchmark")(PytestBenchmark())
