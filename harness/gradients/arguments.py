"""Checks of the arguments that several analyses share."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def checked_anchor(anchor: Any, seq_len: int) -> int:
    """The anchor t, by default T.

    Raises:
        ValueError: not an integer in 0…T.
    """
    if anchor is None:
        return seq_len
    t = _integer("anchor", anchor)
    if not 0 <= t <= seq_len:
        raise ValueError(f"anchor must be in 0…{seq_len} (the number of steps), got {t}")
    return t


def checked_count(name: str, value: Any, size: int) -> int:
    """How many of S, by default all.

    Raises:
        ValueError: not an integer in 1…S.
    """
    if value is None:
        return size
    count = _integer(name, value)
    if not 1 <= count <= size:
        raise ValueError(f"{name} must be in 1…{size} (the state size), got {count}")
    return count


def checked_lags(lags: Iterable[Any] | None, anchor: int) -> NDArray[np.int64]:
    """Lags, by default 0…anchor.

    Raises:
        ValueError: none at all, not integers, not increasing, below 0 or above the anchor.
    """
    if lags is None:
        return np.arange(anchor + 1)
    checked = np.array([_integer("lags", lag) for lag in lags], dtype=np.int64)
    if len(checked) == 0:
        raise ValueError(f"lags must hold at least one lag in 0…{anchor}, got none")
    for lag in checked:
        checked_lag(lag, anchor)
    if (np.diff(checked) <= 0).any():
        place = int(np.argmax(np.diff(checked) <= 0))
        raise ValueError(f"lags must increase, got {checked[place + 1]} after {checked[place]}")
    return checked


def checked_lag(lag: Any, anchor: int) -> int:
    """One lag.

    Raises:
        ValueError: not an integer in 0…anchor.
    """
    steps = _integer("lag", lag)
    if not 0 <= steps <= anchor:
        raise ValueError(f"lag must be in 0…{anchor} (the anchor), got {steps}")
    return steps


def _integer(name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ValueError(f"{name} must be integers, got {value!r}") from None
