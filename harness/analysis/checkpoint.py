"""A checkpoint and a data file: what the command `analyze` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.analysis.analysis import Analysis, analysis_of
from harness.analysis.data import Data, read_data
from harness.analysis.embeddings import embed
from harness.analysis.layouts import Place, cell_of, choose, find_layers
from harness.analysis.networks import Network, networks
from harness.analysis.settings import Settings
from harness.analysis.weights import Array, Weights, read_weights
from harness.errors import UserError
from implementations.registry import UnknownName

WARNING = "Warning"
"""Name of the fact that people should hear of before they read on."""
MEANINGLESS = (
    "the model was trained with a numbering of its own, and the text's characters were numbered in order of "
    "first sight: to the model they are other characters; give the numbering of training with --vocabulary"
)


def analyze_checkpoint(
    weights: Path,
    data: Path,
    *,
    layers: Sequence[str] = (),
    vocabulary: Path | None = None,
    cell: str | None = None,
    embedding: str | None = None,
    settings: Settings | None = None,
    command: str = "",
) -> Analysis:
    """How far gradients reach in the recurrent layers of a state_dict, on data from a file.

    Args:
        weights: .safetensors or .npz.
        data: .npy (tokens or vectors) or text.
        layers: names of layers or stacks; every layer of the first stack where there are none.
        vocabulary: which characters are which tokens, see `read_vocabulary`.
        cell: a name in CELLS, instead of what the number of gates says.
        embedding: the name of an array, "seeded" or "one-hot", instead of the choice of `embed`.
        command: what makes it again, for the report.

    Raises:
        UserError: whatever of these cannot be used; one line.
    """
    settings = settings or Settings()
    found = read_weights(weights)
    places = find_layers(found)
    chosen = choose(found.source, places, layers)
    cells = {p.name: _cell(found.source, p, cell) for p in places if p.stack in {c.stack for c in chosen}}
    read = read_data(data, vocabulary, steps=settings.steps, samples=settings.samples)
    first = next(p for p in places if p.stack == chosen[0].stack)
    inputs, words, trained = _inputs(found, read, first.input_size, embedding)
    ready = networks(found, places, chosen, cells, inputs, remarks(chosen, cells, assumed=cell is None))
    facts = [
        ("Weights", str(weights)),
        ("Layers", _layers(places, chosen)),
        ("Cell", "; ".join(dict.fromkeys(_cell_words(place, cells[place.name], cell) for place in chosen))),
        ("Data", f"{data}: {read.words}"),
        ("Input of the first layer", words),
        *([(WARNING, MEANINGLESS)] if trained and read.by_first_sight else []),
    ]
    return analysis_of(weights.name, facts, ready, settings, command)


def remarks(chosen: Sequence[Place], cells: dict[str, str], *, assumed: bool) -> dict[str, tuple[str, ...]]:
    """What a reader of a layer's numbers must know."""
    found: dict[str, tuple[str, ...]] = {}
    for place in chosen:
        words = []
        if assumed and cells[place.name] == "rnn_tanh":
            words.append("One gate is a simple RNN; tanh was assumed: --cell rnn_relu says otherwise.")
        if place.reverse:
            words.append("It reads from the end: its lags count steps in its own direction.")
        found[place.name] = tuple(words)
    return found


def _cell(source: str, place: Place, wanted: str | None) -> str:
    try:
        return cell_of(source, place, wanted)
    except UnknownName as error:
        raise UserError(str(error)) from error


def _inputs(weights: Weights, data: Data, input_size: int, embedding: str | None) -> tuple[Array, str, bool]:
    """(T, B, I), what it is in words, and whether the model learned what each token means."""
    if data.is_tokens:
        embedded = embed(weights, data.array, data.tokens_known, input_size, embedding)
        return embedded.inputs, f"tokens through {embedded.words}", embedded.trained
    if embedding is not None:
        raise UserError(
            f"{data.source}: holds vectors, which need no embedding", remedy="leave --embedding out"
        )
    return data.array, f"the data's own vectors, {data.array.shape[2]} wide", False


def _layers(places: Sequence[Place], chosen: Sequence[Place]) -> str:
    names = ", ".join(place.name for place in chosen)
    others = [place.name for place in places if place not in chosen]
    more = f" and {len(others) - 8} more" if len(others) > 8 else ""
    return f"{names} (not analysed: {', '.join(others[:8])}{more})" if others else f"{names}, all there are"


def _cell_words(place: Place, cell: str, wanted: str | None) -> str:
    sizes = f"I = {place.input_size}, H = {place.hidden_size}"
    if wanted is not None:
        return f"{cell}, as asked, {sizes}"
    gates = f"{place.num_gates} gates" if place.num_gates > 1 else "1 gate"
    assumed = ", tanh assumed" if cell == "rnn_tanh" else ""
    return f"{cell}, by its {gates}{assumed}, {sizes}"


def data_for_networks(found: Sequence[Network]) -> str:
    """(T, B, I) of what the first of them reads, in words."""
    seq_len, batch_size, input_size = found[0].inputs.shape
    return f"T = {seq_len}, B = {batch_size}, I = {input_size}"
