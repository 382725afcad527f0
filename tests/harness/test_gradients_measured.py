"""What a backend computes, held against the product of analytic Jacobians."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.gradients import measured_jacobian
from harness.gradients.trajectory import run_forward
from harness.initializations import initialize
from implementations.registry import BACKENDS, CELLS, BackendUnavailable, load_backend
from implementations.tolerances import RELATIVE_TOLERANCE, relative_error


def analytic(cell: str, parameters: Any, inputs: Any, start: Any, anchor: int, lag: int) -> Any:
    trajectory = run_forward(cell, parameters, inputs, initial_state=start, steps=anchor)
    product = np.broadcast_to(
        np.eye(trajectory.state_size), (inputs.shape[1],) + (trajectory.state_size,) * 2
    )
    for t in range(anchor - lag + 1, anchor + 1):
        product = trajectory.jacobian(t) @ product
    return product


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_computes_the_analytic_product(backend: str, cell: str, dtype: str) -> None:
    try:
        loaded = load_backend(backend)
    except BackendUnavailable as reason:
        pytest.skip(str(reason))
    if reason := loaded.why_unsupported(cell, dtype, training=True):
        pytest.skip(reason)
    rng = np.random.default_rng(6)
    parameters = initialize("pytorch_uniform", cell, 3, 4, seed=4, gain=1.4).astype(dtype)
    inputs = rng.standard_normal((9, 2, 3)).astype(dtype)
    start = tuple(rng.standard_normal((2, 4)).astype(dtype) for _ in CELLS[cell].state_names)
    layer = loaded.bind(cell, parameters, dtype)
    for anchor, lag in ((9, 6), (7, 7), (9, 1), (5, 0)):
        measured = measured_jacobian(layer, inputs, initial_state=start, anchor=anchor, lag=lag)
        expected = analytic(cell, parameters.astype("float64"), inputs, start, anchor, lag)
        assert relative_error(measured, expected) <= RELATIVE_TOLERANCE[dtype]["gradient"]


def test_the_check_can_fail() -> None:
    """The whole product and the product of the hh blocks alone are different numbers."""
    parameters = initialize("pytorch_uniform", "lstm", 3, 4, seed=4)
    inputs = np.random.default_rng(6).standard_normal((9, 1, 3))
    layer = load_backend("numpy").bind("lstm", parameters, "float64")
    trajectory = run_forward("lstm", parameters, inputs)
    wrong = np.eye(4)
    for t in range(4, 10):
        wrong = trajectory.jacobian(t)[0, :4, :4] @ wrong
    measured = measured_jacobian(layer, inputs, lag=6)[0, :4, :4]
    assert relative_error(wrong, measured) > 0.1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"lag": 10}, "lag must be in 0…9"),
        ({"lag": 5, "anchor": 4}, "lag must be in 0…4"),
        ({"lag": 1, "anchor": 11}, "anchor must be in 0…9"),
        ({"lag": 1, "device": "cuda"}, "device must be 'cpu'"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], complaint: str) -> None:
    layer = load_backend("numpy").bind("gru", initialize("orthogonal", "gru", 3, 4), "float64")
    with pytest.raises(ValueError, match=complaint):
        measured_jacobian(layer, np.zeros((9, 1, 3)), **arguments)
