"""Whole stacks in one torch.nn module: `torch_stack`, and cuDNN's own fused stack, `cudnn_stack`.

As layers these backends are `torch` and `cudnn`.  What they bring is `bind_stack`: L layers and D directions
are one call of the library, which may overlap layers in time (Appleyard et al. 2016, "Optimizing Performance
of Recurrent Neural Networks on GPUs").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from implementations.backends.torch_native.backend import TorchBackend
from implementations.backends.torch_native.cudnn import CudnnBackend
from implementations.backends.torch_native.layer import MODULES, State, TorchLayer
from implementations.checks import ArgumentChecks, check_bind, check_mapping
from implementations.contract import Native, Parameters, UnsupportedCase
from implementations.stack_checks import StackChecks, check_layers
from implementations.structure import Structure

if TYPE_CHECKING:
    Base = TorchBackend
else:
    Base = object


class FusedStacks(Base):
    """What makes a backend of torch.nn one whose stacks are one module each."""

    def bind_stack(
        self,
        cell: str,
        layers: Sequence[Parameters],
        dtype: str,
        *,
        bidirectional: bool = False,
        residual: bool = False,
        skip: int = 0,
    ) -> FusedStack:
        structure = check_layers(layers, bidirectional=bidirectional, residual=residual, skip=skip)
        if (reason := self.why_no_stack(structure)) is not None:
            raise UnsupportedCase(f"{self.name}: {reason}")
        return FusedStack(self, cell, layers, dtype, structure)

    def why_no_stack(self, structure: Structure) -> str | None:
        """The reason why torch.nn has no such module, or None where it has."""
        if structure.residual:
            return "torch.nn's stacks have no residual connections"
        if structure.skip:
            return "torch.nn's stacks have no skip connections across time"
        return None


class TorchStackBackend(FusedStacks, TorchBackend):
    name: ClassVar[str] = "torch_stack"


class CudnnStackBackend(FusedStacks, CudnnBackend):
    name: ClassVar[str] = "cudnn_stack"


class FusedStack(TorchLayer):
    """One module of L layers and D directions, with the methods of an `implementations.stack.Stack`."""

    def __init__(
        self,
        backend: TorchBackend,
        cell: str,
        layers: Sequence[Parameters],
        dtype: str,
        structure: Structure,
    ) -> None:
        for parameters in layers:
            definition = check_bind(backend, cell, parameters, dtype)
        self.structure = structure
        self.hidden_size = layers[0].hidden_size
        self._stack_checks = StackChecks(definition, len(layers), structure.directions, self.hidden_size)
        ends = [
            f"_l{place // structure.directions}{'_reverse' if place % structure.directions else ''}"
            for place in range(len(layers))
        ]
        module = MODULES[cell](
            layers[0].input_size,
            self.hidden_size,
            num_layers=structure.num_layers,
            bidirectional=structure.bidirectional,
            device="meta",
            dtype=backend.formats[dtype],
        )
        arrays = {
            name + end: array
            for end, parameters in zip(ends, layers, strict=True)
            for name, array in parameters.arrays().items()
        }
        self._bind(backend, definition, dtype, module, {name: name for name in arrays})
        self.update({name: backend.to_native(array, dtype) for name, array in arrays.items()})

    def update(self, parameters: Any) -> None:
        """New values of all parameters, by the module's own names; one layer's `Parameters` are refused."""
        check_mapping(parameters, self._weights)
        super().update(parameters)

    def forward(
        self,
        inputs: torch.Tensor,
        initial_state: State | None = None,
        *,
        lengths: Any | None = None,
        masks: Sequence[Native] | None = None,
        training: bool,
    ) -> Any:
        if masks is not None:
            raise ValueError("masks must be None: a fused stack takes nothing between its layers")
        return super().forward(inputs, initial_state, lengths=lengths, training=training)

    def _checked(self, inputs: torch.Tensor, state: State | None, lengths: Any | None) -> Any:
        checks = ArgumentChecks(self.cell, self._module.input_size, self.hidden_size)
        found = checks.forward(inputs, None, lengths)
        self._stack_checks.state("initial_state", state, found[1:2])
        return found

    def _check_arriving(self, tape: Any, grad_output: Any, grad_final_state: State | None) -> None:
        self._stack_checks.output("grad_output", grad_output, (tape.seq_len, tape.batch_size))
        self._stack_checks.state("grad_final_state", grad_final_state, (tape.batch_size,))

    def _into_module(self, state: State | None, batch_size: int) -> State:
        """(L·D, B, H), as the module itself has states; zeros where None."""
        if state is None:
            places = self.structure.num_layers * self.structure.directions
            return self._zeros((places, batch_size, self.hidden_size))
        return tuple(self._cast(tensor).contiguous() for tensor in state)

    def _out_of_module(self, state: Sequence[torch.Tensor]) -> State:
        return tuple(state)
