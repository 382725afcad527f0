"""Google Benchmark's JSON (its docs/user_guide.md and reporter): a context, and one entry per repetition.

A sample is a repetition; the counter `process` says which process it comes from.  Only wall time is
measured here: `cpu_time`, which its readers demand, repeats it, and the context says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from harness.case import Case, Scalar, canonical
from harness.exchange.checked import (
    Definition,
    Loops,
    Name,
    Part,
    Seconds,
    Text,
    embedded,
    json_of,
    mapping,
    model_of,
)
from harness.exchange.format import FORMATS, Format, Imported
from harness.exchange.times import STUDY, Process, Timed, cases, moment, numbered, scalars, times
from harness.outcome import Failed, Outcome
from harness.report.frames import Run

_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class Benchmark(Part):
    name: Name
    run_name: Name | None = None
    run_type: Literal["iteration", "aggregate"] = "iteration"
    iterations: Annotated[int, Field(ge=0, le=10**15)] = 1
    real_time: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    time_unit: Literal["ns", "us", "ms", "s"] = "ns"
    threads: Annotated[int, Field(ge=1)] | None = None
    process: Annotated[int, Field(ge=0, lt=10**6)] | None = None
    label: Text | None = None
    error_occurred: bool = False
    error_message: Text = ""


class File(Part):
    context: dict[str, Any]
    benchmarks: Annotated[list[Benchmark], Field(min_length=1)]


class Sample(Part):
    seconds: Seconds
    loops: Loops


class GoogleBenchmark(Format):
    def write(self, run: Run) -> bytes:
        environment = dict(mapping(run.facts.get("environment")))
        data = {
            "context": {
                "date": moment(run.facts.get("started_at")),
                "host_name": "",
                "executable": "rnn-harness",
                "num_cpus": environment.get("logical_cores") or 0,
                "mhz_per_cpu": round(environment.get("cpu_mhz") or 0),
                "cpu_scaling_enabled": environment.get("cpu_governor") not in (None, "performance"),
                "caches": [],
                "load_avg": [environment.get("load_average") or 0.0],
                "library_build_type": "release",
                "cpu_time": "not measured: repeats real_time",
                "rnn_harness": environment,
            },
            "benchmarks": [entry for i, timed in enumerate(times(run)) for entry in _entries(i, timed)],
        }
        return json.dumps(data, indent=1).encode()

    def looks_like(self, content: bytes) -> bool:
        return content.lstrip()[:1] == b"{" and b'"context"' in content and b'"real_time"' in content

    def read(self, content: bytes, name: str) -> Imported:
        file = model_of(File, json_of(content, name), name)
        found: dict[str, tuple[dict[str, Scalar], dict[int, list[Sample]]]] = {}
        failed: dict[str, tuple[Case, Outcome]] = {}
        for benchmark in (b for b in file.benchmarks if b.run_type == "iteration"):
            axes = _axes(benchmark, name)
            case = Case(STUDY, axes, benchmark.process or 0)
            if benchmark.error_occurred:
                failed[case.key] = case, Failed(benchmark.error_message or "an error without a message")
                continue
            seconds = benchmark.real_time * _UNITS[benchmark.time_unit]
            sample = model_of(Sample, {"seconds": seconds, "loops": max(1, benchmark.iterations)}, name)
            _, processes = found.setdefault(Case(STUDY, axes).key, (axes, {}))
            processes.setdefault(case.replicate, []).append(sample)
        timed = numbered(
            (axes, [Process(r, [s.seconds for s in p], [s.loops for s in p]) for r, p in processes.items()])
            for axes, processes in found.values()
        )
        items: list[tuple[Case, Outcome]] = [*cases(timed)]
        measured = {case.key for case, _ in items}
        items += [item for key, item in failed.items() if key not in measured]
        return Imported({"environment": _environment(file.context)}, items)


def _entries(index: int, timed: Timed) -> Iterator[dict[str, Any]]:
    definition = canonical({"study": STUDY, "axes": dict(timed.axes)})
    repetitions = sum(len(process.seconds) for process in timed.processes)
    samples = [
        (process, loops, seconds)
        for process in timed.processes
        for loops, seconds in zip(process.loops, process.seconds, strict=True)
    ]
    for i, (process, loops, seconds) in enumerate(samples):
        threads = process.facts.get("num_threads")
        yield {
            "name": timed.name,
            "family_index": index,
            "per_family_instance_index": 0,
            "run_name": timed.name,
            "run_type": "iteration",
            "repetitions": repetitions,
            "repetition_index": i,
            "threads": threads if isinstance(threads, int) and threads > 0 else 1,
            "iterations": loops,
            "real_time": seconds,
            "cpu_time": seconds,
            "time_unit": "s",
            "label": definition,
            "process": process.replicate,
        }


def _axes(benchmark: Benchmark, name: str) -> dict[str, Scalar]:
    if benchmark.label and benchmark.label.startswith('{"axes"'):
        ours = embedded(Definition, benchmark.label, name)
        assert ours is not None
        return dict(ours.case(name).axes)
    return {"backend": "imported", "benchmark": benchmark.run_name or benchmark.name}


def _environment(context: dict[str, Any]) -> dict[str, Any]:
    ours = mapping(context.get("rnn_harness"))
    if ours:
        return dict(ours)
    count = context.get("num_cpus")
    found = scalars({"logical_cores": count, "allowed_cores": count, "cpu_mhz": context.get("mhz_per_cpu")})
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


FORMATS.register("gbench")(GoogleBenchmark())
