"""The cell path ∂c_t/∂c_k of an LSTM, beside what forget gates that see their biases alone would give."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.gradient_decay import STUDY
from harness.report.summaries.grouping import groups, has, in_order
from harness.report.words import missing, phrase, plain

COLUMNS = (
    "log10_spectral_norm",
    "log10_frobenius_norm",
    "log10_forget_gate_largest",
    "log10_forget_gate_rms",
)


@lru_cache(maxsize=1)
def cell_path(run: Run) -> pd.DataFrame | None:
    """One row per setting and lag, medians over seeds and samples, or None where nothing was measured.

    Columns: the axes without the seed; `start` (initialization, or forget bias where one was set) and `panel`
    (all that its network has besides); lag; log10_largest (the spectral norm), log10_rms (the Frobenius norm
    over √H: the root mean square over the units), and the forget gates' largest_theory and rms_theory.
    """
    measured = run.measured(STUDY)
    if not has(measured, "block", "lag", *COLUMNS, "hidden_size", "initialization"):
        return None
    measured = measured[measured["block"] == "cc"].dropna(subset=["lag", *COLUMNS])
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    parts = []
    for setting, part in groups(measured, axes):
        by_lag = part.groupby("lag")[list(COLUMNS)].median().reset_index()
        found = pd.DataFrame(
            {
                "lag": by_lag["lag"].astype(int),
                "log10_largest": by_lag["log10_spectral_norm"],
                "log10_rms": by_lag["log10_frobenius_norm"] - 0.5 * np.log10(float(setting["hidden_size"])),
                "largest_theory": by_lag["log10_forget_gate_largest"],
                "rms_theory": by_lag["log10_forget_gate_rms"],
            }
        )
        bias = setting.get("forget_bias")
        names = {
            "start": str(setting["initialization"]) if missing(bias) else f"forget bias {plain(bias)}",
            "panel": panel_words(setting),
        }
        parts.append(found.assign(**{axis: [v] * len(found) for axis, v in {**setting, **names}.items()}))
    if not parts:
        return None
    return in_order(pd.concat(parts, ignore_index=True), [*axes, "lag"]).reset_index(drop=True)


def panel_words(setting: dict[str, object]) -> str:
    """What a network's gates see: nothing but their biases, or which inputs, at which gain."""
    if setting.get("gain") == 0 and setting.get("inputs") == "zeros":
        return "gates that see their biases alone"
    return phrase(f"{setting.get('inputs')} inputs", f"gain {plain(setting.get('gain'))}")


def longest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the largest T and H with the most settings: one size, so that curves compare."""
    sizes = frame.groupby(["seq_len", "batch_size", "hidden_size"])["start"].nunique()
    seq_len, batch_size, hidden_size = max(sizes.index, key=lambda size: (sizes[size], size))
    same = (frame["seq_len"] == seq_len) & (frame["batch_size"] == batch_size)
    return frame[same & (frame["hidden_size"] == hidden_size)]
