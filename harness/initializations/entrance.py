"""The one entrance to all schemes: checks sizes, gain and options, draws, and sets the forget bias."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np

from harness.initializations.scheme import INITIALIZATIONS, Blocks, WhyNot
from implementations.contract import Cell, Parameters
from implementations.registry import CELLS, did_you_mean


def initialize(
    name: str,
    cell: str,
    input_size: int,
    hidden_size: int,
    *,
    seed: int = 0,
    gain: float = 1.0,
    forget_bias: float | None = None,
    **options: Any,
) -> Parameters:
    """Parameters of `cell` in float64, equal for equal arguments.

    Args:
        name: a name in INITIALIZATIONS.
        cell: a name in CELLS.
        input_size, hidden_size: at least 1.
        seed: of the random stream, a non-negative integer.
        gain: factor of the recurrent weights, finite.
        forget_bias: the sum b_ih + b_hh of a forget gate: `bias_ih` holds it, `bias_hh` is zero there.
        options: further ones of that scheme (its keyword-only arguments).

    Raises:
        UnknownName: (a KeyError) no such initialization or cell; the message names the nearest.
        ValueError: a size below 1, a gain or bias that is not finite, a forget bias for a cell without a
            forget gate; a cell that this scheme cannot be had for (see `why_unsupported`).
        TypeError: an option that this scheme does not have; the message names the nearest.
    """
    scheme = INITIALIZATIONS[name]
    definition = CELLS[cell]
    definition.parameter_shapes(input_size, hidden_size)
    if not math.isfinite(gain):
        raise ValueError(f"gain must be finite, got {gain}")
    _check_options(name, scheme, options)
    if (reason := why_unsupported(name, cell)) is not None:
        raise ValueError(reason)
    blocks = Blocks(definition, input_size, hidden_size, np.random.default_rng(seed), float(gain))
    parameters = scheme(blocks, **options)
    if forget_bias is None:
        return parameters
    return _with_forget_bias(definition, parameters, forget_bias)


def why_unsupported(name: str, cell: str) -> str | None:
    """Why this initialization cannot be had for this cell, or None where it can.

    Raises:
        UnknownName: (a KeyError) no such initialization or cell.
    """
    scheme, definition = INITIALIZATIONS[name], CELLS[cell]
    why_not: WhyNot | None = getattr(scheme, "why_not", None)
    return None if why_not is None else why_not(definition)


def _with_forget_bias(cell: Cell, parameters: Parameters, forget_bias: float) -> Parameters:
    if "f" not in cell.gates:
        raise ValueError(
            f"forget_bias needs a cell with a forget gate f; {cell.name} has gates {', '.join(cell.gates)}"
        )
    if not math.isfinite(forget_bias):
        raise ValueError(f"forget_bias must be finite, got {forget_bias}")
    arrays = {key: array.copy() for key, array in parameters.arrays().items()}
    cell.gate(arrays["bias_ih"], "f")[:] = forget_bias
    cell.gate(arrays["bias_hh"], "f")[:] = 0.0
    return Parameters.from_arrays(arrays)


def _check_options(name: str, scheme: Any, options: dict[str, Any]) -> None:
    own = [
        parameter.name
        for parameter in inspect.signature(scheme).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    known = ["seed", "gain", "forget_bias", *own]
    for option in options:
        if option not in own:
            hint = did_you_mean(option, known)
            raise TypeError(
                f"initialization {name!r} has no option {option!r}{hint} (it has {', '.join(known)})"
            )
