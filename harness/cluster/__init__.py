"""The same cases on other machines, through Dask distributed; `docs/cluster.md` shows how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.executor import Executor
    from harness.plan import Plan


def on_cluster(scheduler: str, workers: str | None, say: Callable[[str], None]) -> Callable[[Plan], Executor]:
    """Plan -> the executor of a cluster; see :func:`harness.cluster.connection.connected`."""
    from harness.cluster.connection import connected
    from harness.cluster.executor import Cluster

    return lambda plan: Cluster(plan, connected(scheduler, workers, say), say, patient=scheduler == "slurm")
