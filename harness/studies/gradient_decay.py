"""Gradient decay: exact norms of every block of ∂s_T/∂s_k, at every lag, for a network as it starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.case import Case, Scalar
from harness.gradients import (
    ForwardDiverged,
    has_norm_bound,
    jacobian_decay,
    log10_chrono_law,
    log10_forget_gate_decay,
    log10_norm_bound,
    log10_product_bound,
)
from harness.gradients.products import block_names
from harness.initializations.chrono import T_MAX
from harness.measure.estimate import why_too_large
from harness.measure.work import Sizes, Work
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkAxes, NetworkStudy, draw_network
from harness.studies.study import STUDIES, Context, StudyAxes, once, or_none
from harness.studies.theory import log10_forget_gate_rms, log10_written_rms
from implementations.contract import Parameters
from implementations.registry import CELLS

ALL_LAGS_UP_TO = 256
LOG_SPACED_LAGS = 128
SPREAD = "chrono"
"""The initialization that has the option t_max."""


LongestDependency = Annotated[Annotated[float, Field(ge=2, allow_inf_nan=False, strict=True)] | None, or_none]


class DecayAxes(NetworkAxes):
    """Besides: chrono's longest dependency, in steps; "none" is its default."""

    t_max: list[LongestDependency] = [None]


def chosen_lags(seq_len: int) -> NDArray[np.int64]:
    """All of 0…T up to T = 256; beyond, 0 and 128 from 1 to T in equal ratios, rounded and each once."""
    if seq_len <= ALL_LAGS_UP_TO:
        return np.arange(seq_len + 1)
    spaced = np.rint(np.geomspace(1, seq_len, LOG_SPACED_LAGS)).astype(np.int64)
    return np.unique(np.concatenate([[0], spaced]))


class GradientDecay(NetworkStudy):
    """Columns: lag, block, sample (index in the batch), log10_spectral_norm, log10_frobenius_norm (an exact
    zero is −inf), log10_bound = (β_W β_h)^lag where the cell is a simple RNN, and log10_product_bound =
    Π‖J_j‖₂ where the state is h alone; null elsewhere.  A simple RNN and a GRU have the one block hh.
    Blocks cc and ch of an LSTM also have what gates that see their biases alone would give.  cc, what the
    cell keeps: log10_forget_gate_largest, σ(b_f)^lag of the slowest unit, for the spectral norm, and
    log10_forget_gate_rms, its root mean square over the units, for the Frobenius norm over √H.  ch, what a
    step wrote: log10_written_rms, of σ(b_i) σ(b_f)^(lag−1), as which the Frobenius norm falls (null where a
    variant of the LSTM has no such gate).  Under chrono
    log10_chrono_law is what both are in the mean over all draws of the biases.
    """

    name = "gradient_decay"
    question = "How far does the gradient reach?"
    Axes: ClassVar[type[StudyAxes]] = DecayAxes
    calls_per_step = 1000.0
    products_per_step = 1.5

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination; chrono comes with a number, any other initialization once, with none."""
        return once(
            {**point, "t_max": (point["t_max"] or T_MAX) if point["initialization"] == SPREAD else None}
            for point in super().points(axes)
        )

    def why_not(self, case: Case, context: Context) -> str | None:
        return super().why_not(case, context) or why_too_large(self.work(case))

    def work(self, case: Case) -> Work:
        """2·T·B·S³ FLOP for the products, and 10·S³ for the norms of each block at each lag."""
        sizes = Sizes.of(case)
        states = len(CELLS[str(case.axes["cell"])].state_names)
        cube = float(sizes.batch_size * (states * sizes.hidden_size) ** 3)
        flop = cube * (2.0 * sizes.seq_len + 20.0 * len(chosen_lags(sizes.seq_len)))
        kept = sizes.seq_len * sizes.batch_size * (states * sizes.hidden_size + sizes.input_size)
        return Work(flop, 8.0 * (kept + 8.0 * sizes.batch_size * (states * sizes.hidden_size) ** 2))

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        cell, sizes = str(case.axes["cell"]), Sizes.of(case)
        names = CELLS[cell].state_names
        parameters, inputs = draw_network(case, context)
        lags = chosen_lags(sizes.seq_len)
        try:
            decay = jacobian_decay(
                cell,
                parameters,
                inputs,
                lags=lags,
                blocks=block_names(CELLS[cell]) if len(names) > 1 else ("hh",),
            )
        except ForwardDiverged as error:
            return Unsupported(str(error))
        frame = decay.to_frame()
        bound = log10_norm_bound(cell, parameters, lags) if has_norm_bound(cell) else None
        product = log10_product_bound(cell, parameters, inputs, lags=lags) if len(names) == 1 else None
        columns: dict[str, Any] = {str(name): frame[name].tolist() for name in frame}
        columns["log10_bound"] = _column(
            None if bound is None else np.repeat(bound, sizes.batch_size), len(frame)
        )
        columns["log10_product_bound"] = _column(None if product is None else product.ravel(), len(frame))
        columns |= _gates(case, parameters, lags, frame["block"].to_numpy(), sizes.batch_size)
        return Measured(columns)


def _gates(
    case: Case, parameters: Parameters, lags: NDArray[np.int64], blocks: NDArray[Any], samples: int
) -> dict[str, list[float | None]]:
    """What the gates' biases alone say of blocks cc and ch."""
    cell, axes = str(case.axes["cell"]), case.axes
    found: dict[str, dict[str, NDArray[np.float64]]] = {
        "log10_forget_gate_largest": {},
        "log10_forget_gate_rms": {},
        "log10_written_rms": {},
        "log10_chrono_law": {},
    }
    if "f" in CELLS[cell].gates:
        found["log10_forget_gate_largest"]["cc"] = log10_forget_gate_decay(cell, parameters, lags)
        found["log10_forget_gate_rms"]["cc"] = log10_forget_gate_rms(cell, parameters, lags)
        if "i" in CELLS[cell].gates:
            found["log10_written_rms"]["ch"] = log10_written_rms(cell, parameters, lags)
        if axes["initialization"] == SPREAD and axes["forget_bias"] is None:
            t_max = float(axes["t_max"] or 0.0)
            for block, path in (("cc", "kept"), ("ch", "written")):
                found["log10_chrono_law"][block] = log10_chrono_law(t_max, lags, path=path)
    columns: dict[str, list[float | None]] = {}
    for name, by_block in found.items():
        values: NDArray[Any] = np.full(len(blocks), None, dtype=object)
        for block, curve in by_block.items():
            values[blocks == block] = np.repeat(curve, samples).tolist()
        columns[name] = values.tolist()
    return columns


def _column(values: NDArray[np.float64] | None, length: int) -> list[float | None]:
    return [None] * length if values is None else values.tolist()


STUDIES.register("gradient_decay")(GradientDecay())
