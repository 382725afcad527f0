"""The tile of a single row: a vector times the weights.

With one row a scalar serves only as many vectors as there are columns at hand, and to load it costs as much
as to load one of them: so it is made to serve several panels at once.
"""

from __future__ import annotations

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from implementations.backends.numba_cpu.host import VECTORS
from implementations.backends.numba_cpu.vectors import Vectors
from implementations.backends.numba_cpu.views import data_at

ACCUMULATORS = 8
"""As many independent sums as hide the latency of a multiply-add; few columns split their sum over k."""


@intrinsic(prefer_literal=True)
def multiply_row(
    typingctx, panels_at_once, a, a_start, panels, panel_start, depth, source, s_start, c, c_start
):
    """c[:N] = source[:N] + Σ_k a[k] · weights[k, :N], where N is the width of so many whole panels."""
    count = panels_at_once.literal_value * VECTORS
    copies = max(1, ACCUMULATORS // count)

    def codegen(context, builder, signature, args):
        _, a, a_start, panels, panel_start, depth, source, s_start, c, c_start = args
        line = Vectors(context, builder, signature.args[1].dtype)
        row = data_at(context, builder, signature.args[1], a, a_start)
        first = data_at(context, builder, signature.args[3], panels, panel_start)
        width = depth.type(VECTORS * line.lanes)
        size = builder.mul(depth, width)
        starts = [line.at(first, builder.mul(size, depth.type(p))) for p in range(count // VECTORS)]
        sums = [line.zeroed(count) for _ in range(copies)]

        def one(copy, k):
            scalar = line.broadcast(line.at(row, k))
            places = [line.at(start, builder.mul(k, width)) for start in starts]
            for v, total in enumerate(sums[copy]):
                line.accumulate(total, scalar, line.load(places[v // VECTORS], v % VECTORS))

        source_row = data_at(context, builder, signature.args[6], source, s_start)
        for v, total in enumerate(sums[0]):
            builder.store(line.load(source_row, v), total)
        paired = builder.and_(depth, depth.type(-copies))
        with cgutils.for_range_slice(builder, depth.type(0), paired, depth.type(copies), depth.type) as (
            k,
            _,
        ):
            for copy in range(copies):
                one(copy, builder.add(k, depth.type(copy)))
        if copies > 1:
            with cgutils.for_range_slice(builder, paired, depth, depth.type(1), depth.type) as (k, _):
                one(0, k)
        c_row = data_at(context, builder, signature.args[8], c, c_start)
        for v, total in enumerate(sums[0]):
            value = builder.load(total)
            for others in sums[1:]:
                value = builder.fadd(value, builder.load(others[v]))
            line.store(value, c_row, v)
        return context.get_dummy_value()

    i = types.intp
    return types.void(panels_at_once, a, i, panels, i, i, source, i, c, i), codegen
