"""Learning over long lags: does a network solve a task that needs a memory, and did its decay foretell it?

Before the first step the decay of ∂h_t/∂h_k is measured on the task's own sequences; then the network is
trained until it solves the task by its published criterion, or its steps are used up, or it diverges.  The
decay is measured along the way, and at the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from harness.case import Case, Scalar
from harness.clipping import CLIPPING_RULES, PLACES, Clipping
from harness.gradients import ForwardDiverged
from harness.initializations import initialize
from harness.measure.estimate import estimate_seconds, why_not_here, why_too_long
from harness.measure.outlook import Outlook
from harness.measure.work import Sizes
from harness.outcome import Measured, Unsupported
from harness.studies.networks import NetworkStudy, training_seconds
from harness.studies.rules_and_places import each_once, require_steps, why_not_had
from harness.studies.study import (
    STUDIES,
    BackendName,
    CellName,
    Context,
    Finite,
    InitializationName,
    OptionalFinite,
    Positive,
    Seed,
    Size,
    StudyAxes,
    known,
    one_of,
)
from harness.studies.training_record import PRODUCTS_OF_A_RADIUS, Record, compiled
from harness.training.clipped_pass import clipped_seconds
from harness.training.evaluate import batch_of
from harness.training.loop import TrainingDiverged, train
from harness.training.model import Batch, SequenceModel
from harness.training.optimizers import OPTIMIZERS, Optimizer
from harness.training.tasks import TASKS
from harness.training.through_time import bind_clipped, met_non_finite, why_not_through_time
from implementations.registry import CELLS

CALLS_OF_A_STEP, CALLS_OF_A_GATE = 350.0, 85.0
"""Of NumPy, per step of the sequence, and gate, where clipping acts on the way back, unfused."""


class LearningAxes(StudyAxes):
    backend: list[BackendName] = ["numba"]
    task: list[Annotated[str, known(TASKS)]] = ["adding"]
    cell: list[CellName]
    initialization: list[InitializationName] = ["pytorch_uniform"]
    gain: list[Finite] = [1.0]
    forget_bias: list[OptionalFinite] = [None]
    rule: list[Annotated[str, known(CLIPPING_RULES)]] = ["global_norm"]
    place: list[Annotated[str, one_of("place", PLACES)]] = ["parameters"]
    threshold: list[Positive] = [1.0]
    truncate: Size | None = None
    """How many steps back "truncated" goes."""
    seq_len: list[Size]
    hidden_size: list[Size] = [64]
    batch_size: Size = 50
    optimizer: Annotated[str, one_of("optimizer", OPTIMIZERS)] = "adam"
    momentum: Annotated[float | None, Field(ge=0, lt=1, strict=True)] = None
    learning_rate: list[Positive] = [1e-3]
    steps: Size = 2000
    check_every: Size = 100
    """After how many steps the task is tried on held-out sequences, and after the last; at eight of these,
    evenly over the training, the decay is measured again."""
    samples: Size = 4
    """Sequences that the decay is measured on."""
    seed: list[Seed] = [0, 1, 2]

    @model_validator(mode="after")
    def _steps_where_a_rule_needs_them(self) -> LearningAxes:
        require_steps(self.rule, self.truncate, "truncate")
        return self


class Learning(NetworkStudy):
    """Columns: quantity, step, loss, error_rate, gradient_norm, clipped_norm, spectral_radius, lag,
    log10_spectral_norm, seconds.  The quantity of a row is "step" (the batch's loss, the norm of the
    parameters' gradient before and after clipping, the spectral radius of W_hh after the step, of a gated
    cell that of its candidate's block, g of an LSTM, n of a GRU), "score" (loss and share of wrong answers on
    held-out sequences, the same spectral radius, seconds of training so far) or "decay" (‖∂h_T/∂h_k‖₂ at a
    lag, median over samples, in log10; an exact zero is −inf): before and after training at all lags, at
    eight checks along the way at eight, from 1 to T in equal ratios.  What a row of its kind does not have
    is null.

    Facts: parameters (how many numbers the cell has), baseline (what knowing nothing costs), criterion,
    solved, solved_at_step, diverged_at_step (the first step whose loss, gradient or new weights are not
    finite), last_good_step (of a training that diverged: after how many steps loss and gradients were last
    finite; null where they never were), half_life_before and horizon_before (steps; null where the norm does
    not fall that far), log10_norm_before (at the longest lag), and their like after training: of the last
    good state where it diverged, null without one; steps_done; training_seconds of the steps alone, whatever
    is compiled being so before the first, and checking_seconds of looking at the network in between;
    clipped_share: what clipping changed, of the steps where it acts on the finished parameter gradient, of
    the (step, sample) pairs where on the way back; non_finite: how many entries of gradients were NaN or inf,
    of all that clipping met on the way back and of the finished gradient, with which a training diverges at
    once.  On the way back "value" makes ± its threshold of an inf; a NaN stays, and so does either under
    every other rule.
    """

    name = "learning"
    question = "Does the network learn a long-range dependency, and did its gradients foretell it?"
    compares_backends = True
    Axes: ClassVar[type[StudyAxes]] = LearningAxes

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination; what a rule does not look at comes once, and so does what cannot be had."""
        return each_once(super().points(axes), "truncate")

    def why_not(self, case: Case, context: Context) -> str | None:
        axes: dict[str, Any] = dict(case.axes)
        if reason := super().why_not(case, context) or why_not_had(axes):
            return reason
        task, rule = TASKS[axes["task"]], clipping_of(case)
        if reason := why_not_through_time(axes["cell"], rule):
            return reason
        if reason := task.why_unavailable():
            return reason
        if axes["seq_len"] < task.shortest:
            return f"task {task.name} needs a seq_len of at least {task.shortest}, got {axes['seq_len']}"
        if reason := why_not_here(context.backend, axes["cell"], "float32", sizes_of(case), training=True):
            return reason
        return why_too_long(axes["steps"] * _step_seconds(case, context), context.max_seconds)

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """All its steps: whether it is solved before, nobody knows."""
        cell, sizes = str(case.axes["cell"]), sizes_of(case)
        steps = int(case.axes["steps"] or 1)
        seconds = training_seconds(cell, sizes, steps, outlook)
        if not self.timing:
            seconds += outlook.products(steps * PRODUCTS_OF_A_RADIUS, sizes.hidden_size)
        if case.axes["place"] == PLACES[0]:
            return seconds
        stepwise = CALLS_OF_A_STEP + CALLS_OF_A_GATE * len(CELLS[cell].gates)
        return seconds + outlook.calls(steps * sizes.seq_len * stepwise)

    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        axes: dict[str, Any] = dict(case.axes)
        task, rule = TASKS[axes["task"]], clipping_of(case)
        parameters = initialize(
            axes["initialization"],
            axes["cell"],
            task.input_size,
            axes["hidden_size"],
            seed=axes["seed"],
            gain=axes["gain"],
            forget_bias=axes["forget_bias"],
        )
        layer = bind_clipped(context.backend, axes["cell"], parameters, "float32", rule)
        model = SequenceModel(layer, task.output_size, task.objective, seed=axes["seed"])
        record = Record(case, task, model)
        optimizer = Optimizer(
            axes["optimizer"], model.weights, axes["learning_rate"], momentum=axes["momentum"]
        )

        def batch_at(number: int) -> Batch:
            return batch_of(task, number, axes["seq_len"], axes["batch_size"], seed=axes["seed"])

        diverged = last_good = None
        non_finite = 0
        try:
            before = record.before()
            compiled(model, batch_at(1))
            record.watch.start()
            for step in train(
                model,
                batch_at,
                optimizer,
                axes["steps"],
                clipping=rule if rule is not None and rule.place == "parameters" else None,
            ):
                record.step(step, radius=not self.timing)
                last = step.number == axes["steps"]
                if (last or step.number % axes["check_every"] == 0) and record.check(step.number):
                    break
                if last:
                    record.watch.stop()
        except TrainingDiverged as error:
            diverged, last_good, non_finite = error.step, error.last_good, error.non_finite
        except ForwardDiverged as error:
            return Unsupported(str(error))
        record.watch.stop()
        return Measured(
            record.columns,
            {
                **before,
                **record.after(record.last_step if diverged is None else last_good),
                "parameters": sum(array.size for array in parameters.arrays().values()),
                "baseline": task.baseline(axes["seq_len"]),
                "criterion": task.criterion,
                "solved": record.solved_at is not None,
                "solved_at_step": record.solved_at,
                "diverged_at_step": diverged,
                "last_good_step": last_good,
                "steps_done": record.last_step,
                "training_seconds": record.watch.seconds,
                "checking_seconds": record.checking_seconds,
                "clipped_share": record.clipped_share(layer, rule),
                "non_finite": non_finite + met_non_finite(layer),
            },
        )


def sizes_of(case: Case) -> Sizes:
    """The case's sizes; how wide its inputs are is the task's."""
    axes: dict[str, Any] = dict(case.axes)
    return Sizes(axes["seq_len"], axes["batch_size"], TASKS[axes["task"]].input_size, axes["hidden_size"])


def _step_seconds(case: Case, context: Context) -> float:
    """About how long the pass of a step takes, over sequences as long as the task makes them of T."""
    axes: dict[str, Any] = dict(case.axes)
    backend, cell, rule = context.backend, axes["cell"], clipping_of(case)
    batch = batch_of(TASKS[axes["task"]], 1, axes["seq_len"], 1, seed=axes["seed"])
    sizes = replace(sizes_of(case), seq_len=len(batch.inputs))
    limit = context.max_seconds / axes["steps"]
    if rule is None or rule.place == "parameters":
        return estimate_seconds(backend, cell, "float32", sizes, training=True, limit_seconds=limit)
    return clipped_seconds(backend, cell, sizes, rule, read=len(batch.targets), limit_seconds=limit)


def clipping_of(case: Case) -> Clipping | None:
    """The case's rule at its place."""
    axes: dict[str, Any] = dict(case.axes)
    if axes["rule"] == "none":
        return None
    return Clipping(axes["rule"], axes["threshold"], axes["place"], axes["truncate"])


STUDIES.register("learning")(Learning())
