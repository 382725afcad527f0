"""Ledgers made up for the claims: every number is chosen, so that the verdict is known beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from harness.case import Case
from harness.outcome import Measured
from tests.report.synthetic import Item

LENGTH = 40
SEEDS = (0, 1, 2)


def network(cell: str, start: str, seed: int, **axes: Any) -> dict[str, Any]:
    return {
        "backend": "numpy", "cell": cell, "initialization": start, "gain": 1.0, "forget_bias": None,
        "inputs": "noise", "seq_len": LENGTH, "hidden_size": 8, "batch_size": 1, "seed": seed, **axes,
    }  # fmt: skip


def decay(
    cell: str,
    start: str,
    rate: float,
    *,
    bound: float | None = None,
    block: str = "hh",
    theory: float | None = None,
    seeds: Iterable[int] = SEEDS,
    **axes: Any,
) -> Iterator[Item]:
    """Networks whose norm changes by `rate` nats per step, a hair differently in each seed.

    Args:
        bound: nats per step of the bound.
        theory: nats per step of what the forget gates alone would give.
    """
    for seed in seeds:
        lags = list(range(LENGTH + 1))
        own = rate + 1e-3 * (seed - 1) * (theory is None)

        def line(slope: float | None, lags: list[int] = lags) -> list[float | None]:
            return [None if slope is None else lag * slope / math.log(10) for lag in lags]

        columns = {
            "lag": lags,
            "block": [block] * len(lags),
            "sample": [0] * len(lags),
            "log10_spectral_norm": line(own),
            "log10_bound": line(bound),
            "log10_forget_gate_largest": line(theory),
        }
        yield Case("gradient_decay", network(cell, start, seed, **axes)), Measured(columns)


def training(
    cell: str,
    end: str,
    *,
    seq_len: int = 50,
    norm: float = -1.0,
    loss: float | None = None,
    parameters: int = 100,
    seeds: Iterable[int] = SEEDS,
    **axes: Any,
) -> Iterator[Item]:
    """Trainings that all end alike: "solved", "not solved" or "diverged".

    Args:
        norm: log10 ‖∂h_T/∂h_0‖ before the first step.
        loss: the last on held-out sequences.
        parameters: how many numbers the cell has.
    """
    for seed in seeds:
        solved = end == "solved"
        last = (0.005 if solved else 0.17) if loss is None else loss * (1 + 0.01 * seed)
        case = {
            "backend": "numba", "task": "adding", "cell": cell, "initialization": "orthogonal", "gain": 1.0,
            "forget_bias": None, "rule": "global_norm", "place": "parameters", "threshold": 1.0,
            "truncate": None, "seq_len": seq_len, "hidden_size": 8, "batch_size": 4, "steps": 200,
            "seed": seed, **axes,
        }  # fmt: skip
        columns = {
            "quantity": ["decay", "score"], "step": [0, 100], "loss": [None, last], "error_rate": [None, 0.5],
            "lag": [seq_len, None], "log10_spectral_norm": [norm, None],
        }  # fmt: skip
        facts = {
            "baseline": 1 / 6, "criterion": "below 0.01", "solved": solved,
            "solved_at_step": 100 if solved else None,
            "diverged_at_step": 7 if end == "diverged" else None,
            "half_life_before": 3.0, "half_life_after": 3.0, "horizon_before": 12.0, "rate_before": -0.2,
            "log10_norm_before": norm - seed / 100, "log10_norm_after": -1.0, "steps_done": 100,
            "training_seconds": 1.0, "clipped_share": None, "parameters": parameters,
        }  # fmt: skip
        yield Case("learning", case), Measured(columns, facts)


def power(above: float = 20959.2, below: float = 4.3e-5) -> Iterator[Item]:
    """The toy, with these y at w = 1.01 and w = 0.99."""
    columns = {
        "quantity": ["surface"] * 3,
        "x": [0.99, 1.0, 1.01],
        "y": [None] * 3,
        "log10_loss": [math.log10(below), 0.0, math.log10(above)],
        "log10_gradient_norm": [0.0, 3.0, 7.0],
        "start": [None] * 3,
        "step": [None] * 3,
    }
    axes = {"backend": "numba", "surface": "power", "learning_rate": None, "seed": 0}
    yield Case("error_surface", axes), Measured(columns, {"steepness": 10.0, "flat_share": 0.5})


def cliff(
    steepness: float,
    served: Iterable[float],
    rates: Iterable[float] = (0.1, 1.0),
    clipped: float = -1.0,
) -> Iterator[Item]:
    """The surface of one unit, this steep; descents at the rates of `served` halve their loss, those with
    clipping end at so many powers of ten."""
    for rate in rates:
        end = 0.1 if rate in served else 0.9
        rows = [("surface", 0.0, 0.0, -1.0, 0.0, None, None), ("surface", 1.0, 1.0, 0.0, 1.0, None, None)]
        for start in (0, 1):
            rows += [
                ("plain", 0.0, 0.0, 0.0, 0.0, start, 0),
                ("plain", 0.1, 0.0, math.log10(end), 0.0, start, 1),
                ("clipped", 0.0, 0.0, 0.0, 0.0, start, 0),
                ("clipped", 0.1, 0.0, clipped, 0.0, start, 1),
            ]
        names = ("quantity", "x", "y", "log10_loss", "log10_gradient_norm", "start", "step")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        axes = {"backend": "numba", "surface": "one_unit", "learning_rate": rate, "seed": 0}
        facts = {"steepness": steepness, "flat_share": 0.9}
        yield Case("error_surface", axes), Measured(columns, facts)


def plane(steepness: float, centre_loss: float, seed: int = 0) -> Iterator[Item]:
    """A plane, this steep, through a network with this loss, where knowing nothing costs 1/6."""
    columns = {
        "quantity": ["surface"] * 2, "x": [0.0, 1.0], "y": [0.0, 1.0], "log10_loss": [-1.0, 0.0],
        "log10_gradient_norm": [0.0, 1.0], "start": [None] * 2, "step": [None] * 2,
    }  # fmt: skip
    axes = {
        "backend": "numba", "surface": "trained", "learning_rate": None, "cell": "gru", "seq_len": 50,
        "seed": seed,
    }  # fmt: skip
    facts = {
        "steepness": steepness, "flat_share": 0.9, "centre_loss": centre_loss, "baseline": 1 / 6,
        "diverged_at_step": None, "last_good_step": None,
    }  # fmt: skip
    yield Case("error_surface", axes), Measured(columns, facts)


def clipped_pass(unclipped: float, clipped: float, slope: float, raised: float = 0.0) -> Iterator[Item]:
    """One pass clipped to 1: the parameter norm before and after; ‖dL/dh_k‖ falls by `slope` log10 per
    step, and clipping raises it by `raised`."""
    before = [lag * slope for lag in range(LENGTH + 1)]
    axes = network("rnn_tanh", "gaussian", 0, rule="global_norm", place="parameters", threshold=1.0)
    columns = {
        "lag": list(range(LENGTH + 1)),
        "sample": [0] * (LENGTH + 1),
        "log10_norm_unclipped": before,
        "log10_norm_clipped": [value + raised for value in before],
    }
    facts = {
        "parameter_norm_unclipped": unclipped, "parameter_norm_clipped": clipped, "cosine": 1.0,
        "clipped_steps_fraction": 0.0, "non_finite": 0,
    }  # fmt: skip
    gain = 2.0 if slope > 0 else 0.5
    yield Case("clipping", {**axes, "loss": "last", "gain": gain}), Measured(columns, facts)


def language(cell: str, bits: float, memory: float, seeds: Iterable[int] = SEEDS) -> Iterator[Item]:
    """A network with `bits` per character in so many bytes, beside counting: 3 bits in 1000 bytes, 2 bits in
    100 000."""
    for seed in seeds:
        own = bits + 0.01 * (seed - 1)
        axes = {
            "backend": "numba", "cell": cell, "initialization": "pytorch_uniform", "forget_bias": None,
            "inputs": "text", "seq_len": 100, "hidden_size": 8, "steps": 60, "seed": seed,
        }  # fmt: skip
        columns = {
            "quantity": ["held_out", "ngram", "ngram"],
            "step": [60, None, None],
            "order": [None, 1, 2],
            "bits_per_character": [own, 3.0, 2.0],
            "memory_bytes": [None, 1e3, 1e5],
            "entries": [None, 10, 1000],
            "seconds": [1.0, None, None],
        }
        facts = {
            "final_bits_per_character": own, "memory_bytes_of_network": memory, "training_seconds": 1.0,
            "said": "text",
        }  # fmt: skip
        yield Case("language_model", axes), Measured(columns, facts)


def timed(
    ratio: float, backend: str = "numpy", flop: float = 4.0, spread: float = 1.0, seq_len: int = 8
) -> Iterator[Item]:
    """An LSTM that takes `ratio` times as long as a simple RNN, in three processes.

    Args:
        spread: by this factor more in each process than in the one before.
    """
    for replicate in range(3):
        for cell, factor, work in (("lstm", ratio, flop), ("rnn_tanh", 1.0, 1.0)):
            axes = {
                "backend": backend, "cell": cell, "pass": "training", "dtype": "float32", "seq_len": seq_len,
                "batch_size": 1, "input_size": 8, "hidden_size": 8,
            }  # fmt: skip
            varied = spread**replicate if cell == "lstm" else 1.0
            seconds = 1e-3 * factor * varied * (1 + 0.001 * replicate)
            columns = {
                "phase": ["first_call", "sample", "sample"],
                "index": [0, 0, 1],
                "loops": [1, 1, 1],
                "seconds": [seconds] * 3,
            }
            facts = {"flop": 1e6 * work, "steps": 8, "num_threads": 1, "relative_error": 1e-7}
            yield Case("throughput", axes, replicate), Measured(columns, facts)


def peaks(cell: str, bytes_per_step: float) -> Iterator[Item]:
    """Peaks of inference that grow by so much with each step, at B=1 and H=8."""
    for seq_len in (100, 200, 400):
        axes = {
            "backend": "numba", "cell": cell, "pass": "inference", "dtype": "float32", "seq_len": seq_len,
            "batch_size": 1, "input_size": 8, "hidden_size": 8,
        }  # fmt: skip
        columns = {"peak_bytes": [bytes_per_step * seq_len], "method": ["allocations"]}
        yield Case("memory", axes), Measured(columns, {"relative_error": 1e-7})


def directions(cell: str, alive: int, of: int, lag: int = 64, seeds: Iterable[int] = SEEDS) -> Iterator[Item]:
    """Spectra under an identity: so many singular values of 1, all others exactly zero."""
    for seed in seeds:
        columns = {
            "sample": [0] * of,
            "index": list(range(1, of + 1)),
            "log10_singular_value": [0.0] * alive + [-math.inf] * (of - alive),
        }
        yield Case("spectra", network(cell, "identity", seed, lag=lag)), Measured(columns)


def reaching(
    cell: str, structure: str, *, far: float = -9.0, through: float = -3.0, later: int = 0, near: float = -1.0
) -> Iterator[Item]:
    """Networks of the study `depth_decay`, log10 of their norms chosen.

    Args:
        far: within each layer, beyond half of the longest lag.
        through: from the top layer to the first.
        later: from how many later steps the first layer's norm is `near`, as from the 5 before.
    """
    layers = int(structure.split()[0])
    for seed in SEEDS:
        rows = []
        for top, bottom in [(a, b) for a in range(1, layers + 1) for b in range(1, a + 1)]:
            for lag in range(-10 if "both ways" in structure else 0, LENGTH + 1):
                norm = far if lag > LENGTH / 2 or -later > lag or lag > 5 else near
                rows.append((top, bottom, lag, 0, (through if top > bottom else norm) + 0.01 * seed))
        names = ("later_layer", "earlier_layer", "lag", "sample", "log10_spectral_norm")
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        axes = network(cell, "pytorch_uniform", seed, structure=structure)
        yield Case("depth_decay", axes), Measured(columns, {"anchor": LENGTH, "parameters": 100})


def costing(
    ratio: float,
    structure: str = "2 layers, both ways",
    work: float = 4.0,
    cell: str = "lstm",
    parameters: int = 100,
) -> Iterator[Item]:
    """A structure that takes `ratio` times as long as one layer, for `work` times its arithmetic."""
    for replicate in range(3):
        for name, factor, flop in ((structure, ratio, work), ("1 layer", 1.0, 1.0)):
            axes = {
                "backend": "numba", "cell": cell, "structure": name, "pass": "training", "dtype": "float32",
                "seq_len": 8, "batch_size": 1, "input_size": 8, "hidden_size": 8,
            }  # fmt: skip
            seconds = 1e-3 * factor * (1 + 0.001 * replicate)
            columns = {
                "phase": ["first_call", "sample", "sample"],
                "attempt": [1, 1, 1],
                "index": [0, 0, 1],
                "loops": [1, 1, 1],
                "seconds": [seconds] * 3,
            }
            facts = {
                "flop": 1e6 * flop, "steps": 8, "num_threads": 1, "relative_error": 1e-7,
                "parameters": parameters, "equal_hidden_size": 9, "peak_bytes": 1e6 * flop,
            }  # fmt: skip
            yield Case("structures", axes, replicate), Measured(columns, facts)


def updated(cell: str, slope: float, start: str = "orthogonal") -> Iterator[Item]:
    """Terms of an update whose log10 norm falls by `slope` per lag; the last acts on h_0 = 0."""
    for seed in SEEDS:
        lags = list(range(LENGTH))
        columns = {
            "lag": lags,
            "log10_term_norm": [slope * lag for lag in lags[:-1]] + [-math.inf],
            "cumulative_share": [1.0] * len(lags),
        }
        yield (
            Case("update_by_lag", network(cell, start, seed)),
            Measured(columns, {"log10_gradient_norm": 0.1}),
        )
