"""A Dask cluster of real processes on this machine: a scheduler and two workers, on 127.0.0.1 alone.

The kernel ends each of them with the process that started it, so a killed test leaves nobody behind.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.harness.command import FAULTY, ROOT

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """Linux' prctl(2): SIGKILL when the thread that started this process ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass
class LocalCluster:
    """Args:
    folder: for logs and scratch files.
    """

    folder: Path
    port: int = 0
    scheduler: subprocess.Popen | None = None
    workers: list[subprocess.Popen] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.scheduler = self._dask("scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise TimeoutError(self.log("scheduler"))

    def start_worker(self, *options: str, resource: str = "rnn_harness=1", root: Path = ROOT) -> None:
        """One process, without a nanny: killed, it stays dead."""
        scratch = ("--local-directory", str(self.folder / f"scratch-{len(self.workers)}"))
        offered = ("--resources", resource) if resource else ()
        bound = ("--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", *scratch, *offered, *options)
        self.workers.append(self._dask("worker", self.address, *bound, root=root))

    def kill_worker(self, which: int) -> None:
        """As the kernel would, with all that it started: -9."""
        process = self.workers[which]
        process.kill()
        process.wait()

    def log(self, what: str) -> str:
        return "".join(path.read_text() for path in self.folder.glob(f"{what}*.log"))

    def measuring(self) -> list[psutil.Process]:
        """The measuring processes that live below the workers."""
        return [
            child
            for worker in self.workers
            if worker.poll() is None
            for child in psutil.Process(worker.pid).children(recursive=True)
            if "harness.worker" in " ".join(child.cmdline())
        ]

    def end(self) -> None:
        for process in (*self.workers, self.scheduler):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def _dask(self, kind: str, *arguments: str, root: Path = ROOT) -> subprocess.Popen:
        log = self.folder / f"{kind}-{len(self.workers)}.log"
        with log.open("wb") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", kind, *arguments, "--no-dashboard"],
                stdout=stream,
                stderr=stream,
                cwd=self.folder,
                preexec_fn=_end_with_parent,
                env={**os.environ, "PYTHONPATH": f"{FAULTY}{os.pathsep}{root}"},
            )


@contextmanager
def local_cluster(folder: Path, workers: int = 2) -> Iterator[LocalCluster]:
    """Up while the context lasts; afterwards nothing of it is left."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = LocalCluster(folder)
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.start_worker()
        yield cluster
    finally:
        cluster.end()
