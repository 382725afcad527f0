"""Backend `torch_compile`: the step compiled by TorchInductor, repeated by a Python loop.

The step is compiled, not the loop: a compiled loop is unrolled, and its compilation takes minutes at the
sequence lengths that people use.  Sizes are dynamic, so that one compilation serves all of them; a batch
or a hidden size of one gets a compilation of its own.
"""

from __future__ import annotations

import importlib
import sysconfig
import warnings
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from implementations.backends.torch_stepwise.backend import StepwiseBackend
from implementations.backends.torch_stepwise.cells import STEPS
from implementations.backends.torch_stepwise.loop import Loop, loop_over
from implementations.contract import Compilation

RECOMPILE_LIMIT = 64
"""Compilations of one step: passes, dtypes and sizes of one multiply to more than torch's default of 8."""


def why_unavailable() -> str | None:
    """The reason why TorchInductor cannot compile for the CPU here, or None where it can."""
    compilers = _quietly_imported("torch._inductor.cpp_builder")
    try:
        compilers.get_cpp_compiler()
    except _quietly_imported("torch._inductor.exc").InvalidCxxCompiler:
        return "no C++ compiler found; install g++ or clang++, or name one in CXX"
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.is_file():
        return f"no {header}; install this Python's development headers"
    return None


@cache
def compiled(cell: str) -> Loop:
    """The loop over a cell's compiled step; compilation itself comes with the first call."""
    _quietly_imported("torch._inductor.compile_fx")
    dynamo = _quietly_imported("torch._dynamo.config")
    dynamo.recompile_limit = max(RECOMPILE_LIMIT, dynamo.recompile_limit)
    # sizes that happen to be equal at the first call are not equal for ever
    _quietly_imported("torch.fx.experimental._config").use_duck_shape = False
    # compile in this process: a pool of compiling processes would outlive the compilation
    _quietly_imported("torch._inductor.config").compile_threads = 1
    loop = loop_over(torch.compile(STEPS[cell], fullgraph=True, dynamic=True))

    def run(
        x: Tensor, state: list[Tensor], weight_hh: Tensor, bias_hh: Tensor, present: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        with warnings.catch_warnings():
            # the tracer looks at .grad of each state and is warned by torch itself
            warnings.filterwarnings("ignore", "The .grad attribute of a Tensor", UserWarning)
            return loop(x, state, weight_hh, bias_hh, present)

    return run


def _quietly_imported(name: str) -> Any:
    """One of torch's own modules; some of them use what torch deprecates."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


class CompileBackend(StepwiseBackend):
    name: ClassVar[str] = "torch_compile"
    compiles: ClassVar[bool] = True
    code_folders: ClassVar[tuple[str, ...]] = ("TORCHINDUCTOR_CACHE_DIR",)

    def loop(self, cell: str) -> Loop:
        return compiled(cell)

    def compilation(self) -> Compilation:
        """By torch's own count: seconds in Dynamo and Inductor, graphs compiled and graphs found on disk."""
        utils = _quietly_imported("torch._dynamo.utils")
        seconds = utils.calculate_time_spent().get("total_wall_time", 0.0)
        graphs = utils.counters["inductor"]
        return Compilation(seconds, graphs["fxgraph_cache_miss"], graphs["fxgraph_cache_hit"])

    def describe(self) -> dict[str, str]:
        return {**super().describe(), "compiled": "one step, sizes dynamic"}
