"""A live torch module: torch.nn.RNN, LSTM and GRU with all layers and directions, and the three cells."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.analysis.analysis import Analysis, analysis_of
from harness.analysis.checkpoint import data_for_networks
from harness.analysis.layouts import Place, find_layers
from harness.analysis.networks import networks
from harness.analysis.settings import Settings
from harness.analysis.weights import Array, check_finite, from_arrays


def analyze(
    module: Any,
    inputs: Any,
    *,
    layer: int | None = None,
    reverse: bool | None = None,
    settings: Settings | None = None,
) -> Analysis:
    """How far gradients reach in a torch module.

    Args:
        module: a torch.nn.RNN, LSTM or GRU, or an RNNCell, LSTMCell or GRUCell.  Dropout between layers is
            left out, as in evaluation.
        inputs: (T, B, I), or (B, T, I) where the module is `batch_first`; (T, I) is one sample.  NumPy or
            torch.  All of it is read: `settings.steps` and `settings.samples` do not cut it.
        layer: 0, 1, …; every layer where None.
        reverse: that direction alone; both where None.

    Example:
        >>> found = analyze(torch.nn.LSTM(8, 32, num_layers=2), torch.randn(100, 4, 8))
        >>> found.summaries[["layer", "block", "horizon_1_percent", "verdict"]]
        >>> found.write("my-analysis")

    Raises:
        TypeError: another kind of module.
        UserError: no such layer, a projection, inputs that do not fit, NaN or inf.
        ValueError: no such layer or direction, inputs of another shape.
    """
    cell = _cell_of(module)
    arrays = {name: value.detach().cpu().double().numpy() for name, value in module.state_dict().items()}
    weights = from_arrays(type(module).__name__, arrays)
    places = find_layers(weights)
    chosen = _chosen(module, places, layer, reverse)
    cells = {place.name: cell for place in places}
    directions = {p.name: ("It reads from the end: lags count its own steps.",) for p in chosen if p.reverse}
    ready = networks(weights, places, chosen, cells, _time_major(module, inputs), directions)
    facts = [
        ("Module", str(module)),
        ("Layers", ", ".join(place.name for place in chosen)),
        ("Cell", cell),
        ("Data", data_for_networks(ready)),
    ]
    call = "analyze(module, inputs)"
    return analysis_of(type(module).__name__, facts, ready, settings or Settings(), call)


def _cell_of(module: Any) -> str:
    import torch

    nn = torch.nn
    gated: list[tuple[tuple[type, ...], str]] = [
        ((nn.LSTM, nn.LSTMCell), "lstm"),
        ((nn.GRU, nn.GRUCell), "gru"),
    ]
    for kinds, cell in gated:
        if isinstance(module, kinds):
            return cell
    if isinstance(module, nn.RNN | nn.RNNCell):
        return f"rnn_{module.nonlinearity}"
    inner = []
    if isinstance(module, nn.Module):
        kinds = (nn.RNNBase, nn.RNNCellBase)
        inner = [name for name, part in module.named_modules() if isinstance(part, kinds)]
    hint = (
        f"; it has {', '.join(inner)}: give one of these" if inner else "; for any other step: analyze_step"
    )
    raise TypeError(
        "module must be a torch.nn.RNN, LSTM, GRU, RNNCell, LSTMCell or GRUCell, "
        f"got {type(module).__name__}{hint}"
    )


def _chosen(module: Any, places: list[Place], layer: int | None, reverse: bool | None) -> list[Place]:
    chosen = [
        place for place in places if layer in (None, place.level or 0) and reverse in (None, place.reverse)
    ]
    if not chosen:
        raise ValueError(
            f"no layer={layer}, reverse={reverse} in this {type(module).__name__}; "
            f"it has {', '.join(place.name for place in places)}"
        )
    return chosen


def _time_major(module: Any, inputs: Any) -> Array:
    array = as_numpy(inputs)
    if array.ndim == 3 and getattr(module, "batch_first", False):
        array = array.swapaxes(0, 1)
    return checked_inputs(array)


def checked_inputs(array: Array) -> Array:
    """(T, B, I) in float64; (T, I) is one sample.

    Raises:
        ValueError: other axes, T = 0 or B = 0.
        UserError: NaN or inf.
    """
    if array.ndim == 2:
        array = array[:, None]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(f"inputs must be (T, B, I) with T >= 1 and B >= 1, got shape {array.shape}")
    check_finite("inputs", "inputs", array)
    return array.astype(np.float64)


def as_numpy(array: Any) -> Array:
    """A NumPy array of what may be a tensor."""
    return array.detach().cpu().double().numpy() if hasattr(array, "detach") else np.asarray(array)
