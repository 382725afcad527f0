"""The error surface: its gradient against autograd, the cliff, and what clipping does there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from harness.case import Case
from harness.clipping import Clipping
from harness.initializations import initialize
from harness.report.frames import Run
from harness.report.questions import SECTIONS
from harness.report.summaries.error_surface import _end
from harness.studies import error_surface
from harness.studies.error_surface import BIASES, PLANE_RATE, WEIGHTS
from harness.training.evaluate import batch_of
from harness.training.model import SequenceModel
from harness.training.surface import OneUnit, Plane, descend, steepest_slope
from harness.training.tasks import TASKS
from implementations.registry import load_backend
from tests.harness.studying import measured, points
from tests.report.synthetic import write_run

SMALL: dict[str, Any] = {
    "backend": ["numpy"], "cell": "rnn_tanh", "grid": 9, "steps": 3, "hidden_size": 4, "batch_size": 4,
    "descent_steps": 60,
}  # fmt: skip


@pytest.mark.parametrize(("weight", "bias"), [(5.3, -2.6), (4.9, -2.31), (6.5, -2.2)])
def test_the_gradient_is_autograds(weight: float, bias: float) -> None:
    w, b = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (weight, bias))
    h = torch.tensor(0.5, dtype=torch.float64)
    for _ in range(50):
        h = w * h.sigmoid() + b
    loss = (h.sigmoid() - 0.7) ** 2
    loss.backward()
    found = OneUnit().loss(weight, bias)
    assert [float(value) for value in found] == pytest.approx([loss.item(), w.grad.item(), b.grad.item()])


def test_one_point_has_the_loss_that_it_has_among_many() -> None:
    weights, biases = np.array([4.7, 5.4, 6.9, -900.0]), np.array([-2.3, -2.9, -2.1, 800.0])
    together = OneUnit().loss(weights, biases)
    alone = [OneUnit().loss(w, b) for w, b in zip(weights, biases, strict=True)]
    for one, many in zip(zip(*alone, strict=True), together, strict=True):
        np.testing.assert_allclose(one, many, rtol=1e-10)


def test_there_is_a_cliff_and_clipping_holds_on_to_it() -> None:
    """A gradient far steeper than the plain's: the descent leaps off; the clipped one stays and descends."""
    plain = descend(OneUnit(), 5.0, -2.3, 0.1, 60)
    clipped = descend(OneUnit(), 5.0, -2.3, 0.1, 60, Clipping("global_norm_pascanu", 0.1))
    assert plain.gradient_norm.max() > 100 * np.median(clipped.gradient_norm)
    assert np.abs(np.diff(plain.weight)).max() > 1.0
    steps = np.hypot(np.diff(clipped.weight), np.diff(clipped.bias))
    assert steps.max() <= 0.1 * 0.1 + 1e-12
    assert clipped.loss[-1] < 0.2 * clipped.loss[0]
    assert plain.loss[-1] > plain.loss[0]
    assert len(plain.loss) == 61


def test_a_plane_has_the_network_in_its_middle_and_leaves_it_alone() -> None:
    task = TASKS["adding"]
    layer = load_backend("numpy").bind("rnn_tanh", initialize("orthogonal", "rnn_tanh", 2, 5), "float64")
    model = SequenceModel(layer, 1, task.objective)
    batch = batch_of(task, 1, 6, 8)
    before = {name: array.copy() for name, array in model.weights.items()}
    losses = Plane(model, batch).losses(np.array([-1.0, 0.0, 1.0]))
    assert losses[1, 1] == pytest.approx(model.loss(batch), rel=1e-12)
    assert losses[2, 1] > losses[1, 1]  # a whole norm up the gradient
    for name, array in before.items():
        np.testing.assert_array_equal(model.weights[name], array)


def test_the_toy_is_the_lectures() -> None:
    found = pd.DataFrame(measured("error_surface", surface=["power"], **SMALL).columns)
    ends = found.set_index("x")["log10_loss"]
    assert 10 ** ends.iloc[-1] == pytest.approx(1.01**1000, rel=1e-9)
    assert 10 ** ends.iloc[0] == pytest.approx(0.99**1000, rel=1e-9)
    assert found["log10_gradient_norm"].iloc[4] == pytest.approx(math.log10(1000))


def test_rows_of_the_three_surfaces() -> None:
    one = measured("error_surface", surface=["one_unit"], learning_rate=[0.1], **SMALL, seq_len=50)
    rows = pd.DataFrame(one.columns)
    assert (rows["quantity"] == "surface").sum() == 81
    assert rows.groupby("quantity").size()[["plain", "clipped"]].tolist() == [3 * 61, 3 * 61]
    assert one.facts["steepness"] > 5
    trained = measured("error_surface", surface=["trained"], **SMALL, seq_len=6)
    rows = pd.DataFrame(trained.columns)
    assert rows.groupby("quantity").size()["surface"] == 81
    assert set(rows["start"].dropna()) == {0, 1, 2}
    clipped = rows[rows["quantity"] == "clipped"].astype({"x": float, "y": float})
    assert (clipped.groupby("start").size() == 61).all()
    steps = clipped.groupby("start")[["x", "y"]].diff().dropna().to_numpy(float)
    assert np.hypot(*steps.T).max() <= PLANE_RATE * 0.1 + 1e-6
    assert np.isfinite(np.array(trained.columns["log10_loss"], float)).all()


def test_a_long_descent_is_recorded_thinly_with_its_longest_step_and_its_end() -> None:
    options = {**SMALL, "descent_steps": 400}
    found = measured("error_surface", surface=["one_unit"], learning_rate=[0.1], **options, seq_len=50)
    rows = pd.DataFrame(found.columns)
    rows = rows[(rows["quantity"] == "plain") & (rows["start"] == 0)].astype(
        {"x": float, "y": float, "step": int}
    )
    path = descend(OneUnit(), 5.0, -2.3, 0.1, 400)
    longest = np.hypot(np.diff(path.weight), np.diff(path.bias))
    assert rows["step"].tolist()[:60] == list(range(60))
    assert {400, int(longest.argmax()), int(longest.argmax()) + 1} <= set(rows["step"])
    assert len(rows) < 200
    np.testing.assert_array_equal(rows["x"], path.weight[rows["step"]])
    assert _end(rows)["longest_step"] == pytest.approx(longest.max())


def test_the_network_of_the_defaults_learns() -> None:
    options = {"backend": ["numba"], "surface": ["trained"], "grid": 5, "plane_steps": 1}
    facts = measured("error_surface", **options).facts
    assert facts["baseline"] == 1 / 6
    assert facts["centre_loss"] < 0.1 * facts["baseline"]


def test_a_surface_is_the_units_own_and_so_is_its_roughness() -> None:
    found = measured("error_surface", surface=["one_unit"], learning_rate=[0.1], **SMALL, seq_len=50)
    rows = pd.DataFrame(found.columns)
    grid = rows[rows["quantity"] == "surface"]
    loss, by_weight, by_bias = OneUnit().loss(grid["x"].to_numpy(float), grid["y"].to_numpy(float))
    np.testing.assert_allclose(10 ** grid["log10_loss"].to_numpy(float), loss)
    norm = np.hypot(by_weight, by_bias)
    lines = np.unique(grid["x"].to_numpy(float)), np.unique(grid["y"].to_numpy(float))
    steepest = steepest_slope(OneUnit(), *lines)
    assert steepest > norm.max()
    assert found.facts["steepness"] == pytest.approx(steepest / np.median(norm))
    assert found.facts["flat_share"] == pytest.approx(np.mean(norm < steepest / 100))
    paths = rows[rows["start"] == 0].groupby("quantity")
    ends = {name: path.sort_values("step").iloc[-1] for name, path in paths}
    assert ends["plain"]["x"] != ends["clipped"]["x"]


@dataclass(frozen=True)
class Step:
    """A cliff of known slope: a loss that rises from 0 to 1 over `width` beside w = 0.3."""

    width: float

    def loss(self, weight: Any, bias: Any) -> tuple[Any, Any, Any]:
        weight, bias = np.broadcast_arrays(weight, bias)
        rise = np.clip((weight - 0.3) / self.width, 0.0, 1.0)
        return rise, np.zeros(weight.shape), np.zeros(weight.shape)


@pytest.mark.parametrize("width", [1e-2, 1e-6])
@pytest.mark.parametrize("points", [5, 8, 33])
def test_a_cliff_between_the_points_of_a_grid_is_found(width: float, points: int) -> None:
    lines = np.linspace(-1.0, 1.0, points), np.linspace(0.0, 1.0, 6)
    assert steepest_slope(Step(width), *lines) == pytest.approx(1.0 / width, rel=1e-3)


def test_the_unit_is_as_steep_on_whatever_grid() -> None:
    """At its points alone the largest gradient is 8 or 100,000 times the median one."""
    found = [
        steepest_slope(OneUnit(), np.linspace(*WEIGHTS, points) + shift, np.linspace(*BIASES, points))
        for points in (31, 41, 62)
        for shift in (0.0, 0.013)
    ]
    assert max(found) < 2.0 * min(found)


def test_a_trained_plane_is_that_of_the_trained_network() -> None:
    """Steps of training lower its middle; its rows go along the gradient, its columns across."""
    middles = {}
    for steps in (1, 60):
        options = {**SMALL, "steps": steps, "batch_size": 32, "hidden_size": 8}
        found = measured("error_surface", surface=["trained"], **options, seq_len=6)
        rows = pd.DataFrame(found.columns)
        plane = rows[rows["quantity"] == "surface"]
        assert plane["x"].tolist() == np.repeat(np.linspace(-1, 1, 9), 9).tolist()
        assert plane["y"].tolist() == np.tile(np.linspace(-1, 1, 9), 9).tolist()
        middles[steps] = plane["log10_loss"].iloc[40]
    assert middles[60] < middles[1] - 0.1


def test_of_a_training_that_diverged_the_plane_is_cut_through_its_last_good_state(tmp_path: Path) -> None:
    axes = {**SMALL, "surface": ["trained"], "cell": "rnn_relu", "seq_len": 6}
    calm = measured("error_surface", **axes)
    assert (calm.facts["diverged_at_step"], calm.facts["last_good_step"]) == (None, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(error_surface, "LEARNING_RATE", 1e30)
        found = measured("error_surface", **axes)
    assert (found.facts["diverged_at_step"], found.facts["last_good_step"]) == (2, 0)
    rows = pd.DataFrame(found.columns)
    rows = rows[rows["quantity"] == "surface"]
    assert len(rows) == 81
    task, start = TASKS["adding"], initialize("orthogonal", "rnn_relu", 2, 4)
    layer = load_backend("numpy").bind("rnn_relu", start, "float32")
    model = SequenceModel(layer, 1, task.objective)
    middle = rows[(rows["x"] == 0) & (rows["y"] == 0)]["log10_loss"].item()
    assert 10**middle == pytest.approx(model.loss(batch_of(task, 0, 6, 4)), rel=1e-5)
    (point,) = points("error_surface", **axes)
    run = Run.read(write_run(tmp_path / "run", [(Case("error_surface", point), found)]))
    told = SECTIONS["error_surface"].answer(run)
    assert told is not None
    assert told.details[0].endswith(
        "Its training diverged at step 2: the plane is cut through its last good state, after 0 steps."
    )


def test_the_first_direction_is_the_gradients() -> None:
    task = TASKS["adding"]
    layer = load_backend("numpy").bind("rnn_tanh", initialize("orthogonal", "rnn_tanh", 2, 5), "float64")
    model = SequenceModel(layer, 1, task.objective)
    batch = batch_of(task, 1, 6, 8)
    gradient = model.loss_and_gradients(batch).gradients
    far = sum(
        float(np.linalg.norm(gradient[name]) * np.linalg.norm(weight))
        for name, weight in model.weights.items()
    )
    reach = 1e-5
    losses = Plane(model, batch).losses(np.array([-reach, 0.0, reach]))
    # each weight moves by its own norm along its own gradient
    assert (losses[2, 1] - losses[0, 1]) / (2 * reach) == pytest.approx(far, rel=1e-4)


def test_the_slopes_in_a_plane_are_its_own_differences() -> None:
    task = TASKS["adding"]
    layer = load_backend("numpy").bind("rnn_tanh", initialize("orthogonal", "rnn_tanh", 2, 5), "float64")
    plane = Plane(SequenceModel(layer, 1, task.objective), batch_of(task, 1, 6, 8))
    x, y, d = 0.4, -0.3, 1e-6
    _, along, across = plane.loss(x, y)
    assert along == pytest.approx((plane.loss(x + d, y)[0] - plane.loss(x - d, y)[0]) / (2 * d), rel=1e-5)
    assert across == pytest.approx((plane.loss(x, y + d)[0] - plane.loss(x, y - d)[0]) / (2 * d), rel=1e-5)


def test_a_descent_that_leaves_the_numbers_ends_there() -> None:
    class Bowl:
        """x⁴ + y²: from far away every step leads further."""

        def loss(self, x: Any, y: Any) -> Any:
            with np.errstate(over="ignore", invalid="ignore"):
                return x**4 + y**2, 4 * x**3, 2 * y

    path = descend(Bowl(), 10.0, 0.0, 1.0, 60)
    assert len(path.loss) < 61
    assert np.isfinite(path.loss).all()


def test_only_descents_have_a_learning_rate() -> None:
    found = points("error_surface", backend=["numpy"])
    assert [(p["surface"], p["learning_rate"]) for p in found] == [
        ("one_unit", 0.1), ("one_unit", 1.0), ("trained", None), ("power", None),
    ]  # fmt: skip
