"""pyperf's JSON, version 1.0: a benchmark is a setting, a run of it a process, warm-ups apart.

The first call stands before the warm-ups; `rnn_harness_first_call` says so.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import Field

from harness.case import Scalar, canonical
from harness.errors import UserError
from harness.exchange.checked import (
    Definition,
    Loops,
    Part,
    Seconds,
    embedded,
    json_of,
    keepable,
    mapping,
    model_of,
)
from harness.exchange.format import FORMATS, Format, Imported
from harness.exchange.times import STUDY, Process, Timed, cases, numbered, scalars, times
from harness.report.frames import Run

Metadata = dict[str, Any]


class PyperfRun(Part):
    metadata: Metadata = {}
    warmups: list[tuple[Loops, Annotated[float, Field(ge=0, lt=1e9, allow_inf_nan=False)]]] = []
    values: list[Seconds] = []


class Benchmark(Part):
    metadata: Metadata = {}
    runs: Annotated[list[PyperfRun], Field(min_length=1)]


class File(Part):
    version: str
    metadata: Metadata = {}
    benchmarks: Annotated[list[Benchmark], Field(min_length=1)]


class Facts(Part):
    facts: dict[str, Scalar] = {}


class Recorded(Part):
    environment: dict[str, Any] = {}


class Pyperf(Format):
    def write(self, run: Run) -> bytes:
        environment = dict(mapping(run.facts.get("environment")))
        known = {
            "cpu_model_name": environment.get("cpu_model"),
            "cpu_count": environment.get("logical_cores"),
            "platform": environment.get("platform"),
            "python_version": environment.get("python"),
        }
        data = {
            "version": "1.0",
            "metadata": {
                **{name: value for name, value in known.items() if value is not None},
                "rnn_harness": canonical({"environment": environment}),
            },
            "benchmarks": [_benchmark(timed) for timed in times(run)],
        }
        return json.dumps(data, indent=1).encode()

    def looks_like(self, content: bytes) -> bool:
        return content.lstrip()[:1] == b"{" and b'"runs"' in content and b'"benchmarks"' in content

    def read(self, content: bytes, name: str) -> Imported:
        file = model_of(File, json_of(content, name), name)
        if file.version != "1.0":
            raise UserError(
                f"{name}: another version of pyperf's format", expected="1.0", got=file.version[:20]
            )
        settings = []
        for benchmark in file.benchmarks:
            shared = {**file.metadata, **benchmark.metadata}
            unit = shared.get("unit", "second")
            if unit != "second":
                raise UserError(f"{name}: a benchmark in {str(unit)[:20]!r}", expected="times, in seconds")
            processes = [
                _process(i, run, name) for i, run in enumerate(r for r in benchmark.runs if r.values)
            ]
            if processes:
                settings.append((_axes(shared, name), processes))
        if not settings:
            raise UserError(f"{name}: holds no values", expected="runs with values")
        environment = _environment(file.metadata, name)
        with keepable(name):
            return Imported({"environment": environment}, list(cases(numbered(settings))))


def _benchmark(timed: Timed) -> dict[str, Any]:
    return {
        "metadata": {
            "name": timed.name,
            "unit": "second",
            "rnn_harness_case": canonical({"study": STUDY, "axes": dict(timed.axes)}),
        },
        "runs": [_run(process) for process in timed.processes],
    }


def _run(process: Process) -> dict[str, Any]:
    first = [] if process.first_call is None else [[1, process.first_call]]
    return {
        "metadata": {
            "loops": max(process.loops),
            "rnn_harness_facts": canonical({"facts": dict(process.facts)}),
            **({"rnn_harness_first_call": 1} if first else {}),
        },
        "warmups": [*first, *([loops, seconds] for loops, seconds in process.warmups)],
        "values": list(process.seconds),
    }


def _axes(metadata: Metadata, name: str) -> dict[str, Scalar]:
    ours = embedded(Definition, metadata.get("rnn_harness_case"), name)
    if ours is not None:
        return dict(ours.case(name).axes)
    benchmark = metadata.get("name")
    if not isinstance(benchmark, str) or not benchmark:
        raise UserError(f"{name}: a benchmark without a name", expected="metadata.name")
    return {"backend": str(metadata.get("backend", "imported"))[:100], "benchmark": benchmark[:2000]}


def _process(number: int, run: PyperfRun, name: str) -> Process:
    loops = run.metadata.get("loops", 1)
    loops = loops if isinstance(loops, int) and 1 <= loops <= 10**12 else 1
    warmups = [(n, seconds) for n, seconds in run.warmups if seconds > 0]
    ours = embedded(Facts, run.metadata.get("rnn_harness_facts"), name)
    first = warmups[0][1] if warmups and run.metadata.get("rnn_harness_first_call") else None
    return Process(
        number,
        run.values,
        [loops] * len(run.values),
        warmups if first is None else warmups[1:],
        first,
        scalars(ours.facts) if ours is not None else {},
    )


def _environment(metadata: Metadata, name: str) -> dict[str, Any]:
    ours = embedded(Recorded, metadata.get("rnn_harness"), name)
    if ours is not None:
        return ours.environment
    count = metadata.get("cpu_count")
    found = {
        "cpu_model": metadata.get("cpu_model_name"),
        "logical_cores": count if isinstance(count, int) else None,
        "allowed_cores": count if isinstance(count, int) else None,
        "platform": metadata.get("platform"),
        "python": metadata.get("python_version"),
    }
    return {key: value for key, value in scalars(found).items() if value is not None}


FORMATS.register("pyperf")(Pyperf())
