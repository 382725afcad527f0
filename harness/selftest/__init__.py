"""Does the harness measure right?  Known answers, identical code, injected slowdowns, and the clock itself.

`python -m harness selftest`: each row has a target and what was got.  A row that needs a quiet machine is
judged where the machine was quiet, by the same rule that marks samples as unstable in a run; elsewhere it is
shown and not judged.
"""

from __future__ import annotations

from harness.selftest.row import Row
from harness.selftest.table import run_selftest

__all__ = ["Row", "run_selftest"]
