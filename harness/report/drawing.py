"""How every figure looks: one style, one colour per name, panels in a grid, axes in people's units.

The one idea: text is never parsed (`text.parse_math` is off inside :func:`style`), so that a `$` in a name
from outside is a dollar sign; powers of ten are written with superscript characters instead.
"""

from __future__ import annotations

import math
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.report.escape import one_line, wrapped

WIDTH = 10.5
"""Of every figure, in inches."""
COLUMNS = 4
MAX_PANELS = 16
DPI = 140
GREY = "#6b7280"
INK = "#1f2937"

_COLORS = [sns.color_palette("colorblind")[i] for i in (0, 1, 2, 3, 4, 5, 9, 7)]
_MARKERS = "osD^vPXh"
_DASHES: list[Any] = ["", (5, 1.2, 1, 1.2), (1, 1), (5, 1.2, 1, 1.2, 1, 1.2)]

P = TypeVar("P")


@contextmanager
def style() -> Iterator[None]:
    """The report's look while figures are made and saved; nothing of it leaks."""
    look = {
        **sns.axes_style("whitegrid"),
        "axes.edgecolor": "#9ca3af",
        "axes.labelcolor": INK,
        "axes.labelsize": 9,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlesize": 9.5,
        "figure.titlesize": 11,
        "figure.titleweight": "bold",
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same picture on every machine
        "font.size": 9,
        "grid.color": "#e5e7eb",
        "legend.fontsize": 9,
        "legend.frameon": False,
        "path.simplify_threshold": 0.2,
        "svg.fonttype": "path",
        "svg.hashsalt": "rnn-harness",
        "text.color": INK,
        "text.parse_math": False,
        "text.usetex": False,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
    }
    with mpl.rc_context(look), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a box is drawn instead
        yield


@dataclass(frozen=True)
class Look:
    """How one name is drawn; `dashes` as seaborn has them: lengths of ink and gap, or "" for solid."""

    color: Any
    marker: str
    dashes: Any

    @property
    def linestyle(self) -> Any:
        """The dashes as matplotlib has them."""
        return (0, self.dashes) if self.dashes else "-"


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A colour-blind-safe look for each name, by its place in `names`; after eight the dashes change."""
    return {
        name: Look(
            _COLORS[i % len(_COLORS)],
            _MARKERS[i % len(_MARKERS)],
            _DASHES[i // len(_COLORS) % len(_DASHES)],
        )
        for i, name in enumerate(names)
    }


def shades(count: int) -> list[Any]:
    """Colours for an ordered quantity, from light to dark."""
    return list(sns.color_palette("flare", count))


def lines(
    axes: Axes, data: pd.DataFrame, *, x: str, y: str, name: str, palette: Mapping[str, Look], **options: Any
) -> None:
    """One line per value of column `name`, each in its look; −inf and inf are gaps, and of nothing else there
    is no line.

    Args:
        options: for matplotlib's line; `markers=True` marks the points.
    """
    finite = data[y].where(np.isfinite(data[y].to_numpy(float)))
    present = [value for value in palette if finite[data[name] == value].notna().any()]
    if not present:  # seaborn would warn of a palette without lines
        return
    marked = options.pop("markers", False)
    labels = axes.get_xlabel(), axes.get_ylabel()
    axes.set(xlabel=x, ylabel=y)  # seaborn would name them itself, and make every tick to find out whether
    sns.lineplot(
        data=data.assign(**{y: finite})[data[name].isin(present)],
        x=x,
        y=y,
        hue=name,
        style=name,
        hue_order=present,
        style_order=present,
        palette={value: palette[value].color for value in present},
        dashes={value: palette[value].dashes for value in present},
        markers={value: palette[value].marker for value in present} if marked else False,
        estimator=None,
        errorbar=None,
        legend=False,
        ax=axes,
        **options,
    )
    axes.set(xlabel=labels[0], ylabel=labels[1])


def handle(name: str, look: Look, *, marker: bool = True) -> Line2D:
    """What stands for a name in a legend."""
    return Line2D(
        [], [], color=look.color, marker=look.marker if marker else "", ls=look.linestyle, ms=5, label=name
    )


@dataclass(frozen=True)
class Panel(Generic[P]):
    """One set of axes and what is to be drawn in it; `left` and `bottom` are those that carry labels."""

    content: P
    axes: Axes
    left: bool
    bottom: bool


def panels(
    rows: Sequence[Sequence[P]],
    *,
    columns: int = COLUMNS,
    height: float = 2.35,
    share_y: bool = True,
    share_x: bool = True,
) -> tuple[Figure, list[Panel[P]]]:
    """A figure with one panel per content: each row begins a line and is wrapped; no panel is empty.

    Args:
        rows: contents, row by row.
        columns: where a row is wrapped.
        height: of one panel, inches.
    """
    lines = [line for row in rows for line in _wrapped(list(row), columns)]
    wide = max(len(line) for line in lines)
    figure = Figure(figsize=(WIDTH * _width_share(wide, columns), 0.9 + height * len(lines)), dpi=DPI)
    figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.06, wspace=0.02, hspace=0.03)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(lines), wide)
    made: list[Panel[P]] = []
    for r, line in enumerate(lines):
        for c, content in enumerate(line):
            first = made[0].axes if made else None
            axes = figure.add_subplot(
                grid[r, c], sharex=first if share_x else None, sharey=first if share_y else None
            )
            bottom = r + 1 == len(lines) or c >= len(lines[r + 1])
            axes.tick_params(
                labelleft=c == 0 or not share_y, labelbottom=bottom or not share_x, length=2, pad=2
            )
            made.append(Panel(content, axes, left=c == 0, bottom=bottom))
    return figure, made


def _wrapped(row: list[P], columns: int) -> list[list[P]]:
    """Lines of nearly equal length: four in threes are two and two."""
    wide = math.ceil(len(row) / math.ceil(len(row) / columns))
    return [row[i : i + wide] for i in range(0, len(row), wide)]


def _width_share(wide: int, columns: int) -> float:
    """A single panel does not stretch over the whole page."""
    return {1: 0.66, 2: 0.85}.get(wide, 1.0) if columns > 1 else 1.0


def legend(figure: Figure, title: str, handles: Sequence[Line2D] = ()) -> None:
    """The figure's title, and under it what each line means: above the panels, outside of them."""
    for h in handles:
        h.set_label(wrapped(h.get_label()))
    widths = [0.075 * max(map(len, str(h.get_label()).split("\n"))) + 0.55 for h in handles]
    figure.legend(
        handles=list(handles),
        loc="outside upper left",
        ncols=_columns_that_fit(widths, figure.get_figwidth() - 0.3),
        title=textwrap.fill(one_line(title), round(11 * figure.get_figwidth())),
        title_fontproperties={"weight": "bold", "size": 11},
        alignment="left",
        borderaxespad=0.2,
    )


def _columns_that_fit(widths: Sequence[float], room: float) -> int:
    """The most columns, filled one after the other and each as wide as its widest entry, within `room`."""
    for count in range(len(widths), 1, -1):
        if sum(float(column.max()) for column in np.array_split(np.array(widths), count)) <= room:
            return count
    return 1


def save(figure: Figure, stem: Path) -> None:
    """Write `stem`.png and `stem`.svg; the same figure gives the same bytes.

    The canvases are called themselves, because `savefig` draws everything twice.
    """
    FigureCanvasAgg(figure).print_png(stem.with_suffix(".png"), metadata={"Software": None})
    figure.set_layout_engine("none")  # where everything stands is settled
    FigureCanvasSVG(figure).print_svg(stem.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
