"""How fast the decay is, as ratios of times taken in one run; nothing here fails for being slow.

Run with `pytest tests/benchmarks --benchmark-only -s`.  Times that are compared are taken in turns, and the
smallest of each counts: what else the machine does then falls on both alike.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from harness.gradients import Decay, jacobian_decay, load_kernels
from harness.initializations import initialize
from implementations.contract import Parameters

CELLS = {"rnn_tanh": torch.nn.RNNCell, "lstm": torch.nn.LSTMCell}


def network(
    cell: str, hidden_size: int, seq_len: int, scheme: str = "pytorch_uniform"
) -> tuple[Parameters, Any]:
    inputs = np.random.default_rng(0).standard_normal((seq_len, 1, hidden_size))
    return initialize(scheme, cell, hidden_size, hidden_size, seed=0), inputs


def log_lags(longest: int, count: int = 64) -> Any:
    """`count` lags in 1…longest, as nearly log-spaced as integers can be."""
    points = count
    while len(lags := np.unique(np.geomspace(1, longest, points).astype(int))) < min(count, longest):
        points += 1
    return lags


def smallest_times(*calls: Callable[[], Any], rounds: int) -> list[float]:
    """Of each, taken in turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for call, own in zip(calls, times, strict=True):
            start = time.perf_counter()
            call()
            own.append(time.perf_counter() - start)
    return [min(own) for own in times]


def torch_norms(module: torch.nn.Module, inputs: torch.Tensor, hidden_size: int) -> tuple[Any, Any]:
    """log10 of both norms of ∂h_T/∂h_k, lag 0…T: autograd over the unrolled network, all rows in one call."""
    h = torch.zeros(1, hidden_size, dtype=torch.float64, requires_grad=True)
    state: Any = (h, torch.zeros_like(h)) if isinstance(module, torch.nn.LSTMCell) else h
    hidden = [h]
    for x in inputs:
        state = module(x, state)
        hidden.append(state[0] if isinstance(state, tuple) else state)
    rows = torch.eye(hidden_size, dtype=torch.float64)[:, None]
    found = torch.autograd.grad(hidden[-1], hidden[::-1], grad_outputs=rows, is_grads_batched=True)
    matrices = torch.stack([each[:, 0] for each in found])
    norms = (torch.linalg.matrix_norm(matrices, ord=order) for order in (2, "fro"))
    spectral, frobenius = (norm.log10().numpy() for norm in norms)
    return spectral, frobenius


@pytest.mark.parametrize("cell", CELLS)
def test_all_lags_against_autograd(benchmark: Any, cell: str) -> None:
    """H = 128, T = 200, one sample, float64: the factor by which the engine is faster than autograd.

    The aim is 8, with the engine's kernels on disk, where a plain call finds them (0.03 s, once a process).
    In turns on a machine of two cores both norms at all 201 lags took 19 to 23 ms (rnn_tanh) and 43 to 46 ms
    (lstm) against 227 to 247 and 378 to 441 ms: 10 to 13 and 8.7 to 9.6 times as fast.  Without kernels they
    took 34 and 65 to 70 ms.

    A stretch of lags is one call: its products, at 57 GFLOP/s where BLAS came to 46, take 7 and 18 ms of it.
    The rest are the looks for rows to leave out (4 and 6 ms), an LSTM's forward pass and slopes (5 ms) and
    the norms, which a second thread takes.
    """
    hidden_size, seq_len = 128, 200
    parameters, inputs = network(cell, hidden_size, seq_len)
    module = CELLS[cell](hidden_size, hidden_size).double()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in parameters.arrays().items()})
    sequence = torch.from_numpy(inputs)

    def engine() -> Decay:
        return jacobian_decay(cell, parameters, inputs)

    def autograd() -> tuple[Any, Any]:
        return torch_norms(module, sequence, hidden_size)

    load_kernels()  # compiles them where they are not on disk yet
    spectral, frobenius = autograd()
    decay = engine()
    np.testing.assert_allclose(decay.log10_spectral_norm["hh"][:, 0], spectral, atol=4e-9)
    np.testing.assert_allclose(decay.log10_frobenius_norm["hh"][:, 0], frobenius, atol=4e-9)
    times = {}
    for threads in sorted({1, torch.get_num_threads()}):
        torch.set_num_threads(threads)
        times[threads] = smallest_times(engine, engine, autograd, rounds=4)
    own = min(min(found[:2]) for found in times.values())
    other = min(found[2] for found in times.values())
    record(benchmark, engine_seconds=own, autograd_seconds=other, times_as_fast=other / own)
    benchmark.pedantic(engine, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("seq_len", [200, 1000])
@pytest.mark.parametrize("scheme", ["pytorch_uniform", "orthogonal"])
def test_share_of_the_matrix_product_rate(benchmark: Any, seq_len: int, scheme: str) -> None:
    """H = 256, 64 lags: 2H³T over the total time, as a share of this machine's rate on such products.

    The aim is 0.6.  On a busy machine of two hardware threads that shared one core it came to 0.52 to 0.68
    (orthogonal) and 0.56 to 0.75 at T = 200, and to 1.7 and 2.1 at T = 1000, where few rows count for long.
    """
    hidden_size = 256
    parameters, inputs = network("rnn_tanh", hidden_size, seq_len, scheme)
    lags = log_lags(seq_len)
    factor, product = parameters.weight_hh, np.empty_like(parameters.weight_hh)

    def products() -> None:
        for _ in range(seq_len):
            np.matmul(factor, factor, out=product)

    def engine() -> Decay:
        return jacobian_decay("rnn_tanh", parameters, inputs, lags=lags)

    engine()
    own, pure = smallest_times(engine, products, rounds=7)
    rate = 2 * hidden_size**3 * seq_len / pure
    record(benchmark, engine_seconds=own, product_flop_per_second=rate, share=pure / own)
    benchmark.pedantic(engine, rounds=3)


def test_a_hundred_thousand_steps(benchmark: Any) -> None:
    """H = 64, 64 lags: seconds, MiB above the baseline, and the exponent of time against T."""
    lengths = [12_500, 25_000, 50_000, 100_000]
    networks = {length: network("rnn_tanh", 64, length) for length in lengths}

    def engine(length: int) -> Decay:
        parameters, inputs = networks[length]
        return jacobian_decay("rnn_tanh", parameters, inputs, lags=log_lags(length))

    engine(lengths[0])
    seconds = smallest_times(*(lambda n=n: engine(n) for n in lengths), rounds=3)
    exponent = float(np.polyfit(np.log(lengths), np.log(seconds), 1)[0])
    record(benchmark, seconds=seconds[-1], exponent=exponent, mib=peak_mib(lambda: engine(lengths[-1])))
    benchmark.pedantic(engine, args=(lengths[-1],), rounds=1)


def peak_mib(call: Callable[[], Any]) -> float:
    """Resident memory above the baseline, by the kernel's own high-water mark (Linux)."""

    def status(name: str) -> int:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith(name))

    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as reset:
        reset.write("5")
    before = status("VmRSS")
    call()
    return (status("VmHWM") - before) / 1024


def record(benchmark: Any, **facts: float) -> None:
    """Into the benchmark's record, and onto the screen."""
    benchmark.extra_info.update(facts)
    print("", benchmark.name, *(f"{name} {value:.4g}" for name, value in facts.items()), sep="  ")
