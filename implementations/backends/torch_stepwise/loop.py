"""The loop over time, around any step: what runs in Python, or as TorchScript from the same source."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import torch
from torch import Tensor

from implementations.backends.torch_stepwise.cells import Step

Loop = Callable[
    [Tensor, list[Tensor], Tensor, Tensor, Optional[Tensor]],  # noqa: UP045 (as in the function below)
    tuple[Tensor, list[Tensor]],
]


def loop_over(step: Step) -> Loop:
    """A function that repeats `step`."""

    def loop(
        x: Tensor,
        state: list[Tensor],
        weight_hh: Tensor,
        bias_hh: Tensor,
        present: Optional[Tensor],  # noqa: UP045 (TorchScript reads no `Tensor | None` in a string)
    ) -> tuple[Tensor, list[Tensor]]:
        """x (T, B, G·H), state of (B, H), present (T, B, 1) or None -> h at every step (T, B, H), last state.

        A sample keeps its state where it is not present.
        """
        output: list[Tensor] = []
        for t, x_t in enumerate(x.unbind(0)):
            stepped = step(x_t, state, weight_hh, bias_hh)
            if present is not None:
                stepped = [torch.where(present[t], new, state[k]) for k, new in enumerate(stepped)]
            state = stepped
            output.append(state[0])
        return torch.stack(output), state

    return loop
