"""A broken cell, engine, clipping rule or backend makes rows of the validation table fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness import gradients
from harness.clipping import Clipped, Clipping
from harness.validation import CHECKS
from harness.validation.execution import rows_of
from harness.validation.networks import Network
from implementations.registry import CELLS
from tests.meta import broken

Patch = pytest.MonkeyPatch


def failures(check: str, *arguments: object) -> list[str]:
    return [row.name for row in rows_of(CHECKS[check], "engine", *arguments) if not row.passed]


def engine_of(product: Callable[[Network, int, int], Any]) -> Callable[..., gradients.Decay]:
    """`jacobian_decay` with plain arithmetic, and with this way to take the product (B, S, S)."""

    def jacobian_decay(
        cell: str, parameters: Any, inputs: Any, *, initial_state: Any = None, anchor: Any = None,
        lags: Any = None, blocks: Any = ("hh",),
    ) -> gradients.Decay:  # fmt: skip
        if initial_state is None:
            shape = (inputs.shape[1], parameters.hidden_size)
            initial_state = tuple(np.zeros(shape) for _ in CELLS[cell].state_names)
        network = Network(cell, parameters, inputs, initial_state)
        t = len(inputs) if anchor is None else anchor
        lags = np.arange(t + 1) if lags is None else np.asarray(lags)
        products = [product(network, t, t - lag) for lag in lags]
        with np.errstate(divide="ignore"):
            norms = [
                {b: np.log10(np.array([np.linalg.norm(network.block(p, b), order, (1, 2)) for p in products]))
                 for b in blocks}
                for order in (2, "fro")
            ]  # fmt: skip
        return gradients.Decay(lags, norms[0], norms[1], t)

    return jacobian_decay


def in_the_other_order(network: Network, t: int, k: int) -> Any:
    product = network.product(k, k)
    for factor in network.jacobians()[k:t]:
        product = product @ factor
    return product


def of_hh_blocks_alone(network: Network, t: int, k: int) -> Any:
    product = network.product(k, k).copy()
    size = network.parameters.hidden_size
    for factor in network.jacobians()[k:t]:
        product[:, :size, :size] = factor[:, :size, :size] @ product[:, :size, :size]
    return product


@pytest.mark.parametrize("check", ["products.chunking", "products.anchors", "gates.gru_of_biases"])
def test_the_control_passes(check: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(gradients, "jacobian_decay", engine_of(Network.product))
    assert failures(check) == []


@pytest.mark.parametrize("cell", sorted(set(CELLS) - {"rnn_linear"}))
def test_products_in_the_other_order(cell: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(gradients, "jacobian_decay", engine_of(in_the_other_order))
    assert any(name.startswith(f"{cell}: log10 norms") for name in failures("products.chunking"))


def test_the_product_of_hh_blocks(monkeypatch: Patch) -> None:
    monkeypatch.setattr(gradients, "jacobian_decay", engine_of(of_hh_blocks_alone))
    failed = failures("products.chunking")
    assert "lstm: log10 norms of block hh of P(12, 3)" in failed
    assert not any(name.startswith(("rnn", "gru")) for name in failed)


@pytest.mark.parametrize("cell", sorted(set(CELLS) - {"rnn_linear"}))
def test_a_transposed_jacobian(cell: str, monkeypatch: Patch) -> None:
    kind = type(CELLS[cell])
    right = kind.step_jacobian
    monkeypatch.setattr(kind, "step_jacobian", lambda *a: right(*a).transpose(0, 2, 1))
    assert any(name.startswith(f"{cell}: ∂ by hand") for name in failures("one_step.formula"))
    assert any(name.startswith(f"{cell}: ∂ by diff") for name in failures("one_step.derivative"))
    assert any(name.startswith(f"{cell}: ⟨u, Jv⟩") for name in failures("adjoints.identity"))


def test_swapped_blocks_of_an_lstm(monkeypatch: Patch) -> None:
    kind = type(CELLS["lstm"])
    right = kind.step_jacobian

    def swapped(*arguments: Any) -> Any:
        jacobian = right(*arguments)
        half = jacobian.shape[1] // 2
        return np.roll(np.roll(jacobian, half, axis=1), half, axis=2)

    monkeypatch.setattr(kind, "step_jacobian", swapped)
    failed = failures("one_step.formula")
    assert [name for name in failed if "block hh" in name]
    assert [name for name in failed if "block cc" in name]


def test_one_svd_of_the_product(monkeypatch: Patch) -> None:
    def singular_spectrum(cell: str, parameters: Any, inputs: Any, *, initial_state: Any, lag: int) -> Any:
        product = Network(cell, parameters, inputs, initial_state).product(len(inputs), len(inputs) - lag)
        return np.log10(np.linalg.svd(product, compute_uv=False))

    monkeypatch.setattr(gradients, "singular_spectrum", singular_spectrum)
    assert len(failures("spectra.small_singular_values")) >= 3
    assert len(failures("spectra.determinants")) >= 3


def test_an_engine_that_raises_is_a_failed_row(monkeypatch: Patch) -> None:
    def jacobian_decay(*arguments: Any, **options: Any) -> Any:
        raise FloatingPointError("no such\nlag")

    monkeypatch.setattr(gradients, "jacobian_decay", jacobian_decay)
    (row,) = rows_of(CHECKS["powers.scalar_linear"], "engine")
    assert not row.passed
    assert row.note == "FloatingPointError: no such lag"
    assert (row.group, row.name) == ("powers", "scalar linear")


def test_a_clipping_that_hides_nan(monkeypatch: Patch) -> None:
    right = Clipping.apply

    def hiding(self: Clipping, *arguments: Any) -> Clipped:
        found = right(self, *arguments)
        return Clipped({k: np.nan_to_num(v) for k, v in found.gradients.items()}, 0.0, 0.0, 0)

    monkeypatch.setattr(Clipping, "apply", hiding)
    failed = failures("clipping.non_finite")
    assert "global_norm: one nan is counted once" in failed
    assert "global_norm: NaN stays NaN" in failed


def test_a_clipping_that_touches_the_weights(monkeypatch: Patch) -> None:
    right = Clipping.apply

    def touching(self: Clipping, given: Any, parameters: Any = None) -> Clipped:
        if parameters is not None:
            parameters["weight_hh"] *= 1.0 + 1e-15
        return right(self, given, parameters)

    monkeypatch.setattr(Clipping, "apply", touching)
    failed = failures("clipping.parameter_gradients_alone")
    assert "lstm: clipped parameter gradients leave every ∂h_t/∂h_k" in failed


def test_clipping_without_torchs_constant(monkeypatch: Patch) -> None:
    right = Clipping.apply

    def plain(self: Clipping, *arguments: Any) -> Clipped:
        return right(Clipping("global_norm_pascanu", self.threshold), *arguments)

    monkeypatch.setattr(Clipping, "apply", plain)
    assert len(failures("clipping.torchs_own")) >= 3
    assert any(name.startswith("global_norm: a norm of exactly c") for name in failures("clipping.norms"))


def faulty_in(cell: str, fault: type[broken.Intact]) -> broken.Intact:
    """A backend with this fault in one cell, and none in the others."""

    class Faulty(fault):
        def bind(self, name: str, parameters: Any, dtype: str) -> Any:
            return (super() if name == cell else broken.Intact()).bind(name, parameters, dtype)

    return Faulty()


@pytest.mark.parametrize(
    ("fault", "check", "cell"),
    [
        (broken.SwappedGates, "analytic_product", "lstm"),
        (broken.SwappedGates, "gates_of_biases", "lstm"),
        (broken.DroppedBias, "analytic_product", "gru"),
        (broken.MergedBias, "analytic_product", "gru"),
        (broken.ResetBeforeAsAfter, "analytic_product", "gru"),
        (broken.ResetAfterAsBefore, "analytic_product", "gru_reset_before"),
        (broken.MissingCellPath, "analytic_product", "lstm"),
        (broken.MissingCellPath, "own_forward", "lstm"),
        (broken.MissingCellPath, "gates_of_biases", "lstm"),
    ],
)
def test_a_broken_backend(fault: type[broken.Intact], check: str, cell: str) -> None:
    assert failures(f"backends.{check}", broken.Intact(), "float64") == []
    failed = failures(f"backends.{check}", faulty_in(cell, fault), "float64")
    assert failed
    assert all(name.startswith(f"{cell}: ") for name in failed)


def test_a_transposed_measurement(monkeypatch: Patch) -> None:
    right = gradients.measured_jacobian
    monkeypatch.setattr(gradients, "measured_jacobian", lambda *a, **k: right(*a, **k).transpose(0, 2, 1))
    failed = failures("backends.analytic_product", broken.Intact(), "float64")
    assert {name.split(":")[0] for name in failed} == set(CELLS)
    assert any("Jordan" in name for name in failures("backends.powers", broken.Intact(), "float64"))
