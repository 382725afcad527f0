"""From the engine's kernels, written for Numba, to machine code in one object file.

Only what compiles imports this: loading such a file takes LLVM alone (`native`).  A kernel takes numbers and
addresses and gives nothing back; it allocates nothing and raises nothing, so that its code stands alone.  It
divides as hardware does.  A multiply may be fused with an add, and sums may be taken in another order; what
would assume away a NaN or an inf is not allowed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types

from harness.gradients.native import Code

OPTIONS: Any = {"error_model": "numpy", "fastmath": {"contract", "reassoc"}}
ALONE: Any = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

NUMBA_TYPES = {
    "n": types.int64,
    "x": types.float64,
    "d": types.CPointer(types.float64),
    "i": types.CPointer(types.int64),
    "b": types.CPointer(types.int8),
}
"""By the letters of a kernel's arguments: a size, a number, the address of float64, int64 or int8."""


@dataclass(frozen=True)
class Kernel:
    """What is called from outside.

    Args:
        function: written for Numba.
        arguments: a letter for each, see `NUMBA_TYPES`.
    """

    function: Callable[..., None]
    arguments: str


def kernel(arguments: str) -> Callable[[Callable[..., None]], Kernel]:
    return lambda function: Kernel(function, arguments)


def routine(function: Callable[..., Any]) -> Any:
    """What kernels call."""
    return numba.njit(**OPTIONS)(function)


def machine_code(kernels: dict[str, Kernel]) -> Code:
    """All of them, compiled for this processor."""
    modules, symbols = [], {}
    for name, each in kernels.items():
        dispatcher = numba.njit(**OPTIONS, **ALONE)(each.function)
        dispatcher.compile(types.void(*(NUMBA_TYPES[letter] for letter in each.arguments)))
        (signature,) = dispatcher.signatures
        symbols[name] = (dispatcher.overloads[signature].fndesc.llvm_func_name, each.arguments)
        modules.append(llvm.parse_assembly(dispatcher.inspect_llvm(signature)))
    first, *others = modules
    for other in others:
        first.link_in(other)
    return Code(symbols, _target_machine().emit_object(first))


def _target_machine() -> Any:
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=features, opt=3, reloc="pic", codemodel="small"
    )
