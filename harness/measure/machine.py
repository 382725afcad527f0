"""Which machine a number comes from: the hardware, in words that are equal where the hardware is.

Times of unequal machines are no replicates of each other, so every measured case carries its machine.  No
host name stands in it: two nodes of one kind are one kind of machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.measure.environment import environment


@dataclass(frozen=True)
class Machine:
    """Args:
    label: the hardware's fingerprint: processor, cores that may be used, GPU.
    environment: all that is recorded of it, see :func:`harness.measure.environment.environment`.
    """

    label: str
    environment: Mapping[str, Any]

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        return cls.of(environment())

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Machine:
        """The machine of a recorded environment."""
        return cls(fingerprint(described), described)


def fingerprint(described: Mapping[str, Any]) -> str:
    """ "AMD EPYC 7B13, 2 cores, NVIDIA H200" from an environment; what it does not say is left out."""
    cores, gpus = described.get("allowed_cores"), described.get("gpus")
    words = [described.get("cpu_model"), f"{cores} cores" if cores else None]
    words += [gpu.get("name") for gpu in gpus or () if isinstance(gpu, Mapping)]
    return ", ".join(str(word) for word in words if word) or "unknown machine"
