"""Handwritten digits, one pixel per step."""

from __future__ import annotations

from harness.training.tasks.digits import SIZE, Digits
from harness.training.tasks.task import TASKS


class DigitPixels(Digits):
    """As :class:`Digits`, in 64 steps of one pixel."""

    name = "digit_pixels"
    input_size = 1
    shortest = SIZE**2


TASKS.register("digit_pixels")(DigitPixels())
