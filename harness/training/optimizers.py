"""The optimisers: torch.optim on named NumPy arrays, in place, whichever backend computed the gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.registry import did_you_mean

Array = NDArray[Any]


def _sgd(tensors: list[Any], learning_rate: float, momentum: float) -> Any:
    import torch

    return torch.optim.SGD(tensors, lr=learning_rate, momentum=momentum, fused=True)


def _adam(tensors: list[Any], learning_rate: float, momentum: float) -> Any:
    import torch

    return torch.optim.Adam(tensors, lr=learning_rate, betas=(momentum, 0.999), fused=True)


_MAKERS: dict[str, tuple[Callable[..., Any], float]] = {
    "sgd": (_sgd, 0.0),
    "adam": (_adam, 0.9),
}
OPTIMIZERS = tuple(_MAKERS)


class Optimizer:
    """Args:
        kind: "sgd" (θ ← θ − η·v, v ← μ·v + g; Polyak 1964) or "adam" (Kingma & Ba 2015, algorithm 1).
        weights: name -> array, C-contiguous; `step` changes them in place.
        learning_rate: η > 0.
        momentum: μ of "sgd" (0 where None), β₁ of "adam" (0.9 where None), in [0, 1).

    Raises:
        ValueError: an unknown kind, or a setting outside its range.
    """

    def __init__(
        self, kind: str, weights: Mapping[str, Array], learning_rate: float, *, momentum: float | None = None
    ) -> None:
        import torch

        if kind not in _MAKERS:
            hint = did_you_mean(kind, _MAKERS)
            raise ValueError(f"unknown optimizer {kind!r}{hint} (known: {', '.join(_MAKERS)})")
        if not (np.isfinite(learning_rate) and learning_rate > 0.0):
            raise ValueError(f"learning_rate must be > 0, got {learning_rate}")
        make, default = _MAKERS[kind]
        momentum = default if momentum is None else momentum
        if not 0.0 <= momentum < 1.0:
            raise ValueError(f"momentum must be in [0, 1), got {momentum}")
        self._tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
        self._make = partial(make, learning_rate=learning_rate, momentum=momentum)
        self._optimizer = self._make(list(self._tensors.values()))

    def step(self, gradients: Mapping[str, Array]) -> None:
        """Change the weights by one step.

        Raises:
            ValueError: the gradients' names are not the weights'.
        """
        import torch

        if set(gradients) != set(self._tensors):
            raise ValueError(f"gradients must be of {', '.join(self._tensors)}, got {', '.join(gradients)}")
        for name, tensor in self._tensors.items():
            tensor.grad = torch.from_numpy(np.ascontiguousarray(gradients[name])).to(tensor.dtype)
        _step_alone(self._optimizer)

    def state(self) -> dict[str, Array]:
        """What it remembers, as "weight/quantity" -> array: enough to go on exactly."""
        return self._named(self._optimizer)

    def blank_state(self) -> dict[str, Array]:
        """What :meth:`state` holds after a step, of the same names, types and shapes, all zero.

        A step on copies tells: no list of what torch keeps has to be kept here.
        """
        import torch

        tensors = [torch.zeros_like(tensor) for tensor in self._tensors.values()]
        for tensor in tensors:
            tensor.grad = torch.zeros_like(tensor)
        twin = self._make(tensors)
        _step_alone(twin)
        return {name: np.zeros_like(array) for name, array in self._named(twin).items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what :meth:`state` gave; nothing, where it is that of no step.

        Raises:
            ValueError: it is of other names, types or shapes than this optimiser's own would be.  The fused
                kernels look at none of them: they would read and write beside their arrays.
        """
        import torch

        blank = self.blank_state() if state else {}
        if (why := why_other(state, blank)) is not None:
            raise ValueError(f"the optimizer's state does not fit: {why}")
        places = {name: place for place, name in enumerate(self._tensors)}
        known: dict[int, dict[str, Any]] = {}
        for key, array in state.items():
            name, _, quantity = key.rpartition("/")
            known.setdefault(places[name], {})[quantity] = torch.from_numpy(
                np.array(array).reshape(blank[key].shape)
            )
        whole = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**whole, "state": known})

    def _named(self, optimizer: Any) -> dict[str, Array]:
        names = dict(enumerate(self._tensors))
        return {
            f"{names[place]}/{quantity}": value.numpy().copy()
            for place, quantities in optimizer.state_dict()["state"].items()
            for quantity, value in quantities.items()
            if value is not None
        }


def _step_alone(optimizer: Any) -> None:
    """A second thread gains nothing here, and would go on spinning beside the backend's own."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        optimizer.step()
    finally:
        torch.set_num_threads(threads)


def why_other(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> str | None:
    """The first in which arrays differ from those wanted, by name, type or shape; None where none does.

    A single number may stand in an array of one, as older checkpoints hold it.
    """
    for name in sorted({*found, *wanted}):
        if name not in found:
            return f"{name} is missing"
        if name not in wanted:
            return f"{name} is none of its own"
        ours, theirs = wanted[name], found[name]
        one = ours.size == theirs.size == 1
        if ours.dtype != theirs.dtype or not (one or ours.shape == theirs.shape):
            return f"{name} is {_kind(theirs)}, expected {_kind(ours)}"
    return None


def _kind(array: Array) -> str:
    return f"{array.dtype} {array.shape}"
