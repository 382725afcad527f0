"""Vector registers in LLVM IR: their type on this machine, and how they are loaded, filled and stored."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils

from implementations.backends.numba_cpu.host import HOST


class Vectors:
    """Builds the IR of operations on vectors of `element`s, each as wide as this machine's registers.

    LLVM splits what is wider, so the code is right anywhere and fast where it fits.
    """

    def __init__(self, context: Any, builder: Any, element: Any) -> None:
        self.builder = builder
        self.element = context.get_value_type(element)
        self.lanes = HOST.vector_bytes * 8 // element.bitwidth
        self.bytes = element.bitwidth // 8
        self.vector = ir.VectorType(self.element, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.name = f"v{self.lanes}f{self.bytes * 8}"

    def spread(self, scalar: Any) -> Any:
        vector = ir.VectorType(scalar.type, self.lanes)
        undefined = ir.Constant(vector, ir.Undefined)
        single = self.builder.insert_element(undefined, scalar, ir.IntType(32)(0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(single, undefined, lanes)

    def call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        signature = ir.FunctionType(result, [a.type for a in arguments])
        function = cgutils.get_or_insert_function(self.builder.module, signature, name)
        return self.builder.call(function, arguments)

    def at(self, pointer: Any, offset: Any) -> Any:
        return self.builder.gep(pointer, [offset])

    def place(self, pointer: Any, vector: int) -> Any:
        where = self.at(pointer, ir.IntType(64)(vector * self.lanes))
        return self.builder.bitcast(where, self.vector.as_pointer())

    def load(self, pointer: Any, vector: int) -> Any:
        return self.builder.load(self.place(pointer, vector), align=self.bytes)

    def store(self, value: Any, pointer: Any, vector: int) -> None:
        self.builder.store(value, self.place(pointer, vector), align=self.bytes)

    def broadcast(self, pointer: Any) -> Any:
        return self.spread(self.builder.load(pointer, align=self.bytes))

    def zeroed(self, count: int) -> list[Any]:
        """Addresses of `count` accumulators, each zero."""
        sums = [cgutils.alloca_once(self.builder, self.vector) for _ in range(count)]
        for total in sums:
            self.builder.store(self.zero, total)
        return sums

    def accumulate(self, total: Any, scalar: Any, vector: Any) -> None:
        """The accumulator += scalar (in all lanes) × vector."""
        terms = [scalar, vector, self.builder.load(total)]
        self.builder.store(self.call(f"llvm.fmuladd.{self.name}", self.vector, terms), total)
