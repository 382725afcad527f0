"""The findings as people read them, and as programs do."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from harness.doctor.check import LEVELS, Finding


def as_json(findings: Sequence[Finding]) -> str:
    return json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False)


def as_lines(findings: Sequence[Finding]) -> list[str]:
    """One line per finding, its remedy beneath; how many of each at the end."""
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:8} {finding.check:{width}}  {finding.text}")
        if finding.remedy:
            lines.append(f"{'':{9 + width}}  → {finding.remedy}")
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    return [*lines, ", ".join(f"{number} {level}" for level, number in counts.items() if number)]
