"""Is it the same machine?  Times of different hardware say nothing about a change of the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.report.frames import Run


def differences(old: Run, new: Run) -> list[str]:
    """What differs in words; empty where the hardware is the same, or neither run says."""
    before, after = describe(old), describe(new)
    if not before and not after:
        return []
    return [
        f"{name}: {before.get(name, 'not recorded')} / {after.get(name, 'not recorded')}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def describe(run: Run) -> dict[str, str]:
    """The machine of a run: processor, cores that could be used, GPUs; what was not recorded is left out."""
    recorded = run.facts.get("environment")
    environment: Mapping[str, Any] = recorded if isinstance(recorded, Mapping) else {}
    listed = environment.get("gpus")
    gpus = [str(g.get("name")) for g in listed if isinstance(g, Mapping)] if isinstance(listed, list) else []
    words = {
        "processor": environment.get("cpu_model"),
        "cores": environment.get("allowed_cores") or environment.get("logical_cores"),
        "control group's cores": environment.get("cgroup_cores"),
        "GPU": ", ".join(gpus) or None,
    }
    return {name: str(value) for name, value in words.items() if value is not None}
