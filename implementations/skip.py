"""A layer whose steps also read the output of s steps before, made of any backend's plain layer.

    h_t = f([x_t, h_{t−s}], h_{t−1})

Within s steps every h_{t−s} is known before the first of them is computed.  So a plain layer runs s steps in
one call, with what the call before put out as further columns of its inputs: T/s calls, no step of Python in
between, and exact.  See :mod:`implementations.structure` for where the equation comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from implementations.checks import ArgumentChecks, Tape, check_tape
from implementations.contract import Array, Forward, Gradients, Layer, Native, Parameters, State
from implementations.natively import Natively


class _Stretch(NamedTuple):
    """s steps, or what is left: their bounds, the samples that still run (None: all), the inner tape."""

    start: int
    stop: int
    running: Array | None
    tape: Any


class SkipTape(Tape):
    """The tapes of all stretches, in order; they end with the longest sample."""

    def __init__(self, layer: Layer, seq_len: int, batch_size: int, stretches: list[_Stretch]) -> None:
        super().__init__(layer, seq_len, batch_size)
        self.stretches = stretches


class SkipLayer(Layer):
    """Skip connections over `skip` steps around a bound layer that reads [x_t, h_{t−s}], I + H columns.

    Args:
        layer: the last H columns of its weight_ih are those of the skip connection.
        skip: s.
    """

    def __init__(self, layer: Layer, skip: int) -> None:
        self.layer, self.skip = layer, skip
        self.backend, self.cell, self.dtype = layer.backend, layer.cell, layer.dtype
        self.parameters: Mapping[str, Native] = layer.parameters
        self.hidden_size = np.shape(layer.parameters["weight_hh"])[1]
        self.input_size = np.shape(layer.parameters["weight_ih"])[1] - self.hidden_size
        self._checks = ArgumentChecks(self.cell, self.input_size, self.hidden_size)
        self._natively = Natively(self.backend, self.dtype)

    def update(self, parameters: Mapping[str, Native] | Parameters) -> None:
        self.layer.update(parameters)
        self.parameters = self.layer.parameters

    def forward(
        self,
        inputs: Native,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        seq_len, batch_size, stops = self._checks.forward(inputs, initial_state, lengths)
        first = (min(self.skip, seq_len), batch_size, self.hidden_size)
        past, state = self._natively.zeros(first), initial_state
        outputs, stretches = [], []
        ended = seq_len if stops is None else int(stops.max())
        for start in range(0, ended, self.skip):
            stop = min(start + self.skip, ended)
            running = _running(stops, start)
            passed = self.layer.forward(
                self._chosen(self._beside(inputs[start:stop], past[: stop - start]), running, axis=1),
                self._chosen_state(state, running),
                lengths=None if stops is None else np.minimum(stops[_all(running)], stop) - start,
                training=training,
            )
            rest = (stop - start, batch_size, self.hidden_size)
            past = self._spread(passed.output, self._natively.zeros(rest), running, axis=1)
            state = self._spread_state(passed.final_state, state, running)
            outputs.append(past)
            stretches.append(_Stretch(start, stop, running, passed.tape))
        assert state is not None  # T >= 1
        outputs += self._nothing(seq_len - ended, batch_size, self.hidden_size)
        output = self._natively(lambda xp, *parts: xp.concatenate(parts, axis=0), *outputs)
        return Forward(output, state, SkipTape(self, seq_len, batch_size, stretches) if training else None)

    def backward(
        self, tape: Any, grad_output: Native | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        check_tape(tape, self)
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)
        tape.used = True
        if grad_final_state is None:
            shape = (tape.batch_size, self.hidden_size)
            grad_final_state = tuple(self._natively.zeros(shape) for _ in self.cell.state_names)
        state, from_later = grad_final_state, None
        inputs = self._nothing(tape.seq_len - tape.stretches[-1].stop, tape.batch_size, self.input_size)
        total: dict[str, Native] = {}
        for start, stop, running, inner in reversed(tape.stretches):
            arriving = self._natively.sum(
                None if grad_output is None else grad_output[start:stop], from_later
            )
            found = self.layer.backward(
                inner,
                None if arriving is None else self._chosen(arriving, running, axis=1),
                self._chosen_state(state, running),
            )
            rest = (stop - start, tape.batch_size, self.input_size + self.hidden_size)
            read = self._spread(found.inputs, self._natively.zeros(rest), running, axis=1)
            inputs.insert(0, self._columns(read, 0, self.input_size))
            from_later = self._columns(read, self.input_size, None)
            if stop - start < self.skip and start:
                from_later = self._filled_up(from_later, self.skip - (stop - start))
            state = self._spread_state(found.initial_state, state, running)
            total = {
                name: self._natively.sum(total.get(name), part) for name, part in found.parameters.items()
            }
        tape.stretches.clear()
        return Gradients(
            self._natively(lambda xp, *parts: xp.concatenate(parts, axis=0), *inputs), state, total
        )

    def _nothing(self, steps: int, batch_size: int, width: int) -> list[Native]:
        """Zeros for the steps after every sample's end, where there are such steps."""
        return [self._natively.zeros((steps, batch_size, width))] if steps else []

    def _beside(self, *natives: Native) -> Native:
        return self._natively(lambda xp, *parts: xp.concatenate(parts, axis=2), *natives)

    def _columns(self, native: Native, first: int, last: int | None) -> Native:
        return self._natively(lambda xp, array: array[:, :, first:last], native)

    def _filled_up(self, native: Native, steps: int) -> Native:
        """With zeros for so many steps behind: what the last, shorter stretch did not read."""
        _, batch_size, width = np.shape(native)
        zeros = self._natively.zeros((steps, batch_size, width))
        return self._natively(lambda xp, *parts: xp.concatenate(parts, axis=0), native, zeros)

    def _chosen(self, native: Native, rows: Array | None, *, axis: int) -> Native:
        """The running samples' part."""
        if rows is None:
            return native
        return self._natively(lambda xp, array: array[:, rows] if axis else array[rows], native)

    def _chosen_state(self, state: State | None, rows: Array | None) -> State | None:
        return None if state is None else tuple(self._chosen(array, rows, axis=0) for array in state)

    def _spread(self, part: Native, rest: Native, rows: Array | None, *, axis: int) -> Native:
        """The inverse of :meth:`_chosen`: the running samples' part, and of the other samples `rest`."""
        if rows is None:
            return part
        others = np.setdiff1d(np.arange(np.shape(rest)[axis]), rows)
        order = np.argsort(np.concatenate([rows, others]))

        def placed(xp: Any, part: Any, rest: Any) -> Any:
            whole = xp.concatenate([part, rest[:, others] if axis else rest[others]], axis=axis)
            return whole[:, order] if axis else whole[order]

        return self._natively(placed, part, rest)

    def _spread_state(self, state: State, rest: State | None, rows: Array | None) -> State:
        if rows is None or rest is None:  # before the first stretch there is no other state: all samples run
            return state
        pairs = zip(state, rest, strict=True)
        return tuple(self._spread(part, other, rows, axis=0) for part, other in pairs)


def _running(stops: Array | None, start: int) -> Array | None:
    """The samples that have not ended before this step, or None where all run."""
    if stops is None or bool((stops > start).all()):
        return None
    return np.flatnonzero(stops > start)


def _all(rows: Array | None) -> Any:
    return slice(None) if rows is None else rows
