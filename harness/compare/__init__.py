"""Two runs side by side: did the last change make it slower, or larger?

Cases are matched by what they measure; verdicts are those of `harness.report.verdicts`, over two independent
groups of processes, corrected over all that is compared.
"""

from __future__ import annotations

from harness.compare.compare import Comparison, Row, compare_runs

__all__ = ["Comparison", "Row", "compare_runs"]
