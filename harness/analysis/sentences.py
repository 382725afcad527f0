"""What an analysis says in words and in the tables that people read."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from harness.analysis.analysis import Analysis
from harness.analysis.changes import AS_GIVEN
from harness.report.tables import Table
from harness.report.words import counted, missing, power_of_ten, significant

Said = tuple[str, list[str]]
"""The answer in a sentence, and details."""


def reach(analysis: Analysis) -> Said:
    """The horizon of ∂h_t/∂h_k in each layer."""
    frame = analysis.summaries
    own = frame[frame["block"] == "hh"] if (frame["block"] == "hh").any() else frame
    words = [
        f"in {row['layer']} ({row['cell']}) it {_reaches(row)} ({row['verdict']})" for row in _records(own)
    ]
    details = [f"{row['layer']}: {row['rule']}." for row in _records(own)]
    cell_path = frame[frame["block"] == "cc"]
    details += [
        f"{row['layer']}: along the cell state ∂cₜ/∂cₖ {_reaches(row)}." for row in _records(cell_path)
    ]
    return f"Of ∂hₜ/∂hₖ: {_joined(words)}.", details


def _reaches(row: dict[str, Any]) -> str:
    """ "falls to 1 % within 8 steps"."""
    if not missing(row["horizon_1_percent"]):
        return f"falls to 1 % within {_steps(row['horizon_1_percent'])}"
    return f"is above 1 % still at lag {row['longest_lag']}"


def change(analysis: Analysis) -> Said:
    """What would lengthen the horizon most, and how long it is now."""
    best, details = [], []
    for layer, part in analysis.changes.groupby("layer", sort=False):
        rows = _records(part)
        own = next((row for row in rows if row["change"] == AS_GIVEN and not row["note"]), None)
        others = [row for row in rows if row["change"] != AS_GIVEN and not row["note"]]
        others = [row for row in others if row["verdict"] != "exploding"]
        if own is None or not others:
            continue
        longest = max(others, key=lambda row: (_length(row), row["rate"]))
        if _length(longest) <= _length(own):
            best.append(f"in {layer} nothing that was tried reaches further")
        else:
            best.append(f"in {layer} {longest['change']} ({_horizon(longest)} instead of {_horizon(own)})")
        shifts = [row for row in others if row["kind"] == "forget bias"]
        details += [f"{layer}: {row['change']}, and its 1 % horizon is {_horizon(row)}." for row in shifts]
    if not best:
        return "Nothing could be compared.", details
    return f"The furthest reach to 1 %, of what was tried without exploding: {_joined(best)}.", details


def _length(row: dict[str, Any]) -> float:
    """A horizon as a number to compare; one beyond the lags observed is the longest."""
    return math.inf if missing(row["horizon_1_percent"]) else float(row["horizon_1_percent"])


def _horizon(row: dict[str, Any]) -> str:
    if missing(row["horizon_1_percent"]):
        return f"beyond {row['longest_lag']:.0f} steps"
    return _steps(row["horizon_1_percent"])


def directions(analysis: Analysis) -> Said:
    """How many singular values lie above one percent of the largest, at the longest lag."""
    words = []
    for layer, part in analysis.spectrum.groupby("layer", sort=False):
        last = part[part["lag"] == part["lag"].max()]
        values = last["log10_singular_value"]
        strong = int((values >= values.max() - 2).sum()) if values.max() > -math.inf else 0
        words.append(
            f"{layer}: at lag {last['lag'].iloc[0]}, {strong} of {len(last)} directions are within a factor "
            f"100 of the strongest, {power_of_ten(values.max())}"
        )
    return f"{_joined(words)}.", []


def exponents(analysis: Analysis) -> Said:
    """The largest exponent of each layer, and whether the average can be trusted."""
    words, details = [], []
    for layer, part in analysis.lyapunov.groupby("layer", sort=False):
        first = part.iloc[0]
        growing = int((part["exponent"] > 0).sum())
        words.append(f"{layer}: the largest exponent is {significant(first['exponent'])} nats per step")
        details.append(
            f"{layer}: {growing or 'none'} of {len(part)} above 0; the averages "
            + ("have converged." if first["converged"] else "have not converged: analyse more steps.")
        )
    return f"{_joined(words)}.", details


def gates(analysis: Analysis) -> Said:
    """The mean opening, and how many units remember for long."""
    words = []
    for layer, part in analysis.gates.groupby("layer", sort=False):
        gate, open_ = part["gate"].iloc[0], int((part["mean"] > 0.9).sum())
        words.append(
            f"{layer}: gate {gate} is {significant(part['mean'].mean())} on average, and above 0.9 in "
            f"{open_} of {len(part)} units"
        )
    return f"{_joined(words)}.", []


def layer_table(analysis: Analysis) -> Table:
    """What was analysed."""
    rows = []
    for findings in analysis.layers:
        network = findings.network
        seq_len, batch_size, input_size = network.inputs.shape
        sizes = (seq_len, batch_size, input_size, network.parameters.hidden_size)
        verdict = next((findings.summaries[b].verdict for b in ("hh",) if b in findings.summaries), "n/a")
        rows.append((network.name, network.cell.name, *map(str, sizes), verdict))
    return _table(("layer", "cell", "T", "B", "I", "H", "verdict"), rows, numeric=("T", "B", "I", "H"))


_SUMMARY = {
    "rate": "rate (nats per step)",
    "interval": "95 % interval",
    "half_life": "half-life (steps)",
    "1 %": "1 % at (lag)",
    "0.1 %": "0.1 % at (lag)",
    "verdict": "verdict",
}


def _summary_cells(row: dict[str, Any]) -> tuple[str, ...]:
    interval, low, high = "n/a", row["rate_low"], row["rate_high"]
    if not missing(low):  # what is but rounding has no interval
        interval = f"{significant(low)} to {significant(high)}" if (low, high) != (0.0, 0.0) else "–"
    horizons = [
        f"beyond {row['longest_lag']:.0f}" if missing(row[name]) else significant(row[name])
        for name in ("horizon_1_percent", "horizon_1_per_mille")
    ]
    half_life = "none" if missing(row["half_life"]) else significant(row["half_life"])
    return (significant(row["rate"]), interval, half_life, *horizons, str(row["verdict"]))


def summary_table(frame: pd.DataFrame) -> Table:
    rows = [(row["layer"], row["cell"], row["block"], *_summary_cells(row)) for row in _records(frame)]
    return _table(
        ("layer", "cell", "block", *_SUMMARY.values()),
        rows,
        "Over anchors and samples; the interval is over samples.",
        numeric=tuple(_SUMMARY.values())[:-1],
    )


def changes_table(frame: pd.DataFrame) -> Table:
    rows = [
        (row["layer"], row["change"], *(["n/a"] * 5), row["note"])
        if row["note"]
        else (row["layer"], row["change"], *_summary_cells(row))
        for row in _records(frame)
    ]
    return _table(
        ("layer", "what stands in its place", *_SUMMARY.values()),
        rows,
        "∂hₜ/∂hₖ from the last step; the interval is over samples for the layer's own weights, over draws "
        "for the others.",
        numeric=tuple(_SUMMARY.values())[:-1],
    )


def spectrum_table(frame: pd.DataFrame) -> Table:
    rows = []
    for (layer, lag), part in frame.groupby(["layer", "lag"], sort=False):
        values = part["log10_singular_value"]
        strong = int((values >= values.max() - 2).sum()) if values.max() > -math.inf else 0
        words = [power_of_ten(value) for value in (values.max(), values.median(), values.min())]
        rows.append((str(layer), str(lag), *words, str(strong)))
    columns = ("layer", "lag", "largest", "median", "smallest", "within 100 of the largest")
    return _table(columns, rows, "Singular values of ∂s_T/∂s_k, of the first sample.", numeric=columns[1:])


def lyapunov_table(frame: pd.DataFrame, leading: int = 8) -> Table:
    rows = [
        (
            row["layer"],
            str(row["index"]),
            significant(row["exponent"]),
            significant(row["standard_error"]),
            "yes" if row["converged"] else "no",
        )
        for row in _records(frame[frame["index"] <= leading])
    ]
    columns = ("layer", "index", "exponent (nats per step)", "standard error", "converged")
    return _table(columns, rows, f"The {leading} leading ones.", numeric=columns[1:4])


def gates_table(frame: pd.DataFrame) -> Table:
    rows = []
    for (layer, gate), part in frame.groupby(["layer", "gate"], sort=False):
        numbers = [part["bias"].mean(), part["mean"].min(), part["mean"].mean(), part["mean"].max()]
        times = [part["time_constant"].median(), part["time_constant"].max()]
        rows.append((str(layer), str(gate), *(significant(value) for value in [*numbers, *times])))
    columns = (
        *("layer", "gate", "mean bias", "least open unit", "mean", "most open unit"),
        *("median time constant (steps)", "longest (steps)"),
    )
    caption = "Time constant: −1/ln of a unit's mean, the steps in which that gate alone lets 1/e through."
    return _table(columns, rows, caption, numeric=columns[2:])


def _table(columns: tuple[str, ...], rows: list[Any], caption: str = "", numeric: Any = ()) -> Table:
    return Table(columns, tuple(tuple(map(str, row)) for row in rows), caption, frozenset(numeric))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def _steps(count: float) -> str:
    """The first whole step at which it has happened."""
    return counted(math.ceil(count), "step")


def _joined(words: list[str]) -> str:
    """At most six, with semicolons between."""
    more = [f"and {len(words) - 6} more below"] if len(words) > 6 else []
    return "; ".join([*words[:6], *more])
