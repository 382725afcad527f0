"""Language models: bits per character beside the memory that they take, networks and counts alike."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from harness.report.frames import Run
from harness.report.summaries.grouping import groups, has, in_order, records
from harness.report.words import split_constant

STUDY = "language_model"


@dataclass(frozen=True)
class LanguageModels:
    """Args:
    networks: one row per setting (all axes but the seed): bits_per_character (mean over the seeds that did
        not diverge, or over the last good states where all did), memory_bytes, training_seconds, said (None
        where all diverged), and `smallest_ngram_bytes`, the least memory with which counting is as good (NaN
        where no order is); networks, how many trainings; diverged, how many of them did; of the first of
        these diverged_at_step and last_good_step.
    ngrams: one row per order: bits_per_character, memory_bytes, entries.
    along: one row per setting and step read: bits_per_character, mean over seeds.
    axes: the study's axes without the seed.
    remark: which orders were asked for and not counted, and why; "" where all were.
    """

    networks: pd.DataFrame
    ngrams: pd.DataFrame
    along: pd.DataFrame
    axes: list[str]
    remark: str = ""

    @property
    def best_ngram(self) -> dict[str, float]:
        """The order with the fewest bits per character; of several, that with the least memory."""
        return records(self.ngrams.sort_values(["bits_per_character", "memory_bytes"]))[0]

    def telling(self, *spoken: str) -> list[str]:
        """These axes, and as many more as tell the networks of each cell apart."""
        varying, _ = split_constant(self.networks, [axis for axis in self.axes if axis != "cell"])
        told = [axis for axis in spoken if axis in self.axes]
        for axis in varying:
            if axis not in told and self._apart([*told, axis]) > self._apart(told):
                told.append(axis)
        return [axis for axis in self.axes if axis in told]

    def _apart(self, axes: list[str]) -> int:
        return sum(1 for _ in groups(self.networks, ["cell", *axes]))


@lru_cache(maxsize=1)
def language_models(run: Run) -> LanguageModels | None:
    """The summary, or None where nothing was measured."""
    measured = run.measured(STUDY)
    if not has(measured, "quantity", "bits_per_character", "memory_bytes_of_network", "cell"):
        return None
    axes = [axis for axis in run.axes(STUDY) if axis != "seed"]
    counts = measured[measured["quantity"] == "ngram"]
    ngrams = counts[["order", "bits_per_character", "memory_bytes", "entries"]]
    ngrams = ngrams.drop_duplicates("order").sort_values("order").reset_index(drop=True)
    read = measured[measured["quantity"] == "held_out"]
    rows, curves = [], []
    for setting, part in groups(read, axes):
        last = part.drop_duplicates("key", keep="last")
        gone = last.dropna(subset=["diverged_at_step"]) if "diverged_at_step" in last else last[:0]
        well = last[~last["key"].isin(gone["key"])]
        told = last if well.empty else well
        bits = float(told["final_bits_per_character"].astype(float).mean())
        as_good = ngrams[ngrams["bits_per_character"] <= bits]
        rows.append(
            {
                **setting,
                "bits_per_character": bits,
                "memory_bytes": float(last["memory_bytes_of_network"].iloc[0]),
                "training_seconds": float(last["training_seconds"].astype(float).mean()),
                "said": None if well.empty else str(well["said"].iloc[0]),
                "networks": len(last),
                "diverged": len(gone),
                **{name: _first(gone, name) for name in ("diverged_at_step", "last_good_step")},
                "smallest_ngram_bytes": as_good["memory_bytes"].min(),
            }
        )
        curve = part.groupby("step")["bits_per_character"].mean().reset_index()
        curves.append(curve.assign(**{axis: [value] * len(curve) for axis, value in setting.items()}))
    return LanguageModels(
        in_order(pd.DataFrame(rows), axes).reset_index(drop=True),
        ngrams,
        pd.concat(curves, ignore_index=True),
        axes,
        _remark(measured),
    )


def _remark(measured: pd.DataFrame) -> str:
    if not has(measured, "highest_order", "orders", "vocabulary_size"):
        return ""
    cut = measured[measured["highest_order"].astype(float) < measured["orders"].astype(float)]
    if cut.empty:
        return ""
    characters, highest = int(cut["vocabulary_size"].iloc[0]), int(cut["highest_order"].iloc[0])
    return (
        f"Counting ends at order {highest}: of {characters} different characters, sequences of "
        f"{highest + 1} are too many to be numbered in 63 bits."
    )


def _first(gone: pd.DataFrame, name: str) -> float:
    """Of the training that diverged first; NaN where there is none, or no column."""
    if gone.empty or name not in gone:
        return math.nan
    return float(gone.sort_values("diverged_at_step")[name].astype(float).iloc[0])
