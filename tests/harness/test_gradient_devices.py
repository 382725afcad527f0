"""Every analysis on a device: the same numbers as NumPy's, and no waiting for the device inside a time loop.

Where there is no CUDA device, torch on the processor takes the same code path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from harness.clipping import Clipping
from harness.gradients import (
    adjoint_decay,
    gradient_by_lag,
    jacobian_decay,
    lyapunov_spectrum,
    singular_spectrum,
)
from harness.gradients.namespace import Space
from harness.initializations import initialize
from implementations.contract import Parameters
from implementations.registry import CELLS

T, B, H = 40, 3, 12


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for each other make small tensors slow on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def draw(cell: str, gain: float = 1.5) -> tuple[Parameters, Any]:
    parameters = initialize("pytorch_uniform", cell, 3, H, seed=1, gain=gain)
    return parameters, np.random.default_rng(8).standard_normal((T, B, 3))


def gradients_of(cell: str) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "grad_output": rng.standard_normal((T, B, H)),
        "grad_final_state": tuple(rng.standard_normal((B, H)) for _ in CELLS[cell].state_names),
    }


def decay(cell: str, device: str, dtype: str = "float64", **options: Any) -> dict[str, Any]:
    blocks = ("hh", "cc", "ss") if cell == "lstm" else ("hh",)
    parameters, inputs = draw(cell)
    found = jacobian_decay(cell, parameters, inputs, blocks=blocks, device=device, dtype=dtype, **options)
    norms = (found.log10_spectral_norm, found.log10_frobenius_norm, found.log10_frobenius_standard_error)
    return {f"{i} {block}": array for i, norm in enumerate(norms) for block, array in norm.items()}


def probes(cell: str, device: str, dtype: str = "float64") -> dict[str, Any]:
    return decay(cell, device, dtype, probes=5, lags=[0, 1, 17, T])


def spectrum(cell: str, device: str, dtype: str = "float64") -> dict[str, Any]:
    parameters, inputs = draw(cell)
    # Where h follows from the other states, H singular values of every step are rounding.
    follows = cell in ("lstm_no_output_gate", "lstm_gate_recurrence")
    rank = H * (len(CELLS[cell].state_names) - follows)
    return {
        f"lag {lag}": singular_spectrum(cell, parameters, inputs, lag=lag, device=device, dtype=dtype)[
            :, :rank
        ]
        for lag in (0, 1, 20)
    }


def exponents(cell: str, device: str, dtype: str = "float64") -> dict[str, Any]:
    parameters, inputs = draw(cell)
    found = lyapunov_spectrum(cell, parameters, inputs, warmup=5, device=device, dtype=dtype)
    # Where ReLUs die, exponents are −inf or rounding: these are well above.
    return {"leading": found.exponents[:2], "converged": int(found.converged)}


def adjoint(
    cell: str, device: str, dtype: str = "float64", clipping: Clipping | None = None
) -> dict[str, Any]:
    parameters, inputs = draw(cell)
    found = adjoint_decay(
        cell, parameters, inputs, **gradients_of(cell), clipping=clipping, device=device, dtype=dtype
    )
    return {
        "total": found.log10_total,
        "direct": found.log10_direct,
        "clipped": found.clipped,
        "non_finite": found.non_finite,
        **found.parameters,
    }


def by_lag(cell: str, device: str, dtype: str = "float64") -> dict[str, Any]:
    parameters, inputs = draw(cell)
    grad = np.random.default_rng(3).standard_normal((B, H))
    found = gradient_by_lag(
        cell, parameters, inputs, grad_output=grad, keep_terms=True, device=device, dtype=dtype
    )
    assert found.terms is not None
    return {
        "norm": found.log10_norm,
        "share": found.cumulative_share,
        "gradient": found.gradient,
        "terms": found.terms,
    }


ANALYSES: dict[str, Callable[..., dict[str, Any]]] = {
    function.__name__: function for function in (decay, probes, spectrum, exponents, adjoint, by_lag)
}


def agree(here: dict[str, Any], there: dict[str, Any], tolerance: float) -> None:
    assert here.keys() == there.keys()
    for name in here:
        assert isinstance(there[name], np.ndarray | np.generic | int), name
        np.testing.assert_allclose(there[name], here[name], rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_torch_computes_what_numpy_does(analysis: str, cell: str) -> None:
    agree(*(ANALYSES[analysis](cell, device) for device in ("cpu", "torch")), 1e-8)


@pytest.mark.cuda
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("analysis", ANALYSES)
def test_cuda_computes_what_numpy_does(analysis: str, cell: str) -> None:
    agree(*(ANALYSES[analysis](cell, device) for device in ("cpu", "cuda")), 1e-8)


RULES = [
    *(("value", 0.1), ("per_sample_norm", 0.1), ("per_tensor_norm", 0.1), ("global_norm", 0.1)),
    *(("global_norm_pascanu", 0.1), ("lecture_squared_norm", 0.1), ("none", None)),
]


@pytest.mark.parametrize(("rule", "threshold"), RULES)
def test_clipping_at_the_state_is_the_same(rule: str, threshold: float | None) -> None:
    clipping = Clipping(rule, threshold, place="state")
    here, there = (adjoint("lstm", device, clipping=clipping) for device in ("cpu", "torch"))
    agree(here, there, 1e-8)
    assert here["clipped"].any() == (rule != "none")


@pytest.mark.parametrize("cell", CELLS)
def test_truncation_is_the_same(cell: str) -> None:
    clipping = Clipping("truncated", steps=7)
    agree(*(adjoint(cell, device, clipping=clipping) for device in ("cpu", "torch")), 1e-8)


@pytest.mark.parametrize("analysis", ["probes", "adjoint", "by_lag", "exponents"])
def test_what_comes_back_does_not_grow_with_the_steps(analysis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy to the processor per step is a wait per step."""
    fetched = []
    original = Space.get
    monkeypatch.setattr(Space, "get", lambda space, array: fetched.append(1) or original(space, array))
    for name in ("item", "numpy", "tolist", "__bool__", "__float__", "__int__"):
        method = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, *a, _m=method, **k: fetched.append(1) or _m(self, *a, **k)
        )
    ANALYSES[analysis]("lstm", "torch")
    assert len(fetched) < T
