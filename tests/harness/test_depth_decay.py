"""∂h^l_t/∂h^m_k between the layers of a structure: closed forms, and autograd over an unrolled graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from harness.gradients import ForwardDiverged, depth_decay, jacobian_decay
from harness.initializations import initialize, initialize_stack
from implementations import Parameters
from implementations.structure import Structure
from tests.conformance.structured import draw_layers, unroll

T, B, WIDTH, H = 9, 2, 4, 4
STRUCTURES = [
    "1 layer",
    "3 layers",
    "3 layers, residual",
    "2 layers, skip 3",
    "2 layers, both ways",
    "3 layers, both ways, residual, skip 2",
]


def scalar(recurrent: complex, read: list[float]) -> Parameters:
    """A linear unit: h_t = recurrent·h_{t−1} + read·(what it reads)."""
    return Parameters(np.array([read]), np.array([[recurrent]]), np.zeros(1), np.zeros(1))


def ones(seq_len: int) -> np.ndarray:
    return np.ones((seq_len, 1, 1))


@pytest.mark.parametrize("words", STRUCTURES)
@pytest.mark.parametrize("cell", ["rnn_tanh", "lstm", "gru"])
def test_every_pair_of_layers_is_autograds(cell: str, words: str) -> None:
    structure = Structure.parse(words)
    layers = draw_layers(cell, structure, WIDTH, H)
    inputs = np.random.default_rng(3).standard_normal((T, B, WIDTH))
    anchor = 6
    found = depth_decay(cell, layers, inputs, anchor=anchor, **structure.options)
    places, states = structure.num_layers * structure.directions, 2 if cell == "lstm" else 1
    # a graph of its own for each sample: a row's gradient is then one call
    for b in range(B):
        start = tuple(torch.zeros(places, 1, H, dtype=torch.float64) for _ in range(states))
        graph = unroll(cell, structure, layers, torch.from_numpy(inputs[:, b : b + 1]), start).nodes
        nodes = [[[side[t][0] for side in sides] for t in range(T)] for sides in graph]
        for (later, earlier), norms in found.log10_spectral_norm.items():
            for lag, norm in zip(found.lags, norms[:, b], strict=True):
                top, low = nodes[later - 1][anchor - 1], nodes[earlier - 1][anchor - lag - 1]
                rows = [
                    torch.autograd.grad(
                        h[0, i], low, retain_graph=True, allow_unused=True, materialize_grads=True
                    )
                    for h in top
                    for i in range(H)
                ]
                matrix = torch.stack([torch.cat([part[0] for part in row]) for row in rows]).numpy()
                assert 10**norm == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-8, abs=1e-300)


def test_one_layer_is_jacobian_decay() -> None:
    parameters = initialize("orthogonal", "lstm", 3, 5)
    inputs = np.random.default_rng(0).standard_normal((20, 2, 3))
    found = depth_decay("lstm", [parameters], inputs)
    wanted = jacobian_decay("lstm", parameters, inputs, lags=range(20))
    np.testing.assert_allclose(
        found.log10_spectral_norm[1, 1], wanted.log10_spectral_norm["hh"], rtol=1e-10, atol=1e-12
    )
    assert found.lags.tolist() == list(range(20))


def test_two_linear_layers_have_a_closed_form() -> None:
    """∂h²_t/∂h¹_k = u·(lag + 1)·a^lag where both layers have the recurrent weight a; far below any float."""
    a, u, seq_len = 0.1, 0.7, 1200
    found = depth_decay("rnn_linear", [scalar(a, [1.0]), scalar(a, [u])], ones(seq_len))
    lags = np.arange(seq_len)
    np.testing.assert_allclose(
        found.log10_spectral_norm[2, 1][:, 0],
        np.log10(u) + np.log10(lags + 1) + lags * np.log10(a),
        rtol=1e-12,
    )
    np.testing.assert_allclose(found.log10_spectral_norm[2, 2][:, 0], lags * np.log10(a), atol=1e-9)


def test_a_skip_follows_its_recurrence() -> None:
    """d(n) = a·d(n−1) + v·d(n−s), and so every s steps at least v: it carries past the decay."""
    a, v, s = 0.5, 0.9, 8
    found = depth_decay("rnn_linear", [scalar(a, [1.0, v])], ones(60), skip=s)
    wanted = [1.0]
    for n in range(1, 60):
        wanted.append(a * wanted[-1] + (v * wanted[n - s] if n >= s else 0.0))
    np.testing.assert_allclose(found.log10_spectral_norm[1, 1][:, 0], np.log10(wanted), atol=1e-12)
    plain = depth_decay("rnn_linear", [scalar(a, [1.0])], ones(60))
    assert found.log10_spectral_norm[1, 1][56, 0] > 7 * np.log10(v) - 1e-9
    assert plain.log10_spectral_norm[1, 1][56, 0] < -16


def test_a_residual_connection_is_a_path_through_depth() -> None:
    """At lag 0: layer 3 reads y² = h² + y¹, y¹ = h¹ + x, so that ∂h³/∂h¹ = u·(u + 1), and u² without."""
    u = 0.1
    layers = [scalar(0.0, [u])] * 3
    for residual, wanted in ((False, u * u), (True, u * (u + 1))):
        found = depth_decay("rnn_linear", layers, ones(4), residual=residual)
        assert 10 ** found.log10_spectral_norm[3, 1][0, 0] == pytest.approx(wanted)
        assert np.isneginf(found.log10_spectral_norm[3, 1][1:, 0]).all()


def test_the_first_layer_starts_as_a_single_one_and_a_skip_keeps_the_variance() -> None:
    alone = initialize("gaussian", "rnn_tanh", 3, 64, seed=4)
    (same,) = initialize_stack("gaussian", "rnn_tanh", Structure(), 3, 64, seed=4)
    np.testing.assert_array_equal(same.weight_hh, alone.weight_hh)
    first, second = initialize_stack("gaussian", "rnn_tanh", Structure(2, skip=4), 3, 64, seed=4)
    assert (first.input_size, second.input_size) == (3 + 64, 64 + 64)
    recurrent = np.concatenate([first.weight_hh, first.weight_ih[:, 3:]], axis=1)
    assert np.square(recurrent).sum() == pytest.approx(np.square(alone.weight_hh).sum(), rel=0.1)
    assert not np.array_equal(first.weight_hh, second.weight_hh)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"inputs": np.ones((4, 1, 2))}, "inputs must be"),
        ({"inputs": np.full((4, 1, 1), np.nan)}, "inputs must be finite"),
        ({"anchor": 5}, "anchor"),
        ({"lags": [-1, 2]}, "lag must be in 0…3 .*, got -1"),
        ({"lags": [2, 2]}, "lags must increase, got 2 after 2"),
        ({"lags": []}, "lags must hold at least one lag in 0…3"),
        ({"lags": [4]}, "lag must be in 0…3"),
        ({"lags": [1.5]}, "lags must be integers, got 1.5"),
        ({"lags": [True]}, "lags must be integers, got True"),
        ({"lags": ["a"]}, "lags must be integers, got 'a'"),
        ({"lags": 3}, "lags must be a list of integers, got 3"),
        ({"anchor": 0}, r"anchor must be in 1…4 \(the number of steps\), got 0"),
        ({"anchor": 2.5}, "anchor must be integers, got 2.5"),
        ({"anchor": True}, "anchor must be integers, got True"),
        ({"anchor": "a"}, "anchor must be integers, got 'a'"),
        ({"inputs": np.ones((4, 1, 1), complex)}, "inputs must be real numbers, got complex128"),
        ({"inputs": [[["a"]]]}, "inputs must be real numbers, got <U1"),
        (
            {"layers": [scalar(0.5 + 1j, [1.0])]},
            r"layers\[0\].weight_hh must be real numbers, got complex128",
        ),
        ({"residual": "yes"}, "residual must be True or False, got 'yes'"),
        ({"skip": 2.5}, "skip must be integers, got 2.5"),
        ({"layers": [scalar(np.inf, [1.0])]}, "weight_hh must be finite"),
        ({"skip": 1}, "skip"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], named: str) -> None:
    given = {"layers": [scalar(0.5, [1.0])], "inputs": ones(4), **change}
    with pytest.raises(ValueError, match=named):
        depth_decay("rnn_linear", **given)


def test_lags_below_zero_are_those_of_a_structure_that_reads_both_ways() -> None:
    layers = [scalar(0.5, [1.0])] * 2
    found = depth_decay("rnn_linear", layers, ones(4), bidirectional=True, anchor=2, lags=[-2, 0, 1])
    assert found.lags.tolist() == [-2, 0, 1]
    with pytest.raises(ValueError, match="lag must be in -2…1"):
        depth_decay("rnn_linear", layers, ones(4), bidirectional=True, anchor=2, lags=[-3])


def test_divergence_is_reported_with_its_step() -> None:
    with pytest.raises(ForwardDiverged, match="step t = 4"):
        depth_decay("rnn_linear", [scalar(1e100, [1e100])], ones(9))
