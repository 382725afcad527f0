"""One training from its settings: a cell that learns a task, or the characters of a text.

The settings are plain values that decide every step: they stand in a checkpoint, so that a training which
goes on is the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from harness.clipping import CLIPPING_RULES, Clipping
from harness.errors import UserError
from harness.initializations import initialize, initialize_stack, why_unsupported
from harness.inputs import embedding
from harness.training.batches import split, streams, text_batches
from harness.training.corpora import Corpus, read_corpus
from harness.training.evaluate import batch_of, score
from harness.training.model import Batch, SequenceModel
from harness.training.objectives import cross_entropy
from harness.training.optimizers import Optimizer
from harness.training.tasks import TASKS
from harness.training.tasks.task import Task
from harness.training.through_time import bind_clipped
from implementations.contract import Backend, BackendUnavailable, UnsupportedCase
from implementations.registry import CELLS, UnknownName, did_you_mean, load_backend
from implementations.stack import bind_stack
from implementations.structure import Structure

TEXT = "text"
"""The name of what is no task with an end: the next character of a text."""
EMBEDDING_WIDTH = 64
HELD_OUT_STREAMS, HELD_OUT_CHARACTERS = 32, 1 << 15


@dataclass(frozen=True)
class Settings:
    """What decides a training; `corpus` is what its text is known by, None for a task."""

    task: str = "adding"
    cell: str = "lstm"
    backend: str = "numba"
    hidden_size: int = 64
    layers: int = 1
    seq_len: int = 50
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    initialization: str = "pytorch_uniform"
    gain: float = 1.0
    clip: str = "global_norm"
    place: str | None = None
    threshold: float = 1.0
    truncate: int | None = None
    seed: int = 0
    corpus: str | None = None

    @property
    def clipping(self) -> Clipping:
        """The rule of these settings.

        Raises:
            UserError: it needs `truncate`, and there is none; what a rule calls its steps are those of the
                training to whoever set this.
        """
        if self.truncate is None and "steps" in CLIPPING_RULES[self.clip].needs:
            raise UserError(
                f"clipping rule {self.clip!r} needs to know how many steps back a gradient goes",
                expected="--truncate N, N at least 1",
                got="none",
            )
        place: Any = self.place
        return Clipping(self.clip, self.threshold, place, self.truncate)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Job:
    """A training that is ready to start.

    Args:
        clipping: of the finished gradient, for the loop; at another place the model's layer clips.
        baseline: the loss of whoever knows nothing, in words.
        criterion: when it counts as solved, in words.
        vocabulary: of a text, its characters in order.
    """

    settings: Settings
    model: SequenceModel
    optimizer: Optimizer
    batch_at: Callable[[int], Batch]
    clipping: Clipping
    baseline: str
    criterion: str
    judge: Callable[[], Verdict]
    vocabulary: str | None = None


@dataclass(frozen=True)
class Verdict:
    """On what no step learned from: the loss, and whether that solves the task (None of a text)."""

    loss: float
    solved: bool | None


def prepare(settings: Settings, *, corpus: str | None = None, threads: int = 1) -> Job:
    """Everything of a training before its first step.

    Args:
        corpus: path of the text that is learned; None for the default one.

    Raises:
        UserError: whatever of the settings cannot be had; one line.
    """
    try:
        return _prepared(settings, corpus, threads)
    except UnknownName as error:
        raise UserError(str(error)) from error
    except (ValueError, BackendUnavailable, UnsupportedCase) as error:
        raise UserError(f"this training cannot be had: {error}", remedy="change that option") from error


def identity(corpus: Corpus) -> str:
    """What a text is known by in a checkpoint: its characters, not its place."""
    found = hashlib.sha256(corpus.vocabulary.encode())
    found.update(np.ascontiguousarray(corpus.tokens).tobytes())
    return found.hexdigest()[:16]


def _prepared(settings: Settings, corpus: str | None, threads: int) -> Job:
    if settings.task != TEXT and settings.task not in TASKS:
        names = [*TASKS, TEXT]
        raise UserError(
            f"unknown task {settings.task!r}{did_you_mean(settings.task, names)}", expected=", ".join(names)
        )
    if settings.cell not in CELLS:
        raise UserError(CELLS.miss(settings.cell))
    backend = load_backend(settings.backend)
    backend.set_num_threads(threads)
    for reason in (
        why_unsupported(settings.initialization, settings.cell),
        backend.why_unsupported(settings.cell, "float32", training=True),
    ):
        if reason:
            raise UserError(reason, remedy="choose another cell, initialization or backend")
    if settings.task == TEXT:
        return _of_text(settings, backend, corpus)
    if corpus is not None:
        raise UserError(
            f"task {settings.task} reads no text", remedy="leave --corpus out, or say --task text"
        )
    return _of_task(settings, backend, TASKS[settings.task])


def _of_task(settings: Settings, backend: Backend, task: Task) -> Job:
    if reason := task.why_unavailable():
        raise UserError(reason)
    task.check(settings.seq_len)
    layer = _layer(settings, backend, task.input_size)
    model = SequenceModel(layer, task.output_size, task.objective, seed=settings.seed)

    def judge() -> Verdict:
        found = score(model, task, settings.seq_len, seed=settings.seed)
        return Verdict(found.loss, task.solved(found))

    return Job(
        settings,
        model,
        _optimizer(settings, model),
        lambda step: batch_of(task, step, settings.seq_len, settings.batch_size, seed=settings.seed),
        _in_the_loop(settings),
        f"{task.baseline(settings.seq_len):.4g}",
        task.criterion,
        judge,
    )


def _of_text(settings: Settings, backend: Backend, path: str | None) -> Job:
    at_least = max(settings.seq_len, HELD_OUT_STREAMS) + 1
    corpus = read_corpus(path, at_least=2 * at_least, different=2)
    seen, unseen = split(corpus, at_least=at_least)
    held_out = streams(unseen[:HELD_OUT_CHARACTERS], HELD_OUT_STREAMS)
    size = len(corpus.vocabulary)
    layer = _layer(settings, backend, EMBEDDING_WIDTH)
    table = 0.1 * embedding(size, EMBEDDING_WIDTH)
    model = SequenceModel(layer, size, cross_entropy, embedding=table, readout="zero")

    def judge() -> Verdict:
        with np.errstate(over="ignore", invalid="ignore"):
            return Verdict(model.loss(held_out), None)

    return Job(
        settings,
        model,
        _optimizer(settings, model),
        text_batches(seen, settings.seq_len, settings.batch_size, seed=settings.seed),
        _in_the_loop(settings),
        f"{np.log(size):.4g} nats per character, ln {size}",
        "none, the loss on held-out text says how well it learned",
        judge,
        corpus.vocabulary,
    )


def _layer(settings: Settings, backend: Backend, input_size: int) -> Any:
    rule = settings.clipping
    drawn = (settings.initialization, settings.cell)
    options: dict[str, Any] = {"seed": settings.seed, "gain": settings.gain}
    if settings.layers == 1:
        parameters = initialize(*drawn, input_size, settings.hidden_size, **options)
        return bind_clipped(backend, settings.cell, parameters, "float32", rule)
    if rule.place != "parameters":
        raise UserError(
            f"clipping at place {rule.place!r} cannot be had for several layers",
            expected="one layer, or place parameters",
            got=f"{settings.layers} layers",
            remedy="leave --layers or --place out",
        )
    layers = initialize_stack(*drawn, Structure(settings.layers), input_size, settings.hidden_size, **options)
    return bind_stack(backend, settings.cell, layers, "float32")


def _in_the_loop(settings: Settings) -> Clipping:
    rule = settings.clipping
    return rule if rule.place == "parameters" else Clipping("none")


def _optimizer(settings: Settings, model: SequenceModel) -> Optimizer:
    return Optimizer(settings.optimizer, model.weights, settings.learning_rate)
