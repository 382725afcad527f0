"""What anyone needs to judge a number: the machine, the libraries, the settings.  An allow-list, no dump.

Every field is declared, with its meaning, in :mod:`model`; nothing else is ever recorded.  What a worker
alone can know (the threads in force, torch's flags, cuDNN's version) its backend tells in `describe`, and
the run keeps it under `backends`.
"""

from __future__ import annotations

from typing import Any

from harness.measure.environment.model import Environment


def environment() -> dict[str, Any]:
    """JSON values by name.  What cannot be had is null."""
    return read().model_dump(mode="json")


def read() -> Environment:
    """The environment as it is now."""
    from harness.measure.environment import cgroup, gpu, machine, software

    return Environment(
        **machine.facts(),
        cgroup_cores=cgroup.cores(),
        cgroup_memory_bytes=cgroup.memory_bytes(),
        packages=software.packages(),
        blas=software.blas(),
        variables=software.variables(),
        gpus=gpu.gpus(),
        git=software.git(),
    )
