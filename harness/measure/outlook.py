"""How long work will take, from what this machine takes for basic things: an outlook, not a measurement.

Four rates are probed in about a second; everything else is counted in them.  So the same model holds on a
slower or a faster machine, to a factor of about two.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.measure.work import Sizes, flop
from implementations.hints import Hint
from implementations.registry import CELLS

CALLS_OF_THE_REFERENCE = 30.0
"""NumPy calls per step and gate in the float64 reference; a backward doubles the forward's."""
LOADED_BY_A_WORKER = 3.0
"""What a worker loads beside its backend, over a fresh interpreter that imports NumPy."""
EXPONENTIAL = 500.0
"""An exponential, its sum and their way through memory, in FLOP of a small product."""
PROBE_SHARE = 0.05
"""Of its limit, what a probe of a case's time takes in the end."""


@dataclass(frozen=True)
class Rates:
    """Seconds on this machine.

    Args:
        multiply_add: one in a loop of Python.
        call: one small NumPy function.
        flop: one FLOP of a product of matrices too small to be fast.
        interpreter: a fresh Python that imports NumPy.
    """

    multiply_add: float
    call: float
    flop: float
    interpreter: float

    @classmethod
    def probe(cls) -> Rates:
        """Measure all of them, each at its best."""
        left = np.full((32, 64), 0.5)
        right = np.full((64, 256), 0.5)
        small = np.full(64, 0.5)
        numbers = [0.5] * 2000

        def loop() -> None:
            total = 0.0
            for a, b in zip(numbers, numbers, strict=True):
                total += a * b

        return cls(
            multiply_add=_best(loop, 20) / len(numbers),
            call=_best(lambda: [np.tanh(small) for _ in range(200)], 10) / 200,
            flop=_best(lambda: left @ right, 50) / (2.0 * 32 * 64 * 256),
            interpreter=min(_interpreter() for _ in range(4)),
        )


TYPICAL = Rates(multiply_add=4.5e-8, call=6.5e-7, flop=2e-11, interpreter=0.16)
"""Of a server's core, for who will correct them by what he sees."""


def _interpreter() -> float:
    """Seconds of processor, and not of waiting: where others are at work, a process waits long."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", "import numpy"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _best(call: Callable[[], object], times: int) -> float:
    found = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return min(found)


@dataclass(frozen=True)
class Outlook:
    """What a study counts with.

    Args:
        hint: of the case's backend.
        budget_seconds, max_seconds: the plan's.
    """

    rates: Rates
    hint: Hint
    budget_seconds: float
    max_seconds: float

    def pass_seconds(self, cell: str, sizes: Sizes, *, training: bool) -> float:
        """One pass of the case's backend."""
        if self.hint.interpreted:
            return flop(cell, sizes, training=training) * self.rates.multiply_add
        return self._vectorised(cell, sizes, training, self.hint.step_calls)

    def reference_seconds(self, cell: str, sizes: Sizes, *, training: bool) -> float:
        """One pass of the float64 reference."""
        return self._vectorised(cell, sizes, training, CALLS_OF_THE_REFERENCE)

    def probe_seconds(self, cell: str, sizes: Sizes, *, training: bool, calls: int) -> float:
        """What it takes to find out whether `calls` passes take too long."""
        limit = self.max_seconds / calls
        probe = min(self.pass_seconds(cell, sizes, training=training), PROBE_SHARE * limit)
        return 2.0 * probe + self.calls(400)

    def started(self, cell: str, sizes: Sizes, *, training: bool, calls: int) -> bool:
        """Whether `calls` passes are allowed."""
        return calls * self.pass_seconds(cell, sizes, training=training) <= self.max_seconds

    def calls(self, number: float) -> float:
        """So many small NumPy calls."""
        return number * self.rates.call

    def loading_seconds(self) -> float:
        """To start a worker of this backend."""
        return (self.hint.loading + LOADED_BY_A_WORKER) * self.rates.interpreter

    def products(self, number: float, size: int) -> float:
        """So many products of square matrices."""
        return number * 2.0 * float(size) ** 3 * self.rates.flop

    def elementwise(self, number: float, flop: float = 0.0) -> float:
        """So many exponentials with what stands around them, and `flop` of a matrix product for each."""
        return number * (EXPONENTIAL + flop) * self.rates.flop

    def _vectorised(self, cell: str, sizes: Sizes, training: bool, step_calls: float) -> float:
        per_step = step_calls * len(CELLS[cell].gates) * (3.0 if training else 1.0)
        return self.calls(sizes.seq_len * per_step) + flop(cell, sizes, training=training) * self.rates.flop
