"""The cells' own equations, held against calculus.

Every backend is held against the cells; here the cells are held against what they did not write.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from implementations import CELLS, Cell, Parameters
from implementations.contract import Array
from tests.conformance.one_step import BATCH, HIDDEN, Step, named


def central_differences(loss: Callable[[], float], array: Array, step: float = 1e-6) -> Array:
    found = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + step
        above = loss()
        array[index] = value - step
        found[index] = (above - loss()) / (2 * step)
        array[index] = value
    return found


cells = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


@cells
def test_step_backward_against_central_differences(cell: Cell) -> None:
    step = Step(cell)
    for name, (value, gradient) in named(step, step.backward()).items():
        np.testing.assert_allclose(
            gradient, central_differences(step.loss, value), rtol=1e-6, atol=1e-8, err_msg=name
        )


@cells
def test_step_jacobian_against_central_differences(cell: Cell) -> None:
    """Row = component of the later state, column = of the earlier one; samples do not mix."""
    step = Step(cell)
    size = HIDDEN * len(cell.state_names)
    found = np.zeros((BATCH, size, size))
    for column in range(size):
        part, unit = divmod(column, HIDDEN)
        moved = []
        for sign in (1, -1):
            state = tuple(array.copy() for array in step.state)
            state[part][:, unit] += sign * 1e-6
            moved.append(np.concatenate(cell.step(step.parameters, step.x, state), axis=1))
        found[:, :, column] = (moved[0] - moved[1]) / 2e-6
    np.testing.assert_allclose(step.jacobian(), found, rtol=1e-6, atol=1e-8)


@cells
def test_step_jacobian_is_what_step_backward_multiplies_by(cell: Cell) -> None:
    step = Step(cell)
    arriving = np.concatenate(step.grad, axis=1)
    leaving = np.concatenate(step.backward().state, axis=1)
    np.testing.assert_allclose(np.einsum("ba,bac->bc", arriving, step.jacobian()), leaving, rtol=1e-12)


@cells
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept(cell: Cell, dtype: str) -> None:
    step = Step(cell, dtype)
    gradients = step.backward()
    arrays = [*step.forward(), gradients.x, *gradients.state, *gradients.parameters.values(), step.jacobian()]
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}


@cells
def test_samples_are_independent(cell: Cell) -> None:
    """Row b of a batch is what sample b gives alone, and parameter gradients add up over samples."""
    step = Step(cell)
    together, total = step.forward(), step.backward().parameters
    sums = {name: np.zeros_like(array) for name, array in total.items()}
    for b in range(BATCH):
        alone = Step(cell)
        alone.x = step.x[b : b + 1]
        alone.state = tuple(array[b : b + 1] for array in step.state)
        alone.grad = tuple(array[b : b + 1] for array in step.grad)
        for one, all_of_them in zip(alone.forward(), together, strict=True):
            np.testing.assert_allclose(one[0], all_of_them[b], rtol=1e-13)
        for name, gradient in alone.backward().parameters.items():
            sums[name] += gradient
    for name, gradient in total.items():
        np.testing.assert_allclose(sums[name], gradient, rtol=1e-12, atol=1e-14, err_msg=name)


@cells
def test_an_empty_batch_is_no_special_case(cell: Cell) -> None:
    step = Step(cell, batch_size=0)
    assert [array.shape for array in step.forward()] == [(0, HIDDEN)] * len(cell.state_names)
    assert not any(array.any() for array in step.backward().parameters.values())


@cells
def test_arguments_are_left_alone(cell: Cell) -> None:
    step, untouched = Step(cell), Step(cell)
    step.forward(), step.backward(), step.jacobian()
    for name, (value, _) in named(step, step.backward()).items():
        np.testing.assert_array_equal(value, named(untouched, untouched.backward())[name][0])


@cells
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300])
def test_extreme_values_pass_in_silence(cell: Cell, value: float) -> None:
    """No warning; NaN in gives NaN out in its own sample; the gates never make NaN of an overflow."""
    if cell.name == "lstm_no_input_activation" and np.isinf(value):
        pytest.skip("g is unbounded here: a closed gate times inf is NaN, as in arithmetic")
    step = Step(cell)
    step.x[1, 0] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = step.forward()
        step.backward(), step.jacobian()
    others = [0, 2, 3]
    assert all(np.isfinite(array[others]).all() for array in after)
    assert all(np.isnan(array[1]).any() == bool(np.isnan(value)) for array in after)


def test_relu_has_slope_zero_at_zero() -> None:
    parameters = Parameters(np.zeros((2, 1)), np.eye(2), np.zeros(2), np.zeros(2))
    state = (np.array([[0.0, 1.0]]),)
    for name in ("rnn_relu", "rnn_relu_preactivation"):
        jacobian = CELLS[name].step_jacobian(parameters, np.zeros((1, 1)), state)
        np.testing.assert_array_equal(jacobian[0], np.diag([0.0, 1.0]))


@pytest.mark.parametrize("name", ["rnn_relu", "rnn_relu_preactivation"])
def test_a_dead_relu_stops_an_infinite_gradient(name: str) -> None:
    parameters = Parameters(np.zeros((2, 1)), np.eye(2), np.zeros(2), np.zeros(2))
    gradients = CELLS[name].step_backward(
        parameters, np.zeros((1, 1)), (np.array([[-1.0, 1.0]]),), (np.array([[np.inf, 0.0]]),)
    )
    if name == "rnn_relu":
        np.testing.assert_array_equal(gradients.state[0], [[0.0, 0.0]])
    else:
        assert gradients.state[0][0, 0] == 0.0


def test_sigmoid_keeps_its_precision_in_both_tails() -> None:
    from implementations.cells.arithmetic import sigmoid

    for dtype in ("float32", "float64"):
        a = np.array([-700.0, -80.0, -40.0, -1.0, 0.0, 1.0, 40.0, 1e30, -1e30, np.inf, -np.inf], dtype)
        exact = np.where(a < 0, np.exp(np.minimum(a, 0).astype("longdouble")), 1)
        exact = exact / (1 + np.exp(-np.abs(a).astype("longdouble")))
        found = sigmoid(a)
        assert found.dtype == np.dtype(dtype)
        np.testing.assert_allclose(found, exact.astype(dtype), rtol=4 * np.finfo(dtype).eps, atol=0)
    assert np.isnan(sigmoid(np.array([np.nan]))).all()


@pytest.mark.parametrize("cell", ["gru", "gru_reset_before"])
def test_the_two_grus_agree_only_where_reset_cannot_matter(cell: str) -> None:
    """With a diagonal W_hn and b_hn = 0 the reset gate may stand on either side; otherwise not."""
    step = Step(CELLS[cell])
    other = CELLS["gru" if cell == "gru_reset_before" else "gru_reset_before"]

    def distance() -> float:
        theirs = other.step(step.parameters, step.x, step.state)
        return float(np.abs(step.forward()[0] - theirs[0]).max())

    assert distance() > 1e-2
    candidate = CELLS[cell].gate(step.parameters.weight_hh, "n")
    candidate[:] = np.diag(np.diag(candidate))
    assert distance() > 1e-2
    CELLS[cell].gate(step.parameters.bias_hh, "n")[:] = 0
    assert distance() < 1e-14
