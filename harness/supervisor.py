"""One worker process seen from its parent: start it, give it a case, wait, and end it if it does not answer.

Whatever a case does to its process, an exception, a signal, silence or nonsense, becomes that case's outcome;
the next case gets a fresh process.  Nothing that a worker started outlives it, nor this process.

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
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from harness import out_of_memory
from harness.case import Case
from harness.guardian import Guardian
from harness.measure.timing import Go, Pause, alone
from harness.outcome import Failed, Outcome, Unsupported
from harness.protocol import MAXIMUM_ANSWER_BYTES, Absent, BadAnswer, Ready, read_answer, read_greeting
from harness.studies.study import STUDIES

START_SECONDS = 120.0
"""How long a worker may take to load its backend."""
TERMINATE_SECONDS = 2.0
"""How long a process that was told to end gets before it is killed."""
MAXIMUM_LOG_BYTES = 64 * 2**20
"""A worker that prints more than this is ended: its log is a file, and the disk is everybody's."""
LOOK_SECONDS = 1.0
"""How often a waiting parent looks whether the worker still lives and what it has printed."""


class WorkerLost(RuntimeError):
    """The worker died, did not answer in time, or spoke nonsense; the message says which."""


class Supervisor:
    """A worker for one backend, started when its first case comes and again after each death."""

    def __init__(self, backend: str, num_threads: int, corpus: str | None) -> None:
        self.backend = backend
        self.description: dict[str, Any] | None = None
        self._setup: dict[str, Any] = {"backend": backend, "num_threads": num_threads, "corpus": corpus}
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: Guardian | None = None
        self._kills_before = 0
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        self._unavailable: str | None = None
        self._case: Case | None = None
        self._patience = self._hang_seconds = 0.0

    def run(self, case: Case, *, budget_seconds: float, max_seconds: float, hang_seconds: float) -> Outcome:
        """One case, to its end, with nobody in between."""
        at = self.begin(
            case, budget_seconds=budget_seconds, max_seconds=max_seconds, hang_seconds=hang_seconds
        )
        while isinstance(at, Pause):
            at = self.go_on(alone(at))
        return at

    def begin(
        self,
        case: Case,
        *,
        budget_seconds: float,
        max_seconds: float,
        hang_seconds: float,
        together: str | None = None,
    ) -> Outcome | Pause:
        """One case, to its first pause or its end.

        Args:
            hang_seconds: the worker may be at work on it for so long, pauses apart.
            together: the name of those who are measured in turn.
        """
        self._case, self._patience, self._hang_seconds = case, hang_seconds, hang_seconds
        request = {"case": case.to_json(), "budget_seconds": budget_seconds, "max_seconds": max_seconds}
        return self._outcome({**request, "together": together}, begins=True)

    def go_on(self, told: Go) -> Outcome | Pause:
        """The case that paused, to its next pause or its end."""
        return self._outcome(asdict(told), begins=False)

    def _outcome(self, request: dict[str, Any], *, begins: bool) -> Outcome | Pause:
        assert self._case is not None
        case = self._case
        try:
            if begins:
                if case.study in STUDIES and STUDIES[case.study].needs_fresh_process():
                    self._end()
                self._start()
                if self._unavailable is not None:
                    return Unsupported(self._unavailable)
                self._forget_log()
            started = time.monotonic()
            line = self._ask(request, self._patience, self._hang_seconds)
            self._patience -= time.monotonic() - started
            return read_answer(line, case.key)
        except BadAnswer as error:
            log = self._log_tail()
            self._end()
            return Failed(f"the worker's answer was refused: {error}", log)
        except WorkerLost as loss:
            log = self._log_tail()
            self._end()
            return Failed(str(loss), log)

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
        self._process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-m", "harness.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=_environment(self._setup["num_threads"]),
            start_new_session=True,
        )
        self._guardian = Guardian(self._process.pid)
        self._forget_log()
        match read_greeting(self._ask(self._setup, START_SECONDS, START_SECONDS)):
            case Ready(description):
                self.description = description
            case Absent(reason):
                self._unavailable = reason
                self.description = {"unavailable": reason}
                self._end()

    def _forget_log(self) -> None:
        """What was printed before is no part of what comes."""
        self._kills_before = out_of_memory.kills()
        self._log.seek(0)  # the worker stands still, and writes through this very file position
        self._log.truncate()

    def _ask(self, request: dict[str, Any], seconds: float, allowed: float) -> bytes:
        """Send one line, wait for one line.

        Args:
            seconds: how long to wait; `allowed`: of how many in all, as people are told.

        Raises:
            WorkerLost: the worker died or let `seconds` pass.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        _signal_group(process, signal.SIGCONT)
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            raise WorkerLost(self._death()) from None
        line = self._read_line(time.monotonic() + seconds, allowed)
        _signal_group(process, signal.SIGSTOP)
        return line

    def _read_line(self, deadline: float, allowed: float) -> bytes:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        answer = bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while not answer.endswith(b"\n"):
                ended = process.poll() is not None  # asked first: what it said before its end is then there
                ready = selector.select(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
                chunk = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
                answer += chunk
                if not chunk and (ready or ended):  # where a child of its own holds the pipe, it never closes
                    raise WorkerLost(self._death())
                if len(answer) > MAXIMUM_ANSWER_BYTES:
                    raise WorkerLost(f"answer above {MAXIMUM_ANSWER_BYTES >> 20} MiB: refused")
                if os.fstat(self._log.fileno()).st_size > MAXIMUM_LOG_BYTES:
                    raise WorkerLost(f"printed more than {MAXIMUM_LOG_BYTES >> 20} MiB: ended")
                if not answer.endswith(b"\n") and time.monotonic() >= deadline:
                    raise WorkerLost(f"no answer within {allowed:g} s: ended as hung")
        return bytes(answer)

    def _death(self) -> str:
        process = self._process
        assert process is not None
        try:
            code = process.wait(timeout=TERMINATE_SECONDS)
        except subprocess.TimeoutExpired:
            return "worker closed its answers without ending"
        if code == -signal.SIGKILL:
            cause = out_of_memory.likely_cause(self._kills_before, out_of_memory.kills())
            return f"worker killed by signal SIGKILL ({cause})"
        if code < 0:
            return f"worker killed by signal {_signal_name(-code)}"
        return f"worker exited with status {code}"

    def _end(self) -> None:
        """TERM, then KILL, to the worker and everything it started, in its group or out of it."""
        process, self._process = self._process, None
        guardian, self._guardian = self._guardian, None
        if process is None:
            return
        started = _descendants(process.pid)
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
            for descendant in started:  # psutil knows a process from another that got its number
                with contextlib.suppress(psutil.Error):
                    descendant.kill()
            process.wait()
            if guardian is not None:
                guardian.dismiss()

    def _log_tail(self, size: int = 8000) -> str:
        """The end of what the worker printed."""
        end = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, end - size))
        return self._log.read().decode("utf-8", "replace")


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return str(number)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


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
