"""Which array library an array belongs to; torch is imported only where there is a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace_of(array: Any) -> Any:
    """The module, numpy or torch, whose functions take this array."""
    if isinstance(array, np.ndarray | np.generic):
        return np
    import torch

    return torch
