"""Training decay: does learning change how far the gradient reaches?

A character-level language model is trained on real text through a backend; before, along the way and
afterwards, the decay of its recurrent layer is measured on text that it never learned from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.case import Case
from harness.clipping import Clipping
from harness.gradients import ForwardDiverged, jacobian_decay
from harness.inputs import embedding
from harness.measure.estimate import why_not_started
from harness.measure.outlook import Outlook
from harness.measure.work import Sizes
from harness.outcome import Measured, Unsupported
from harness.studies.gradient_decay import chosen_lags
from harness.studies.networks import (
    NetworkAxes,
    NetworkStudy,
    characters_seconds,
    initialized,
    reading_seconds,
    training_seconds,
)
from harness.studies.rows import Rows
from harness.studies.study import (
    STUDIES,
    BackendName,
    Context,
    Positive,
    Seed,
    Size,
    StudyAxes,
    one_of,
    or_none,
)
from harness.training.batches import next_character, split, text_batches, windows
from harness.training.corpora import read_corpus
from harness.training.loop import Step, TrainingDiverged, train
from harness.training.model import SequenceModel
from harness.training.objectives import cross_entropy
from harness.training.optimizers import Optimizer
from harness.training.radius import recurrent_radius

_HELD_OUT = 5
"""Name of the random stream of the windows that are measured on."""
HELD_OUT_WINDOWS = 16


class TrainingDecayAxes(NetworkAxes):
    backend: list[BackendName] = ["numba"]
    inputs: list[Annotated[str, one_of("inputs", ("text",))]] = ["text"]
    steps: Size = 200
    measurements: Size = 8
    """How often the decay is measured along the way, besides before and after."""
    samples: Size = 4
    """Windows of held-out text that the decay is measured on."""
    learning_rate: list[Positive] = [0.01]
    threshold: Annotated[Positive | None, or_none] = 1.0
    """Of clipping by the global norm; "none" for no clipping."""
    batch_size: Size = 32
    seed: list[Seed] = [0, 1, 2]


class TrainingDecay(NetworkStudy):
    """Columns: quantity, step, lag, sample, log10_spectral_norm, loss, gradient_norm, clipped_norm,
    spectral_radius.  The quantity of a row is "decay" (‖∂h_t/∂h_k‖₂ after `step` steps, on held-out text; an
    exact zero is −inf), "loss" (of the batch of that step, nats per character; the norm of the parameters'
    gradient before and after clipping; the spectral radius of W_hh after the step, of a gated cell that of
    its candidate's block, g of an LSTM, n of a GRU) or "held_out_loss"; what a row of its kind does not have
    is null.

    Facts: vocabulary_size, uniform_loss (ln V, what knowing nothing costs), weight_norm_before and _after
    (‖W_hh‖₂), largest_gradient_norm (before clipping), diverged_at_step (the first step whose loss, gradient
    or new weights are not finite) and last_good_step (after how many steps loss and gradients were last
    finite; null where they never were): a training that diverged is measured in that state at the end, and
    later measurements are left out; non_finite: how many entries of its gradient were NaN or inf, with the
    first of which it diverges.
    """

    name = "training_decay"
    question = "Does training change how far the gradient reaches?"
    in_numpy = False
    Axes: ClassVar[type[StudyAxes]] = TrainingDecayAxes

    def why_not(self, case: Case, context: Context) -> str | None:
        axes: dict[str, Any] = dict(case.axes)
        if reason := super().why_not(case, context):
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

    def characters(self, case: Case) -> int:
        """A sequence and the character after it to learn from, and as many to hold out."""
        return 2 * (int(case.axes["seq_len"] or 1) + 1)

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """The training, and the reading of the text."""
        sizes, steps = Sizes.of(case), int(case.axes["steps"] or 1)
        readout = steps * characters_seconds(sizes, outlook, training=True)
        training = training_seconds(str(case.axes["cell"]), sizes, steps, outlook)
        return training + readout + reading_seconds(outlook)

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        corpus = read_corpus(context.corpus, at_least=self.characters(case), different=2)
        seen, unseen = split(corpus, at_least=axes["seq_len"] + 1)
        parameters = initialized(case)
        table = embedding(len(corpus.vocabulary), parameters.input_size)
        layer = context.backend.bind(axes["cell"], parameters, "float32")
        model = SequenceModel(layer, len(corpus.vocabulary), cross_entropy, embedding=table, readout="zero")
        rng = np.random.default_rng([axes["seed"], _HELD_OUT])
        held_out = windows(unseen, axes["seq_len"] + 1, max(HELD_OUT_WINDOWS, axes["samples"]), rng)
        record = Record(axes["cell"], model, held_out, axes["samples"])
        chosen = set(measured_steps(axes["steps"], axes["measurements"]))
        rule = Clipping("none") if axes["threshold"] is None else Clipping("global_norm", axes["threshold"])
        text = text_batches(seen, axes["seq_len"], axes["batch_size"], seed=axes["seed"])
        optimizer = Optimizer("adam", model.weights, axes["learning_rate"])
        norms = [0.0]
        diverged = last_good = None
        non_finite = 0
        try:
            record.take(0)
        except ForwardDiverged as error:
            return Unsupported(str(error))
        try:
            for step in train(model, text, optimizer, axes["steps"], clipping=rule):
                record.step(step)
                norms.append(step.gradient_norm)
                if step.number in chosen:
                    record.take_if_finite(step.number)
        except TrainingDiverged as error:
            diverged, last_good, non_finite = error.step, error.last_good, error.non_finite
            record.end_with(last_good or 0)
        return Measured(
            record.columns,
            {
                "vocabulary_size": len(corpus.vocabulary),
                "uniform_loss": float(np.log(len(corpus.vocabulary))),
                "weight_norm_before": float(np.linalg.norm(parameters.weight_hh, 2)),
                "weight_norm_after": float(np.linalg.norm(model.parameters.weight_hh, 2)),
                "largest_gradient_norm": max(norms),
                "diverged_at_step": diverged,
                "last_good_step": last_good,
                "non_finite": non_finite,
            },
        )


class Record(Rows):
    """The rows of one training.

    Args:
        held_out: (T + 1, windows) tokens; the loss is over all of them, the decay over the first `samples`.
    """

    def __init__(self, cell: str, model: SequenceModel, held_out: NDArray[np.int64], samples: int) -> None:
        super().__init__(
            (
                *("quantity", "step", "lag", "sample", "log10_spectral_norm", "loss"),
                *("gradient_norm", "clipped_norm", "spectral_radius"),
            )
        )
        self.cell, self.model, self.held_out, self.samples = cell, model, held_out, samples

    def step(self, step: Step) -> None:
        """What is known of a step, at its end."""
        self.append(
            quantity="loss",
            step=step.number,
            loss=step.loss,
            gradient_norm=step.gradient_norm,
            clipped_norm=step.clipped_norm,
            spectral_radius=recurrent_radius(self.cell, self.model.parameters.weight_hh),
        )

    def take(self, step: int) -> None:
        """Measure the decay and the loss on held-out text after `step` steps.

        Raises:
            ForwardDiverged: the network reached inf or NaN.
        """
        inputs = self.model.embedding[self.held_out[:-1, : self.samples]]
        lags = chosen_lags(len(inputs))
        norms = jacobian_decay(self.cell, self.model.parameters, inputs, lags=lags).log10_spectral_norm["hh"]
        for lag, values in zip(lags.tolist(), norms.tolist(), strict=True):
            self._decay(step, lag, values)
        with np.errstate(over="ignore", invalid="ignore"):  # a network may have gone off
            self.append(
                quantity="held_out_loss", step=step, loss=self.model.loss(next_character(self.held_out))
            )

    def take_if_finite(self, step: int) -> None:
        """The same; nothing where the network reaches inf or NaN, which its training will tell."""
        before = len(self.columns["quantity"])
        try:
            self.take(step)
        except (ForwardDiverged, ValueError):
            self.keep(before)

    def end_with(self, step: int) -> None:
        """Measurements after more than `step` steps are left out, and that one is the last."""
        self.leave_out(("decay", "held_out_loss"), first=step)
        self.take_if_finite(step)

    def _decay(self, step: int, lag: int, values: Sequence[float]) -> None:
        for sample, value in enumerate(values):
            self.append(quantity="decay", step=step, lag=lag, sample=sample, log10_spectral_norm=value)


def measured_steps(steps: int, measurements: int) -> list[int]:
    """Steps after which the decay is measured: denser at the start, where most changes; the last is there."""
    spaced = np.rint(np.geomspace(1, steps, measurements + 1)).astype(int)
    return sorted({int(step) for step in spaced[1:]} | {steps})


STUDIES.register("training_decay")(TrainingDecay())
