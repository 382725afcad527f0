"""`python -m harness sample`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UserError
from harness.text import printable

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal would obey, or what turns the direction; line ends and tabs are text."""


def sample(
    weights: Annotated[
        Path,
        typer.Option(metavar="FILE", help="A checkpoint of train --task text, its vocabulary beside it."),
    ],
    length: Annotated[int, typer.Option(min=1, help="Characters that are drawn.")] = 400,
    start: Annotated[str, typer.Option(help="What the text begins with; of characters it knows.")] = "",
    temperature: Annotated[float, typer.Option(help="Above 0; below 1 the likely becomes likelier.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the drawing.")] = 0,
    backend: Annotated[str | None, typer.Option(help="Default: the one it was trained with.")] = None,
) -> None:
    """Print text from a character model that train --task text wrote."""
    from harness.training.sampling import sample_text
    from harness.training.trained import load_character_model

    if not 0.0 < temperature < float("inf"):
        raise UserError("--temperature: out of range", expected="a number above 0", got=f"{temperature:g}")
    found = load_character_model(weights, backend=backend)
    if unknown := [character for character in start if character not in found.vocabulary]:
        raise UserError(
            f"--start: {weights} does not know {unknown[0]!r}", expected="characters of its vocabulary",
            got=repr(start),
        )  # fmt: skip
    text = sample_text(found.model, found.vocabulary, length, start=start, temperature=temperature, seed=seed)
    print(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", printable(text)))
