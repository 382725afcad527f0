"""What an LSTM's cell keeps (block cc) and what a step writes into it (block ch), over the lag.

Squares are averaged over units, samples and seeds alike: a law of spread time constants is one of the mean,
and the rare units of short ones decide it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.statistics import line
from harness.report.summaries.gradient_decay import STUDY
from harness.report.summaries.grouping import groups, has, in_order
from harness.report.words import missing, phrase, plain

SPREAD = "chrono"
"""The initialization whose forget biases differ from unit to unit by design."""
KEPT, WRITTEN = "kept", "written"
PATHS = {"cc": KEPT, "ch": WRITTEN}
_GATES = {"cc": "log10_forget_gate_rms", "ch": "log10_written_rms"}
LAW = "log10_chrono_law"
NEXT_TO_NOTHING = 0.01
"""Gain of recurrent weights that move a gate by less than a line is wide."""
POWER_LAW_FROM = 2
POWER_LAW_SHARE = 0.1
"""What a step writes falls as a power of the lag from 2 to t_max/10."""


@lru_cache(maxsize=1)
def time_constants(run: Run) -> pd.DataFrame | None:
    """One row per setting, path and lag >= 1, or None where nothing was measured.

    Columns: the axes without the seed; `path` (kept or written); `start` (chrono with its t_max, or the
    forget bias); `panel` (what the gates see); lag; log10_rms over units, samples and seeds; gates, what the
    drawn biases alone give, and law, what chrono's give in the mean over all draws.  What is written is
    relative to lag 1, in all three.
    """
    measured = run.measured(STUDY)
    if not has(measured, "block", "lag", "log10_frobenius_norm", "hidden_size", "initialization", LAW):
        return None
    measured = measured[measured["block"].isin(PATHS) & (measured["lag"] > 0)]
    measured = measured.dropna(subset=["log10_frobenius_norm"])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    parts = []
    for setting, part in groups(measured, [*axes, "block"]):
        block = str(setting.pop("block"))
        start = _start(setting)
        if start is None or part[_GATES[block]].isna().all():
            continue
        by_lag = part.groupby("lag")
        found = pd.DataFrame(
            {
                "log10_rms": by_lag["log10_frobenius_norm"].agg(_log10_rms)
                - 0.5 * np.log10(float(str(setting["hidden_size"]))),
                "gates": by_lag[_GATES[block]].agg(_log10_rms),
                "law": by_lag[LAW].first().astype(float),
            }
        )
        if PATHS[block] == WRITTEN:
            found = found - found.iloc[0]
        names = {"path": PATHS[block], "start": start, "panel": _panel(setting)}
        parts.append(
            found.reset_index().assign(**{axis: [v] * len(found) for axis, v in {**setting, **names}.items()})
        )
    if not parts:
        return None
    return in_order(pd.concat(parts, ignore_index=True), [*axes, "lag"]).reset_index(drop=True)


def exponent(rows: pd.DataFrame) -> tuple[float, int, int] | None:
    """The power of the lag that fits what is written, and from which to which lag; None where t_max is too
    small for a range.

    Args:
        rows: of one setting under chrono, with its t_max.
    """
    last = POWER_LAW_SHARE * float(rows["t_max"].iloc[0])
    part = rows[(rows["lag"] >= POWER_LAW_FROM) & (rows["lag"] <= last) & np.isfinite(rows["log10_rms"])]
    fit = line(np.log10(part["lag"].to_numpy(float)), part["log10_rms"].to_numpy(float))
    if fit is None or len(part) < 4:
        return None
    return fit.slope, int(part["lag"].min()), int(part["lag"].max())


def _start(setting: dict[str, object]) -> str | None:
    if not missing(setting.get("forget_bias")):
        return f"forget bias {plain(setting['forget_bias'])}"
    if setting["initialization"] != SPREAD or missing(setting.get("t_max")):
        return None
    return f"{SPREAD}, t_max {plain(setting['t_max'])}"


def _panel(setting: dict[str, object]) -> str:
    gain = float(str(setting.get("gain")))
    if gain <= NEXT_TO_NOTHING and setting.get("inputs") == "zeros":
        return f"biases alone (gain {plain(gain)})"
    return phrase(f"gates at work, {setting.get('inputs')} inputs", f"gain {plain(gain)}")


def _log10_rms(logs: pd.Series) -> float:
    values = logs.to_numpy(float)
    top = values.max()
    if not np.isfinite(top):
        return float(top)
    return float(top + 0.5 * np.log10(np.mean(10.0 ** (2.0 * (values - top)))))
