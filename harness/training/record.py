"""What a training was like, step by step, in a CSV file that grows with it.

A row is of a step (its loss, the gradient's norm before and after clipping, the spectral radius of W_hh after
it) or of the decay, ‖∂h_T/∂h_k‖₂ over the lag T − k, which is measured before the first step, at some points
along the way and after the last.  The file is on the disk before the checkpoint of the same steps is: a
training that goes on cuts what stands beyond its checkpoint, and nothing is missing.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.gradients import ForwardDiverged, depth_decay, jacobian_decay
from harness.training.checkpoint import cannot_be_written
from harness.training.job import Job
from harness.training.loop import Step
from harness.training.radius import recurrent_radius

COLUMNS = (
    *("quantity", "step", "loss", "gradient_norm", "clipped_norm", "spectral_radius"),
    *("lag", "log10_spectral_norm"),
)
DECAYS = 8
"""At how many points, evenly over a training, the decay is measured along the way."""
LAGS = 64
"""So many from 1 on, all or in equal ratios, beside lag 0."""


ROWS_AT_ONCE = 4096
"""So many wait at the most, where no checkpoint asks for them earlier."""

Row = Sequence[str | float | None]


@dataclass(frozen=True)
class _Taken:
    """How many bytes of the file hold, and the rows that are still to come after them."""

    size: int
    rows: list[Row]


class TrainingRecord:
    """The rows of one training, in a file.

    Args:
        file: a new one, or, where the training goes on, the one that holds what was done.
        job: whose network is looked at: of several layers the top one, ∂h^L_T/∂h^L_k and its W_hh.
        done: how many steps are done; rows beyond them are cut.
        resumed: whether the training goes on, if only from its start.
        steps: how many there will be.

    Raises:
        UserError: a new training and the file exists; it holds something else, or ends before `done`; it
            cannot be written.
    """

    def __init__(self, file: Path, job: Job, *, done: int, steps: int, resumed: bool = False) -> None:
        self._file, self._job = file, job
        self._points = points(steps)
        kept = 0
        try:
            there = file.exists()
            if there and not (done or resumed):
                raise UserError(
                    f"{file}: is there already", expected="a new file", remedy="name another, or --resume"
                )
            if there:
                kept = self._cut(lambda quantity, step: step <= done, at_least=done)
            if not there:
                file.touch(exist_ok=False)
            self._taken = _Taken(file.stat().st_size, [] if there else [COLUMNS])
            self.flush()
        except OSError as error:
            raise cannot_be_written(file, error) from error
        if not kept:
            self._decay(done)

    def step(self, done: Step) -> None:
        """A step at its end, and the decay where it is due."""
        radius = recurrent_radius(self._job.settings.cell, self._job.layers[-1].weight_hh)
        self._row("step", done.number, done.loss, done.gradient_norm, done.clipped_norm, radius, None, None)
        if done.number in self._points:
            self._decay(done.number)

    def end(self, step: int, *, diverged: bool) -> None:
        """The decay of the network as it is now, after `step` steps.

        Where the training diverged that is its last good state, beyond which no decay stays on record.
        """
        if diverged:
            self.flush()
            try:
                self._cut(lambda quantity, number: quantity == "step" or number < max(step, 1), at_least=0)
                self._taken = _Taken(self._file.stat().st_size, [])
            except OSError as error:
                raise cannot_be_written(self._file, error) from error
        if step and (diverged or step not in self._points):
            self._decay(step)
        self.flush()

    def flush(self) -> None:
        """All rows are on the disk.

        Ctrl-C may come at any moment: what was half written then is written over the next time.

        Raises:
            UserError: it takes no more.
        """
        try:
            content = _lines(self._taken.rows)
            with self._file.open("r+b") as file:
                file.seek(self._taken.size)
                file.truncate()
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._taken = _Taken(self._taken.size + len(content), [])
        except OSError as error:
            raise cannot_be_written(self._file, error) from error

    def _row(self, *values: str | float | None) -> None:
        self._taken.rows.append(values)
        if len(self._taken.rows) >= ROWS_AT_ONCE:
            self.flush()

    def _decay(self, step: int) -> None:
        """One row per lag, the median over the held-out sequences; none where the network is not finite."""
        layers, cell = self._job.layers, self._job.settings.cell
        with suppress(ForwardDiverged, ValueError), np.errstate(over="ignore", invalid="ignore"):
            inputs = self._job.observed()
            if len(layers) == 1:
                lags = chosen_lags(len(inputs))
                norms = jacobian_decay(cell, layers[0], inputs, lags=lags).log10_spectral_norm["hh"]
            else:
                lags = chosen_lags(len(inputs) - 1)
                top = len(layers)
                norms = depth_decay(cell, layers, inputs, lags=lags).log10_spectral_norm[top, top]
            for lag, norm in zip(lags.tolist(), np.median(norms, axis=1).tolist(), strict=True):
                self._row("decay", step, None, None, None, None, lag, norm)

    def _cut(self, stays: Callable[[str, int], bool], *, at_least: int) -> int:
        """Write the file anew with the rows that stay, whole or not at all, and say how many do."""
        try:
            with self._file.open(encoding="utf-8", newline="") as file:
                head, *rows = list(csv.reader(file)) or [[]]
        except (ValueError, csv.Error):  # no text
            head = []
        if tuple(head) != COLUMNS:
            raise UserError(
                f"{self._file}: not a record of a training", expected=f"a CSV file of {', '.join(COLUMNS)}"
            )
        # a kill may have left the last line half written, of a step that no checkpoint holds
        whole = [row for row in rows if len(row) == len(COLUMNS) and row[1].isdecimal()]
        last = max((int(row[1]) for row in whole), default=0)
        if last < at_least:
            raise UserError(
                f"{self._file}: ends before the checkpoint does",
                expected=f"rows up to step {at_least}",
                got=f"up to {last}",
                remedy="name a new file, which begins there",
            )
        kept = [row for row in whole if stays(row[0], int(row[1]))]
        draft = self._file.with_name(f".{self._file.name}.draft")
        try:
            with draft.open("wb") as binary:
                binary.write(_lines([COLUMNS, *kept]))
                binary.flush()
                os.fsync(binary.fileno())
            draft.replace(self._file)
        finally:
            with suppress(OSError):
                draft.unlink()
        return len(kept)


def _lines(rows: Iterable[Row]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def points(steps: int) -> set[int]:
    """Along the way, after which steps the decay is measured; before the first and after the last it is
    measured anyway."""
    return {round(steps * place / (DECAYS + 1)) for place in range(1, DECAYS + 1)} - {0, steps}


def chosen_lags(longest: int) -> NDArray[np.int64]:
    """0 and up to LAGS from 1 to the longest: all of them, or in equal ratios, rounded and each once."""
    if longest <= LAGS:
        return np.arange(longest + 1)
    spaced = np.rint(np.geomspace(1, longest, LAGS)).astype(np.int64)
    return np.unique(np.concatenate([[0], spaced]))
