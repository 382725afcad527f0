"""CSV: a whole run as one table, safe in a spreadsheet."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd

from harness.errors import UserError
from harness.exchange.format import FORMATS, Format, Imported
from harness.exchange.table import from_frame, to_frame
from harness.report.escape import spreadsheet, spreadsheet_cell
from harness.report.frames import Run


class Csv(Format):
    times_only = False

    def write(self, run: Run) -> bytes:
        return spreadsheet(to_frame(run)).to_csv(index=False, lineterminator="\n").encode("utf-8", "replace")

    def looks_like(self, content: bytes) -> bool:
        first = content.partition(b"\n")[0].split(b",")
        return first[0] == b"key" and b"definition" in (word.strip() for word in first)

    def read(self, content: bytes, name: str) -> Imported:
        try:
            text = io.StringIO(content.decode("utf-8"))
            frame = pd.read_csv(text, dtype=str, keep_default_na=False)
        except (ValueError, pd.errors.ParserError) as error:  # UnicodeDecodeError is a ValueError
            raise UserError(f"{name}: not CSV: {error}"[:300], remedy="export the file again") from error
        return from_frame(frame.rename(columns=_plain).map(_plain), name)


def _plain(cell: Any) -> Any:
    """Take away the apostrophe that kept a spreadsheet from computing."""
    if isinstance(cell, str) and cell.startswith("'") and spreadsheet_cell(cell[1:]) == cell:
        return cell[1:]
    return cell


FORMATS.register("csv")(Csv())
