"""What on this machine would spoil a run, and how to mend it, said before the run.

One check is one function in `checks/`; the same findings stand in the record of every run (those that are
quick to make) and in its report.
"""

from __future__ import annotations

from pathlib import Path

from harness.doctor.check import CHECKS, Finding, Scene
from harness.measure.environment.model import Environment


def examine(environment: Environment, results: Path, *, thorough: bool = True) -> list[Finding]:
    """Every check's finding, in the order of the registry.

    Args:
        environment: the machine, read just now.
        results: the folder that the runs are to go to.
        thorough: also what takes seconds (loading every backend).
    """
    scene = Scene(environment, results)
    return [check.look(name, scene) for name, check in CHECKS.items() if thorough or not check.slow]


def warnings(environment: Environment, results: Path) -> list[Finding]:
    """What a run that begins now has to live with: the quick checks that are not well."""
    return [finding for finding in examine(environment, results, thorough=False) if finding.level != "ok"]


__all__ = ["Finding", "examine", "warnings"]
