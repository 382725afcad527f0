"""The work that every backend of a comparison is given: one cell, parameters, inputs and a loss gradient.

Values are drawn once, rounded to what crosses the border (float32 or float64) and then handed both to
the backend and, widened to float64, to the reference: both compute on the very same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.initializations import initialize
from harness.measure.work import Sizes
from implementations.contract import Backend, Forward, Gradients, Layer, Parameters
from implementations.registry import CELLS, load_backend

Array = NDArray[Any]


@dataclass(frozen=True)
class Problem:
    """One pass to be computed, in NumPy, at the precision of the border.

    inputs (T, B, I); initial_state and grad_final_state: tuples of (B, H); grad_output (T, B, H).
    """

    cell: str
    dtype: str
    parameters: Parameters
    inputs: Array
    initial_state: tuple[Array, ...]
    grad_output: Array
    grad_final_state: tuple[Array, ...]

    @classmethod
    def draw(
        cls, cell: str, dtype: str, sizes: Sizes, *, seed: int = 0, initialization: str = "pytorch_uniform"
    ) -> Problem:
        """Normal inputs and states, a loss gradient of norm about 1, parameters by name."""
        border = "float64" if dtype == "float64" else "float32"
        rng = np.random.default_rng([seed, sizes.seq_len, sizes.batch_size, sizes.hidden_size])
        state_shape = (sizes.batch_size, sizes.hidden_size)
        output_shape = (sizes.seq_len, *state_shape)

        def normal(shape: tuple[int, ...], scale: float = 1.0) -> Array:
            return (scale * rng.standard_normal(shape)).astype(border)

        states = range(len(CELLS[cell].state_names))
        return cls(
            cell=cell,
            dtype=dtype,
            parameters=initialize(
                initialization, cell, sizes.input_size, sizes.hidden_size, seed=seed
            ).astype(border),
            inputs=normal((sizes.seq_len, sizes.batch_size, sizes.input_size)),
            initial_state=tuple(normal(state_shape, 0.5) for _ in states),
            grad_output=normal(output_shape, 1.0 / np.sqrt(np.prod(output_shape))),
            grad_final_state=tuple(normal(state_shape, 1.0 / np.sqrt(np.prod(state_shape))) for _ in states),
        )

    def on(self, backend: Backend) -> Prepared:
        """The problem in a backend's own form; conversion happens here, outside everything timed."""

        def native(array: Array) -> Any:
            return backend.to_native(array, self.dtype)

        return Prepared(
            layer=backend.bind(self.cell, self.parameters, self.dtype),
            inputs=native(self.inputs),
            initial_state=tuple(native(array) for array in self.initial_state),
            grad_output=native(self.grad_output),
            grad_final_state=tuple(native(array) for array in self.grad_final_state),
        )

    def reference(self, *, training: bool) -> dict[str, Array]:
        """Every result in float64 by the `numpy` backend: name -> array (see `Prepared.results`)."""
        backend = load_backend("numpy")
        wide = Problem(
            self.cell,
            "float64",
            self.parameters.astype("float64"),
            self.inputs.astype("float64"),
            tuple(array.astype("float64") for array in self.initial_state),
            self.grad_output.astype("float64"),
            tuple(array.astype("float64") for array in self.grad_final_state),
        )
        return wide.on(backend).results(training=training)


@dataclass(frozen=True)
class Prepared:
    """A problem in one backend's native arrays, bound and ready to run."""

    layer: Layer
    inputs: Any
    initial_state: tuple[Any, ...]
    grad_output: Any
    grad_final_state: tuple[Any, ...]

    def run(self, *, training: bool) -> tuple[Forward, Gradients | None]:
        """One pass: inference is the forward alone, training the forward and the full backward."""
        forward = self.layer.forward(self.inputs, self.initial_state, training=training)
        if not training:
            return forward, None
        return forward, self.layer.backward(forward.tape, self.grad_output, self.grad_final_state)

    def results(self, *, training: bool) -> dict[str, Array]:
        """One pass, each array in NumPy: output, final_h, …, grad_inputs, grad_initial_h, …, grad_bias_hh."""
        return self.named(*self.run(training=training))

    def named(self, forward: Forward, gradients: Gradients | None) -> dict[str, Array]:
        """What one pass returned, by the names of :meth:`results`."""
        names = self.layer.cell.state_names
        found = {"output": forward.output}
        found |= {f"final_{name}": s for name, s in zip(names, forward.final_state, strict=True)}
        if gradients is not None:
            found["grad_inputs"] = gradients.inputs
            found |= {f"grad_initial_{n}": s for n, s in zip(names, gradients.initial_state, strict=True)}
            found |= {f"grad_{name}": array for name, array in gradients.parameters.items()}
        return {name: self.layer.backend.to_numpy(array) for name, array in found.items()}
