"""What the gradient studies share: the axes of a network at its start, and how it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.case import Case, Scalar
from harness.initializations import initialize, why_unsupported
from harness.inputs import INPUT_KINDS, make_inputs
from harness.measure.outlook import Outlook
from harness.measure.work import Sizes
from harness.studies.study import (
    BackendName,
    CellName,
    Context,
    Finite,
    InitializationName,
    OptionalFinite,
    Seed,
    Size,
    Study,
    StudyAxes,
    once,
    one_of,
)
from harness.training.corpora import why_too_short
from implementations.contract import Parameters
from implementations.registry import CELLS

InputKind = Annotated[str, one_of("inputs", INPUT_KINDS)]


class NetworkAxes(StudyAxes):
    """A cell, how its parameters start, and what it is fed."""

    backend: list[BackendName] = ["numpy"]
    cell: list[CellName]
    initialization: list[InitializationName] = ["pytorch_uniform"]
    gain: list[Finite] = [1.0]
    forget_bias: list[OptionalFinite] = [None]
    inputs: list[InputKind] = ["noise"]
    seq_len: list[Size]
    hidden_size: list[Size]
    batch_size: Size = 4
    input_size: Size | None = None
    seed: list[Seed] = [0, 1, 2]


class NetworkStudy(Study):
    """A study of networks as they start; the analysis runs in NumPy."""

    compares_backends = False
    in_numpy = True

    calls_per_step: ClassVar[float] = 300.0
    """Small NumPy calls of a measurement, per step and state; found by timing it once."""
    products_per_step: ClassVar[float] = 10.0
    """Products of (S, S) matrices of a measurement, per step and sample."""

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """In proportion to T; the products also to B and S³."""
        sizes, states = Sizes.of(case), len(CELLS[str(case.axes["cell"])].state_names)
        products = self.products_per_step * sizes.seq_len * sizes.batch_size
        calls = self.calls_per_step * sizes.seq_len * states
        return outlook.calls(calls) + outlook.products(products, states * sizes.hidden_size)

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination; a cell without a forget gate comes once for all forget biases, with none."""
        return forget_bias_where_it_acts(super().points(axes))

    def why_not(self, case: Case, context: Context) -> str | None:
        """The reason where the initialization cannot be had for the cell, or the text is too short."""
        if reason := why_unsupported(str(case.axes["initialization"]), str(case.axes["cell"])):
            return reason
        if (needed := self.characters(case)) == 0:
            return None
        return why_too_short(context.corpus, at_least=needed)

    def characters(self, case: Case) -> int:
        """How long a text must be that this case reads; 0 where it reads none."""
        return int(case.axes["seq_len"] or 1) if case.axes.get("inputs") == "text" else 0


def forget_bias_where_it_acts(points: Iterable[dict[str, Scalar]]) -> Iterator[dict[str, Scalar]]:
    """Each point once; a cell without a forget gate comes once for all forget biases, with none."""
    return once(
        point if "f" in CELLS[str(point["cell"])].gates else {**point, "forget_bias": None}
        for point in points
    )


CHARACTERS = 100
"""Of a text, about how many different ones it has."""


def training_seconds(cell: str, sizes: Sizes, steps: int, outlook: Outlook) -> float:
    """About how long so many steps of training take: a pass each, and the batch, clipping and optimiser
    around it."""
    return steps * (outlook.pass_seconds(cell, sizes, training=True) + outlook.calls(2000))


def characters_seconds(sizes: Sizes, outlook: Outlook, *, training: bool) -> float:
    """About how long a readout over all characters, and their cross-entropy, take for one batch."""
    flop = 2.0 * sizes.hidden_size * (3.0 if training else 1.0)
    return outlook.elementwise(sizes.seq_len * sizes.batch_size * CHARACTERS, flop)


def reading_seconds(outlook: Outlook) -> float:
    """About how long it takes to read a text, or to count what follows what in it."""
    return outlook.calls(600_000)


def initialized(case: Case) -> Parameters:
    """The case's parameters as they start."""
    axes: dict[str, Any] = dict(case.axes)
    sizes = Sizes.of(case)
    return initialize(
        axes["initialization"],
        axes["cell"],
        sizes.input_size,
        sizes.hidden_size,
        seed=axes["seed"],
        gain=axes["gain"],
        forget_bias=axes["forget_bias"],
        **({} if axes.get("t_max") is None else {"t_max": axes["t_max"]}),
    )


def draw_network(case: Case, context: Context) -> tuple[Parameters, NDArray[np.float64]]:
    """The case's parameters and its inputs (T, B, I)."""
    axes: dict[str, Any] = dict(case.axes)
    sizes = Sizes.of(case)
    inputs = make_inputs(
        axes["inputs"],
        sizes.seq_len,
        sizes.batch_size,
        sizes.input_size,
        seed=axes["seed"],
        corpus=context.corpus,
    )
    return initialized(case), inputs
