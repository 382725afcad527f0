"""The forward that the three modules share: torch's shapes outside, time-major batches inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from implementations.contract import Array
from implementations.modules.arguments import State, as_states, check_input, check_placement
from implementations.modules.autograd import Call, run
from implementations.modules.binding import Binding
from implementations.registry import CELLS

CELL_OF_MODE = {"RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu", "LSTM": "lstm", "GRU": "gru"}
"""torch's word for what a module computes -> the cell's name."""


class Recurrent(torch.nn.RNNBase):
    """What stands in front of `torch.nn.RNN`, `LSTM` and `GRU` in their replacements."""

    _binding: Binding | None = None

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        """As torch's: a tensor or a PackedSequence in, (output, h_n) or (output, (h_n, c_n)) out."""
        name = self._get_name()
        if torch.jit.is_tracing():
            raise RuntimeError(f"{name} cannot be traced: load its state_dict into torch.nn.{name} for that")
        states = as_states(hx, CELLS[CELL_OF_MODE[self.mode]].state_names)
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, states)
        if input.dim() not in (2, 3):
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        for state in states or ():
            if state.dim() != input.dim():
                raise RuntimeError(
                    f"For {'batched' if input.dim() == 3 else 'unbatched'} {input.dim()}-D input, hx should "
                    f"also be {input.dim()}-D but got {state.dim()}-D tensor"
                )
        if 0 in input.shape[:-1]:  # no step: torch's own error; no sample: nothing to compute
            return super().forward(input, hx)
        if input.dim() == 3:
            return self._forward_batch(input, states)
        batch = 0 if self.batch_first else 1
        output, hx = self._forward_batch(input.unsqueeze(batch), _each(states, lambda s: s.unsqueeze(1)))
        hidden = as_states(hx, CELLS[CELL_OF_MODE[self.mode]].state_names)
        return output.squeeze(batch), _as_hx(_each(hidden, lambda s: s.squeeze(1)))

    def _forward_batch(self, input: torch.Tensor, states: State | None) -> tuple[torch.Tensor, Any]:
        input, states, weights = self._checked(input, states, None)
        steps = input.transpose(0, 1) if self.batch_first else input
        masks = self._masks((*steps.shape[:2],), steps.dtype)
        call = Call(self._bound(), len(states or ()), None, _arrays(masks))
        output, *final = run(call, steps, states or (), weights)
        return output.transpose(0, 1) if self.batch_first else output, _as_hx(tuple(final))

    def _forward_packed(self, packed: PackedSequence, states: State | None) -> tuple[PackedSequence, Any]:
        data, batch_sizes, order, back = packed
        data, states, weights = self._checked(data, states, batch_sizes)
        if order is not None:
            states = _each(states, lambda s: s.index_select(1, order))
        steps, lengths = pad_packed_sequence(PackedSequence(data, batch_sizes))
        # drawn for the steps that there are, as torch draws them
        drawn = self._masks((len(data),), data.dtype)
        masks = drawn and tuple(pad_packed_sequence(PackedSequence(m, batch_sizes))[0] for m in drawn)
        call = Call(self._bound(), len(states or ()), lengths.numpy(), _arrays(masks))
        output, *final = run(call, steps, states or (), weights)
        if back is not None:
            final = [state.index_select(1, back) for state in final]
        output = pack_padded_sequence(output, lengths).data
        return PackedSequence(output, batch_sizes, order, back), _as_hx(tuple(final))

    def _checked(
        self, input: torch.Tensor, states: State | None, batch_sizes: torch.Tensor | None
    ) -> tuple[torch.Tensor, State | None, tuple[torch.Tensor, ...]]:
        """Input, states and weights, once they fit each other; in autocast the first two are cast."""
        named = {name: getattr(self, name) for name in self._flat_weights_names}
        if torch.is_autocast_enabled("cpu"):
            dtype = next(iter(named.values())).dtype
            input, states = input.to(dtype), _each(states, lambda s: s.to(dtype))
        labels = ("hx",) if len(states or ()) < 2 else ("hx[0]", "hx[1]")
        check_placement(named, {"input": input, **dict(zip(labels, states or (), strict=False))})
        check_input(input, 3 if batch_sizes is None else 2, self.input_size)
        expected = self.get_expected_hidden_size(input, batch_sizes)
        for label, state in zip(labels, states or (), strict=False):
            self.check_hidden_size(state, expected, f"Expected {label} size {{}}, got {{}}")
        return input, states, tuple(named.values())

    def _masks(self, sizes: tuple[int, ...], dtype: torch.dtype) -> tuple[torch.Tensor, ...] | None:
        """What the outputs between layers are multiplied by: the same draws that torch makes there."""
        if not self.training or self.dropout == 0 or self.num_layers == 1:
            return None
        ones = torch.ones((*sizes, (2 if self.bidirectional else 1) * self.hidden_size), dtype=dtype)
        return tuple(torch.nn.functional.dropout(ones, self.dropout) for _ in range(self.num_layers - 1))

    def _bound(self) -> Binding:
        if self._binding is None:
            self._binding = Binding(
                CELL_OF_MODE[self.mode],
                tuple(self._flat_weights_names),
                bidirectional=self.bidirectional,
                bias=self.bias,
            )
        return self._binding

    def __getstate__(self) -> dict[str, Any]:
        """All but the packed weights, which each copy makes for itself."""
        state = super().__getstate__()
        state.pop("_binding", None)
        return state


def _each(states: State | None, change: Callable[[torch.Tensor], torch.Tensor]) -> State | None:
    return None if states is None else tuple(change(state) for state in states)


def _as_hx(states: State | None) -> Any:
    """A tuple of states as torch gives it: a tensor where there is one, a pair of an LSTM."""
    return states[0] if states is not None and len(states) == 1 else states


def _arrays(tensors: tuple[torch.Tensor, ...] | None) -> tuple[Array, ...] | None:
    return None if tensors is None else tuple(tensor.numpy() for tensor in tensors)
