"""What a figure is: a function from a run to pictures, registered with the question that it belongs to.

One figure is one file in `figures/`.  It yields no picture where the run holds nothing to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from harness.report.frames import Run
from implementations.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """Args:
    name: stem of its files.
    title: what it shows, in a few words.
    caption: how to read it, and what was left out.
    data: exactly what is drawn, tidy.
    figure: drawn, not yet saved.
    """

    name: str
    title: str
    caption: str
    data: pd.DataFrame
    figure: Figure


@dataclass(frozen=True)
class FigureKind:
    """Args:
    question: name of the section that shows it.
    order: its place there, smallest first.
    draw: run -> pictures.
    """

    question: str
    order: int
    draw: Callable[[Run], Iterator[Picture]]


FIGURES: Registry[FigureKind] = Registry("figure", "harness.report.figures", "rnn_harness.figures")


def figure(
    name: str, *, question: str, order: int
) -> Callable[[Callable[[Run], Iterator[Picture]]], Callable[[Run], Iterator[Picture]]]:
    """Decorator: register a drawing function under `name`."""

    def enter(draw: Callable[[Run], Iterator[Picture]]) -> Callable[[Run], Iterator[Picture]]:
        FIGURES.register(name)(FigureKind(question, order, draw))
        return draw

    return enter
