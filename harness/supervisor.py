"""One worker process seen from its parent: start it, give it a case, wait, and end it if it does not answer.

Whatever a case does to its process, an exception, a signal or silence, becomes that case's outcome; the
next case gets a fresh process.

A worker that waits is stopped (SIGSTOP) until its next case: no thread of it spins beside whoever is being
timed.  Asking OpenMP for a passive wait would do that too, but it changes what is measured: torch's layers on
two cores then took up to fifteen times as long as people see them take.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import outcome as outcomes
from harness.case import Case
from harness.outcome import Failed, Outcome, Unsupported
from harness.studies.study import STUDIES

START_SECONDS = 120.0
"""How long a worker may take to load its backend."""
TERMINATE_SECONDS = 2.0
"""How long a process that was told to end gets before it is killed."""
MAXIMUM_ANSWER_BYTES = 256 * 2**20


class WorkerSilent(RuntimeError):
    """The worker died, or did not answer in time; the message says which."""


class Supervisor:
    """A worker for one backend, started when its first case comes and again after each death."""

    def __init__(self, backend: str, num_threads: int, corpus: str | None) -> None:
        self.backend = backend
        self.description: dict[str, Any] | None = None
        self._setup: dict[str, Any] = {"backend": backend, "num_threads": num_threads, "corpus": corpus}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._pending = b""
        self._unavailable: str | None = None

    def run(self, case: Case, *, budget_seconds: float, max_seconds: float, hang_seconds: float) -> Outcome:
        """One case, to its end."""
        try:
            if STUDIES[case.study].needs_fresh_process():
                self._end()
            self._start()
            if self._unavailable is not None:
                return Unsupported(self._unavailable)
            request = {"case": case.to_json(), "budget_seconds": budget_seconds, "max_seconds": max_seconds}
            return outcomes.from_json(self._ask(request, hang_seconds)["outcome"])
        except WorkerSilent as silence:
            log = self._log_tail()
            self._end()
            return Failed(str(silence), log)

    def kill(self) -> None:
        """Kill the worker, from any thread; the case that it is at fails."""
        process = self._process
        if process is not None:
            _signal_group(process, signal.SIGKILL)

    def close(self) -> None:
        """End the worker."""
        self._end()
        self._log.close()

    def _start(self) -> None:
        if self._process is not None or self._unavailable is not None:
            return
        self._pending = b""
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "harness.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(self._setup["num_threads"]),
            start_new_session=True,
        )
        answer = self._ask(self._setup, START_SECONDS)
        self._unavailable = answer.get("unavailable")
        self.description = answer.get("ready", {"unavailable": self._unavailable})
        if self._unavailable is not None:
            self._end()

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send one line, wait for one line.

        Raises:
            WorkerSilent: the worker died or let `seconds` pass.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        _signal_group(process, signal.SIGCONT)
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise WorkerSilent(self._death()) from None
        line = self._read_line(time.monotonic() + seconds, seconds)
        _signal_group(process, signal.SIGSTOP)
        return dict(json.loads(line))

    def _read_line(self, deadline: float, seconds: float) -> bytes:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._pending:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise WorkerSilent(f"no answer within {seconds:g} s: ended as hung")
                chunk = os.read(process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise WorkerSilent(self._death())
                self._pending += chunk
                if len(self._pending) > MAXIMUM_ANSWER_BYTES:
                    raise WorkerSilent(f"answer above {MAXIMUM_ANSWER_BYTES >> 20} MiB: refused")
        line, self._pending = self._pending.split(b"\n", 1)
        return line

    def _death(self) -> str:
        process = self._process
        assert process is not None
        try:
            code = process.wait(timeout=TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            return "worker closed its answers without ending"
        if code < 0:
            return f"worker killed by signal {signal.Signals(-code).name}"
        return f"worker exited with status {code}"

    def _end(self) -> None:
        """TERM, then KILL, to the worker and everything it started."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        _signal_group(process, signal.SIGTERM)
        _signal_group(process, signal.SIGCONT)
        try:
            process.wait(timeout=TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal_group(process, signal.SIGKILL)
            process.wait()

    def _log_tail(self, size: int = 8000) -> str:
        """The end of what the worker printed."""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - size))
        return self._log.read().decode("utf-8", "replace")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _environment(num_threads: int) -> dict[str, str]:
    """The parent's environment, with one thread budget for every library."""
    root = str(Path(__file__).resolve().parent.parent)
    known = os.environ.get("PYTHONPATH")
    budget = dict.fromkeys(
        ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), str(num_threads)
    )
    return {
        **os.environ,
        **budget,
        "PYTHONPATH": os.pathsep.join([root, known] if known else [root]),
    }
