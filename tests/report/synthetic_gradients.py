"""Runs of the gradient studies that were never run: every number from a formula, so that truth is known.

Singular values are geometric in their index; exponents fall in a straight line; the norm over t and k is a
power of the lag, but for one anchor; the rate is ln(gain) over a critical gain; training slows the decay.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

from harness.case import Case
from harness.outcome import Measured
from tests.report.synthetic import Item

SEEDS = (0, 1)
H = 8
T = 40


def network(cell: str, initialization: str, seed: int, **axes: Any) -> dict[str, Any]:
    return {
        "backend": "numpy",
        "cell": cell,
        "initialization": initialization,
        "gain": 1.0,
        "forget_bias": None,
        "inputs": "noise",
        "seq_len": T,
        "hidden_size": H,
        "batch_size": 2,
        "input_size": None,
        "seed": seed,
        **axes,
    }


def spectra(zeros: int = 0) -> Iterator[Item]:
    """σ_i = 10^(−lag·i/100), i = 1…S; the last `zeros` of the ReLU network are exactly zero."""
    for cell, start, lag, seed in itertools.product(
        ("rnn_tanh", "rnn_relu"), ("orthogonal", "gaussian"), (1, 4, 16), SEEDS
    ):
        faster = 2 if start == "gaussian" else 1
        values = [-faster * lag * i / 100 for i in range(1, H + 1)]
        if cell == "rnn_relu" and zeros:
            values[-zeros:] = [-math.inf] * zeros
        columns = {
            "sample": [0] * H + [1] * H,
            "index": list(range(1, H + 1)) * 2,
            "log10_singular_value": values * 2,
        }
        yield Case("spectra", network(cell, start, seed, lag=lag)), Measured(columns)


def lyapunov(converged: bool = True) -> Iterator[Item]:
    """λ_i = top − (i − 1)/10, approached as 1/steps; theory is 0.02 above in the tanh
    network, 0.01 in the linear one."""
    for cell, gain, seed in itertools.product(("rnn_linear", "rnn_tanh"), (0.5, 2.0), SEEDS):
        top = math.log(gain)
        rows = [(n, i, top - (i - 1) / 10 + 1 / n) for n in (10, 20, 40) for i in range(1, H + 1)]
        exact = cell == "rnn_linear"
        columns: dict[str, list[Any]] = {
            "steps": [n for n, _, _ in rows],
            "index": [i for _, i, _ in rows],
            "exponent": [value for *_, value in rows],
            "standard_error": [0.004] * len(rows),
            "exponent_theory": [top - (i - 1) / 10 + 1 / 40 + 0.01 if exact else None for _, i, _ in rows],
            "exponent_random_matrix": [None] * len(rows),
        }
        facts = {
            "converged": converged or seed == 0,
            "kaplan_yorke_dimension": 3.5,
            "entropy_rate": 0.25,
            "mean_field_exponent": None if exact else top + 1 / 40 + 0.02,
            "chi": None,
            "critical_gain": None,
        }
        yield Case("lyapunov", network(cell, "gaussian", seed, gain=gain, warmup=5)), Measured(columns, facts)


def jacobian_map() -> Iterator[Item]:
    """10^(−lag/10); from t = 30 a thousandth of that where the inputs are text."""
    times = range(0, T + 1, 5)
    for cell, inputs in itertools.product(("rnn_tanh", "lstm"), ("noise", "text")):
        rows = [
            (t, k, -(t - k) / 10 - (3 if inputs == "text" and t == 30 and t > k else 0))
            for t in times
            for k in times
            if k <= t and t > 0
        ]
        columns = dict(
            zip(("t", "k", "log10_spectral_norm"), map(list, zip(*rows, strict=True)), strict=True)
        )
        axes = network(cell, "orthogonal", 0, inputs=inputs, block="hh", grid=9)
        yield Case("jacobian_map", axes), Measured({**columns, "sample": [0] * len(rows)})


GAINS = (0.5, 1.0, 1.5, 2.0, 3.0)


def gain_map() -> Iterator[Item]:
    """A rate of ln(gain/1.8) in the tanh network, where theory has 1.7; always −1 in the LSTM."""
    for cell, gain, seed in itertools.product(("rnn_tanh", "lstm"), GAINS, SEEDS):
        rate = math.log(gain / 1.8) if cell == "rnn_tanh" else -1.0
        lags = [10, 20, 40]
        columns = {
            "lag": lags,
            "sample": [0] * 3,
            "log10_spectral_norm": [
                lag * rate / math.log(10) + 0.01 * (seed - 0.5) * lag / 40 for lag in lags
            ],
        }
        known = cell == "rnn_tanh"
        facts = {
            "mean_field_exponent": math.log(gain / 1.7) if known else None,
            "critical_gain": 1.7 if known else None,
        }
        axes = network(cell, "gaussian", seed, gain=gain, input_scale=1.0)
        yield Case("gain_map", axes), Measured(columns, facts)


def training_decay() -> Iterator[Item]:
    """The norm falls by 10^(−lag/5) before and 10^(−lag/50) after in the LSTM; the other way in the RNN."""
    for cell, seed in itertools.product(("lstm", "rnn_tanh"), SEEDS):
        names = ("quantity", "step", "lag", "sample", "log10_spectral_norm", "loss")
        rows: list[tuple[Any, ...]] = []
        for step, slope in zip((0, 10, 100), (5, 20, 50) if cell == "lstm" else (50, 20, 5), strict=True):
            rows += [("decay", step, lag, 0, -lag / (slope + seed), None) for lag in range(T + 1)]
            rows.append(("held_out_loss", step, None, None, None, 4.0 - step / 50))
        rows += [("loss", step, None, None, None, 4.0 - step / 50) for step in range(1, 101)]
        columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
        facts = {
            "vocabulary_size": 55,
            "uniform_loss": 4.0,
            "weight_norm_before": 1.0,
            "weight_norm_after": 3.0,
        }
        axes = network(cell, "orthogonal", seed, inputs="text", steps=100, learning_rate=0.01, threshold=1.0)
        yield Case("training_decay", axes), Measured(columns, facts)


def cell_paths() -> Iterator[Item]:
    """σ(b_f)^lag exactly where the gates see their biases alone, else ten times as much; chrono as 1/lag."""
    starts = [("gaussian", bias) for bias in (0.0, 1.0, 3.0)] + [("chrono", None)]
    for (start, bias), (inputs, gain), seed in itertools.product(
        starts, (("zeros", 0.0), ("noise", 1.0)), SEEDS
    ):
        lags = list(range(T + 1))
        if bias is None:
            theory = [-math.log10(max(lag, 1)) for lag in lags]
        else:
            theory = [-lag * math.log10(1 + math.exp(-bias)) for lag in lags]
        more = 0.0 if gain == 0 else 1.0
        columns = {
            "lag": lags * 2,
            "block": ["hh"] * len(lags) + ["cc"] * len(lags),
            "sample": [0] * (2 * len(lags)),
            "log10_spectral_norm": [value + more for value in theory] * 2,
            "log10_frobenius_norm": [value + more + 0.5 * math.log10(H) for value in theory] * 2,
            "log10_bound": [None] * (2 * len(lags)),
            "log10_forget_gate_largest": [None] * len(lags) + theory,
            "log10_forget_gate_rms": [None] * len(lags) + theory,
        }
        axes = network("lstm", start, seed, gain=gain, inputs=inputs, forget_bias=bias)
        yield Case("gradient_decay", axes), Measured(columns)


def time_constants() -> Iterator[Item]:
    """What is written falls as 1/lag under chrono and what is kept as 10^(−lag/100); both as 10^(−lag/4) at
    one bias."""
    lags = list(range(1, T + 1))
    for t_max, gain, seed in itertools.product((100.0, None), (0.001, 1.0), SEEDS):
        one = [-lag / 4 for lag in lags]
        curves = {
            "cc": [-lag / 100 for lag in lags] if t_max else one,
            "ch": [-math.log10(lag) for lag in lags] if t_max else one,
        }
        both, empty = [*curves["cc"], *curves["ch"]], [None] * len(lags)
        columns = {
            "lag": lags * 2,
            "block": ["cc"] * len(lags) + ["ch"] * len(lags),
            "sample": [0] * (2 * len(lags)),
            "log10_spectral_norm": both,
            "log10_frobenius_norm": [value + 0.5 * math.log10(2 * H) for value in both],
            "log10_bound": empty * 2,
            "log10_forget_gate_largest": curves["cc"] + empty,
            "log10_forget_gate_rms": curves["cc"] + empty,
            "log10_written_rms": empty + curves["ch"],
            "log10_chrono_law": both if t_max else empty * 2,
        }
        axes = network(
            "lstm", "chrono" if t_max else "gaussian", seed, gain=gain, inputs="zeros", t_max=t_max
        )
        axes |= {"hidden_size": 2 * H, "forget_bias": None if t_max else 0.5}
        yield Case("gradient_decay", axes), Measured(columns)


def lengths() -> Iterator[Item]:
    """10^(−lag/10) whatever the length."""
    for seq_len, seed in itertools.product((10, 20, 40), SEEDS):
        lags = list(range(seq_len + 1))
        norms = [-lag / (10 + seed) for lag in lags]
        columns = {"lag": lags, "block": ["hh"] * len(lags), "sample": [0] * len(lags)}
        axes = network("gru", "orthogonal", seed, seq_len=seq_len)
        yield Case("gradient_decay", axes), Measured({**columns, "log10_spectral_norm": norms})


def torn(study: str, cell: str) -> Iterator[Item]:
    """10^(−lag) in one seed and 10^(lag/50) in the other, over the lags of a study."""
    for gain, seed in itertools.product((1.0, 2.0), SEEDS):
        lags = [10, 20, 40]
        norms = [lag / 50 if seed else -float(lag) for lag in lags]
        columns = {"lag": lags, "block": ["hh"] * 3, "sample": [0] * 3, "log10_spectral_norm": norms}
        own = {"input_scale": 1.0} if study == "gain_map" else {}
        axes = network(cell, "gaussian", seed, gain=gain, **own)
        facts = {"mean_field_exponent": None, "critical_gain": None} if own else {}
        yield Case(study, axes), Measured(columns, facts)


def items() -> list[Item]:
    return [
        *spectra(),
        *lyapunov(),
        *jacobian_map(),
        *gain_map(),
        *training_decay(),
        *cell_paths(),
        *time_constants(),
        *lengths(),
    ]
