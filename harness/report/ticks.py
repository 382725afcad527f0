"""Ticks in people's units: measured sizes on a logarithmic axis, powers of ten without mathtext."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from harness.report.words import significant, superscript


def log2_sizes(axes: Axes, sizes: Sequence[float]) -> None:
    """A logarithmic x-axis with a tick at the sizes that were measured (at most seven of them)."""
    axes.set_xscale("log", base=2)
    every = max(1, math.ceil(len(sizes) / 7))
    ticks = list(sizes)[::-1][::every][::-1]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    if len(sizes) == 1:
        axes.set_xlim(sizes[0] / 2, sizes[0] * 2)


def log10_axis(axis: Axis, words: Callable[[float], str]) -> None:
    """Decades as ticks, written by `words(value)`; round numbers where what is shown spans less than one.

    To be called once everything is drawn.
    """
    low, high = axis.get_view_interval()
    if low > 0.0 and high < 10.0 * low:
        axis.set_major_locator(MaxNLocator(nbins=4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.set_minor_locator(NullLocator())


def decades(axes: Axes) -> None:
    """A y-axis that already holds log10 values, written as powers of ten."""
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: decade(value)))


def decade(exponent: float) -> str:
    """0 -> "1", 1 -> "10", −20 -> "10⁻²⁰"."""
    if exponent in (0, 1):
        return f"{10**exponent:g}"
    return f"10{superscript(round(exponent, 2))}"


def thousands(value: float) -> str:
    """1500 -> "1.5k", 2e6 -> "2M"; powers of ten where no such unit fits: 1e15 -> "10¹⁵"."""
    if not 1e-3 <= value < 1e12:
        return power(value)
    for unit, scale in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            return f"{value / scale:g}{unit}"
    return f"{value:g}"


def power(value: float) -> str:
    """A tick on a logarithmic axis: 1e-08 -> "10⁻⁸"."""
    exponent = math.log10(value) if value > 0 else 0.0
    return decade(round(exponent)) if math.isclose(exponent, round(exponent), abs_tol=1e-9) else ""


def plain_power(value: float) -> str:
    """A tick in plain digits: 0.01, 1.5, 10,000; far from 1 a power of ten."""
    if 0.999e-3 <= value < 1e5:
        return f"{value:,g}"
    return power(value) or significant(value, 2)
