"""Parquet: a whole run as one table, its types kept.  Needs pyarrow (extra `parquet`)."""

from __future__ import annotations

import importlib.util
import io
from typing import Any

from harness.errors import UserError
from harness.exchange.format import FORMATS, Format, Imported
from harness.exchange.table import from_frame, to_frame
from harness.report.frames import Run

MAXIMUM_CELLS = 50_000_000
MAXIMUM_UNPACKED_BYTES = 2**30


class Parquet(Format):
    times_only = False

    def write(self, run: Run) -> bytes:
        _require()
        buffer = io.BytesIO()
        to_frame(run).to_parquet(buffer, engine="pyarrow", index=False)
        return buffer.getvalue()

    def looks_like(self, content: bytes) -> bool:
        return content[:4] == b"PAR1" == content[-4:]

    def read(self, content: bytes, name: str) -> Imported:
        _require()
        import pyarrow
        from pyarrow import parquet

        try:
            file = parquet.ParquetFile(io.BytesIO(content))
            _check_size(file.metadata, name)
            frame = file.read().to_pandas(ignore_metadata=True)
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise UserError(f"{name}: not Parquet: {error}"[:300], remedy="export the file again") from error
        return from_frame(frame, name)


def _check_size(metadata: Any, name: str) -> None:
    """A small file may unpack to a very large table: its own words are read before it is."""
    unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if metadata.num_rows * metadata.num_columns > MAXIMUM_CELLS or unpacked > MAXIMUM_UNPACKED_BYTES:
        raise UserError(
            f"{name}: too large",
            expected=f"at most {MAXIMUM_CELLS:,} cells and {MAXIMUM_UNPACKED_BYTES >> 30} GiB unpacked",
        )


def _require() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise UserError(
            "Parquet needs pyarrow, which is not installed", remedy="pip install 'rnn-harness[parquet]'"
        )


FORMATS.register("parquet")(Parquet())
