"""A plain PyTorch script that knows nothing of this project: train a small character model and save it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

TEXT = "the quick brown fox jumps over the lazy dog, and what it read it will remember for a while. " * 12


class CharModel(torch.nn.Module):
    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary_size, 12)
        self.lstm = torch.nn.LSTM(12, 16, num_layers=2)
        self.head = torch.nn.Linear(16, vocabulary_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(self.embedding(tokens))[0])


def main(folder: Path) -> None:
    torch.manual_seed(0)
    characters = sorted(set(TEXT))
    tokens = torch.tensor([characters.index(character) for character in TEXT])
    model = CharModel(len(characters))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(20):
        windows = tokens[torch.randint(0, len(tokens) - 33, (8,)) + torch.arange(33)[:, None]]
        logits = model(windows[:-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    save_file(model.state_dict(), folder / "model.safetensors")
    (folder / "vocabulary.txt").write_text("".join(characters), encoding="utf-8")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
