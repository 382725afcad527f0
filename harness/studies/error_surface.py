"""The error surface: how rough is it, and what does clipping do to a descent that meets a cliff?

Three surfaces: one unit over its weight and bias, and a plane through a trained network, both with descents;
and the toy y = w^1000, in which one percent decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from harness.case import Case, Scalar
from harness.clipping import Clipping
from harness.initializations import initialize, why_unsupported
from harness.measure.estimate import why_not_started
from harness.measure.outlook import Outlook
from harness.measure.work import Sizes
from harness.outcome import Measured
from harness.studies.networks import training_seconds
from harness.studies.rows import Rows
from harness.studies.study import (
    STUDIES,
    BackendName,
    CellName,
    Context,
    InitializationName,
    Positive,
    Seed,
    Size,
    Study,
    StudyAxes,
    once,
    one_of,
)
from harness.training.evaluate import batch_of
from harness.training.loop import TrainingDiverged, train
from harness.training.model import SequenceModel
from harness.training.optimizers import Optimizer
from harness.training.surface import OneUnit, Path, Plane, Surface, descend, steepest_slope
from harness.training.tasks import TASKS

SURFACES = ("one_unit", "trained", "power")
WEIGHTS, BIASES = (4.6, 7.0), (-3.2, -2.0)
"""The part of the plane that holds the cliff of one unit over 50 steps."""
STARTS = ((5.0, -2.3), (5.4, -2.9), (6.2, -2.75))
POWER_STEPS = 1000
LEARNING_RATE = 0.01
"""Of Adam, before the plane is cut."""
PLANE_STARTS = ((0.8, 0.7), (0.7, -0.8), (-0.8, 0.5))
PLANE_RATE = 0.3
"""Of the descents in a plane, where lengths are in norms of the weights."""
DESCENT_CALLS = 8
"""Small NumPy calls that a step of a descent takes for each step of the unit; found by timing it once."""
RECORDED_FIRST, RECORDED_LATER = 60, 100
"""Of a long descent every one of the first steps is kept, of those after so many, ever further apart."""


class ErrorSurfaceAxes(StudyAxes):
    backend: list[BackendName] = ["numba"]
    surface: list[Annotated[str, one_of("surface", SURFACES)]] = list(SURFACES)
    learning_rate: list[Positive] = [0.1, 1.0]
    """Of the descents on the surface of one unit."""
    cell: CellName = "gru"
    """Of the trained network: one that learns to add within `steps`."""
    initialization: InitializationName = "orthogonal"
    seq_len: Size = 50
    hidden_size: Size = 16
    batch_size: Size = 32
    steps: Size = 400
    """Of training before the plane is cut."""
    grid: Annotated[int, Field(ge=5, le=401, strict=True)] = 61
    descent_steps: Size = 2000
    """Of a descent on one unit: so many that a small learning rate does not fail for want of steps."""
    plane_steps: Size = 60
    """Of a descent in a plane."""
    threshold: Positive = 0.1
    seed: Seed = 0


class ErrorSurface(Study):
    """Columns: quantity, x, y, log10_loss, log10_gradient_norm, start, step.  The quantity of a row is
    "surface" (a point of the grid), "plain" or "clipped" (a step of a descent from start number `start`).
    x and y are w and b of one unit; how far a plane reaches along the gradient and along a random direction,
    in units of the weights' own norms; w of the toy, whose y is null.  log10 of an exact zero is −inf.  Of a
    long descent not every step is kept: the first ones, the longest, the last, and ever fewer between.

    Facts: steepness, the largest slope over the median gradient norm of the grid (null where that is zero):
    of one unit also between the points of the grid, where a cliff stands, else on them; flat_share, of the
    grid, where the gradient is below a hundredth of that slope.  Of a trained network too
    diverged_at_step and last_good_step: where its training diverged, the plane is cut through the weights
    with which loss and gradients were last finite, after so many steps; where they never were there is none.
    And centre_loss, of the network in the plane's middle on the batch that the plane is drawn for, beside
    baseline, what knowing nothing costs.
    """

    name = "error_surface"
    question = "How rough is the error surface, and what does clipping do at a cliff?"
    compares_backends = False
    Axes: ClassVar[type[StudyAxes]] = ErrorSurfaceAxes

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Learning rates are those of the descents on one unit; any other surface comes once."""
        return once(
            point if point["surface"] == "one_unit" else {**point, "learning_rate": None}
            for point in super().points(axes)
        )

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """Each step of each descent, or the training and a loss at each point of the plane."""
        axes: dict[str, Any] = dict(case.axes)
        points, length = axes["grid"] ** 2, axes["seq_len"]
        if axes["surface"] == "one_unit":
            descents = 2 * len(STARTS) * axes["descent_steps"] * length
            return outlook.calls(DESCENT_CALLS * descents) + outlook.elementwise(points * length)
        if axes["surface"] == "power":
            return outlook.calls(1000)
        sizes = Sizes(length, axes["batch_size"], TASKS["adding"].input_size, axes["hidden_size"])
        one = outlook.pass_seconds(axes["cell"], sizes, training=False) + outlook.calls(250)
        steps = axes["steps"] + 2 * len(PLANE_STARTS) * axes["plane_steps"]
        return training_seconds(axes["cell"], sizes, steps, outlook) + points * one

    def why_not(self, case: Case, context: Context) -> str | None:
        """The reason where the network cannot be had, trained here, or trained in the time that the plan
        allows; the other surfaces need none."""
        axes: dict[str, Any] = dict(case.axes)
        if axes["surface"] != "trained":
            return None
        if reason := why_unsupported(axes["initialization"], axes["cell"]):
            return reason
        sizes = Sizes(axes["seq_len"], axes["batch_size"], TASKS["adding"].input_size, axes["hidden_size"])
        passes = axes["steps"] + 2 * len(PLANE_STARTS) * axes["plane_steps"]
        return why_not_started(
            context.backend,
            axes["cell"],
            "float32",
            sizes,
            training=True,
            calls=passes + axes["grid"] ** 2 // 3,  # a loss is a forward, a third of a pass
            max_seconds=context.max_seconds,
        )

    def measure(self, case: Case, context: Context) -> Measured:
        axes: dict[str, Any] = dict(case.axes)
        rows = Record()
        if axes["surface"] == "one_unit":
            return _one_unit(axes, rows)
        if axes["surface"] == "power":
            return _power(axes, rows)
        return _trained(axes, context, rows)


class Record(Rows):
    """The rows of one case."""

    def __init__(self) -> None:
        super().__init__(("quantity", "x", "y", "log10_loss", "log10_gradient_norm", "start", "step"))

    def add(self, quantity: str, x: Any, y: Any = None, **values: Any) -> None:
        """One row per entry; what is not given is null."""
        given = {"x": x, **({} if y is None else {"y": y}), **values}
        rows = {name: np.ravel(value).tolist() for name, value in given.items()}
        self.extend(np.size(x), quantity=[quantity] * np.size(x), **rows)


def _one_unit(axes: dict[str, Any], rows: Record) -> Measured:
    unit = OneUnit(axes["seq_len"])
    lines = np.linspace(*WEIGHTS, axes["grid"]), np.linspace(*BIASES, axes["grid"])
    weight, bias = np.meshgrid(*lines)
    loss, by_weight, by_bias = unit.loss(weight, bias)
    norm = np.hypot(by_weight, by_bias)
    rows.add("surface", weight, bias, log10_loss=_log10(loss), log10_gradient_norm=_log10(norm))
    _descents(rows, unit, STARTS, axes["learning_rate"], axes["threshold"], axes["descent_steps"])
    return Measured(rows.columns, _roughness(norm, steepest_slope(unit, *lines)))


def _descents(
    rows: Record,
    surface: Surface,
    starts: Sequence[tuple[float, float]],
    rate: float,
    threshold: float,
    steps: int,
) -> None:
    """From each start, with and without clipping."""
    rules = {"plain": None, "clipped": Clipping("global_norm_pascanu", threshold)}
    for start, (first, second) in enumerate(starts):
        for quantity, rule in rules.items():
            path = descend(surface, first, second, rate, steps, rule)
            kept = _kept(path)
            rows.add(
                quantity,
                path.weight[kept],
                path.bias[kept],
                log10_loss=_log10(path.loss[kept]),
                log10_gradient_norm=_log10(path.gradient_norm[kept]),
                start=[start] * len(kept),
                step=kept,
            )


def _kept(path: Path) -> NDArray[np.int64]:
    """The steps of a descent that are recorded, ascending; both ends of the longest are among them."""
    last = len(path.loss) - 1
    if last <= RECORDED_FIRST:
        return np.arange(last + 1)
    lengths = np.hypot(np.diff(path.weight), np.diff(path.bias))
    longest = int(np.argmax(lengths))
    later = np.geomspace(RECORDED_FIRST, last, RECORDED_LATER).round().astype(np.int64)
    return np.unique(np.concatenate([np.arange(RECORDED_FIRST), later, [longest, longest + 1]]))


def _power(axes: dict[str, Any], rows: Record) -> Measured:
    """y = w^T and dy/dw = T·w^(T−1), in log10."""
    w = np.linspace(0.99, 1.01, axes["grid"])
    log10_y = POWER_STEPS * np.log10(w)
    slope = np.log10(POWER_STEPS) + (POWER_STEPS - 1) * np.log10(w)
    rows.add("surface", w, log10_loss=log10_y, log10_gradient_norm=slope)
    return Measured(rows.columns, _roughness(10.0**slope))


def _trained(axes: dict[str, Any], context: Context, rows: Record) -> Measured:
    task, seed = TASKS["adding"], axes["seed"]
    parameters = initialize(
        axes["initialization"], axes["cell"], task.input_size, axes["hidden_size"], seed=seed
    )
    layer = context.backend.bind(axes["cell"], parameters, "float32")
    model = SequenceModel(layer, task.output_size, task.objective, seed=seed)
    optimizer = Optimizer("adam", model.weights, LEARNING_RATE)
    diverged: dict[str, Scalar] = {"diverged_at_step": None, "last_good_step": None}
    baseline = task.baseline(axes["seq_len"])
    try:
        for _ in train(
            model,
            lambda step: batch_of(task, step, axes["seq_len"], axes["batch_size"], seed=seed),
            optimizer,
            axes["steps"],
            clipping=Clipping("global_norm", 1.0),
        ):
            pass
    except TrainingDiverged as error:
        diverged = {"diverged_at_step": error.step, "last_good_step": error.last_good}
        if error.last_good is None:
            learned: dict[str, Scalar] = {"centre_loss": None, "baseline": baseline}
            return Measured(rows.columns, {**_roughness(np.empty(0)), **diverged, **learned})
    reach = np.linspace(-1.0, 1.0, axes["grid"])
    batch = batch_of(task, 0, axes["seq_len"], axes["batch_size"], seed=seed)
    plane = Plane(model, batch, seed=seed)
    losses = plane.losses(reach)
    along, across = np.meshgrid(reach, reach, indexing="ij")
    slopes = np.hypot(*np.gradient(losses, reach, reach))
    rows.add("surface", along, across, log10_loss=_log10(losses), log10_gradient_norm=_log10(slopes))
    _descents(rows, plane, PLANE_STARTS, PLANE_RATE, axes["threshold"], axes["plane_steps"])
    learned = {"centre_loss": float(model.loss(batch)), "baseline": baseline}
    return Measured(rows.columns, {**_roughness(slopes), **diverged, **learned})


def _roughness(norm: Any, steepest: float = 0.0) -> dict[str, Scalar]:
    """Of the gradient norms on a grid, and of the steepest slope between its points where that is known."""
    finite = norm[np.isfinite(norm)]
    if not finite.size:
        return {"steepness": None, "flat_share": None}
    largest, middle = max(float(finite.max()), steepest), float(np.median(finite))
    return {
        "steepness": largest / middle if middle > 0 else None,
        "flat_share": float(np.mean(finite < largest / 100.0)),
    }


def _log10(values: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values)


STUDIES.register("error_surface")(ErrorSurface())
