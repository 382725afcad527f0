"""Backends with one fault each: the numpy backend, wrapped.

A suite that passes says nothing until it has been seen to fail; these are what it must fail on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from implementations import CELLS, Forward, Gradients, Parameters
from implementations.backends.numpy_loop import NumpyBackend, NumpyLayer


class Intact(NumpyBackend):
    """The wrapper without a fault: the control."""

    name: ClassVar[str] = "intact"

    def parameters(self, cell: str, parameters: Parameters) -> Parameters:
        """What a faulty backend binds in place of what it was given."""
        return parameters

    def computes(self, cell: str) -> str:
        """The cell that a faulty backend computes in place of the one it was asked for."""
        return cell

    def bind(self, cell: str, parameters: Parameters, dtype: str) -> NumpyLayer:
        CELLS[cell].check_parameters(parameters)
        layer = self.layer(self, cell, self.parameters(cell, parameters), dtype)
        layer.cell = CELLS[self.computes(cell)]
        return layer

    layer: ClassVar[type[NumpyLayer]] = NumpyLayer


def gate_rows(cell: str, array: np.ndarray, gate: str) -> np.ndarray:
    return CELLS[cell].gate(array, gate)


class SwappedGates(Intact):
    """The LSTM's gates in another order than PyTorch's: f before i."""

    def parameters(self, cell: str, parameters: Parameters) -> Parameters:
        def swapped(array: np.ndarray) -> np.ndarray:
            array = array.copy()
            i, f = gate_rows(cell, array, "i").copy(), gate_rows(cell, array, "f").copy()
            gate_rows(cell, array, "i")[:] = f
            gate_rows(cell, array, "f")[:] = i
            return array

        return Parameters.from_arrays({name: swapped(a) for name, a in parameters.arrays().items()})


class DroppedBias(Intact):
    """b_hn folded away, as if the two biases of the candidate were one sum of which half was lost."""

    def parameters(self, cell: str, parameters: Parameters) -> Parameters:
        arrays = {name: array.copy() for name, array in parameters.arrays().items()}
        gate_rows(cell, arrays["bias_hh"], "n")[:] = 0
        return Parameters.from_arrays(arrays)


class MergedBias(Intact):
    """b_hn added to b_in: right for every cell but the GRU whose reset gate multiplies it."""

    def parameters(self, cell: str, parameters: Parameters) -> Parameters:
        arrays = {name: array.copy() for name, array in parameters.arrays().items()}
        gate_rows(cell, arrays["bias_ih"], "n")[:] += gate_rows(cell, arrays["bias_hh"], "n")
        gate_rows(cell, arrays["bias_hh"], "n")[:] = 0
        return Parameters.from_arrays(arrays)


class ResetBeforeAsAfter(Intact):
    def computes(self, cell: str) -> str:
        return "gru_reset_before" if cell == "gru" else cell


class ResetAfterAsBefore(Intact):
    def computes(self, cell: str) -> str:
        return "gru" if cell == "gru_reset_before" else cell


def backend_of(fault: type[NumpyLayer], name: str) -> type[Intact]:
    return type(name, (Intact,), {"layer": fault, "__doc__": fault.__doc__})


def backend_with_step_fault(change: Callable[[Any], Any], name: str, doc: str) -> type[Intact]:
    """A backend whose every step backward is passed through `change`."""

    class Changed(NumpyLayer):
        def _step_backward(self, *arguments: Any) -> Any:
            return change(super()._step_backward(*arguments))

    Changed.__doc__ = doc
    return backend_of(Changed, name)


class ChangesItsInput(NumpyLayer):
    def forward(self, inputs: Any, *arguments: Any, **options: Any) -> Forward:
        result = super().forward(inputs.copy(), *arguments, **options)
        inputs *= 0.5
        return result


class ReusesItsOutput(NumpyLayer):
    """One output buffer for all calls of one shape."""

    _buffers: ClassVar[dict[Any, Any]] = {}

    def forward(self, *arguments: Any, **options: Any) -> Forward:
        result = super().forward(*arguments, **options)
        buffer = self._buffers.setdefault((id(self), result.output.shape), np.empty_like(result.output))
        buffer[:] = result.output
        return replace(result, output=buffer)


class ReusesItsTape(NumpyLayer):
    """What the last forward of a shape left serves every backward of that shape."""

    def forward(self, *arguments: Any, **options: Any) -> Forward:
        result = super().forward(*arguments, **options)
        if result.tape is not None:
            self.__dict__.setdefault("kept", {})[result.tape.inputs.shape] = result.tape.states
        return result

    def backward(self, tape: Any, *arguments: Any) -> Gradients:
        if tape is not None:
            tape.states = self.__dict__["kept"][tape.inputs.shape]
        return super().backward(tape, *arguments)


class IgnoresLengths(NumpyLayer):
    def forward(self, *arguments: Any, lengths: Any = None, **options: Any) -> Forward:
        return super().forward(*arguments, **options)


class MasksTheOutputAlone(NumpyLayer):
    """Zeros beyond a length, but the final state is that of step T."""

    def forward(self, *arguments: Any, lengths: Any = None, **options: Any) -> Forward:
        result = super().forward(*arguments, **options)
        if lengths is not None:
            for b, length in enumerate(lengths):
                result.output[length:, b] = 0
        return result


class AllowsASecondBackward(NumpyLayer):
    def backward(self, tape: Any, *arguments: Any) -> Gradients:
        result = super().backward(tape, *arguments)
        tape.used = False
        return result


class IgnoresTheInitialState(NumpyLayer):
    def forward(self, inputs: Any, initial_state: Any = None, **options: Any) -> Forward:
        return super().forward(inputs, None, **options)


class IgnoresGradFinalState(NumpyLayer):
    def backward(self, tape: Any, grad_output: Any = None, grad_final_state: Any = None) -> Gradients:
        return super().backward(tape, grad_output, None)


class IgnoresUpdates(NumpyLayer):
    def update(self, parameters: Any) -> None:
        return


class SwallowsNaN(NumpyLayer):
    def forward(self, *arguments: Any, **options: Any) -> Forward:
        result = super().forward(*arguments, **options)
        return replace(result, output=np.nan_to_num(result.output))


class ComputesInSingle(NumpyLayer):
    """float32 arithmetic under float64's name."""

    def forward(self, *arguments: Any, **options: Any) -> Forward:
        result = super().forward(*arguments, **options)
        return replace(result, output=result.output.astype("float32").astype(self.dtype))


class SharesItsBiasGradient(NumpyLayer):
    """One array for both biases, whose gradients are equal in every cell but the GRU."""

    def backward(self, *arguments: Any) -> Gradients:
        result = super().backward(*arguments)
        return replace(result, parameters={**result.parameters, "bias_hh": result.parameters["bias_ih"]})


class LeavesAGradientAtZero(NumpyLayer):
    def backward(self, *arguments: Any) -> Gradients:
        result = super().backward(*arguments)
        zeros = np.zeros_like(result.parameters["weight_hh"])
        return replace(result, parameters={**result.parameters, "weight_hh": zeros})


class AveragesOverTheBatch(NumpyLayer):
    def backward(self, tape: Any, *arguments: Any) -> Gradients:
        result = super().backward(tape, *arguments)
        return replace(result, parameters={k: v / tape.batch_size for k, v in result.parameters.items()})


class IgnoresThreads(Intact):
    """Always two threads, whatever is set."""

    @property
    def num_threads(self) -> int:
        return 2


class SaysNotWhatIsWrong(Intact):
    class layer(NumpyLayer):
        def forward(self, *arguments: Any, **options: Any) -> Forward:
            try:
                return super().forward(*arguments, **options)
            except ValueError as error:
                raise ValueError("shapes do not match") from error


def without_the_path_through_c(step: Any) -> Any:
    """What a step hands back to c is lost: the gradient reaches the past through h alone."""
    grad_h, *others = step.state
    return replace(step, state=(grad_h, *(np.zeros_like(array) for array in others)))


@dataclass(frozen=True)
class Fault:
    """A broken backend, a cell on which it shows, and the check that must see it."""

    backend: type[Intact]
    cell: str
    check: str
    dtype: str = "float64"

    @property
    def id(self) -> str:
        return f"{self.backend.__name__}-{self.cell}-{self.check.removeprefix('check_')}"


MissingCellPath = backend_with_step_fault(
    without_the_path_through_c, "MissingCellPath", "No gradient goes back along the cell state."
)

FAULTS = [
    Fault(SwappedGates, "lstm", "check_output"),
    Fault(SwappedGates, "lstm", "check_final_state"),
    Fault(DroppedBias, "gru", "check_output"),
    Fault(DroppedBias, "gru_reset_before", "check_output"),
    Fault(MergedBias, "gru", "check_output"),
    Fault(MissingCellPath, "lstm", "check_gradient_of_initial_state"),
    Fault(MissingCellPath, "lstm", "check_gradient_of_weights"),
    Fault(MissingCellPath, "lstm", "check_each_part_of_grad_final_state"),
    Fault(MissingCellPath, "lstm", "check_central_differences"),
    Fault(ResetBeforeAsAfter, "gru", "check_reset_gate_is_where_the_name_says"),
    Fault(ResetBeforeAsAfter, "gru", "check_reset_gate_is_where_the_name_says", "float32"),
    Fault(ResetAfterAsBefore, "gru_reset_before", "check_reset_gate_is_where_the_name_says"),
    *[
        Fault(backend_of(layer, layer.__name__), cell, check)
        for layer, cell, check in [
            (LeavesAGradientAtZero, "rnn_tanh", "check_no_gradient_is_left_at_zero"),
            (LeavesAGradientAtZero, "rnn_tanh", "check_gradient_of_weights"),
            (AveragesOverTheBatch, "gru", "check_gradient_of_biases"),
            (ChangesItsInput, "lstm", "check_nothing_given_is_changed"),
            (ReusesItsOutput, "gru", "check_results_are_never_overwritten"),
            (ReusesItsTape, "rnn_tanh", "check_interleaved_tapes"),
            (IgnoresLengths, "lstm", "check_lengths"),
            (IgnoresLengths, "gru", "check_lengths_backward"),
            (IgnoresLengths, "rnn_relu", "check_padding_is_never_read"),
            (MasksTheOutputAlone, "lstm", "check_lengths"),
            (AllowsASecondBackward, "rnn_tanh", "check_tape_serves_once"),
            (IgnoresTheInitialState, "rnn_tanh", "check_output"),
            (IgnoresGradFinalState, "gru", "check_grad_final_state_alone"),
            (IgnoresUpdates, "lstm", "check_update_equals_a_fresh_bind"),
            (SwallowsNaN, "rnn_tanh", "check_nan_in_one_sample"),
            (ComputesInSingle, "rnn_tanh", "check_output"),
            (ComputesInSingle, "rnn_tanh", "check_results_have_the_dtype"),
            (SharesItsBiasGradient, "lstm", "check_results_share_no_memory"),
            (SharesItsBiasGradient, "gru", "check_gradient_of_biases"),
        ]
    ],
    Fault(IgnoresThreads, "rnn_tanh", "check_thread_count"),
    Fault(SaysNotWhatIsWrong, "rnn_tanh", "check_misfit_inputs_are_refused"),
    Fault(SaysNotWhatIsWrong, "rnn_tanh", "check_misfit_lengths_are_refused"),
]
"""Every fault with a check that must catch it."""
