"""Ten thousand gradient cases on two Dask workers, one of them killed half-way; what the parent needs for it.

    python -m tests.benchmarks.cluster_sweep [CASES]

It prints, every few seconds, how many cases are recorded, how many tasks are in flight and the parent's
resident memory, then how many rows there are and whether any case is without one.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import psutil

from harness.cluster.connection import connected
from harness.cluster.executor import Cluster
from harness.folder import LEDGER, create_run
from harness.ledger import Ledger
from harness.measure.environment import environment
from harness.plan import checked
from harness.run import execute
from tests.harness.clusters import LocalCluster, local_cluster

EVERY_SECONDS = 5.0


def plan(cases: int):
    """Tiny tanh networks, one per seed."""
    axes = {
        "cell": ["rnn_tanh"],
        "initialization": ["orthogonal"],
        "inputs": ["noise"],
        "seq_len": [10],
        "hidden_size": [4],
        "batch_size": 1,
        "seed": list(range(cases)),
    }
    return checked({"name": "sweep", "studies": {"gradient_decay": axes}}, "sweep")


class Watch:
    """An observer that prints, and kills a worker when half is done."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._parent = psutil.Process()
        self._sent = self._done = self._total = 0
        self._next = 0.0
        self.memory: list[int] = []
        self.in_flight: list[int] = []

    def begin(self, total, done):
        self._total = total
        self._started = time.monotonic()

    def start(self, case):
        self._sent += 1

    def finish(self, case, outcome):
        self._done += 1
        self.in_flight.append(self._sent - self._done)
        if self._done == self._total // 2:
            self._cluster.kill_worker(0)
        now = time.monotonic()
        if now >= self._next:
            self._next = now + EVERY_SECONDS
            self.memory.append(self._parent.memory_info().rss)
            print(
                f"{now - self._started:6.0f} s  {self._done:6} recorded  {self.in_flight[-1]:4} in flight  "
                f"{self.memory[-1] / 2**20:6.1f} MiB",
                flush=True,
            )


def main(cases: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="sweep-") as scratch,
        local_cluster(Path(scratch) / "cluster") as cluster,
    ):
        planned = plan(cases)
        folder = create_run(Path(scratch), planned, environment(), "cluster_sweep")
        watch = Watch(cluster)
        started = time.monotonic()
        execute(folder, watch, lambda p: Cluster(p, connected(cluster.address, None, print), print))
        elapsed = time.monotonic() - started
        with Ledger.open(folder / LEDGER) as ledger:
            counts = ledger.counts()
        grown = (max(watch.memory) - watch.memory[0]) / 2**20
        print(
            f"{cases} cases in {elapsed:.0f} s ({cases / elapsed:.0f} per second): {counts}; at most "
            f"{max(watch.in_flight)} in flight; the parent grew by {grown:.1f} MiB"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
