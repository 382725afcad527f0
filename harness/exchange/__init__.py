"""Runs in other tools' formats, out and in.  One format is one file in `formats/`.

What comes in becomes a run like any other (ledger, plan, environment), so that `report` and `compare` take
it.
"""

from __future__ import annotations

from harness.exchange.format import FORMATS, Imported
from harness.exchange.transfer import export_run, import_file

__all__ = ["FORMATS", "Imported", "export_run", "import_file"]
