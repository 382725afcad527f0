"""One training from its settings: a cell that learns a task, or the characters of a text.

The settings are plain values that decide every step: they stand in a checkpoint, so that a training which
goes on is the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from harness.clipping import CLIPPING_RULES, Clipping
from harness.errors import UserError
from harness.initializations import initialize, initialize_stack, why_unsupported
from harness.inputs import embedding
from harness.training.batches import split, streams, text_batches, windows
from harness.training.corpora import Corpus, read_corpus
from harness.training.evaluate import batch_of, score
from harness.training.model import Batch, SequenceModel
from harness.training.objectives import cross_entropy
from harness.training.optimizers import Optimizer
from harness.training.tasks import TASKS
from harness.training.tasks.task import Task
from harness.training.through_time import bind_clipped
from implementations.contract import Backend, BackendUnavailable, Parameters, UnsupportedCase
from implementations.registry import CELLS, UnknownName, did_you_mean, load_backend
from implementations.stack import bind_stack
from implementations.structure import Structure

TEXT = "text"
"""The name of what is no task with an end: the next character of a text."""
EMBEDDING_WIDTH = 64
LATER = ("momentum", "forget_bias")
"""Settings that checkpoints may lack, written before there were any."""
OBSERVED = 4
"""On how many held-out sequences a record's decay is measured."""
_OBSERVED = 12
"""Name of the random stream of their places in a text."""
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
    momentum: float | None = None
    initialization: str = "pytorch_uniform"
    gain: float = 1.0
    forget_bias: float | None = None
    clip: str = "global_norm"
    place: str | None = None
    threshold: float = 1.0
    truncate: int | None = None
    seed: int = 0
    corpus: str | None = None

    def __post_init__(self) -> None:
        for name in ("hidden_size", "layers", "seq_len", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"its {name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise ValueError(f"its seed must be at least 0, got {self.seed}")

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
                remedy="add it, or choose another rule",
            )
        place: Any = self.place
        return Clipping(self.clip, self.threshold, place, self.truncate)

    def to_json(self) -> dict[str, Any]:
        """As a checkpoint holds them; what came later is left out where it is not set, so that a file from
        before it says the same."""
        return {k: v for k, v in asdict(self).items() if k not in LATER or v is not None}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Settings:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: a setting that is missing, unknown, or of another type; the message names it.
        """
        kinds = get_type_hints(cls)
        for name in sorted({*kinds, *found}):
            if name not in kinds:
                raise ValueError(f"it has a setting {name!r}, which no training has")
            if name not in found and name not in LATER:
                raise ValueError(f"it has no {name}")
            if name in found and not _is_of(found[name], kinds[name]):
                expected = str(getattr(kinds[name], "__name__", kinds[name])).replace(" | ", " or ")
                raise ValueError(f"its {name} is {str(found[name])[:40]!r}, expected {expected}")
        return cls(**found)


def _is_of(value: Any, kind: Any) -> bool:
    """Whether a JSON value is of a setting's type; a whole number is a float too, true and false are no
    numbers."""
    kinds = get_args(kind) or (kind,)
    return not isinstance(value, bool) and isinstance(value, (*kinds, int) if float in kinds else kinds)


@dataclass(frozen=True)
class Job:
    """A training that is ready to start.

    Args:
        clipping: of the finished gradient, for the loop; at another place the model's layer clips.
        baseline: the loss of whoever knows nothing, in words, and `nothing` as a number.
        criterion: when it counts as solved, in words.
        vocabulary: of a text, its characters in order.
        observed: (T, B, I), held-out sequences as the recurrent layers read them now.
    """

    settings: Settings
    model: SequenceModel
    optimizer: Optimizer
    batch_at: Callable[[int], Batch]
    clipping: Clipping
    baseline: str
    criterion: str
    judge: Callable[[], Verdict]
    nothing: float
    observed: Callable[[], NDArray[Any]]
    vocabulary: str | None = None

    @property
    def layers(self) -> list[Parameters]:
        """The recurrent weights as they are now, in float64, the lowest layer first."""
        return layers_of(self.model, self.settings.layers)


def layers_of(model: SequenceModel, count: int) -> list[Parameters]:
    """The weights of `count` layers one above the other, in float64."""
    if count == 1:
        return [model.parameters]
    found = []
    for place in range(count):
        end = f"_l{place}"
        own = {name.removesuffix(end): a for name, a in model.weights.items() if name.endswith(end)}
        found.append(Parameters.from_arrays(own).astype("float64"))
    return found


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
        with np.errstate(over="ignore", invalid="ignore"):  # of a gain that is out of range: refused by name
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

    observed = next(
        task.held_out(settings.seq_len, sequences=OBSERVED, batch_size=OBSERVED, seed=settings.seed)
    )

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
        task.baseline(settings.seq_len),
        lambda: observed.inputs,
    )


def _of_text(settings: Settings, backend: Backend, path: str | None) -> Job:
    at_least = max(settings.seq_len, HELD_OUT_STREAMS) + 1
    corpus = read_corpus(path, at_least=2 * at_least, different=2)
    seen, unseen = split(corpus, at_least=at_least)
    held_out = streams(unseen[:HELD_OUT_CHARACTERS], HELD_OUT_STREAMS)
    size = len(corpus.vocabulary)
    model = text_model(settings, backend, size)
    observed = windows(unseen, settings.seq_len, OBSERVED, np.random.default_rng([settings.seed, _OBSERVED]))

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
        float(np.log(size)),
        lambda: model.embedding[observed],
        corpus.vocabulary,
    )


def text_model(settings: Settings, backend: Backend, characters: int) -> SequenceModel:
    """A network that reads and foretells so many different characters, as it starts."""
    layer = _layer(settings, backend, EMBEDDING_WIDTH)
    table = 0.1 * embedding(characters, EMBEDDING_WIDTH)
    return SequenceModel(layer, characters, cross_entropy, embedding=table, readout="zero")


def _layer(settings: Settings, backend: Backend, input_size: int) -> Any:
    rule = settings.clipping
    drawn = (settings.initialization, settings.cell)
    options: dict[str, Any] = {
        "seed": settings.seed, "gain": settings.gain, "forget_bias": settings.forget_bias,
    }  # fmt: skip
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
    return Optimizer(settings.optimizer, model.weights, settings.learning_rate, momentum=settings.momentum)
