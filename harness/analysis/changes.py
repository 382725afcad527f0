"""What another start, another forget bias or another cell would do to the horizon, on the very same inputs.

Every candidate takes this layer's place with its sizes and reads what this layer reads.  The layer itself and
its shifts of the forget bias have its own weights; all others are networks as they would start, untrained.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.networks import Network
from harness.analysis.settings import PRODUCT_FLOP, Settings, product_flop, samples_within
from harness.gradients import ForwardDiverged, jacobian_decay
from harness.gradients.summary import DecaySummary, summarize_decay
from harness.initializations import INITIALIZATIONS, initialize
from implementations.contract import Cell, Parameters
from implementations.registry import CELLS

AS_GIVEN = "as given"
SHIFTS = (1.0, 2.0)
STARTS = ("pytorch_uniform", "orthogonal", "identity", "irnn", "chrono", "critical")
"""Schemes that are tried, where they exist and take the cell."""
OTHER_CELLS = ("rnn_tanh", "gru", "lstm")
"""Each starts as PyTorch starts it."""
FORGET_BIAS = 1.0


@dataclass(frozen=True)
class _Candidate:
    change: str
    kind: str
    cell: str
    draws: tuple[Parameters, ...]


def what_would_change(network: Network, settings: Settings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row per candidate with its summary or the reason why it has none; and their decay curves.

    The rows: layer, change, kind (as given, forget bias, initialization, cell), cell, rate and its interval,
    half_life, horizons (a missing one lies beyond `longest_lag`), verdict, note.  The curves: layer, change,
    lag, log10_typical.
    """
    rows, curves = [], []
    for candidate in _candidates(network, settings):
        names = {"layer": network.name, "change": candidate.change, "kind": candidate.kind}
        try:
            found = _decay(network, candidate, settings)
        except (ForwardDiverged, FloatingPointError) as error:
            rows.append({**names, "cell": candidate.cell, "note": str(error)})
            continue
        rows.append({**names, "cell": candidate.cell, **summary_columns(found), "note": ""})
        curves.append(
            pd.DataFrame(
                {
                    "layer": network.name,
                    "change": candidate.change,
                    "lag": found.lags,
                    "log10_typical": found.log10_typical,
                }
            )
        )
    return pd.DataFrame(rows), pd.concat(curves, ignore_index=True) if curves else pd.DataFrame()


def summary_columns(found: DecaySummary) -> dict[str, Any]:
    """The scalars of a summary, as columns."""
    return {
        "rate": found.rate,
        "rate_low": found.rate_low,
        "rate_high": found.rate_high,
        "half_life": found.half_life,
        "horizon_1_percent": found.horizon_1_percent,
        "horizon_1_per_mille": found.horizon_1_per_mille,
        "longest_lag": found.longest_lag,
        "zero_from": found.zero_from,
        "verdict": found.verdict,
    }


def _decay(network: Network, candidate: _Candidate, settings: Settings) -> DecaySummary:
    """Of ∂h_t/∂h_k from t = T: over samples, and over draws where there are several."""
    seq_len, there = network.inputs.shape[:2]
    states = len(CELLS[candidate.cell].state_names)
    each = product_flop(seq_len, network.parameters.hidden_size, states) * len(candidate.draws)
    taken = samples_within(PRODUCT_FLOP / 8, each, int(there))
    own_state = network.initial_state if candidate.cell == network.cell.name else None
    state = None if own_state is None else tuple(array[:taken] for array in own_state)
    lags = settings.chosen_lags(seq_len)
    norms = [
        jacobian_decay(
            candidate.cell, parameters, network.inputs[:, :taken], initial_state=state, lags=lags
        ).log10_spectral_norm["hh"]
        for parameters in candidate.draws
    ]
    curves = np.stack(norms, axis=2)
    # one network alone: its samples are the repetitions
    return summarize_decay(lags, curves.transpose(0, 2, 1) if len(norms) == 1 else curves)


def _candidates(network: Network, settings: Settings) -> Iterator[_Candidate]:
    cell = network.cell
    yield _Candidate(AS_GIVEN, AS_GIVEN, cell.name, (network.parameters,))
    if cell.name == "lstm":
        for shift in SHIFTS:
            shifted = (_forget_bias_shifted(cell, network.parameters, shift),)
            yield _Candidate(f"its forget bias {shift:+g}", "forget bias", cell.name, shifted)
    for scheme in STARTS:
        draws = _draws(network, settings, scheme, cell.name)
        if draws:
            yield _Candidate(scheme, "initialization", cell.name, draws)
    for other in OTHER_CELLS:
        if other != cell.name:
            draws = _draws(network, settings, "pytorch_uniform", other)
            yield _Candidate(other, "cell", other, draws)
    biased = _draws(network, settings, "orthogonal", "lstm", forget_bias=FORGET_BIAS)
    name, kind = ("", "initialization") if cell.name == "lstm" else ("lstm, ", "cell")
    yield _Candidate(f"{name}orthogonal, forget bias {FORGET_BIAS:g}", kind, "lstm", biased)


def _draws(
    network: Network, settings: Settings, scheme: str, cell: str, **options: Any
) -> tuple[Parameters, ...]:
    """Draws of a scheme; none where it is not there or does not take this cell."""
    if scheme not in INITIALIZATIONS:
        return ()
    if "t_max" in inspect.signature(INITIALIZATIONS[scheme]).parameters:
        options["t_max"] = max(3, len(network.inputs))
    sizes = network.parameters.input_size, network.parameters.hidden_size
    try:
        return tuple(initialize(scheme, cell, *sizes, seed=seed, **options) for seed in range(settings.seeds))
    except ValueError:
        return ()


def _forget_bias_shifted(cell: Cell, parameters: Parameters, shift: float) -> Parameters:
    arrays = {name: array.copy() for name, array in parameters.arrays().items()}
    cell.gate(arrays["bias_ih"], "f")[:] += shift
    return Parameters.from_arrays(arrays)
