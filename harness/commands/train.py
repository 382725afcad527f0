"""`python -m harness train`."""

from __future__ import annotations

import math
import os
import shlex
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.commands.limits import out_of_memory_is_one_line, require_memory, require_threads
from harness.commands.options import require_place
from harness.errors import UserError
from harness.signals import exit_status, told_to_end

if TYPE_CHECKING:
    from harness.training.job import Job
    from harness.training.loop import Step
    from harness.training.record import TrainingRecord

LINE_EVERY_SECONDS = 5.0


def train(
    task: Annotated[
        str | None, typer.Option(help="What is learned: a task, or 'text'. [adding]", show_default=False)
    ] = None,
    cell: Annotated[str | None, typer.Option(help="[lstm]")] = None,
    backend: Annotated[str | None, typer.Option(help="[numba]")] = None,
    hidden_size: Annotated[int | None, typer.Option(min=1, help="H. [64]")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="One above the other. [1]")] = None,
    seq_len: Annotated[int | None, typer.Option(min=1, help="T. [50]")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="B. [32]")] = None,
    steps: Annotated[int, typer.Option(min=1, help="All of them, with those done before --resume.")] = 1000,
    optimizer: Annotated[str | None, typer.Option(help="adam or sgd. [adam]")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="[0.001]")] = None,
    momentum: Annotated[
        float | None, typer.Option(help="Of sgd, or adam's first one; from 0 to below 1. [0, and 0.9]")
    ] = None,
    initialization: Annotated[str | None, typer.Option(help="[pytorch_uniform]")] = None,
    gain: Annotated[float | None, typer.Option(help="Of the recurrent weights. [1]")] = None,
    forget_bias: Annotated[
        float | None, typer.Option(help="Of a cell with a forget gate. [as the initialization has it]")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(metavar="RULE", help="A clipping rule, or 'none'. [global_norm]")
    ] = None,
    place: Annotated[str | None, typer.Option(help="Where it clips: parameters, state or gates.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Of the rule. [1]")] = None,
    truncate: Annotated[
        int | None, typer.Option(min=1, help="How many steps back the rule 'truncated' goes.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights and batches. [0]")] = None,
    corpus: Annotated[
        Path | None, typer.Option(help="Text for --task text; default: the Python standard library.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of the backend.")] = 1,
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the state here, a new .safetensors file.")
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Steps from one checkpoint to the next.")] = 100,
    resume: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Go on from a checkpoint, with its settings.")
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.csv",
            help="Write a row per step (loss, gradient norm before and after clipping, spectral radius of "
            "W_hh, of a gated cell its candidate's block), and the decay of dh_T/dh_k over the lag before, "
            "at up to 8 points along and after the training, on held-out sequences; of several layers the "
            "top one. --resume goes on in it.",
        ),
    ] = None,
) -> None:
    """Train a network on a task or a text, with checkpoints to go on from; 1 where it diverges."""
    given = {
        "task": task, "cell": cell, "backend": backend, "hidden_size": hidden_size, "layers": layers,
        "seq_len": seq_len, "batch_size": batch_size, "optimizer": optimizer, "learning_rate": learning_rate,
        "momentum": momentum, "initialization": initialization, "gain": gain, "forget_bias": forget_bias,
        "clip": clip, "place": place, "threshold": threshold, "truncate": truncate, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    file = _file(checkpoint, resume)
    require_threads(threads)
    _require_csv(record)
    with out_of_memory_is_one_line():
        job, done = _job(given, corpus, threads, resume, steps)
        _go(_Going(job, done, steps, file, every, corpus, record, resume is not None))


def _file(checkpoint: Path | None, resume: Path | None) -> Path | None:
    """Where checkpoints go: to a new file, or on into the one that is gone on from."""
    if resume is not None:
        if checkpoint is not None and checkpoint.resolve() != resume.resolve():
            raise UserError(
                "--resume writes on into its own file",
                expected=str(resume),
                got=str(checkpoint),
                remedy="leave --checkpoint out",
            )
        return resume
    if checkpoint is None:
        return None
    if checkpoint.suffix != ".safetensors":
        raise UserError(
            f"{checkpoint}: no name of a checkpoint", expected="one that ends in .safetensors",
            got=checkpoint.suffix or "no suffix",
        )  # fmt: skip
    if os.path.lexists(checkpoint):
        raise UserError(
            f"{checkpoint}: is there already", expected="a new file",
            remedy=f"go on with --resume {checkpoint}, or name another",
        )  # fmt: skip
    if not os.access(checkpoint.parent, os.W_OK | os.X_OK):
        raise UserError(
            f"{checkpoint}: cannot be written", expected="a folder that is there and writable",
            got=str(checkpoint.parent), remedy="make it, or name another",
        )  # fmt: skip
    return checkpoint


def _require_csv(record: Path | None) -> None:
    if record is not None and record.suffix != ".csv":
        raise UserError(
            f"{record}: no name of a record", expected="one that ends in .csv",
            got=record.suffix or "no suffix",
        )  # fmt: skip
    try:
        require_place(record, "--record")
    except OSError as error:  # a name that is too long, a folder that cannot be looked into
        raise UserError(f"--record: cannot be written: {error.strerror}", remedy="name another") from error


def _job(
    given: dict[str, Any], corpus: Path | None, threads: int, resume: Path | None, steps: int
) -> tuple[Job, int]:
    """The training, and how many of its steps are done."""
    from harness.training.checkpoint import Checkpoint
    from harness.training.corpora import read_corpus
    from harness.training.job import TEXT, Settings, identity, prepare
    from harness.training.trained import settings_of

    path = None if corpus is None else str(corpus)
    found = None if resume is None else Checkpoint.load(resume)
    kept: dict[str, Any] = {} if found is None or resume is None else asdict(settings_of(found, resume))
    whole = {**kept, **given}
    if whole.get("task", Settings.task) == TEXT:
        whole["corpus"] = identity(read_corpus(path))
    if found is not None:
        different = [
            f"{name} {whole[name]} (there {old})" for name, old in kept.items() if whole[name] != old
        ]
        if different:
            raise UserError(
                f"{resume}: the checkpoint is of another training",
                expected="the same settings",
                got=", ".join(different),
                remedy="leave these options out, or begin anew with --checkpoint",
            )
        if found.step >= steps:
            raise UserError(
                f"{resume}: has all its steps", expected=f"--steps above {found.step}", got=str(steps)
            )
    settings = Settings(**whole)
    require_memory(settings)
    return prepare(settings, corpus=path, threads=threads), 0 if found is None else found.step


@dataclass(frozen=True)
class _Going:
    """A training of so many steps, of which some are done; where its state and its record go."""

    job: Job
    done: int
    steps: int
    file: Path | None
    every: int
    corpus: Path | None
    record: Path | None
    resumed: bool


def _go(what: _Going) -> None:
    job = what.job
    print(f"{job.settings.task}: knowing nothing costs {job.baseline}; solved: {job.criterion}")
    kept: list[TrainingRecord] = []
    with told_to_end():

        def to_disk() -> None:
            for record in kept:
                record.flush()

        going = _steps_of(what, to_disk)
        if what.file is not None and job.vocabulary is not None:
            _keep_vocabulary(what.file, job.vocabulary)
        if what.record is not None:
            from harness.training.record import TrainingRecord

            kept.append(
                TrainingRecord(what.record, job, done=what.done, steps=what.steps, resumed=what.resumed)
            )
        reached, diverged = _through(what, going, kept)
        for record in kept:
            record.end(reached, diverged=bool(diverged))
        _end(what, reached, diverged)
    raise typer.Exit(1 if diverged else 0)


def _steps_of(what: _Going, before_saving: Callable[[], None]) -> Generator[Step]:
    """The training itself; with a file, one that keeps its state there."""
    from harness.training.fit import fit
    from harness.training.loop import train as steps_of

    job = what.job
    if what.file is None:
        return steps_of(job.model, job.batch_at, job.optimizer, what.steps, clipping=job.clipping)
    return fit(
        job.model, job.batch_at, job.optimizer, what.steps, checkpoint=what.file, every=what.every,
        settings=job.settings.to_json(), clipping=job.clipping, before_saving=before_saving,
    )  # fmt: skip


def _through(what: _Going, going: Generator[Step], kept: list[TrainingRecord]) -> tuple[int, str]:
    """All steps: how far it came, and in words where it diverged."""
    from harness.training.loop import TrainingDiverged

    reached = what.done
    try:
        with _progress(what.done, what.steps) as shown:
            for step in going:
                reached = step.number
                for record in kept:
                    record.step(step)
                shown(step)
    except TrainingDiverged as error:
        good = "never was good" if error.last_good is None else f"is back at step {error.last_good}"
        reached = what.done if error.last_good is None else error.last_good
        return reached, f"diverged at step {error.step}, {good}"
    except KeyboardInterrupt as interrupt:
        with suppress(KeyboardInterrupt):  # between two steps, where it does not hear of it by itself
            going.throw(interrupt)
        for record in kept:
            record.flush()
        print(_interrupted(what, reached))
        raise typer.Exit(exit_status(interrupt)) from interrupt
    return reached, ""


def _interrupted(what: _Going, reached: int) -> str:
    if what.file is None or not what.file.exists():
        return f"interrupted at step {reached}; no checkpoint was written"
    from harness.training.checkpoint import Checkpoint

    words = ["python", "-m", "harness", "train", "--resume", str(what.file), "--steps", str(what.steps)]
    words += [] if what.corpus is None else ["--corpus", str(what.corpus)]
    words += [] if what.record is None else ["--record", str(what.record)]
    held = Checkpoint.load(what.file).step
    return f"interrupted at step {reached}; {what.file} holds step {held}\nresume with: {shlex.join(words)}"


def _end(what: _Going, reached: int, diverged: str) -> None:
    job, file = what.job, what.file
    found = job.judge()
    solved = {None: "no criterion", True: "solved", False: "not solved"}[found.solved]
    loss = f"loss {found.loss:.4g} on what was held out"
    if job.vocabulary is not None and math.isfinite(found.loss):
        loss += f" ({found.loss / math.log(2.0):.4g} bits per character)"
    if found.loss > job.nothing:
        loss += ", above that of knowing nothing"
    print(f"{reached} steps, {loss}, {solved}, {diverged or 'did not diverge'}")
    if what.record is not None:
        print(what.record)
    if file is not None and file.exists():
        print(file)
        if job.vocabulary is not None:
            words = ["python", "-m", "harness", "sample", "--weights", str(file)]
            print(f"sample from it with: {shlex.join(words)}")
        print(f"analyze it with: {shlex.join(_analysis(job, file))}")


def _analysis(job: Job, file: Path) -> list[str]:
    from harness.training.trained import vocabulary_file

    words = ["python", "-m", "harness", "analyze", "--weights", str(file), "--cell", job.settings.cell]
    if job.vocabulary is None:
        return [*words, "--data", "INPUTS.npy"]
    own = ["--embedding", "weights/embedding", "--vocabulary", str(vocabulary_file(file))]
    return [*words, *own, "--data", "TEXT"]


def _keep_vocabulary(checkpoint: Path, vocabulary: str) -> None:
    """Write it beside the checkpoint; a file of that name with anything else in it is somebody's own."""
    from harness.training.checkpoint import cannot_be_written
    from harness.training.trained import vocabulary_file, vocabulary_json

    file, text = vocabulary_file(checkpoint), vocabulary_json(vocabulary)
    try:
        if not os.path.lexists(file):
            file.write_text(text, encoding="utf-8")
        elif not file.is_file() or file.read_bytes() != text.encode():
            raise UserError(
                f"{file}: is there already, and holds something else",
                expected="room for the vocabulary of this training",
                remedy="move it away, or name another checkpoint",
            )
    except OSError as error:
        raise cannot_be_written(file, error) from error


@contextmanager
def _progress(done: int, steps: int) -> Iterator[Callable[[Step], None]]:
    """A bar in a terminal, a line every few seconds elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console()
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(
        *columns, TextColumn("{task.description}"), console=console, disable=not console.is_terminal
    )
    task = bar.add_task("starting", total=steps, completed=done)
    last = time.monotonic()

    def shown(step: Step) -> None:
        nonlocal last
        words = f"loss {step.loss:.4g}"
        bar.update(task, completed=step.number, description=words)
        if not console.is_terminal and time.monotonic() - last >= LINE_EVERY_SECONDS:
            last = time.monotonic()
            print(f"{step.number}/{steps}, {words}", flush=True)

    with bar:
        yield shown
