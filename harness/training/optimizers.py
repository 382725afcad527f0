"""The optimisers: torch.optim on named NumPy arrays, in place, whichever backend computed the gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


_MAKERS: dict[str, tuple[Callable[[list[Any], float, float], Any], float]] = {
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
        self._optimizer = make(list(self._tensors.values()), learning_rate, momentum)

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
        # a second thread gains nothing here, and would go on spinning beside the backend's own
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            self._optimizer.step()
        finally:
            torch.set_num_threads(threads)

    def state(self) -> dict[str, Array]:
        """What it remembers, as "weight/quantity" -> array: enough to go on exactly."""
        names = dict(enumerate(self._tensors))
        state = self._optimizer.state_dict()["state"]
        return {
            f"{names[place]}/{quantity}": value.numpy().copy()
            for place, quantities in state.items()
            for quantity, value in quantities.items()
            if value is not None
        }

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Take back what :meth:`state` gave."""
        import torch

        places = {name: place for place, name in enumerate(self._tensors)}
        known: dict[int, dict[str, Any]] = {}
        for key, array in state.items():
            name, _, quantity = key.rpartition("/")
            if name not in places:
                raise ValueError(f"optimizer state of an unknown weight {name!r}; known: {', '.join(places)}")
            known.setdefault(places[name], {})[quantity] = torch.from_numpy(np.array(array))
        whole = self._optimizer.state_dict()
        self._optimizer.load_state_dict({**whole, "state": known})
