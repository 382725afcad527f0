"""Clipping rules: what each does to a norm, to NaN, and to the gradients that travel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from harness import clipping, gradients
from harness.validation.check import check
from harness.validation.formulas import Array
from harness.validation.networks import Network, autonomous, blocks_of, drawn
from harness.validation.row import Row, close

CASES = [(c, n) for c in (0.25, 1.0, 5.0) for n in (0.1, 0.25, 1.0, 5.0, 700.0)]
"""(threshold, norm of the gradient)."""


def of_norm(norm: float, seed: int = 0) -> dict[str, Array]:
    """Two arrays of this norm together."""
    rng = np.random.default_rng(seed)
    weight, bias = rng.standard_normal((4, 3)), rng.standard_normal(4)
    scale = norm / np.sqrt((weight**2).sum() + (bias**2).sum())
    return {"weight_hh": scale * weight, "bias_hh": scale * bias}


def norms_after(rule: str) -> list[float]:
    return [clipping.Clipping(rule, c).apply(of_norm(n)).norm_after for c, n in CASES]


@check("clipping")
def norms() -> Iterator[Row]:
    """The norm that comes out, as a function of the norm n that goes in and the threshold c."""
    formulas: dict[str, tuple[str, Any]] = {
        "global_norm": ("n·min(1, c/(n + 1e-6))", lambda c, n: n * min(1.0, c / (n + 1e-6))),
        "global_norm_pascanu": ("min(n, c)", lambda c, n: min(n, c)),
        "lecture_squared_norm": ("n, or c/n where n² > c", lambda c, n: c / n if n * n > c else n),
        "none": ("n", lambda c, n: n),
    }
    for rule, (formula, function) in formulas.items():
        expected = [function(c, n) for c, n in CASES]
        yield close(
            f"{rule}: {formula}, c and n from 0.1 to 700", expected, norms_after(rule), 1e-12, relative=True
        )
    exact = clipping.Clipping("global_norm", 1.0).apply(of_norm(1.0)).norm_after
    yield close(
        "global_norm: a norm of exactly c ends at c·(1 − 1e-6/(c + 1e-6))", 1 / (1 + 1e-6), exact, 1e-13
    )
    exact = clipping.Clipping("global_norm_pascanu", 1.0).apply(of_norm(1.0)).norm_after
    yield close("global_norm_pascanu: a norm of exactly c stays", 1.0, exact, 1e-15)
    larger = [
        clipping.Clipping("lecture_squared_norm", 1.0).apply(of_norm(n)).norm_after for n in (10.0, 1e200)
    ]
    yield close(
        "lecture_squared_norm, c = 1: the larger the smaller, n = 10 and 1e200", [0.1, 1e-200], larger, 1e-14
    )


@check("clipping")
def torchs_own() -> Iterator[Row]:
    """`global_norm` is `torch.nn.utils.clip_grad_norm_`, entry by entry."""
    import torch

    for c, n in CASES:
        given = of_norm(n)
        tensors = [torch.nn.Parameter(torch.zeros(a.shape, dtype=torch.float64)) for a in given.values()]
        for tensor, array in zip(tensors, given.values(), strict=True):
            tensor.grad = torch.from_numpy(array.copy())
        torch.nn.utils.clip_grad_norm_(tensors, c)
        expected = np.concatenate([np.asarray(t.grad).ravel() for t in tensors])
        got = clipping.Clipping("global_norm", c).apply(given).gradients
        yield close(
            f"global_norm as torch computes it, c = {c}, n = {n}",
            expected,
            np.concatenate([a.ravel() for a in got.values()]),
            1e-14,
            relative=True,
        )


@check("clipping")
def groups() -> Iterator[Row]:
    """Rules by tensor, sample, unit and entry."""
    given = {"weight_hh": np.array([[3.0, 4.0], [0.3, 0.4]]), "bias_hh": np.array([6.0, 8.0])}
    tensor = clipping.Clipping("per_tensor_norm", 1.0).apply(given).gradients
    yield close(
        "per_tensor_norm: each array ends with norm 1",
        [1.0, 1.0],
        [np.linalg.norm(a) for a in tensor.values()],
        1e-14,
    )
    sample = clipping.Clipping("per_sample_norm", 1.0, place="state").apply({"delta": given["weight_hh"]})
    yield close(
        "per_sample_norm: the long row is scaled, the short one stays",
        [[0.6, 0.8], [0.3, 0.4]],
        sample.gradients["delta"],
        1e-14,
    )
    weights = {"weight_hh": np.array([[0.0, 2.0], [0.0, 0.0]]), "bias_hh": np.zeros(2)}
    unit = clipping.Clipping("adaptive", 0.1).apply(given, weights).gradients
    yield close(
        "adaptive: a row ends at λ·max(‖W_i‖, 1e-3)",
        [0.2, 1e-4],
        np.linalg.norm(unit["weight_hh"], axis=1),
        1e-15,
    )
    yield close("adaptive: a bias is one unit", 1e-4, np.linalg.norm(unit["bias_hh"]), 1e-15)
    value = clipping.Clipping("value", 0.5).apply({"g": np.array([-3.0, 0.2, np.inf])}).gradients["g"]
    yield close("value: entry by entry, inf to c", [-0.5, 0.2, 0.5], value, 0.0)


@check("clipping")
def non_finite() -> Iterator[Row]:
    """NaN and inf are counted, and no rule turns them, or what stands beside them, into zeros."""
    for rule, definition in clipping.CLIPPING_RULES.items():
        place = definition.places[0]
        steps = 3 if "steps" in definition.needs else None
        clip = clipping.Clipping(rule, 1.0, place=place, steps=steps)
        for bad in (np.nan, np.inf):
            given = {"weight_hh": np.array([[2.0, bad], [0.5, 1.0]])}
            outcome = clip.apply(given, {"weight_hh": np.ones((2, 2))})
            after = outcome.gradients["weight_hh"]
            yield close(f"{rule}: one {bad} is counted once", 1, outcome.non_finite, 0.0)
            yield close(
                f"{rule}: beside one {bad}, entries that became 0", 0, np.count_nonzero(after == 0.0), 0.0
            )
            if np.isnan(bad):
                yield close(f"{rule}: NaN stays NaN", 1, int(np.isnan(after[0, 1])), 0.0)


def adjoint(network: Network, clip: clipping.Clipping | None, final: float = 1.0) -> gradients.Adjoint:
    return gradients.adjoint_decay(
        network.cell,
        network.parameters,
        network.inputs,
        initial_state=network.start,
        grad_final_state=tuple(np.full_like(array, final) for array in network.start),
        clipping=clip,
    )


def norms_of_jacobians(network: Network) -> Array:
    """log10 of both norms of ∂s_t/∂s_k by block, for k = 0…t and t in the middle and at the end."""
    found = []
    for anchor in (len(network.inputs) // 2, len(network.inputs)):
        decay = gradients.jacobian_decay(
            network.cell,
            network.parameters,
            network.inputs,
            initial_state=network.start,
            anchor=anchor,
            blocks=blocks_of(network.cell),
        )
        for norms in (decay.log10_spectral_norm, decay.log10_frobenius_norm):
            found += [array.ravel() for array in norms.values()]
    return np.concatenate(found)


@check("clipping")
def parameter_gradients_alone() -> Iterator[Row]:
    """At place "parameters" every ∂h_t/∂h_k and every δ_k stays, bit for bit, and the update has the norm of
    the rule.
    """
    for cell in ("rnn_tanh", "lstm", "gru"):
        network = drawn(cell, seq_len=20, hidden_size=4, gain=2.0)
        free, jacobians = adjoint(network, None), norms_of_jacobians(network)
        clipped = adjoint(network, clipping.Clipping("global_norm_pascanu", 1e-3))
        for rule, definition in clipping.CLIPPING_RULES.items():
            if "parameters" in definition.places:
                clipping.Clipping(rule, 1e-3).apply(free.parameters, network.parameters.arrays())
        yield close(
            f"{cell}: clipped parameter gradients leave every ∂h_t/∂h_k",
            jacobians,
            norms_of_jacobians(network),
            0.0,
        )
        yield close(
            f"{cell}: clipped parameter gradients leave every δ_k", free.log10_total, clipped.log10_total, 0.0
        )
        norm = np.sqrt(sum((array**2).sum() for array in clipped.parameters.values()))
        yield close(f"{cell}: the parameter gradients end with norm c", 1e-3, norm, 1e-14)


@check("clipping")
def clamped_scalar() -> Iterator[Row]:
    """δ clamped at each step of a scalar linear network: min(c, w^l·δ_0) for w > 1."""
    for w, c, first in ((1.1, 2.0, 0.3), (1.5, 0.5, 0.01), (1.01, 100.0, 1.0), (2.0, 3.0, 5.0)):
        network = autonomous("rnn_linear", np.array([[w]]), seq_len=80)
        found = adjoint(network, clipping.Clipping("value", c, place="state"), final=first)
        expected = np.minimum(c, first * w ** np.arange(81))
        yield close(
            f"δ clamped each step, w = {w}, c = {c}, δ_0 = {first}: l = 0…80",
            expected,
            10 ** found.log10_total[::-1, 0],
            1e-10,
            relative=True,
        )


@check("clipping")
def truncated() -> Iterator[Row]:
    """Loss at T alone: δ as it was for K steps, exactly 0 beyond."""
    for steps in (1, 7, 30):
        network = autonomous("rnn_linear", np.array([[0.9]]), seq_len=30)
        found = adjoint(network, clipping.Clipping("truncated", steps=steps))
        lags = np.arange(31)
        expected = np.where(lags <= steps, lags * np.log10(0.9), -np.inf)
        yield close(
            f"truncated to {steps} steps: log10 δ at lags 0…30", expected, found.log10_total[::-1, 0], 1e-12
        )
