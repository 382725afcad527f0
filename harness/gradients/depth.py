"""How far gradients reach through time and depth: ∂h^l_t/∂h^m_k between the layers of a structure.

h^m_k stands for the node of the unrolled graph: its influence goes on in its own layer and, in the same step,
up through depth; at lag 0 the Jacobian between two layers is what one step's depth makes of it.  c_k of an
LSTM is another node.  The products are those of :mod:`harness.gradients.unrolled`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.gradients.arguments import checked_anchor, checked_lags, require_real
from harness.gradients.scaled import Scaled, log10_of
from harness.gradients.threads import threads_for
from harness.gradients.trajectory import check_finite
from harness.gradients.unrolled import pull, run
from implementations.contract import Parameters
from implementations.registry import CELLS
from implementations.stack_checks import check_layers
from implementations.structure import Structure

if TYPE_CHECKING:
    import pandas as pd

Array = NDArray[Any]


@dataclass(frozen=True)
class DepthDecay:
    """Norms of ∂h^l_t/∂h^m_k, where h of a layer in both directions is both side by side.

    Args:
        anchor: t.
        lags: (K,) t − k; negative where the structure reads both ways.
        log10_spectral_norm: (l, m), l >= m, counted from 1 -> (K, B); −inf for an exact zero.
    """

    anchor: int
    lags: NDArray[np.int64]
    log10_spectral_norm: dict[tuple[int, int], Array]

    def to_frame(self) -> pd.DataFrame:
        """One row per pair of layers, lag and sample: later_layer, earlier_layer, lag, sample, the norm."""
        import pandas as pd  # slow to import, and a run without a report needs none

        frames = []
        for (later, earlier), norms in self.log10_spectral_norm.items():
            samples = norms.shape[1]
            columns = {
                "later_layer": later,
                "earlier_layer": earlier,
                "lag": np.repeat(self.lags, samples),
                "sample": np.tile(np.arange(samples), len(self.lags)),
                "log10_spectral_norm": norms.ravel(),
            }
            frames.append(pd.DataFrame(columns))
        return pd.concat(frames, ignore_index=True)


def depth_decay(
    cell: str,
    layers: Sequence[Parameters],
    inputs: Array,
    *,
    bidirectional: bool = False,
    residual: bool = False,
    skip: int = 0,
    anchor: int | None = None,
    lags: Iterable[int] | None = None,
) -> DepthDecay:
    """Exact norms between every two layers, from one anchor; every sample begins with the zero state.

    Args:
        cell: a name in CELLS.
        layers, bidirectional, residual, skip: as of `implementations.stack.bind_stack`.
        inputs: (T, B, I).
        anchor: t, in 1…T; T where None.
        lags: increasing integers t − k with k in 1…T, below 0 only both ways; all where None.

    Raises:
        UnknownName: (a KeyError) no such cell.
        ValueError: layers or inputs that do not fit, NaN or inf in them, no such anchor or lags.
        ForwardDiverged: a state became inf or NaN.
    """
    definition = CELLS[cell]
    structure = check_layers(layers, bidirectional=bidirectional, residual=residual, skip=skip)
    for place, parameters in enumerate(layers):
        definition.check_parameters(parameters)
        named = {f"layers[{place}].{name}": array for name, array in parameters.arrays().items()}
        for name, array in named.items():
            require_real(name, array)
        check_finite(named)
    inputs = _checked_inputs(inputs, layers[0], structure)
    t = checked_anchor(anchor, len(inputs), first=1)
    chosen = checked_lags(lags, t, t - len(inputs) if structure.bidirectional else 0, t - 1)
    norms: dict[tuple[int, int], Array] = {}
    with threads_for(layers[0].hidden_size):
        levels = run(definition, structure, layers, inputs)
        for later in range(1, structure.num_layers + 1):
            for earlier, nodes in pull(levels[:later], structure, t):
                norms[later, earlier] = np.stack([_log10_norm(nodes.get(t - lag), inputs) for lag in chosen])
    return DepthDecay(t, chosen, dict(sorted(norms.items())))


def _log10_norm(rows: Scaled | None, inputs: Array) -> Array:
    """(B,) log10 of the spectral norms."""
    if rows is None:
        return np.full(inputs.shape[1], -np.inf)
    matrices, exponent = rows.aligned()
    return log10_of(np.linalg.norm(matrices, 2, axis=(1, 2)), exponent)


def _checked_inputs(inputs: Array, first: Parameters, structure: Structure) -> Array:
    inputs = np.asarray(inputs)
    require_real("inputs", inputs)
    width = first.input_size - (first.hidden_size if structure.skip else 0)
    if inputs.ndim != 3 or inputs.shape[2] != width or min(inputs.shape) < 1:
        raise ValueError(f"inputs must be (T, B, I) with T >= 1, B >= 1, I = {width}, got {inputs.shape}")
    inputs = inputs.astype(np.float64)
    check_finite({"inputs": inputs})
    return inputs
