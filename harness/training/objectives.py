"""Losses and their gradients by the predictions, in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Objective = Callable[[Array, Array], tuple[float, Array]]
"""(predictions (R, B, O), targets) -> the mean loss and its gradient (R, B, O)."""


def squared_error(predictions: Array, targets: Array) -> tuple[float, Array]:
    """Mean of (y − target)²; targets (R, B, O)."""
    difference = predictions - targets
    value = float(np.mean(difference.astype(np.float64) ** 2))
    return value, (2.0 / difference.size) * difference


def cross_entropy(predictions: Array, targets: Array) -> tuple[float, Array]:
    """Mean of −log softmax(y)[target], in nats; predictions are logits, targets (R, B) class numbers."""
    logits = predictions - predictions.max(axis=2, keepdims=True)
    probability = np.exp(logits)
    total = probability.sum(axis=2, keepdims=True)
    chosen = np.take_along_axis(logits, targets[..., None], axis=2) - np.log(total)
    probability /= total
    np.put_along_axis(probability, targets[..., None], np.exp(chosen) - 1.0, axis=2)
    probability /= targets.size
    return -float(chosen.mean(dtype=np.float64)), probability
