"""Register tiles in LLVM IR: the one place where vector registers are named.

A matrix product lives or dies by keeping its accumulators in registers for the whole of its inner loop.
A compiler's auto-vectoriser cannot be relied on for that, so the tiles are written out here as vector
instructions: R rows × 2 vectors of accumulators.

Arrays are contiguous; offsets and strides are counted in elements.  The caller answers for bounds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from implementations.backends.numba_cpu.host import VECTORS
from implementations.backends.numba_cpu.vectors import Vectors
from implementations.backends.numba_cpu.views import data_at


class _Tile(Vectors):
    """Builds the IR of one tile: `rows` × VECTORS accumulators, of which `columns` columns count.

    Where all columns count, loads and stores are plain; at the edge they are masked.
    """

    def __init__(
        self, context: Any, builder: Any, element: Any, rows: int, columns: Any, copies: int = 1
    ) -> None:
        super().__init__(context, builder, element)
        self.rows = rows
        self.masks_type = ir.VectorType(ir.IntType(1), self.lanes)
        self.whole = builder.icmp_signed(">=", columns, columns.type(VECTORS * self.lanes))
        self.masks = [self._mask(columns, v * self.lanes) for v in range(VECTORS)]
        self.sums = [self.zeroed(rows * VECTORS) for _ in range(copies)]

    def _mask(self, columns: Any, first: int) -> Any:
        numbers = ir.Constant(
            ir.VectorType(columns.type, self.lanes), [first + lane for lane in range(self.lanes)]
        )
        return self.builder.icmp_signed("<", numbers, self.spread(columns))

    def rows_at(self, pointer: Any, stride: Any) -> list[Any]:
        pointers = [pointer]
        for _ in range(self.rows - 1):
            pointers.append(self.at(pointers[-1], stride))
        return pointers

    def load_masked(self, pointer: Any, vector: int) -> Any:
        return self.call(
            f"llvm.masked.load.{self.name}.p0",
            self.vector,
            [self.place(pointer, vector), ir.IntType(32)(self.bytes), self.masks[vector], self.zero],
        )

    def store_masked(self, value: Any, pointer: Any, vector: int) -> None:
        place = self.place(pointer, vector)
        self.call(
            f"llvm.masked.store.{self.name}.p0",
            ir.VoidType(),
            [value, place, ir.IntType(32)(self.bytes), self.masks[vector]],
        )

    def either(self, emit: Callable[[Any, Any], None]) -> None:
        """Emit code twice: with plain loads and stores, and with masked ones."""
        with self.builder.if_else(self.whole) as (then, otherwise):
            with then:
                emit(self.load, self.store)
            with otherwise:
                emit(self.load_masked, self.store_masked)

    def begin_with(self, pointers: list[Any]) -> None:
        """The first copy's accumulators from memory."""

        def emit(load: Any, store: Any) -> None:
            for index, total in enumerate(self.sums[0]):
                row, vector = divmod(index, VECTORS)
                self.builder.store(load(pointers[row], vector), total)

        self.either(emit)

    def add(self, copy: int, scalars: list[Any], vectors: list[Any]) -> None:
        """sums += scalar of each row × vectors."""
        for index, total in enumerate(self.sums[copy]):
            row, vector = divmod(index, VECTORS)
            self.accumulate(total, scalars[row], vectors[vector])

    def finish(self, pointers: list[Any]) -> None:
        """The copies' sum to memory."""
        totals = []
        for index, total in enumerate(self.sums[0]):
            value = self.builder.load(total)
            for sums in self.sums[1:]:
                value = self.builder.fadd(value, self.builder.load(sums[index]))
            totals.append(value)

        def emit(load: Any, store: Any) -> None:
            for index, value in enumerate(totals):
                row, vector = divmod(index, VECTORS)
                store(value, pointers[row], vector)

        self.either(emit)


@intrinsic(prefer_literal=True)
def multiply_tile(
    typingctx, rows, a, a_start, a_row, panels, panel_start, depth, source, s_start, s_row, c, c_start, c_row,
    columns,
):  # fmt: skip
    """c[r, :columns] = source[r, :columns] + Σ_k a[r, k] · panel[k, :columns], for `rows` rows.

    A source row stride of 0 adds one row (a bias) to all.  Few rows leave accumulators idle, so there the
    sum over k is split over further ones.
    """
    count = rows.literal_value
    copies = max(1, 8 // (count * VECTORS))

    def codegen(context, builder, signature, args):
        (
            _,
            a,
            a_start,
            a_row,
            panels,
            panel_start,
            depth,
            source,
            s_start,
            s_row,
            c,
            c_start,
            c_row,
            columns,
        ) = args
        tile = _Tile(context, builder, signature.args[1].dtype, count, columns, copies)
        a_rows = tile.rows_at(data_at(context, builder, signature.args[1], a, a_start), a_row)
        panel = data_at(context, builder, signature.args[4], panels, panel_start)
        source_rows = tile.rows_at(data_at(context, builder, signature.args[7], source, s_start), s_row)
        width = depth.type(VECTORS * tile.lanes)

        def one(copy, k):
            line = tile.at(panel, builder.mul(k, width))
            vectors = [tile.load(line, v) for v in range(VECTORS)]
            tile.add(copy, [tile.broadcast(tile.at(row, k)) for row in a_rows], vectors)

        tile.begin_with(source_rows)
        paired = builder.and_(depth, depth.type(-copies))
        steps = (depth.type(0), paired, depth.type(copies), depth.type)
        with cgutils.for_range_slice(builder, *steps) as (k, _):
            for copy in range(copies):
                one(copy, builder.add(k, depth.type(copy)))
        if copies > 1:
            with cgutils.for_range_slice(builder, paired, depth, depth.type(1), depth.type) as (k, _):
                one(0, k)
        tile.finish(tile.rows_at(data_at(context, builder, signature.args[10], c, c_start), c_row))
        return context.get_dummy_value()

    i = types.intp
    return types.void(rows, a, i, i, panels, i, i, source, i, i, c, i, i, i), codegen


@intrinsic(prefer_literal=True)
def outer_tile(
    typingctx,
    rows,
    a,
    a_start,
    a_row,
    b,
    b_start,
    b_step,
    b_row,
    outer,
    inner,
    keep,
    c,
    c_start,
    c_row,
    columns,
):
    """c[r, :columns] = keep·c[r, :columns] + Σ_t Σ_k a[t·inner + k, r] · b[t, k, :columns]: a tile of aᵀ·b.

    Where `keep` is 0, c is not read.
    """
    count = rows.literal_value

    def codegen(context, builder, signature, args):
        _, a, a_start, a_row, b, b_start, b_step, b_row, outer, inner, keep, c, c_start, c_row, columns = args
        tile = _Tile(context, builder, signature.args[1].dtype, count, columns)
        a_data = data_at(context, builder, signature.args[1], a, a_start)
        b_data = data_at(context, builder, signature.args[4], b, b_start)
        c_rows = tile.rows_at(data_at(context, builder, signature.args[11], c, c_start), c_row)

        def emit(load, store):
            with cgutils.for_range(builder, outer, intp=outer.type) as t:
                b_block = tile.at(b_data, builder.mul(t.index, b_step))
                a_block = tile.at(a_data, builder.mul(builder.mul(t.index, inner), a_row))
                with cgutils.for_range(builder, inner, intp=inner.type) as k:
                    line = tile.at(b_block, builder.mul(k.index, b_row))
                    column = tile.rows_at(tile.at(a_block, builder.mul(k.index, a_row)), ir.IntType(64)(1))
                    scalars = [tile.broadcast(cell) for cell in column]
                    tile.add(0, scalars, [load(line, v) for v in range(VECTORS)])

        with builder.if_then(builder.icmp_signed("!=", keep, keep.type(0))):
            tile.begin_with(c_rows)
        tile.either(emit)
        tile.finish(c_rows)
        return context.get_dummy_value()

    i = types.intp
    return types.void(rows, a, i, i, b, i, i, i, i, i, i, c, i, i, i), codegen
