"""Backend `torch_script`: the loop and the step in it as one TorchScript function."""

from __future__ import annotations

import warnings
from functools import cache
from typing import ClassVar, cast

import torch

from implementations.backends.torch_stepwise.backend import StepwiseBackend
from implementations.backends.torch_stepwise.cells import STEPS
from implementations.backends.torch_stepwise.loop import Loop, loop_over


def why_unavailable() -> str | None:
    """The reason why there is no TorchScript here, or None where there is."""
    try:
        scripted("rnn_tanh")
    except (AttributeError, RuntimeError, OSError) as error:
        return f"torch {torch.__version__} does not script: {str(error).strip().splitlines()[0]}"
    return None


@cache
def scripted(cell: str) -> Loop:
    """The loop over a cell's step, compiled by TorchScript."""
    with warnings.catch_warnings():
        # deprecated, and still what many people run: it is measured for as long as it exists
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.jit")
        return cast(Loop, torch.jit.script(loop_over(STEPS[cell])))


class ScriptBackend(StepwiseBackend):
    name: ClassVar[str] = "torch_script"

    def loop(self, cell: str) -> Loop:
        return scripted(cell)
