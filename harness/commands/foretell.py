"""What `--dry-run` prints: the cases, about how long each takes, and all of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.case import Case
from harness.folder import LEDGER, recorded_plan
from harness.forecast import forecast
from harness.ledger import Ledger
from harness.measure.outlook import Rates
from harness.plan import Plan


def foretell(plan: Plan, cases: Sequence[Case]) -> None:
    """Of these cases of a plan."""
    for line in forecast(plan, cases, Rates.probe()).lines():
        print(line)


def foretell_rest(folder: Path) -> None:
    """Of what a run has still to do.

    Raises:
        UserError: the ledger cannot be read, or holds no plan that can be run here.
    """
    with Ledger.open(folder / LEDGER) as ledger:
        done = ledger.finished_keys()
        plan = recorded_plan(ledger.facts(), folder)
        foretell(plan, [entry.case for entry in ledger.entries() if entry.case.key not in done])
