"""Text from a trained character model."""

from __future__ import annotations

import numpy as np

from harness.training.model import SequenceModel


def sample_text(
    model: SequenceModel,
    vocabulary: str,
    length: int,
    *,
    start: str = "",
    temperature: float = 1.0,
    seed: int = 0,
) -> str:
    """`start`, continued by `length` characters drawn from softmax(logits / temperature), one step at a time.

    Args:
        start: what the network reads first; the vocabulary's first character where empty (it is not shown).
        temperature: below 1 the likely becomes likelier.

    Raises:
        ValueError: a character of `start` that the model does not know, a temperature that is not positive.
    """
    if not temperature > 0.0:
        raise ValueError(f"temperature must be > 0, got {temperature}")
    unknown = [character for character in start if character not in vocabulary]
    if unknown:
        raise ValueError(f"start must be of known characters, got {unknown[0]!r}")
    rng = np.random.default_rng([seed, 9])
    read = [vocabulary.index(character) for character in start] or [0]
    said: list[int] = []
    layer, state = model.layer, None
    for _ in range(length):
        vectors = model.weights["embedding"][np.array(read)[:, None]]
        passed = layer.forward(layer.backend.to_native(vectors, layer.dtype), state, training=False)
        state = passed.final_state
        last = layer.backend.to_numpy(passed.output)[-1, 0].astype(np.float64)
        logits = last @ model.weights["readout_weight"].T + model.weights["readout_bias"]
        # the largest of logits plus Gumbel noise is a draw from their softmax
        with np.errstate(over="ignore"):  # a temperature near zero leaves the likeliest alone
            read = [int(np.argmax((logits - logits.max()) / temperature + rng.gumbel(size=len(logits))))]
        said += read
    return start + "".join(vocabulary[token] for token in said)
