"""Parameters of all layers of a structure, each drawn as a single layer is."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.initializations.entrance import initialize
from implementations.contract import Parameters
from implementations.structure import Structure

_SKIP = 1
"""Name of the random streams of skip connections."""


def initialize_stack(
    name: str,
    cell: str,
    structure: Structure,
    input_size: int,
    hidden_size: int,
    *,
    seed: int = 0,
    **options: Any,
) -> tuple[Parameters, ...]:
    """Parameters of the L·D places, in torch's order; the first is what `initialize` draws from this seed.

    The weights of a skip connection (H further columns of weight_ih) are another draw of weight_hh.  Both are
    divided by √2 then: from states of one size they bring as much variance together as weight_hh alone, so
    that a network with skip connections differs in its paths and not in its gain.

    Args:
        name, cell, input_size, hidden_size, options: as of `initialize`.

    Raises:
        as `initialize`.
    """
    widths = Structure(structure.num_layers, structure.bidirectional).widths(input_size, hidden_size)
    found = []
    for place, width in enumerate(widths):
        own = seed if place == 0 else _seed(seed, place)
        parameters = initialize(name, cell, width, hidden_size, seed=own, **options)
        if structure.skip:
            other = initialize(name, cell, width, hidden_size, seed=_seed(seed, place, _SKIP), **options)
            parameters = _with_skip(parameters, other.weight_hh)
        found.append(parameters)
    return tuple(found)


def _seed(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def _with_skip(parameters: Parameters, skip: np.ndarray) -> Parameters:
    weight_ih = np.concatenate([parameters.weight_ih, skip / np.sqrt(2.0)], axis=1)
    weight_hh = parameters.weight_hh / np.sqrt(2.0)
    return Parameters.from_arrays({**parameters.arrays(), "weight_ih": weight_ih, "weight_hh": weight_hh})
