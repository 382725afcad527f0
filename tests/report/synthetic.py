"""A run that was never run: a ledger of every study with numbers from formulas, so that truth is known.

Throughput is `steps / rate`, with a rate per backend; memory is a straight line over T; decay is a power
of a factor per cell; clipping is what a clamp does to a growing geometric sequence.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from harness.case import Case
from harness.ledger import Ledger
from harness.outcome import Failed, Measured, Outcome, Unsupported

BACKENDS = ("cudnn", "naive", "numba", "numpy", "torch")
CELLS = ("rnn_tanh", "lstm", "gru")
RATES = {"naive": 2e3, "numba": 4e5, "numpy": 5e4, "torch": 1e5}
"""Steps per second of inference on a cell with one gate."""
NO_CUDA = "no CUDA device: torch.cuda.is_available() is False"

Item = tuple[Case, Outcome | None]


def gates(cell: str) -> int:
    return {"rnn_tanh": 1, "lstm": 4, "gru": 3}.get(cell, 1)


def seconds(axes: dict[str, Any], replicate: int = 0) -> float:
    """What a call takes.

    A replicate is 2 % slower than the one before; numba loses its lead on an LSTM at batches above 1.
    """
    passes = 3.0 if axes["pass"] == "training" else 1.0
    slow = 8.0 if axes["backend"] == "numba" and axes["cell"] == "lstm" and axes["batch_size"] > 1 else 1.0
    steps = axes["seq_len"] * axes["batch_size"]
    return steps * gates(axes["cell"]) * passes * slow / RATES[axes["backend"]] * 1.02**replicate


def bytes_per_step(backend: str, cell: str, direction: str) -> float:
    held = 8.0 if direction == "training" else 1.0
    return held * gates(cell) * {"naive": 4096, "numba": 512, "numpy": 1024, "torch": 768}[backend]


def throughput(lengths: Iterable[int], batches: Iterable[int], replicates: int) -> Iterator[Item]:
    points = itertools.product(
        range(replicates), BACKENDS, CELLS, ("inference", "training"), lengths, batches
    )
    for replicate, backend, cell, direction, seq_len, batch_size in points:
        axes = sizes(backend, cell, seq_len, batch_size) | {"pass": direction}
        case = Case("throughput", axes, replicate)
        steps = seq_len * batch_size
        if backend == "cudnn":
            yield case, Unsupported(NO_CUDA)
        elif backend == "naive" and steps >= 4096:
            estimate = seconds(axes) * 500
            yield case, Unsupported(f"estimated {estimate:.1f} s, above max_seconds 30 s")
        else:
            yield case, timed(seconds(axes, replicate), steps)


def timed(median: float, steps: int) -> Measured:
    phases = ["first_call", "warmup", "sample", "sample", "sample", "sample", "sample"]
    spread = [5.0, 1.5, 1.0, 0.99, 1.3, 0.98, 1.1]
    return Measured(
        {
            "phase": phases,
            "index": [0, 0, 0, 1, 2, 3, 4],
            "loops": [1, 1, 4, 4, 4, 4, 4],
            "seconds": [median * factor for factor in spread],
        },
        {"flop": steps * 8192, "steps": steps, "num_threads": 2, "relative_error": 1e-7},
    )


def memory(lengths: Iterable[int]) -> Iterator[Item]:
    for backend, cell, direction, seq_len in itertools.product(
        BACKENDS, CELLS, ("inference", "training"), lengths
    ):
        case = Case("memory", sizes(backend, cell, seq_len, 8) | {"pass": direction})
        if backend == "cudnn":
            yield case, Unsupported(NO_CUDA)
            continue
        peak = 65536 + bytes_per_step(backend, cell, direction) * seq_len
        yield (
            case,
            Measured({"repeat": [0, 1, 2], "peak_bytes": [peak, peak, peak * 2]}, {"method": "VmHWM"}),
        )


def parity(lengths: Iterable[int], wrong: bool) -> Iterator[Item]:
    for backend, cell, dtype, seq_len in itertools.product(BACKENDS, CELLS, ("float32", "float64"), lengths):
        axes = sizes(backend, cell, seq_len, 4) | {
            "dtype": dtype,
            "initialization": "pytorch_uniform",
            "seed": 0,
        }
        case = Case("parity", axes)
        if backend == "cudnn":
            yield case, Unsupported(NO_CUDA)
        elif backend == "naive" and cell == "gru":
            yield case, Failed("worker died of SIGSEGV", "Fatal Python error: <segfault> & more\n  line 2")
        else:
            error = {"float32": 1e-8, "float64": 1e-16}[dtype] * seq_len
            if wrong and backend == "numba" and cell == "lstm" and dtype == "float64":
                error = 1e-3
            if backend == "numpy" and dtype == "float64":
                error = 0.0
            tolerance = {"float32": 1e-4, "float64": 1e-10}[dtype]
            yield (
                case,
                Measured(
                    {
                        "quantity": ["output", "final_h", "grad_weight_hh"],
                        "relative_error": [error, error / 2, 3 * error],
                        "tolerance": [tolerance, tolerance, tolerance],
                    }
                ),
            )


FACTORS = {"rnn_tanh": 0.8, "lstm": 0.97, "gru": 0.93}
"""Norm of one step's Jacobian at gain 1."""


def decay(length: int, samples: int) -> Iterator[Item]:
    variants: list[tuple[str, float, float | None]] = [
        ("pytorch_uniform", 1.0, None),
        ("orthogonal", 1.0, None),
        ("gaussian", 1.5, None),
        ("orthogonal", 1.0, 2.0),
    ]
    for cell, (start, gain, bias), inputs, seed in itertools.product(
        CELLS, variants, ("noise", "text"), (0, 1)
    ):
        if bias is not None and cell != "lstm":
            continue
        factor = FACTORS[cell] * {"pytorch_uniform": 0.9, "orthogonal": 1.0, "gaussian": 1.35}[start]
        factor = 0.999 if bias is not None else factor
        axes = sizes("numpy", cell, length, samples) | {
            "initialization": start,
            "gain": gain,
            "forget_bias": bias,
            "inputs": inputs,
            "seed": seed,
        }
        del axes["dtype"]
        yield Case("gradient_decay", axes), Measured(decay_columns(cell, factor, length, samples, seed))


def decay_columns(cell: str, factor: float, length: int, samples: int, seed: int) -> dict[str, list[Any]]:
    blocks = ("hh", "hc", "ch", "cc", "ss") if cell == "lstm" else ("hh",)
    rows = []
    for lag, block, sample in itertools.product(range(length + 1), blocks, range(samples)):
        slower = 1.0 - 0.004 * blocks.index(block)
        norm = (
            lag * math.log10(factor * slower) + 0.02 * (sample - samples // 2) * math.sqrt(lag) + 0.01 * seed
        )
        dead = cell == "rnn_tanh" and factor < 0.75 and lag > 0.8 * length
        bound = lag * math.log10(factor * 1.1) if cell == "rnn_tanh" else None
        norm = -math.inf if dead else (norm if lag else 0.0)
        rows.append((lag, block, sample, norm, norm + 0.1, bound))
    names = ("lag", "block", "sample", "log10_spectral_norm", "log10_frobenius_norm", "log10_bound")
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def clipping(length: int) -> Iterator[Item]:
    rules = (
        ("none", "parameters", None),
        *[("global_norm", "parameters", c) for c in (0.1, 1.0, 10.0)],
        *[("value", "parameters", c) for c in (0.1, 1.0, 10.0)],
        *[("per_sample_norm", "state", c) for c in (0.1, 1.0, 10.0)],
    )
    for cell, (rule, place, threshold), seed in itertools.product(("rnn_tanh", "lstm"), rules, (0, 1)):
        growth = 1.25 if cell == "rnn_tanh" else 1.02
        before = [lag * math.log10(growth) for lag in range(length + 1)]
        clamped = place == "state" and threshold is not None
        after = [min(value, math.log10(threshold)) if clamped else value for value in before]
        norm = 10 ** before[-1]
        smaller = norm if threshold is None else min(norm, threshold)
        axes = sizes("numpy", cell, length, 4) | {
            "initialization": "gaussian",
            "gain": 1.5,
            "rule": rule,
            "place": place,
            "threshold": threshold,
            "loss": "final",
            "seed": seed,
        }
        columns = {
            "lag": list(range(length + 1)),
            "log10_norm_unclipped": before,
            "log10_norm_clipped": after,
        }
        facts = {
            "parameter_norm_unclipped": norm,
            "parameter_norm_clipped": smaller,
            "cosine": 0.6 if rule == "value" else 1.0,
            "clipped_steps_fraction": 0.5 if clamped else 0.0,
            "clipped_samples_fraction": 0.25 if clamped else 0.0,
            "non_finite": 0,
        }
        yield Case("clipping", axes), Measured(columns, facts)


def sizes(backend: str, cell: str, seq_len: int, batch_size: int) -> dict[str, Any]:
    return {
        "backend": backend,
        "cell": cell,
        "dtype": "float32",
        "seq_len": seq_len,
        "batch_size": batch_size,
        "input_size": 32,
        "hidden_size": 32,
    }


def items(
    *,
    lengths: tuple[int, ...] = (16, 64, 256),
    batches: tuple[int, ...] = (1, 32),
    replicates: int = 1,
    decay_length: int = 40,
    wrong: bool = False,
) -> list[Item]:
    """Every study, with some of everything: unsupported, failed, −inf, no threshold, no forget bias."""
    return [
        *parity(lengths, wrong),
        *throughput(lengths, batches, replicates),
        *memory(lengths),
        *decay(decay_length, samples=4),
        *clipping(decay_length),
    ]


FACTS: dict[str, Any] = {
    "run_id": "20260101-120000-quick",
    "plan": {
        "name": "quick",
        "replicates": 1,
        "seed": 0,
        "num_threads": 2,
        "max_seconds": 30.0,
        "corpus": None,
    },
    "environment": {
        "cpu_model": "Example CPU 9000",
        "logical_cores": 2,
        "memory_bytes": 8 * 2**30,
        "platform": "Linux-6.1",
        "python": "3.11.9",
        "packages": {"numpy": "2.4.0", "torch": "2.13.0"},
        "gpus": [],
    },
    "command": "python run_all.py --plan quick",
    "started_at": 1767268800.0,
}


def write_run(folder: Path, listed: Iterable[Item], facts: dict[str, Any] | None = None) -> Path:
    """A run's folder with its ledger; a case whose outcome is None stays open, a fact of None is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = list(listed)
    known = {name: fact for name, fact in {**FACTS, **(facts or {})}.items() if fact is not None}
    with Ledger.create(folder / "ledger.sqlite", known, [case for case, _ in listed]) as ledger:
        ledger._connection.execute("PRAGMA synchronous = OFF")  # a test's ledger need not survive a power cut
        for case, outcome in listed:
            if outcome is not None:
                ledger.record(case, outcome, finished_at=1767268801.0, elapsed_seconds=0.25)
    return folder


OPEN = Case("throughput", sizes("torch", "gru", 512, 1) | {"pass": "training"})
"""A case that an interrupted run did not come to."""
