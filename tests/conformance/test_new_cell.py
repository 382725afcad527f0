"""A cell that nobody knew yet, with a parameter of its own: one definition, and `numpy` runs it.

The other backends say that they have not got it.
"""

from __future__ import annotations

import numpy as np
import pytest

from implementations import BACKENDS, CELLS, BackendUnavailable, Cell, Parameters, StepGradients, load_backend
from implementations.contract import Array
from tests.conformance.test_backends import CHECKS, DTYPES, Check, concerns

NAME = "rnn_with_a_scale"


class ScaledRNN(Cell):
    """h' = s⊙tanh(a),  a = W_ih x + b_ih + W_hh h + b_hh; `scale` (H,) is a parameter too."""

    name = NAME
    gates = ("h",)

    def parameter_shapes(self, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
        return {**super().parameter_shapes(input_size, hidden_size), "scale": (hidden_size,)}

    def _tanh(self, p: Parameters, x: Array, h: Array) -> Array:
        return np.tanh(x @ p.weight_ih.T + p.bias_ih + h @ p.weight_hh.T + p.bias_hh)

    def step(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> tuple[Array, ...]:
        return (parameters.extras["scale"] * self._tanh(parameters, x, state[0]),)

    def step_backward(
        self,
        parameters: Parameters,
        x: Array,
        state: tuple[Array, ...],
        grad_state: tuple[Array, ...],
    ) -> StepGradients:
        (h,), (grad_h,) = state, grad_state
        value = self._tanh(parameters, x, h)
        delta = grad_h * parameters.extras["scale"] * (1 - value**2)
        return StepGradients(
            delta @ parameters.weight_ih,
            (delta @ parameters.weight_hh,),
            {
                "weight_ih": delta.T @ x,
                "weight_hh": delta.T @ h,
                "bias_ih": delta.sum(0),
                "bias_hh": delta.sum(0),
                "scale": (grad_h * value).sum(0),
            },
        )

    def step_jacobian(self, parameters: Parameters, x: Array, state: tuple[Array, ...]) -> Array:
        value = self._tanh(parameters, x, state[0])
        return (parameters.extras["scale"] * (1 - value**2))[:, :, None] * parameters.weight_hh


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    CELLS.discover()
    monkeypatch.setitem(CELLS._items, NAME, ScaledRNN())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_numpy_runs_it(check: Check, dtype: str) -> None:
    if concerns(check, NAME, dtype):
        check(load_backend("numpy"), NAME, dtype)


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "numpy"])
def test_the_others_say_that_they_have_not_got_it(name: str) -> None:
    try:
        backend = load_backend(name)
    except BackendUnavailable as error:
        pytest.skip(str(error))
    reason = backend.why_unsupported(NAME, "float64")
    assert reason is not None
    assert NAME in reason


def test_a_misfit_extra_is_named() -> None:
    shapes = CELLS[NAME].parameter_shapes(2, 3)
    arrays = {name: np.zeros(shape) for name, shape in shapes.items()}
    wrong = Parameters.from_arrays({**arrays, "scale": np.zeros(4)})
    with pytest.raises(ValueError, match=r"scale must be \(3,\)"):
        load_backend("numpy").bind(NAME, wrong, "float64")
    without = Parameters.from_arrays({k: v for k, v in arrays.items() if k != "scale"})
    with pytest.raises(ValueError, match="scale"):
        load_backend("numpy").bind(NAME, without, "float64")
