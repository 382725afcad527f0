"""Character-level language models on real text: bits per character, beside what counting needs for as many.

The text is cut where a file begins; what follows is held out.  A recurrent network predicts each next
character from all before it, a counting model from the last n − 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from harness.case import Case, Scalar
from harness.clipping import Clipping
from harness.initializations import initialize, why_unsupported
from harness.inputs import embedding
from harness.measure.estimate import why_not_started
from harness.measure.outlook import Outlook
from harness.measure.work import Sizes
from harness.outcome import Measured
from harness.studies.networks import (
    InputKind,
    characters_seconds,
    forget_bias_where_it_acts,
    reading_seconds,
    training_seconds,
)
from harness.studies.rows import Rows
from harness.studies.study import (
    STUDIES,
    BackendName,
    CellName,
    Context,
    InitializationName,
    OptionalFinite,
    Positive,
    Seed,
    Size,
    Study,
    StudyAxes,
    one_of,
)
from harness.studies.training_record import PRODUCTS_OF_A_RADIUS, Stopwatch, compiled
from harness.training.batches import split, streams, text_batches
from harness.training.corpora import Corpus, read_corpus, why_too_short
from harness.training.loop import Step, TrainingDiverged, train
from harness.training.model import Batch, SequenceModel
from harness.training.ngram import NGram, highest_order
from harness.training.objectives import cross_entropy
from harness.training.optimizers import OPTIMIZERS, Optimizer
from harness.training.radius import recurrent_radius
from harness.training.sampling import sample_text

HELD_OUT_STREAMS = 32
HELD_OUT_CHARACTERS = 1 << 17
"""Of the held-out text, how much is looked at."""
SAID = 240
"""Characters that a trained model says."""


class LanguageModelAxes(StudyAxes):
    backend: list[BackendName] = ["numba"]
    cell: list[CellName]
    initialization: list[InitializationName] = ["pytorch_uniform"]
    forget_bias: list[OptionalFinite] = [None]
    inputs: list[Annotated[InputKind, one_of("inputs", ("text",))]] = ["text"]
    seq_len: list[Size] = [100]
    hidden_size: list[Size] = [128]
    input_size: Size = 64
    """Width of the embedding."""
    batch_size: Size = 64
    steps: Size = 2000
    evaluations: Size = 8
    """How often held-out text is read along the way, besides before."""
    optimizer: Annotated[str, one_of("optimizer", OPTIMIZERS)] = "adam"
    learning_rate: list[Positive] = [3e-3]
    threshold: Positive = 1.0
    """Of clipping by the global norm."""
    orders: Annotated[int, Field(ge=1, le=9, strict=True)] = 7
    """Counting models of order 1 … this, or of fewer where the text has many different characters."""
    seed: list[Seed] = [0]


class LanguageModel(Study):
    """Columns: quantity, step, order, bits_per_character, gradient_norm, clipped_norm, spectral_radius,
    memory_bytes, memory_bytes_packed, entries, seconds.  The quantity of a row is "held_out" (the network
    after `step` steps; seconds of training so far), "learned" (the batch of that step, the norm of the
    parameters' gradient before and after clipping, the spectral radius of W_hh after the step, of a gated
    cell that of its candidate's block, g of an LSTM, n of a GRU) or "ngram" (a counting model of that order,
    its memory, a lower bound of it with every number packed bit behind bit, and how many counts it holds).
    What a row of its kind does not have is null.  How far the gradient of such a network reaches along its
    training, training_decay measures.

    Facts: final_bits_per_character (held out), memory_bytes_of_network (all weights), vocabulary_size,
    highest_order (of the counting models; below `orders` where more cannot be numbered in 63 bits),
    learned_characters, held_out_characters, training_seconds (of the steps alone, whatever is compiled being
    so before the first), said (text drawn from the trained model), diverged_at_step (the first step whose
    loss, gradient or new weights are not finite) and last_good_step (after how many steps loss and gradients
    were last finite; null where they never were); non_finite (how many entries of its gradient were NaN or
    inf: with the first of them it diverges).  A training that diverged is read in its last good state at the
    end, later readings are left out, and it says nothing.
    """

    name = "language_model"
    question = "What does a character cost a recurrent network, and what would counting need for as much?"
    Axes: ClassVar[type[StudyAxes]] = LanguageModelAxes

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination; a cell without a forget gate comes once for all forget biases, with none."""
        return forget_bias_where_it_acts(super().points(axes))

    def why_not(self, case: Case, context: Context) -> str | None:
        axes: dict[str, Any] = dict(case.axes)
        if reason := why_unsupported(axes["initialization"], axes["cell"]):
            return reason
        if reason := why_too_short(context.corpus, at_least=2 * _characters(axes)):
            return reason
        return why_not_started(
            context.backend,
            axes["cell"],
            "float32",
            Sizes.of(case),
            training=True,
            calls=axes["steps"],
            max_seconds=context.max_seconds,
        )

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """The training, the reading of held-out text along the way, and each counting model."""
        axes: dict[str, Any] = dict(case.axes)
        cell, sizes, steps = axes["cell"], Sizes.of(case), axes["steps"]
        held_out = replace(
            sizes, seq_len=HELD_OUT_CHARACTERS // HELD_OUT_STREAMS, batch_size=HELD_OUT_STREAMS
        )
        one = outlook.pass_seconds(cell, held_out, training=False)
        read = (axes["evaluations"] + 1) * (one + characters_seconds(held_out, outlook, training=False))
        readout = steps * characters_seconds(sizes, outlook, training=True)
        radii = outlook.products(steps * PRODUCTS_OF_A_RADIUS, sizes.hidden_size)
        training = training_seconds(cell, sizes, steps, outlook)
        return training + readout + radii + read + (axes["orders"] + 1) * reading_seconds(outlook)

    def measure(self, case: Case, context: Context) -> Measured:
        axes: dict[str, Any] = dict(case.axes)
        at_least = _characters(axes)
        corpus = read_corpus(context.corpus, at_least=2 * at_least, different=2)
        seen, unseen = split(corpus, at_least=at_least)
        held_out = streams(unseen[:HELD_OUT_CHARACTERS], HELD_OUT_STREAMS)
        model = self._model(axes, corpus, context)
        text = text_batches(seen, axes["seq_len"], axes["batch_size"], seed=axes["seed"])
        compiled(model, text(1))
        record = Record(axes["cell"], model, held_out)
        chosen = {round(axes["steps"] * (i + 1) / axes["evaluations"]) for i in range(axes["evaluations"])}
        diverged = last_good = None
        non_finite = 0
        record.held_out(0)
        try:
            for step in train(
                model,
                text,
                Optimizer(axes["optimizer"], model.weights, axes["learning_rate"]),
                axes["steps"],
                clipping=Clipping("global_norm", axes["threshold"]),
            ):
                record.step(step)
                if step.number in chosen:
                    record.held_out(step.number)
        except TrainingDiverged as error:
            diverged, last_good, non_finite = error.step, error.last_good, error.non_finite
            record.end_with(last_good or 0)
        highest = highest_order(len(corpus.vocabulary), axes["orders"])
        for order in range(1, highest + 1):
            record.ngram(NGram(seen, len(corpus.vocabulary), order), unseen[:HELD_OUT_CHARACTERS])
        return Measured(
            record.columns,
            {
                "final_bits_per_character": record.last_bits,
                "memory_bytes_of_network": sum(array.nbytes for array in model.weights.values()),
                "vocabulary_size": len(corpus.vocabulary),
                "highest_order": highest,
                "learned_characters": len(seen),
                "held_out_characters": int(held_out.targets.size),
                "training_seconds": record.watch.seconds,
                "diverged_at_step": diverged,
                "last_good_step": last_good,
                "non_finite": non_finite,
                "said": None
                if diverged is not None
                else sample_text(model, corpus.vocabulary, SAID, seed=axes["seed"], temperature=0.7),
            },
        )

    def _model(self, axes: dict[str, Any], corpus: Corpus, context: Context) -> SequenceModel:
        parameters = initialize(
            axes["initialization"],
            axes["cell"],
            axes["input_size"],
            axes["hidden_size"],
            seed=axes["seed"],
            forget_bias=axes["forget_bias"],
        )
        size = len(corpus.vocabulary)
        return SequenceModel(
            context.backend.bind(axes["cell"], parameters, "float32"),
            size,
            cross_entropy,
            embedding=0.1 * embedding(size, axes["input_size"]),
            readout="zero",
        )


def _characters(axes: dict[str, Any]) -> int:
    """Of a text, how many it takes to learn from, and as many to hold out."""
    return max(int(axes["seq_len"]), HELD_OUT_STREAMS) + 1


class Record(Rows):
    """The rows of one training; reading held-out text, or looking at W_hh, is no time of training."""

    def __init__(self, cell: str, model: SequenceModel, unseen: Batch) -> None:
        super().__init__(
            (
                *("quantity", "step", "order", "bits_per_character", "gradient_norm", "clipped_norm"),
                *("spectral_radius", "memory_bytes", "memory_bytes_packed", "entries", "seconds"),
            )
        )
        self.cell, self.model, self.unseen = cell, model, unseen
        self.watch, self.last_bits = Stopwatch(), float("nan")

    def step(self, done: Step) -> None:
        """What is known of a step at its end."""
        self.watch.stop()
        self.append(
            quantity="learned",
            step=done.number,
            bits_per_character=float(done.loss / np.log(2.0)),
            gradient_norm=done.gradient_norm,
            clipped_norm=done.clipped_norm,
            spectral_radius=recurrent_radius(self.cell, self.model.parameters.weight_hh),
        )
        self.watch.start()

    def held_out(self, step: int) -> None:
        """Read the held-out text."""
        self.watch.stop()
        with np.errstate(over="ignore", invalid="ignore"):  # a network may have gone off
            self.last_bits = float(self.model.loss(self.unseen) / np.log(2.0))
        self.append(
            quantity="held_out", step=step, bits_per_character=self.last_bits, seconds=self.watch.seconds
        )
        self.watch.start()

    def end_with(self, step: int) -> None:
        """Readings after more than `step` steps are left out, and that one is the last."""
        self.leave_out(("held_out",), first=step)
        self.held_out(step)

    def ngram(self, model: NGram, unseen: Any) -> None:
        """What counting achieves."""
        self.append(
            quantity="ngram",
            order=model.order,
            bits_per_character=model.bits_per_character(unseen),
            memory_bytes=model.memory_bytes,
            memory_bytes_packed=model.memory_bytes_packed,
            entries=model.entries,
        )


STUDIES.register("language_model")(LanguageModel())
