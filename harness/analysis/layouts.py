"""Which recurrent layers a state_dict holds, by the names that torch.nn.RNN, LSTM, GRU and their cells use.

A layer is found by its `weight_hh`; whatever stands before that name is the module's place in the model, and
is the layer's name here too: `encoder.rnn.weight_hh_l1_reverse` belongs to layer `encoder.rnn.l1_reverse`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.weights import Weights
from harness.errors import UserError
from implementations.contract import PARAMETER_NAMES
from implementations.registry import CELLS, did_you_mean

_KEY = re.compile(
    r"(?P<prefix>(?:.*[./])?)(?P<kind>weight_ih|weight_hh|weight_hr|bias_ih|bias_hh)"
    r"(?:_l(?P<level>\d+)(?P<reverse>_reverse)?)?",
    re.DOTALL,
)
CELL_OF_GATES = {4: "lstm", 3: "gru", 1: "rnn_tanh"}
"""What the number of gates says: the three cells that torch has; tanh where a ReLU would look the same."""
EXPECTED = "weight_ih (G·H, I) and weight_hh (G·H, H), with _l0, _l1, … where layers are stacked"


@dataclass(frozen=True)
class Place:
    """One layer and direction.

    Args:
        stack: the module that it belongs to ("" where it is the model itself).
        level: 0, 1, … in the stack; reverse: reads from the end.
        keys: parameter name -> its name in the state_dict.
        shapes: parameter name -> shape.
    """

    stack: str
    level: int | None
    reverse: bool
    keys: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        own = "" if self.level is None else f"l{self.level}{'_reverse' if self.reverse else ''}"
        return ".".join(filter(None, (self.stack, own))) or "cell"

    @property
    def hidden_size(self) -> int:
        return self.shapes["weight_hh"][1]

    @property
    def input_size(self) -> int:
        return self.shapes["weight_ih"][1]

    @property
    def num_gates(self) -> int:
        return self.shapes["weight_hh"][0] // self.hidden_size


def find_layers(weights: Weights) -> list[Place]:
    """Every recurrent layer, stacks in the file's order, levels in theirs, forward before reverse.

    Raises:
        UserError: there is none (the shapes found are listed), one is incomplete or has a projection, or its
            shapes do not fit each other.
    """
    groups: dict[tuple[str, int | None, bool], dict[str, str]] = {}
    for key in weights.shapes:
        if match := _KEY.fullmatch(key):
            level = None if match["level"] is None else int(match["level"])
            place = (match["prefix"].rstrip("./"), level, bool(match["reverse"]))
            groups.setdefault(place, {})[match["kind"]] = key
    if not groups:
        raise UserError(
            f"{weights.source}: holds no recurrent layer", expected=EXPECTED, got=_listing(weights.shapes)
        )
    stacks = list(dict.fromkeys(stack for stack, _, _ in groups))
    places = [
        _checked(weights, Place(*place, keys, {kind: weights.shapes[key] for kind, key in keys.items()}))
        for place, keys in groups.items()
    ]
    return sorted(places, key=lambda place: (stacks.index(place.stack), place.level or 0, place.reverse))


def _checked(weights: Weights, place: Place) -> Place:
    source, shapes = weights.source, place.shapes
    if "weight_hr" in shapes:
        raise UserError(
            f"{source}: {place.keys['weight_hr']} is a projection (proj_size), which is not covered",
            expected="an LSTM without proj_size",
        )
    for name in ("weight_ih", "weight_hh"):
        if name not in shapes:
            raise UserError(
                f"{source}: layer {place.name} has no {name}", expected=EXPECTED, got=_listing(shapes)
            )
    two_axes = len(shapes["weight_hh"]) == len(shapes["weight_ih"]) == 2
    fits = two_axes and min(shapes["weight_hh"] + shapes["weight_ih"]) > 0
    fits = fits and shapes["weight_hh"][0] % shapes["weight_hh"][1] == 0
    rows = shapes["weight_hh"][:1]
    fits = fits and all(shapes[name][:1] == rows for name in shapes)
    fits = fits and all(shapes[name] == rows for name in ("bias_ih", "bias_hh") if name in shapes)
    if not fits:
        raise UserError(
            f"{source}: the arrays of layer {place.name} do not fit each other",
            expected="weight_ih (G·H, I), weight_hh (G·H, H), biases (G·H,)",
            got=_listing(shapes),
        )
    return place


def choose(source: str, places: Sequence[Place], wanted: Sequence[str]) -> list[Place]:
    """The layers named, or every layer of the first stack where none is.

    A name is a layer's (`encoder.rnn.l0`), a stack's (`encoder.rnn`), or that of one of its arrays.

    Raises:
        UserError: no such layer; the nearest name is offered.
    """
    if not wanted:
        return [place for place in places if place.stack == places[0].stack]
    found: list[Place] = []
    for name in wanted:
        matching = [p for p in places if name in (p.name, p.stack, *p.keys.values())]
        if not matching:
            known = [place.name for place in places]
            raise UserError(
                f"{source}: no layer {name!r}{did_you_mean(name, known)}",
                expected=f"one of {', '.join(known[:12])}{', …' if len(known) > 12 else ''}",
            )
        found += [place for place in matching if place not in found]
    return [place for place in places if place in found]


def cell_of(source: str, place: Place, wanted: str | None) -> str:
    """The cell that the number of gates says, or the one that was asked for.

    Raises:
        UnknownName: (a KeyError) no such cell.
        UserError: no cell has so many gates, or the cell asked for has other arrays.
    """
    gates = place.num_gates
    if wanted is None:
        if gates not in CELL_OF_GATES:
            raise UserError(
                f"{source}: layer {place.name} has {gates} gates",
                expected=", ".join(f"{g} ({cell})" for g, cell in CELL_OF_GATES.items()),
                got=_listing(place.shapes),
            )
        return CELL_OF_GATES[gates]
    shapes = CELLS[wanted].parameter_shapes(place.input_size, place.hidden_size)
    rows = shapes["weight_hh"][0]
    if set(shapes) != set(PARAMETER_NAMES) or rows != place.shapes["weight_hh"][0]:
        raise UserError(
            f"{source}: layer {place.name} is no {wanted}",
            expected=_listing(shapes),
            got=_listing(place.shapes),
        )
    return wanted


def _listing(shapes: Mapping[str, tuple[int, ...]], most: int = 8) -> str:
    """ "weight (3, 4), bias (3,) and 5 more"."""
    words = [f"{name} {tuple(shape)}" for name, shape in list(shapes.items())[:most]]
    more = len(shapes) - most
    return (", ".join(words) or "nothing") + (f" and {more} more" if more > 0 else "")
