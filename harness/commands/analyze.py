"""`python -m harness analyze`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.commands.options import Results


def analyze(
    weights: Annotated[Path, typer.Option(help="A state_dict: .safetensors or .npz.")],
    data: Annotated[
        Path,
        typer.Option(help="Tokens (T,) or (T, B), or vectors (T, B, I), in an .npy file; or a text file."),
    ],
    layer: Annotated[
        list[str] | None, typer.Option(help="A layer's or stack's name; may be repeated. Default: all.")
    ] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="The numbering the model was trained with: characters in order, as text or JSON list, or "
            "JSON character: number. Default: in order of first sight."
        ),
    ] = None,
    cell: Annotated[
        str | None, typer.Option(help="The cell, where the number of gates leaves it open.")
    ] = None,
    embedding: Annotated[
        str | None, typer.Option(help="An array's name, 'seeded' or 'one-hot', instead of the choice made.")
    ] = None,
    steps: Annotated[int, typer.Option(help="Steps of a sequence at most.")] = 256,
    samples: Annotated[int, typer.Option(help="Sequences, or windows of one sequence, at most.")] = 4,
    results: Results = Path("results"),
) -> None:
    """Say how far gradients reach in the recurrent layers of a checkpoint, and write a report."""
    from harness.analysis import Settings, analyze_checkpoint
    from harness.analysis.checkpoint import WARNING

    found = analyze_checkpoint(
        weights,
        data,
        layers=layer or [],
        vocabulary=vocabulary,
        cell=cell,
        embedding=embedding,
        settings=Settings(steps=steps, samples=samples),
        command=shlex.join(["python", "-m", "harness", *sys.argv[1:]]),
    )
    for name, text in found.facts:
        if name == WARNING:
            print(f"warning: {text}")
    for problem in found.failed:
        print(f"failed: {problem}")
    print(found.write_below(results))
    raise typer.Exit(1 if found.failed else 0)
