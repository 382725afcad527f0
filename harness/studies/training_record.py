"""The record of one training on a task: its rows, the decay before, along and after, and how long it took."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.case import Case, Scalar
from harness.clipping import Clipping
from harness.gradients import ForwardDiverged, jacobian_decay
from harness.gradients.summary import DecaySummary, summarize_decay
from harness.studies.gradient_decay import chosen_lags
from harness.studies.rows import Rows
from harness.training.evaluate import score
from harness.training.loop import Step
from harness.training.model import Batch, SequenceModel
from harness.training.radius import recurrent_radius
from harness.training.tasks import Task
from harness.training.through_time import ThroughTime

_OBSERVED = 10
"""Name of the random stream of the sequences that the decay is measured on."""
DECAYS, LAGS_ALONG = 8, 8
"""At how many checks, evenly over a training, the decay is measured along the way, and at how many lags."""
PRODUCTS_OF_A_RADIUS = 120.0
"""Products of (H, H) matrices that take as long as the eigenvalues of one, by timing H from 32 to 128."""
COLUMNS = (
    *("quantity", "step", "loss", "error_rate", "gradient_norm", "clipped_norm"),
    *("spectral_radius", "lag", "log10_spectral_norm", "seconds"),
)


class Stopwatch:
    """Seconds between each start and the stop after it; a stop without a start is none."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._since: float | None = None

    def start(self) -> None:
        self._since = time.perf_counter()

    def stop(self) -> None:
        if self._since is not None:
            self.seconds += time.perf_counter() - self._since
        self._since = None


def compiled(model: SequenceModel, batch: Batch) -> None:
    """One step on a batch of the training's sizes, and nothing changed by it: whatever is compiled, loaded or
    imported with the first step is so before the watch starts."""
    layer = model.layer
    kept = replace(layer.counts) if isinstance(layer, ThroughTime) else None
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite, the training itself will tell
        model.loss_and_gradients(batch)
    model.update(model.weights)
    if isinstance(layer, ThroughTime) and kept is not None:
        layer.counts = kept


class Record(Rows):
    """The rows of one training."""

    def __init__(self, case: Case, task: Task, model: SequenceModel) -> None:
        super().__init__(COLUMNS)
        axes: dict[str, Any] = dict(case.axes)
        self.cell, self.seq_len, self.seed = axes["cell"], axes["seq_len"], axes["seed"]
        self.task, self.model = task, model
        rng = np.random.default_rng([self.seed, _OBSERVED])
        self._inputs = task.batch(rng, self.seq_len, axes["samples"]).inputs
        self._lags = chosen_lags(len(self._inputs))
        self._looked_along = intervals(axes["steps"], axes["check_every"])
        self.solved_at: int | None = None
        self.last_step = 0
        self.watch, self.checking_seconds = Stopwatch(), 0.0

    def add(self, quantity: str, step: int, **values: Scalar) -> None:
        """One row."""
        self.last_step = max(self.last_step, step)
        self.append(quantity=quantity, step=step, **values)

    def step(self, done: Step, *, radius: bool) -> None:
        """What is known of a step at its end; looking at W_hh for its radius is no time of training."""
        self.watch.stop()
        started = time.perf_counter()
        self.add(
            "step",
            done.number,
            loss=done.loss,
            gradient_norm=done.gradient_norm,
            clipped_norm=done.clipped_norm,
            spectral_radius=self._radius() if radius else None,
        )
        self.checking_seconds += time.perf_counter() - started
        self.watch.start()

    def check(self, step: int) -> bool:
        """Try the task on held-out sequences; True where it is solved.  No time of training.

        At some of the checks the decay is measured too, where the network reaches it.
        """
        self.watch.stop()
        started = time.perf_counter()
        found = score(self.model, self.task, self.seq_len, seed=self.seed)
        self.add(
            "score",
            step,
            loss=found.loss,
            error_rate=found.error_rate,
            spectral_radius=self._radius(),
            seconds=self.watch.seconds,
        )
        if self.task.solved(found):
            self.solved_at = step
        elif step in self._looked_along:
            with suppress(ForwardDiverged, ValueError):
                self._decay(step, along(self._lags))
        self.checking_seconds += time.perf_counter() - started
        self.watch.start()
        return self.solved_at is not None

    def before(self) -> dict[str, Scalar]:
        """The decay of the start: its rows, and what is said of it.

        Raises:
            ForwardDiverged: the network reached inf or NaN.
        """
        self._start = self._decay(0, self._lags)
        return _facts(self._start, "before")

    def after(self, step: int | None) -> dict[str, Scalar]:
        """The decay at the end; nulls where the network no longer reaches it.

        Args:
            step: after how many steps the network stands as it is now: all of them, or, where training
                diverged, those of the last good state, beyond which no decay stays on record; None where
                there is none.
        """
        if step is None:
            return _facts(None, "after")
        self.leave_out(("decay",), first=step or 1)
        if step == 0:
            return _facts(self._start, "after")
        try:
            return _facts(self._decay(step, self._lags), "after")
        except (ForwardDiverged, ValueError):
            return _facts(None, "after")

    def clipped_share(self, layer: Any, rule: Clipping | None) -> float | None:
        """What the rule changed, of all that it met; None where it clips nothing, or cuts instead."""
        if rule is None or rule.rule == "truncated":
            return None
        if rule.place != "parameters":
            return layer.counts.changed / layer.counts.met if layer.counts.met else None
        before, after = (
            np.array([norm for norm in self.columns[name] if norm is not None], float)
            for name in ("gradient_norm", "clipped_norm")
        )
        return float(np.mean(after < before)) if len(before) else None

    def _radius(self) -> float | None:
        return recurrent_radius(self.cell, self.model.parameters.weight_hh)

    def _decay(self, step: int, lags: NDArray[np.int64]) -> DecaySummary:
        found = jacobian_decay(self.cell, self.model.parameters, self._inputs, lags=lags)
        norms = found.log10_spectral_norm["hh"]
        for lag, median in zip(lags.tolist(), np.median(norms, axis=1).tolist(), strict=True):
            self.add("decay", step, lag=lag, log10_spectral_norm=median)
        return summarize_decay(lags, norms[:, None, :])


def intervals(steps: int, check_every: int) -> set[int]:
    """The checks at which the decay is measured along the way; after the last step it is measured anyway."""
    checks = steps // check_every
    return {check_every * round(checks * i / DECAYS) for i in range(1, DECAYS + 1)} - {0, steps}


def along(lags: NDArray[np.int64]) -> NDArray[np.int64]:
    """Some of the lags, from 1 to the longest in equal ratios."""
    places = np.searchsorted(lags, np.rint(np.geomspace(1, lags[-1], LAGS_ALONG)))
    return lags[np.unique(places)]


def _facts(summary: DecaySummary | None, when: str) -> dict[str, Scalar]:
    names = [f"{name}_{when}" for name in ("half_life", "horizon", "rate", "log10_norm")]
    if summary is None:
        return dict.fromkeys(names)
    values = (summary.half_life, summary.horizon_1_percent, _finite(summary.rate))
    return dict(zip(names, (*values, float(summary.log10_typical[-1])), strict=True))


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
