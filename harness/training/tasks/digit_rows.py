"""Handwritten digits, one row of pixels per step."""

from __future__ import annotations

from harness.training.tasks.digits import SIZE, Digits
from harness.training.tasks.task import TASKS


class DigitRows(Digits):
    """As :class:`Digits`, in 8 steps of 8 pixels."""

    name = "digit_rows"
    input_size = SIZE
    shortest = SIZE


TASKS.register("digit_rows")(DigitRows())
