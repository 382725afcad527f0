"""How tokens become vectors: by the model's own table where there is one, otherwise by a fixed one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.weights import Weights
from harness.errors import UserError
from harness.inputs import embedding as seeded_table
from implementations.registry import did_you_mean

Array = NDArray[Any]

SEEDED, ONE_HOT = "seeded", "one-hot"
TABLE_BYTES = 1 << 30
"""How large a seeded table may be, in float64: 1 GiB."""
_TYPICAL = ("emb", "wte", "token", "lookup")
"""What an embedding's name usually holds."""


@dataclass(frozen=True)
class Embedded:
    """Args:
    inputs: (T, B, I).
    words: which table it was, for people.
    trained: whether the model learned what each number means.
    """

    inputs: Array
    words: str
    trained: bool = True


def embed(weights: Weights, tokens: Array, known: int, input_size: int, wanted: str | None) -> Embedded:
    """Tokens (T, B) as vectors (T, B, I).

    Args:
        known: how many tokens the vocabulary has; 0 where there is none.
        input_size: the width that the first layer reads.
        wanted: the name of an array of the state_dict, "seeded" or "one-hot"; None to choose: the model's
            own table where one has this width, otherwise the seeded one.

    An embedding is told from a linear layer by having no bias beside it; where several fit, one whose name
    says so goes first.

    Raises:
        UserError: no such array, another width, a token that it has no row for, NaN or inf in it, a seeded
            table that would be too large.
    """
    size = max(int(tokens.max()) + 1, known)
    name = _own(weights, input_size, size) if wanted is None else wanted
    if name is None or name == SEEDED:
        _check_rows(size, input_size)
        why = "" if wanted else ": the state_dict has none of this width"
        words = f"a fixed seeded table ({size}, {input_size}), N(0, 1){why}"
        return Embedded(seeded_table(size, input_size)[tokens], words, trained=False)
    if name == ONE_HOT:
        _check_range(tokens, input_size, "one-hot vectors")
        return Embedded(np.eye(input_size)[tokens], f"one-hot vectors of width {input_size}")
    if name not in weights.shapes:
        raise UserError(
            f"{weights.source}: no array {name!r}{did_you_mean(name, weights.shapes)}",
            expected=f"an embedding (V, {input_size}), or {SEEDED!r}, or {ONE_HOT!r}",
        )
    shape = weights.shapes[name]
    if len(shape) != 2 or shape[1] != input_size:
        raise UserError(
            f"{weights.source}: {name} is no embedding of that layer",
            expected=f"(V, {input_size})",
            got=str(shape),
        )
    _check_range(tokens, shape[0], name)
    return Embedded(weights.array(name)[tokens], f"the state_dict's own {name} {shape}")


def _own(weights: Weights, input_size: int, size: int) -> str | None:
    """The model's table, or None.  A name that says so counts even where it has too few rows."""
    fitting = [
        name
        for name, shape in weights.shapes.items()
        if len(shape) == 2
        and shape[1] == input_size
        and name.endswith("weight")
        and f"{name.removesuffix('weight')}bias" not in weights.shapes
    ]
    typical = [name for name in fitting if any(word in name.lower() for word in _TYPICAL)]
    large_enough = [name for name in fitting if weights.shapes[name][0] >= size]
    chosen = [name for name in typical if name in large_enough] or typical or large_enough
    return chosen[0] if chosen else None


def _check_rows(size: int, input_size: int) -> None:
    """A table has a row for every token from 0 to the largest, whether it occurs or not."""
    most = TABLE_BYTES // (8 * input_size)
    if size > most:
        raise UserError(
            f"token {size - 1} of the data or the vocabulary needs a seeded table of {size} rows",
            expected=f"tokens in 0…{most - 1}",
            remedy="number the tokens from 0 without gaps, or name the model's own table with --embedding",
        )


def _check_range(tokens: Array, rows: int, name: str) -> None:
    if tokens.max() >= rows:
        at = tuple(int(i) for i in np.argwhere(tokens >= rows)[0])
        raise UserError(
            f"token {tokens[at]} (step {at[0]}, sample {at[1]}) is outside of {name}",
            expected=f"tokens in 0…{rows - 1}",
            remedy="give the vocabulary that the model was trained with, or --embedding seeded",
        )
