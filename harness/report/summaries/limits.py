"""Limits: what the machine's own products and copies allow in each timed case, and the share reached.

The model is that of `harness/measure/roofline.py`; its terms stand in the record as facts of each timed
case, so that here they are only divided by the measured rates and added up:

    limit_seconds = max( input_product_flop / rate(input_rows, I, G·H)
                         + recurrent_product_flop / rate(B, H, G·H),
                         max(0, bytes − cache_bytes) / bandwidth )

A rate is the fastest sample of any method and library on the same device: a limit is what has been reached.
What fits the last-level cache need not come through memory at every call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from harness.report import machines
from harness.report.frames import Run
from harness.report.summaries.grouping import groups, has, most, only, records, rows_of
from harness.report.summaries.throughput import throughput
from harness.report.words import missing

STUDY = "limits"
OWN = "own_recurrent_product"
"""A backend's own product: no limit, but held against the large one."""
KERNEL = ["machine", "device", "kernel", "dtype", "rows", "inner", "columns"]
"""What has one rate; the machine is missing where the run had one only."""
DEMANDS = ("device", "input_rows", "gate_rows", "input_product_flop", "recurrent_product_flop", "bytes")


@dataclass(frozen=True)
class Limits:
    """Args:
    rates: one row per kernel, its shape, dtype, device and machine: rate (FLOP or bytes per second), the
        backend whose library reached it and the method; cache_bytes where it is a copy.
    frame: one row per timed setting and backend that has a limit: flop_per_second,
        limit_flop_per_second (the library's rate at these shapes), share (of it), share_of_large (of the
        large product's rate), bound ("compute" or "bandwidth"), compute_seconds, bandwidth_seconds, seconds,
        and own_product_… of its own recurrent product.
    axes: what makes a setting: every axis of the throughput but the backend.
    own: one row per backend and shape of a recurrent product of its own: rate, and share_of_large.
    """

    rates: pd.DataFrame
    frame: pd.DataFrame
    axes: list[str]
    own: pd.DataFrame


@lru_cache(maxsize=1)
def limits(run: Run) -> Limits | None:
    """The summary, or None where no rate was measured."""
    kernels = run.measured(STUDY)
    if not machines.apart(run.axes(STUDY)):
        kernels = kernels.drop(columns=machines.AXIS, errors="ignore")
    every = _rates(kernels, [*KERNEL, "backend"])
    if every.empty:
        return None
    own = _own(every)
    rates = _rates(kernels[kernels["kernel"] != OWN], KERNEL)
    timed, measured = throughput(run), run.measured("throughput")
    if timed is None or not has(measured, *DEMANDS):
        return Limits(rates, pd.DataFrame(), [], own)
    axes, table = [*timed.axes, "backend"], _Rates(rates)
    demands = {_key(row, axes): only(row, DEMANDS) for row in records(measured.drop_duplicates(axes))}
    rows = []
    for row in records(timed.frame):
        case = {**only(row, [*axes, "seconds", "flop_per_second"]), **demands[_key(row, axes)]}
        rows.append({**case, **_share(case, table), **_own_share(case, own)})
    frame = pd.DataFrame(rows).dropna(subset=["share"]).reset_index(drop=True)
    return Limits(rates, frame, timed.axes, own)


def _rates(measured: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """The fastest sample of each kernel and shape on each device, and of what else is named."""
    if not has(measured, "kernel", "phase", "seconds", "device"):
        return pd.DataFrame()
    samples = measured[(measured["phase"] == "sample") & (measured["seconds"] > 0)]
    work = pd.Series(np.nan, index=samples.index)
    for unit in ("flop", "bytes"):
        work = work.fillna(samples[unit]) if unit in samples else work
    samples = samples.assign(rate=work / samples["seconds"]).dropna(subset=["rate"])
    rows = []
    for kernel, part in groups(samples, [name for name in names if name in samples]):
        best = most(part, "rate")
        kept = ("rate", "backend", "method", "cache_bytes")
        rows.append(dict.fromkeys(KERNEL) | kernel | {name: best.get(name) for name in kept})
    return pd.DataFrame(rows)


def _own(every: pd.DataFrame) -> pd.DataFrame:
    """Backends' own recurrent products beside the large product of the same run, device and format."""
    table = _Rates(every[every["kernel"] != OWN])
    rows = []
    for row in records(every[every["kernel"] == OWN]):
        large = table.large(row)
        if not np.isnan(large):
            rows.append({**row, "share_of_large": row["rate"] / large})
    return pd.DataFrame(rows, columns=[*KERNEL, "rate", "backend", "method", "share_of_large"])


def _own_share(case: Mapping[str, Any], own: pd.DataFrame) -> dict[str, Any]:
    """The rate of the case's recurrent product by its backend's own kernel, where it has one."""
    shape = case["backend"], case["device"], case.get("dtype"), case["batch_size"], case["hidden_size"]
    names = ["backend", "device", "dtype", "rows", "inner", "columns"]
    found = rows_of(own, {"machine": case.get("machine")})
    found = found[(found[names] == [*shape, case["gate_rows"]]).all(axis=1)]
    if found.empty:
        return {"own_product_flop_per_second": np.nan, "own_product_share_of_large": np.nan}
    row = found.iloc[0]
    return {
        "own_product_flop_per_second": float(row["rate"]),
        "own_product_share_of_large": float(row["share_of_large"]),
    }


class _Rates:
    """Rates by kernel and shape; one that was not measured is NaN."""

    def __init__(self, rates: pd.DataFrame) -> None:
        self._known = {_key(row): float(row["rate"]) for row in records(rates)}
        copies = rates[rates["kernel"] == "copy"]
        self._cache = {
            _place(row): 0.0 if missing(row["cache_bytes"]) else float(row["cache_bytes"])
            for row in records(copies)
        }

    def product(self, case: Mapping[str, Any], kernel: str, *shape: Any) -> float:
        dtype = case.get("dtype")
        named = dict(zip(KERNEL, (*_place(case), kernel, dtype, *shape), strict=True))
        return self._known.get(_key(named), np.nan)

    def large(self, case: Mapping[str, Any]) -> float:
        """The fastest of the large products in the case's dtype: there is one."""
        dtype = case.get("dtype")
        large = (*_place(case), "large_product", dtype)
        found = [rate for key, rate in self._known.items() if key[: len(large)] == large]
        return max(found, default=np.nan)

    def copy_seconds(self, case: Mapping[str, Any]) -> float:
        place = _place(case)
        bandwidth = self._known.get((*place, "copy", None, None, None, None), np.nan)
        return max(0.0, float(case["bytes"]) - self._cache.get(place, 0.0)) / bandwidth


def _place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Machine and device."""
    machine = row.get("machine")
    return (None if missing(machine) else machine, row["device"])


def _key(row: Mapping[str, Any], names: Sequence[str] = KERNEL) -> tuple[Any, ...]:
    """These values of a row, what is missing as None, so that it equals itself."""
    return tuple(None if missing(row[name]) else row[name] for name in names)


def _share(case: Mapping[str, Any], rates: _Rates) -> dict[str, Any]:
    hidden_size, gate_rows = case["hidden_size"], case["gate_rows"]
    given = case.get("input_size")
    input_size = hidden_size if missing(given) else given
    large = rates.product(case, "input_product", case["input_rows"], input_size, gate_rows)
    small = rates.product(case, "recurrent_product", case["batch_size"], hidden_size, gate_rows)
    compute = case["input_product_flop"] / large + case["recurrent_product_flop"] / small
    copied = rates.copy_seconds(case)
    limit = float(np.fmax(compute, copied)) if not np.isnan(compute) else np.nan
    achieved = float(case["flop_per_second"])
    return {
        "compute_seconds": compute,
        "bandwidth_seconds": copied,
        "limit_flop_per_second": achieved * float(case["seconds"]) / limit,
        "bound": "bandwidth" if copied > compute else "compute",
        "share": limit / float(case["seconds"]),
        "share_of_large": achieved / rates.large(case),
    }
