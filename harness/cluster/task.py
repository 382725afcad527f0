"""What runs on a Dask worker: `present` before the work, `measure` for each piece of it, `end` after it.

All three are called by name, with text, and answer with text.
"""

from __future__ import annotations

import asyncio
import threading
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.cluster.bench import Bench
from harness.cluster.messages import Answer, Presence, Request, bounded, software
from harness.measure.machine import Machine
from harness.plan import identity

IDLE_SECONDS = 120.0
"""After this long without work the processes of a run end by themselves: its own end may never come."""

_benches: dict[str, Bench] = {}
_lock = threading.Lock()


def present(corpus: str | None) -> str:
    """Who is here: software, environment, and the text at this path."""
    found = identity(Path(corpus)) if corpus and Path(corpus).is_file() else None
    environment = dict(_machine().environment)
    return bounded(Presence(software=software(), environment=environment, corpus=found).model_dump_json())


def measure(text: str) -> str:
    """Measure the cases of one request, each in a process of its backend.

    Raises:
        ValueError: text that is no request.
    """
    from distributed import get_worker

    request = Request.model_validate_json(bounded(text))
    if request.software != software():
        return Answer(refused=f"it has {software()}, expected {request.software}").model_dump_json()
    bench = _bench(request, get_worker().state.nthreads)
    return bounded(bench.run(request, _machine().label).model_dump_json())


async def end(run: str) -> None:
    """End what a run has left on this worker."""
    with _lock:
        bench = _benches.pop(run, None)
    if bench is not None:
        await asyncio.to_thread(bench.end)


def _bench(request: Request, slots: int) -> Bench:
    with _lock:
        if not _benches:
            threading.Thread(target=_end_idle, daemon=True, name="end-idle").start()
        if request.run not in _benches:
            _benches[request.run] = Bench(request, slots)
        _benches[request.run].touch()
        return _benches[request.run]


def _end_idle() -> None:
    """Until there is none left, end what no run has asked for in a while."""
    while True:
        time.sleep(IDLE_SECONDS / 10)
        with _lock:
            idle = [run for run, bench in _benches.items() if bench.idle_seconds() > IDLE_SECONDS]
            gone: list[Any] = [_benches.pop(run) for run in idle]
            last = not _benches
        for bench in gone:
            bench.end()
        if last:
            return


@lru_cache(maxsize=1)
def _machine() -> Machine:
    return Machine.here()
