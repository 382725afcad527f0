"""A comparison as files: FILE.md, and beside it the figure and all rows; whole, or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness.compare.compare import Comparison
from harness.compare.figure import draw
from harness.compare.page import frame, in_order, markdown
from harness.errors import UserError
from harness.report.drawing import save, style
from harness.report.tables import write_csv


def write(comparison: Comparison, output: Path, limit: float | None) -> Path:
    """Write it all; the path of the Markdown file.

    Raises:
        UserError: a file cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=".compare-") as name:
            draft = Path(name) / output.stem
            with style():
                save(draw(comparison), draft)
            write_csv(frame(in_order(comparison.rows)), draft.with_suffix(".csv"))
            page = Path(name) / "page"
            page.write_text(markdown(comparison, limit=limit, figure=f"{output.stem}.svg"), encoding="utf-8")
            for suffix in (".svg", ".png", ".csv"):
                draft.with_suffix(suffix).replace(output.with_suffix(suffix))
            page.replace(output)
    except OSError as error:
        raise UserError(f"{output}: cannot write: {error.strerror or error}") from error
    return output
