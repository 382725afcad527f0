"""One torch.nn.RNN, LSTM or GRU behind the contract; forward keeps autograd's graph, backward runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from implementations.checks import ArgumentChecks, Tape, check_bind, check_mapping, check_tape, check_update
from implementations.contract import Array, Cell, Forward, Gradients, Layer, Parameters, UnsupportedCase

if TYPE_CHECKING:
    from implementations.backends.torch_native.backend import TorchBackend

MODULES: dict[str, Callable[..., torch.nn.RNNBase]] = {
    "rnn_tanh": partial(torch.nn.RNN, nonlinearity="tanh"),
    "rnn_relu": partial(torch.nn.RNN, nonlinearity="relu"),
    "lstm": torch.nn.LSTM,
    "gru": torch.nn.GRU,
}
"""Cell name -> the module that computes it."""

State = tuple[torch.Tensor, ...]


class TorchTape(Tape):
    """The graph of one forward, held by its ends.

    Args:
        inputs, initial_state: its leaves; output, final_state: its roots (states with a layer axis in front).
        updates: how often the layer had been updated by then: the graph refers to weights, not to copies.
    """

    def __init__(
        self,
        layer: Layer,
        inputs: torch.Tensor,
        initial_state: State,
        output: torch.Tensor,
        final_state: State,
        updates: int,
    ) -> None:
        super().__init__(layer, *inputs.shape[:2])
        self.inputs = inputs
        self.initial_state = initial_state
        self.output = output
        self.final_state = final_state
        self.updates = updates


class TorchLayer(Layer):
    """A module of one layer and one direction.

    It is in training mode in a training pass, as cuDNN's backward needs, and only there: in evaluation
    mode cuDNN keeps nothing.
    """

    parameters: Mapping[str, torch.Tensor]
    backend: TorchBackend

    def __init__(self, backend: TorchBackend, cell: str, parameters: Parameters, dtype: str) -> None:
        definition = check_bind(backend, cell, parameters, dtype)
        self._checks = ArgumentChecks(definition, parameters.input_size, parameters.hidden_size)
        module = MODULES[cell](
            parameters.input_size, parameters.hidden_size, device="meta", dtype=backend.formats[dtype]
        )
        names = {name: f"{name}_l0" for name in parameters.arrays()}
        self._bind(backend, definition, dtype, module, names)
        self.update(parameters)

    def _bind(
        self,
        backend: TorchBackend,
        cell: Cell,
        dtype: str,
        module: torch.nn.RNNBase,
        names: Mapping[str, str],
    ) -> None:
        """Take a module that was made on "meta": one made in place would draw from torch's random state.

        Args:
            names: a parameter's name here -> in the module.
        """
        self.backend, self.cell, self.dtype = backend, cell, dtype
        self._module = module.to_empty(device=backend.device)
        backend.flatten(self._module)
        self._weights = {name: getattr(self._module, own) for name, own in names.items()}
        self._updates = 0

    def update(self, parameters: Mapping[str, torch.Tensor] | Parameters) -> None:
        """New values, copied in place into the weights: they stay the one block that cuDNN reads.

        `backward` refuses a tape made before: its graph refers to the weights, which are not what they were.
        """
        if isinstance(parameters, Parameters):
            arrays = parameters.arrays().items()
            parameters = {name: self.backend.to_native(array, self.dtype) for name, array in arrays}
        check_mapping(parameters, self._weights, besides="Parameters or ")
        check_update(
            {name: tuple(weight.shape) for name, weight in self._weights.items()},
            {name: tuple(tensor.shape) for name, tensor in parameters.items()},
        )
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(parameters[name])
            self.parameters = {name: weight.detach().clone() for name, weight in self._weights.items()}
        self._updates += 1

    def forward(
        self,
        inputs: torch.Tensor,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        training: bool,
    ) -> Forward:
        seq_len, batch_size, stops = self._checked(inputs, initial_state, lengths)
        reason = self.backend.why_unsupported(self.cell.name, self.dtype, training=training, seq_len=seq_len)
        if reason is not None:
            raise UnsupportedCase(f"{self.backend.name}: {reason}")
        inputs = self._as_leaf(inputs, training)
        state = tuple(self._as_leaf(s, training) for s in self._into_module(initial_state, batch_size))
        self._module.train(training)
        with torch.set_grad_enabled(training), self.backend.precision(self.dtype):
            output, final = self._run(inputs, state, stops)
        tape = TorchTape(self, inputs, state, output, final, self._updates) if training else None
        return Forward(output.detach(), self._out_of_module([s.detach() for s in final]), tape)

    def backward(
        self, tape: Any, grad_output: torch.Tensor | None = None, grad_final_state: State | None = None
    ) -> Gradients:
        check_tape(tape, self)
        if tape.updates != self._updates:
            raise ValueError(
                "tape must come from a forward after the last update(), got an older one; run forward again"
            )
        self._check_arriving(tape, grad_output, grad_final_state)
        tape.used = True
        roots: list[torch.Tensor] = []
        arriving: list[torch.Tensor] = []
        if grad_final_state is not None:
            roots += tape.final_state
            arriving += self._into_module(grad_final_state, tape.batch_size)
        if grad_output is not None or not roots:
            roots.append(tape.output)
            arriving.append(torch.zeros_like(tape.output) if grad_output is None else self._cast(grad_output))
        leaves = [tape.inputs, *tape.initial_state, *self._weights.values()]
        with self.backend.precision(self.dtype):
            found = torch.autograd.grad(roots, leaves, arriving, materialize_grads=True)
        found = apart(found)
        first_weight = 1 + len(tape.initial_state)
        return Gradients(
            found[0],
            self._out_of_module(found[1:first_weight]),
            dict(zip(self._weights, found[first_weight:], strict=True)),
        )

    def _run(self, inputs: torch.Tensor, state: State, lengths: Array | None) -> tuple[torch.Tensor, State]:
        """The module itself; an LSTM takes and gives a pair of states, the others one."""
        hx: Any = state if len(state) > 1 else state[0]
        if lengths is None:
            output, final = self._module(inputs, hx)
        else:
            packed = pack_padded_sequence(inputs, torch.from_numpy(lengths), enforce_sorted=False)
            output, final = self._module(packed, hx)
            output, _ = pad_packed_sequence(output, total_length=inputs.shape[0])
        return output, final if isinstance(final, tuple) else (final,)

    def _checked(
        self, inputs: torch.Tensor, state: State | None, lengths: Any | None
    ) -> tuple[int, int, Array | None]:
        """T, B and the lengths, once the arguments of a forward fit."""
        return self._checks.forward(inputs, state, lengths)

    def _check_arriving(
        self, tape: Any, grad_output: torch.Tensor | None, grad_final_state: State | None
    ) -> None:
        self._checks.backward(tape.seq_len, tape.batch_size, grad_output, grad_final_state)

    def _into_module(self, state: State | None, batch_size: int) -> State:
        """(B, H) -> (1, B, H), contiguous, as cuDNN wants it; zeros where None."""
        if state is None:
            return self._zeros((1, batch_size, self._checks.hidden_size))
        return tuple(self._cast(tensor)[None].contiguous() for tensor in state)

    def _out_of_module(self, state: Sequence[torch.Tensor]) -> State:
        """(1, B, H) -> (B, H)."""
        return tuple(tensor[0] for tensor in state)

    def _zeros(self, shape: tuple[int, ...]) -> State:
        """A state, or its gradient, of zeros."""
        some = next(iter(self._weights.values()))
        return tuple(torch.zeros(shape, dtype=some.dtype, device=some.device) for _ in self.cell.state_names)

    def _as_leaf(self, tensor: torch.Tensor, training: bool) -> torch.Tensor:
        """A leaf of a new graph that shares the values and never touches the tensor given."""
        return self._cast(tensor).detach().requires_grad_(training)

    def _cast(self, tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(
                f"{self.backend.name} takes torch tensors (use to_native), got {type(tensor).__name__}"
            )
        return tensor.to(self.backend.formats[self.dtype])


def apart(tensors: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """The same tensors, no two of which are one.

    Autograd hands one tensor to both operands of a sum: the gradients of the two biases would be the same
    memory, and whoever scales one in place would scale both.
    """
    seen: set[int] = set()
    own = []
    for tensor in tensors:
        # by address, not by storage: cuDNN's weight gradients are separate parts of one block
        own.append(tensor.clone() if tensor.data_ptr() in seen else tensor)
        seen.add(tensor.data_ptr())
    return tuple(own)


def numpy_of(tensor: torch.Tensor) -> Array:
    """A tensor as NumPy; bfloat16 and float16 as float32."""
    tensor = tensor.detach()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    return tensor.cpu().numpy()
