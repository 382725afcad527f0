"""Known results against what the gradient engine and every backend compute: `python -m harness validate`.

One file holds one group of checks, small functions that yield rows: expected (closed form, or derived here by
other means), got, tolerance.  Checks of the engine run once; checks of the backends run on each that is
available.  What is checked is looked up in `harness.gradients` at the time of the call, so that a broken
engine put in its place must show as failed rows.
"""

from harness.validation.check import CHECKS, Check
from harness.validation.execution import Skipped, chosen_backends, validate
from harness.validation.row import Row

__all__ = ["CHECKS", "Check", "Row", "Skipped", "chosen_backends", "validate"]
