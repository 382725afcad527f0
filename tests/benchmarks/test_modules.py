"""Seconds per training step and per inference of the drop-in modules beside torch.nn's, as users call them.

Both have the same weights and threads, and were held against each other on the very same numbers before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.modules.pairs import KINDS, assert_twins, draw, twins

pytestmark = pytest.mark.benchmark(max_time=0.5, min_rounds=5, warmup=False)

SIZES = [(1, 1, 64), (128, 1, 64), (128, 32, 128), (128, 32, 256)]
"""(T, B, H); I = H."""


def call_of(module: Any, input: torch.Tensor, training: bool) -> Callable[[], Any]:
    """What is timed: forward, and in training backward, as in a loop over batches."""
    grad = torch.randn(*input.shape[:2], module.hidden_size)

    def train() -> None:
        module.zero_grad()
        module(input)[0].backward(grad)

    def infer() -> None:
        with torch.inference_mode():
            module(input)

    return train if training else infer


@pytest.mark.parametrize("library", ["torch.nn", "modules"])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: "T{}-B{}-H{}".format(*sizes))
@pytest.mark.parametrize("cell", KINDS)
def test_module(benchmark: Any, cell: str, sizes: tuple[int, int, int], training: bool, library: str) -> None:
    seq_len, batch_size, hidden_size = sizes
    pair = twins(cell, hidden_size, hidden_size)
    problem = draw(pair.ours, "batch", seq_len=seq_len, batch_size=batch_size, states=False)
    assert_twins(pair, problem, "float32")
    run = call_of(pair.ours if library == "modules" else pair.theirs, problem.input, training)
    benchmark.group = "module {} {} T={} B={} H={}".format(
        cell, "training" if training else "inference", *sizes
    )
    benchmark.extra_info.update(num_threads=torch.get_num_threads())
    run()
    benchmark(run)
