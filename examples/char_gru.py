"""A character model on real text, with torch's GRU and with the drop-in one: same seed, same losses.

    python examples/char_gru.py [--steps 200] [--hidden-size 128] [--corpus FILE]

Both models train side by side, step by step in turn, so that whatever else the machine does meets both.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from harness.errors import UserError
from harness.training.corpora import read_corpus
from implementations.modules import GRU


class CharModel(torch.nn.Module):
    """Embedding, GRU, linear: logits (T, B, V) of each next character."""

    def __init__(self, gru: Any, vocabulary_size: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, hidden_size)
        self.gru = gru(hidden_size, hidden_size)
        self.logits = torch.nn.Linear(hidden_size, vocabulary_size)

    def forward(self, tokens: torch.Tensor, state: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        output, state = self.gru(self.embedding(tokens), state)
        return self.logits(output), state


@dataclass
class Trainer:
    """Truncated back-propagation through time: the state goes on, the gradient stops."""

    model: CharModel
    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    state: torch.Tensor | None = None

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)

    def step(self, tokens: torch.Tensor, targets: torch.Tensor) -> None:
        """One update by a batch (T, B)."""
        start = time.perf_counter()
        self.optimizer.zero_grad()
        logits, state = self.model(tokens, self.state)
        self.state = state.detach()
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.losses.append(loss.item())
        self.seconds.append(time.perf_counter() - start)


def batches(tokens: torch.Tensor, steps: int, seq_len: int, batch_size: int) -> Iterator[Any]:
    """Pairs (T, B) of characters and their successors: B places of the text, read on from batch to batch."""
    stride = len(tokens) // batch_size
    lanes = tokens[: stride * batch_size].view(batch_size, stride).t()
    for step in range(steps):
        start = step * seq_len % (stride - seq_len)
        yield lanes[start : start + seq_len], lanes[start + 1 : start + seq_len + 1]


def train_both(
    *,
    steps: int = 200,
    seq_len: int = 64,
    batch_size: int = 32,
    hidden_size: int = 128,
    seed: int = 0,
    corpus: str | None = None,
    grus: tuple[Any, ...] = (torch.nn.GRU, GRU),
) -> list[Trainer]:
    """One trainer for each class, from the same seed, trained in turn on the same batches."""
    text = read_corpus(corpus, at_least=(seq_len + 2) * batch_size)
    trainers = []
    for gru in grus:
        torch.manual_seed(seed)
        trainers.append(Trainer(CharModel(gru, len(text.vocabulary), hidden_size)))
    for number, batch in enumerate(batches(torch.from_numpy(text.tokens), steps, seq_len, batch_size)):
        for trainer in trainers[:: 1 if number % 2 else -1]:
            trainer.step(*batch)
    return trainers


def main() -> None:
    try:
        compare()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def compare() -> None:
    """Train both as the options say, and print how they differ.

    Raises:
        UserError: an option that cannot be heeded.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--hidden-size", type=int, default=128)
    parser.add_argument("--corpus", help="a text file; default: the Python standard library's source")
    arguments = parser.parse_args()
    for option, value in (("--steps", arguments.steps), ("--hidden-size", arguments.hidden_size)):
        if value < 1:
            raise UserError(option, expected="a whole number from 1", got=str(value))
    theirs, ours = train_both(
        steps=arguments.steps, hidden_size=arguments.hidden_size, corpus=arguments.corpus
    )
    print("step   torch.nn.GRU   drop-in GRU")
    for step in range(0, arguments.steps, max(1, arguments.steps // 10)):
        print(f"{step:4d}   {theirs.losses[step]:12.6f}   {ours.losses[step]:11.6f}")
    apart = max(abs(a - b) / b for a, b in zip(ours.losses, theirs.losses, strict=True))
    # the first steps compile, and load what was compiled before
    seconds = [median(trainer.seconds[5:] or trainer.seconds) for trainer in (theirs, ours)]
    print(f"largest relative difference of the losses: {apart:.1e}")
    for name, typical in zip(("torch.nn.GRU", "drop-in GRU"), seconds, strict=True):
        print(f"median step: {1e3 * typical:6.2f} ms, {name}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()
