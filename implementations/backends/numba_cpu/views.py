"""Views of arrays inside compiled code that cost nothing.

Reference counts are atomic, and threads that slice one array at every step fight over its counter; these
views own nothing.  What they look into must outlive them: kernels make them of their arguments only.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from implementations.backends.numba_cpu.compiling import routine


def data_at(context: Any, builder: Any, array_type: Any, value: Any, offset: Any) -> Any:
    """IR for the address of a contiguous array's element `offset`."""
    return builder.gep(context.make_array(array_type)(context, builder, value).data, [offset])


@intrinsic
def span(typingctx, array, start, length):
    """array.ravel()[start : start + length] of a contiguous array."""
    view = types.Array(array.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        array, start, length = args
        result = context.make_array(view)(context, builder)
        itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(view.dtype)))
        context.populate_array(
            result,
            data=data_at(context, builder, signature.args[0], array, start),
            shape=cgutils.pack_array(builder, [length]),
            strides=cgutils.pack_array(builder, [itemsize]),
            itemsize=itemsize,
            meminfo=None,
        )
        return result._getvalue()

    return view(array, types.intp, types.intp), codegen


@intrinsic
def standing_alone(typingctx):
    """Called first thing in a routine: LLVM is to keep it a function of its own.

    Tiles are long; a copy of each at every place that multiplies would take seconds more to compile.
    """

    def codegen(context, builder, signature, args):
        builder.function.attributes.add("noinline")
        return context.get_dummy_value()

    return types.void(), codegen


@routine
def flat(array):
    """A contiguous array's elements along one axis."""
    return span(array, 0, array.size)
