"""A layer that clips on its way back through time, in any backend, fused kernels included.

The one idea: a fused backward cannot be looked into, but a sequence of one step has no inside.  So the layer
runs step by step, each with a tape of its own, and between two steps of the backward pass the gradient is in
plain sight.  Gradients of the gates' pre-activations are had the same way: a layer that reads its
pre-activations as inputs (weight_ih the identity) returns them as the gradient of its inputs.

This costs the speed of the fused kernel; what it computes is the same on every backend.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.clipping import Clipping
from harness.gradients.adjoint import why_not_at_gates
from harness.gradients.namespace import Space
from harness.gradients.onestep import one_step
from implementations.contract import Backend, Forward, Gradients, Layer, Parameters, TapeUsed
from implementations.registry import CELLS

Array = NDArray[Any]
States = tuple[Array, ...]


def why_not_through_time(cell: str, clipping: Clipping | None) -> str | None:
    """Why this cell cannot be clipped so, or None where it can."""
    return why_not_at_gates(cell, clipping)


def bind_clipped(
    backend: Backend, cell: str, parameters: Parameters, dtype: str, clipping: Clipping | None
) -> Any:
    """A layer of the backend; where the rule acts at the state or the gates, one that clips on its way back.

    Raises:
        ValueError: a rule × place that cannot be had for this cell; what `Backend.bind` raises.
    """
    if clipping is None or clipping.place == "parameters":
        return backend.bind(cell, parameters, dtype)
    if (reason := why_not_through_time(cell, clipping)) is not None:
        raise ValueError(reason)
    if clipping.rule == "truncated":
        return Truncated(backend, cell, parameters, dtype, clipping)
    kind = AtState if clipping.place == "state" else AtGates
    return kind(backend, cell, parameters, dtype, clipping)


def met_non_finite(layer: Any) -> int:
    """How many entries a layer met as NaN or inf on its way back; 0 of one that does not clip there."""
    return layer.counts.non_finite if isinstance(layer, ThroughTime) else 0


@dataclass
class Counts:
    """What clipping did so far: (step, sample) pairs met and changed, entries met as NaN or inf."""

    met: int = 0
    changed: int = 0
    non_finite: int = 0

    def apply(self, clipping: Clipping, gradient: Array) -> Array:
        """The rule on (B, …), counted."""
        found = clipping.apply({"gradient": gradient})
        new = found.gradients["gradient"]
        self.met += len(gradient)
        self.changed += int(np.any((new != gradient) & ~np.isnan(gradient), axis=1).sum())
        self.non_finite += found.non_finite
        return np.asarray(new)


@dataclass
class Steps:
    """A tape: the inputs (T, B, ·), the states 0 … T, and one tape per step where the layer keeps them."""

    inputs: Array
    states: list[States]
    tapes: list[Any] = field(default_factory=list)
    used: bool = False


class ThroughTime(ABC):
    """What the three have in common: the forward pass, step by step, and counts of what clipping did."""

    def __init__(
        self, backend: Backend, cell: str, parameters: Parameters, dtype: str, clipping: Clipping
    ) -> None:
        self.backend, self.dtype, self.clipping = backend, dtype, clipping
        self.cell = CELLS[cell]
        self.inner: Layer = self._bind(parameters)
        self.counts = Counts()

    def _bind(self, parameters: Parameters) -> Layer:
        return self.backend.bind(self.cell.name, parameters, self.dtype)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.inner.parameters

    def update(self, parameters: Mapping[str, Any]) -> None:
        """New values, native, of the same shapes."""
        self.inner.update(parameters)

    def forward(self, inputs: Any, initial_state: Sequence[Any] | None = None, *, training: bool) -> Forward:
        """As of a layer."""
        if not training:
            return self.inner.forward(self._read(inputs), self._given(initial_state), training=False)
        read, state = self._read(inputs), self._given(initial_state)
        states, tapes, outputs = [], [], []
        for t in range(len(read)):
            passed = self.inner.forward(read[t : t + 1], state, training=True)
            if state is None:
                states.append(tuple(np.zeros_like(self._numpy(s)) for s in passed.final_state))
            state = passed.final_state
            states.append(tuple(map(self._numpy, state)))
            tapes.append(passed.tape)
            outputs.append(self._numpy(passed.output))
        if initial_state is not None:
            states.insert(0, tuple(map(self._numpy, initial_state)))
        tape = Steps(self._numpy(inputs), states, tapes)
        return Forward(self._native(np.concatenate(outputs)), state, tape)

    def backward(
        self, tape: Steps, grad_output: Any = None, grad_final_state: Sequence[Any] | None = None
    ) -> Gradients:
        """As of a layer, clipped on the way."""
        if tape.used:
            raise TapeUsed("this tape has served a backward before; run forward again")
        tape.used = True
        direct = [[np.zeros_like(part) for part in state] for state in tape.states]
        if grad_output is not None:
            for own, row in zip(direct[1:], self._numpy(grad_output), strict=True):
                own[0] = own[0] + row
        if grad_final_state is not None:
            direct[-1] = [a + self._numpy(b) for a, b in zip(direct[-1], grad_final_state, strict=True)]
        inputs, initial, parameters = self._back(tape, [tuple(own) for own in direct])
        return Gradients(
            self._native(inputs),
            tuple(map(self._native, initial)),
            {name: self._native(array) for name, array in parameters.items()},
        )

    @abstractmethod
    def _back(self, tape: Steps, direct: list[States]) -> tuple[Array, States, dict[str, Array]]:
        """dL/d inputs, dL/d initial state, dL/d parameters; `direct` is what the loss sends to each state."""

    def _read(self, inputs: Any) -> Any:
        """What the inner layer reads, native."""
        return inputs

    def _given(self, state: Sequence[Any] | None) -> Any:
        return None if state is None else tuple(state)

    def _numpy(self, native: Any) -> Array:
        return self.backend.to_numpy(native)

    def _native(self, array: Array) -> Any:
        return self.backend.to_native(array, self.dtype)

    def _step_back(self, tape: Any, delta: States) -> tuple[Array, States, dict[str, Array]]:
        found = self.inner.backward(tape, None, tuple(map(self._native, delta)))
        return (
            self._numpy(found.inputs)[0],
            tuple(map(self._numpy, found.initial_state)),
            {name: self._numpy(array) for name, array in found.parameters.items()},
        )


class AtState(ThroughTime):
    """δ_k = dL/dh_k is clipped at every k from T to 0, an LSTM's δh and δc separately."""

    def _back(self, tape: Steps, direct: list[States]) -> tuple[Array, States, dict[str, Array]]:
        delta = self._clipped(direct[-1])
        total: dict[str, Array] = {}
        inputs = []
        for t in range(len(tape.tapes), 0, -1):
            row, back, parameters = self._step_back(tape.tapes[t - 1], delta)
            inputs.append(row)
            _add(total, parameters)
            delta = self._clipped(_sum(back, direct[t - 1]))
        return np.stack(inputs[::-1]), delta, total

    def _clipped(self, delta: States) -> States:
        return tuple(self.counts.apply(self.clipping, part) for part in delta)


class AtGates(ThroughTime):
    """The gradients of the gates' pre-activations are clipped at every step (Graves 2013).

    All gates of a step are clipped together, before any of them passes on what it has: the gradient of a
    GRU's reset gate, which its candidate reads, holds what came by way of the candidate unclipped.
    """

    def _bind(self, parameters: Parameters) -> Layer:
        self._own = parameters
        rows = len(parameters.bias_ih)
        reading = Parameters(np.eye(rows), parameters.weight_hh, np.zeros(rows), parameters.bias_hh)
        return self.backend.bind(self.cell.name, reading, self.dtype)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {name: self._native(array) for name, array in self._own.arrays().items()}

    def update(self, parameters: Mapping[str, Any]) -> None:
        self._own = Parameters.from_arrays({n: self._numpy(a) for n, a in parameters.items()})
        inner = {"weight_hh": self._own.weight_hh, "bias_hh": self._own.bias_hh}
        self.inner.update({**self.inner.parameters, **{n: self._native(a) for n, a in inner.items()}})

    def _read(self, inputs: Any) -> Any:
        own = self._own
        return self._native(self._numpy(inputs) @ own.weight_ih.T + own.bias_ih)

    def _back(self, tape: Steps, direct: list[States]) -> tuple[Array, States, dict[str, Array]]:
        delta, own = direct[-1], self._own
        wide = "float64" if self.dtype == "float64" else "float32"
        step = one_step(self.cell, own, Space(np, wide))
        earlier = tuple(np.stack(parts) for parts in zip(*tape.states[:-1], strict=True))
        slopes = step.slopes(tape.inputs, earlier)
        total: dict[str, Array] = {}
        inputs = []
        for t in range(len(tape.tapes), 0, -1):
            gates, back, _ = self._step_back(tape.tapes[t - 1], delta)
            clipped = self.counts.apply(self.clipping, gates)
            inputs.append(clipped @ own.weight_ih)
            of_step = tuple(array[t - 1] for array in slopes)
            _add(
                total,
                step.from_gates(clipped[:, None], of_step, tape.inputs[t - 1], tape.states[t - 1]),
            )
            # Made of its two parts: the difference to `back` would drown in what clipping took off.
            through, _ = step.through_gates(clipped[:, None], of_step)
            to_h = (step.past_gates([part[:, None] for part in delta], of_step) + through)[:, 0]
            to_h = np.where((clipped != gates).any(axis=1, keepdims=True), to_h, back[0])
            delta = _sum((to_h, *back[1:]), direct[t - 1])
        return np.stack(inputs[::-1]), delta, total


class Truncated(ThroughTime):
    """Each loss gradient goes back `steps` steps by itself; all of them at once, along the batch."""

    def _back(self, tape: Steps, direct: list[States]) -> tuple[Array, States, dict[str, Array]]:
        length, batch_size = tape.inputs.shape[:2]
        states = [np.stack(parts) for parts in zip(*tape.states, strict=True)]  # (T + 1, B, H) each
        sent = [np.stack(parts) for parts in zip(*direct, strict=True)]
        anchors = np.flatnonzero(np.any([np.any(part != 0.0, axis=(1, 2)) for part in sent], axis=0))
        inputs, initial = np.zeros_like(tape.inputs), [part[0].copy() for part in sent]
        total = {name: np.zeros_like(self._numpy(a)) for name, a in self.parameters.items()}
        travelling = [part[anchors] for part in sent]
        for lag in range(1, min(int(self.clipping.steps or 1), length) + 1):
            kept = anchors >= lag
            anchors, travelling = anchors[kept], [part[kept] for part in travelling]
            if not len(anchors):
                break
            before, flat = anchors - lag, (len(anchors) * batch_size, -1)
            passed = self.inner.forward(
                self._native(tape.inputs[before].reshape(1, *flat)),
                tuple(self._native(part[before].reshape(flat)) for part in states),
                training=True,
            )
            rows, back, parameters = self._step_back(
                passed.tape, tuple(part.reshape(flat) for part in travelling)
            )
            np.add.at(inputs, before, rows.reshape(len(anchors), batch_size, -1))
            _add(total, parameters)
            travelling = [part.reshape(len(anchors), batch_size, -1) for part in back]
            for own, part in zip(initial, travelling, strict=True):
                own += part[before == 0].sum(axis=0)
        return inputs, tuple(initial), total


def _sum(first: States, second: States) -> States:
    return tuple(a + b for a, b in zip(first, second, strict=True))


def _add(total: dict[str, Array], found: Mapping[str, Array]) -> None:
    for name, array in found.items():
        total[name] = total[name] + array if name in total else array
