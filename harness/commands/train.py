"""`python -m harness train`."""

from __future__ import annotations

import json
import math
import os
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UserError
from harness.signals import exit_status, told_to_end

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.training.job import Job
    from harness.training.loop import Step

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
    initialization: Annotated[str | None, typer.Option(help="[pytorch_uniform]")] = None,
    gain: Annotated[float | None, typer.Option(help="Of the recurrent weights. [1]")] = None,
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
) -> None:
    """Train a network on a task or a text, with checkpoints to go on from; 1 where it diverges."""
    given = {
        "task": task, "cell": cell, "backend": backend, "hidden_size": hidden_size, "layers": layers,
        "seq_len": seq_len, "batch_size": batch_size, "optimizer": optimizer, "learning_rate": learning_rate,
        "initialization": initialization, "gain": gain, "clip": clip, "place": place, "threshold": threshold,
        "truncate": truncate, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    file = _file(checkpoint, resume)
    job, done = _job(given, corpus, threads, resume, steps)
    print(f"{job.settings.task}: knowing nothing costs {job.baseline}; solved: {job.criterion}")
    _go(job, done, steps, file, every, corpus)


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
    if checkpoint.exists():
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


def _job(
    given: dict[str, Any], corpus: Path | None, threads: int, resume: Path | None, steps: int
) -> tuple[Job, int]:
    """The training, and how many of its steps are done."""
    from harness.training.checkpoint import Checkpoint
    from harness.training.corpora import read_corpus
    from harness.training.job import TEXT, Settings, identity, prepare

    path = None if corpus is None else str(corpus)
    found = None if resume is None else Checkpoint.load(resume)
    kept: dict[str, Any] = {} if found is None else dict(found.settings)
    if found is not None and set(kept) != set(asdict(Settings())):
        raise UserError(f"{resume}: not a checkpoint of this command", expected="one that train wrote")
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
    return prepare(Settings(**whole), corpus=path, threads=threads), 0 if found is None else found.step


def _go(job: Job, done: int, steps: int, file: Path | None, every: int, corpus: Path | None) -> None:
    from harness.training.fit import fit
    from harness.training.loop import TrainingDiverged
    from harness.training.loop import train as steps_of

    if file is None:
        going = steps_of(job.model, job.batch_at, job.optimizer, steps, clipping=job.clipping)
    else:
        going = fit(
            job.model, job.batch_at, job.optimizer, steps, checkpoint=file, every=every,
            settings=job.settings.to_json(), clipping=job.clipping,
        )  # fmt: skip
        if job.vocabulary is not None:
            _vocabulary(file).write_text(json.dumps(list(job.vocabulary)), encoding="utf-8")
    reached, diverged = done, ""
    with told_to_end():
        try:
            with _progress(done, steps) as shown:
                for step in going:
                    reached = step.number
                    shown(step)
        except TrainingDiverged as error:
            reached = done if error.last_good is None else error.last_good
            good = "never was good" if error.last_good is None else f"is back at step {error.last_good}"
            diverged = f"diverged at step {error.step}, {good}"
        except KeyboardInterrupt as interrupt:
            print(_interrupted(reached, steps, file, corpus))
            raise typer.Exit(exit_status(interrupt)) from interrupt
        _end(job, reached, diverged, file)
    raise typer.Exit(1 if diverged else 0)


def _interrupted(reached: int, steps: int, file: Path | None, corpus: Path | None) -> str:
    if file is None or not file.exists():
        return f"interrupted at step {reached}; no checkpoint was written"
    from harness.training.checkpoint import Checkpoint

    words = ["python", "-m", "harness", "train", "--resume", str(file), "--steps", str(steps)]
    words += [] if corpus is None else ["--corpus", str(corpus)]
    held = Checkpoint.load(file).step
    return f"interrupted at step {reached}; {file} holds step {held}\nresume with: {shlex.join(words)}"


def _end(job: Job, reached: int, diverged: str, file: Path | None) -> None:
    found = job.judge()
    solved = {None: "no criterion", True: "solved", False: "not solved"}[found.solved]
    loss = f"loss {found.loss:.4g} on what was held out"
    if job.vocabulary is not None and math.isfinite(found.loss):
        loss += f" ({found.loss / math.log(2.0):.3f} bits per character)"
    print(f"{reached} steps, {loss}, {solved}, {diverged or 'did not diverge'}")
    if file is not None and file.exists():
        print(file)
        print(f"analyze it with: {shlex.join(_analysis(job, file))}")


def _analysis(job: Job, file: Path) -> list[str]:
    words = ["python", "-m", "harness", "analyze", "--weights", str(file), "--cell", job.settings.cell]
    if job.vocabulary is None:
        return [*words, "--data", "INPUTS.npy"]
    own = ["--embedding", "weights/embedding", "--vocabulary", str(_vocabulary(file))]
    return [*words, *own, "--data", "TEXT"]


def _vocabulary(file: Path) -> Path:
    return file.with_suffix(".vocabulary.json")


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
