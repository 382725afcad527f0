"""From a state_dict to layers that are ready to be analysed: each with the inputs that really reach it.

Deeper layers read what the layers below them put out; a bidirectional stack's outputs stand side by side.  A
reverse direction is analysed in its own time: its step 1 reads the last input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.layouts import Place
from harness.analysis.weights import Weights
from harness.errors import UserError
from harness.gradients.trajectory import ForwardDiverged, run_forward
from implementations.contract import Cell, Parameters
from implementations.registry import CELLS

Array = NDArray[Any]


@dataclass(frozen=True)
class Network:
    """One layer and direction, and what it reads.

    Args:
        name: for people.
        cell: its equations.
        parameters: its weights.
        inputs: (T, B, I), in the order in which it reads them; T = 0 where nothing finite reaches it.
        initial_state: tuple of (B, H); zeros where None.
        remarks: what a reader must know: a cell that was assumed, a reading direction.
        divergence: where the forward pass left the numbers, which cut `inputs`; "" where it did not.
    """

    name: str
    cell: Cell
    parameters: Parameters
    inputs: Array
    initial_state: tuple[Array, ...] | None = None
    remarks: tuple[str, ...] = ()
    divergence: str = ""

    @property
    def in_registry(self) -> bool:
        """Whether it is one of the known cells, so that others can take its place."""
        return CELLS.get(self.cell.name) is self.cell


def networks(
    weights: Weights,
    places: Sequence[Place],
    chosen: Sequence[Place],
    cells: Mapping[str, str],
    inputs: Array,
    remarks: Mapping[str, tuple[str, ...]],
) -> list[Network]:
    """The chosen layers with their inputs.

    Args:
        places: every layer of the model.
        cells: name of a layer -> its cell.
        inputs: (T, B, I), what the first layer of each stack reads.
        remarks: name of a layer -> what to say of it.

    Raises:
        UserError: a layer whose input size is not what reaches it, NaN or inf in its weights.
    """
    found: list[Network] = []
    for stack in dict.fromkeys(place.stack for place in chosen):
        wanted = [place for place in chosen if place.stack == stack]
        own = [place for place in places if place.stack == stack]
        found += _run_stack(weights, own, wanted, cells, inputs, remarks)
    return found


def _run_stack(
    weights: Weights,
    own: Sequence[Place],
    wanted: Sequence[Place],
    cells: Mapping[str, str],
    inputs: Array,
    remarks: Mapping[str, tuple[str, ...]],
) -> list[Network]:
    found, reading, cut = [], inputs, ""
    highest = max(place.level or 0 for place in wanted)
    for level in range(highest + 1):
        both = [place for place in own if (place.level or 0) == level]
        if not both:
            raise UserError(f"{weights.source}: layer l{level} of {own[0].stack or 'the model'} is missing")
        outputs, ends = [], []
        for place in both:
            _check_width(weights, place, reading)
            network = Network(
                place.name,
                CELLS[cells[place.name]],
                _parameters(weights, place),
                reading[::-1] if place.reverse else reading,
                remarks=remarks.get(place.name, ()),
            )
            network, output = _run(network, cut)
            outputs.append((place.reverse, output))
            ends.append(network.divergence)
            if place in wanted:
                found.append(network)
        cut = next(filter(None, ends), "")
        reading = _side_by_side(outputs, len(reading))
    return found


def _side_by_side(outputs: Sequence[tuple[bool, Array]], seq_len: int) -> Array:
    """What a stack's next level reads: (T', B, H·directions), on the steps that all directions reached.

    Args:
        outputs: (reverse, the output in the order of its own steps), which may have ended early.
    """
    start = max([seq_len - len(output) for reverse, output in outputs if reverse], default=0)
    stop = min([len(output) for reverse, output in outputs if not reverse], default=seq_len)
    stop = max(start, stop)
    parts = []
    for reverse, output in outputs:
        first = seq_len - len(output) if reverse else 0
        in_time = output[::-1] if reverse else output
        parts.append(in_time[start - first : stop - first])
    return np.concatenate(parts, axis=2)


def _run(network: Network, cut: str) -> tuple[Network, Array]:
    """The network on the steps before it diverges, and its output (T, B, H)."""
    divergence = f"it reads layers of which this is known: {cut}" if cut else ""
    inputs = network.inputs
    if len(inputs):
        try:
            return replace(network, inputs=inputs, divergence=divergence), output_of(network, inputs)
        except ForwardDiverged as error:
            inputs = inputs[: error.step - 1]
            own = (
                f"{network.name} diverged at step t = {error.step} of {len(network.inputs)}"
                f" ({error}); what is shown is of the {len(inputs)} steps before"
            )
            divergence = f"{own}; {divergence}" if divergence else own
    output = output_of(network, inputs) if len(inputs) else np.zeros((0, *_shape(network)))
    return replace(network, inputs=inputs, divergence=divergence), output


def cut_where_it_diverges(network: Network) -> Network:
    """The network on the steps before its forward pass leaves the numbers."""
    return _run(network, "")[0]


def output_of(network: Network, inputs: Array) -> Array:
    """h_1 … h_T, (T, B, H).

    Raises:
        ForwardDiverged: a state became inf or NaN.
    """
    trajectory = run_forward(network.cell, network.parameters, inputs, initial_state=network.initial_state)
    return np.asarray(trajectory.states[0][1:])


def _shape(network: Network) -> tuple[int, int]:
    return int(network.inputs.shape[1]), network.parameters.hidden_size


def _parameters(weights: Weights, place: Place) -> Parameters:
    """The layer's weights in float64; absent biases become zeros."""
    arrays = {kind: weights.array(key) for kind, key in place.keys.items()}
    zeros = np.zeros(len(arrays["weight_hh"]))
    return Parameters.from_arrays({"bias_ih": zeros, "bias_hh": zeros, **arrays})


def _check_width(weights: Weights, place: Place, inputs: Array) -> None:
    if place.input_size != inputs.shape[2]:
        raise UserError(
            f"{weights.source}: layer {place.name} reads vectors of width {place.input_size}",
            expected=f"{place.keys['weight_ih']} of shape (G·H, {inputs.shape[2]}) for what reaches it, "
            f"(T, B, I) = {inputs.shape}",
            got=str(place.shapes["weight_ih"]),
            remedy="choose another layer, or data of that width",
        )
