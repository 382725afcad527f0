"""Checks of the arguments that several analyses share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from implementations.checks import check_integer


def checked_anchor(anchor: Any, seq_len: int, first: int = 0) -> int:
    """The anchor t, by default T.

    Raises:
        ValueError: not an integer in first…T.
    """
    if anchor is None:
        return seq_len
    t = check_integer("anchor", anchor)
    if not first <= t <= seq_len:
        raise ValueError(f"anchor must be in {first}…{seq_len} (the number of steps), got {t}")
    return t


def checked_count(name: str, value: Any, size: int) -> int:
    """How many of S, by default all.

    Raises:
        ValueError: not an integer in 1…S.
    """
    if value is None:
        return size
    count = check_integer(name, value)
    if not 1 <= count <= size:
        raise ValueError(f"{name} must be in 1…{size} (the state size), got {count}")
    return count


def checked_lags(
    lags: Iterable[Any] | None, anchor: int, lowest: int = 0, highest: int | None = None
) -> NDArray[np.int64]:
    """Lags, by default all of lowest…highest; the highest is by default the anchor.

    Raises:
        ValueError: none at all, not integers, not increasing, out of that range.
    """
    highest = anchor if highest is None else highest
    if lags is None:
        return np.arange(lowest, highest + 1)
    if not isinstance(lags, Iterable):
        raise ValueError(f"lags must be a list of integers, got {lags!r}")
    checked = np.array([check_integer("lags", lag) for lag in lags], dtype=np.int64)
    if len(checked) == 0:
        raise ValueError(f"lags must hold at least one lag in {lowest}…{highest}, got none")
    for lag in checked:
        _in_range(lag, lowest, highest, anchor)
    if (np.diff(checked) <= 0).any():
        place = int(np.argmax(np.diff(checked) <= 0))
        raise ValueError(f"lags must increase, got {checked[place + 1]} after {checked[place]}")
    return checked


def checked_lag(lag: Any, anchor: int) -> int:
    """One lag.

    Raises:
        ValueError: not an integer in 0…anchor.
    """
    return _in_range(check_integer("lag", lag), 0, anchor, anchor)


def require_real(name: str, array: NDArray[Any]) -> None:
    """Raise ValueError where an array holds anything but real numbers: an imaginary part would be cut off."""
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be real numbers, got {array.dtype}")


def _in_range(lag: int, lowest: int, highest: int, anchor: int) -> int:
    if not lowest <= lag <= highest:
        where = " (the anchor)" if highest == anchor else f" (the anchor is {anchor})"
        raise ValueError(f"lag must be in {lowest}…{highest}{where}, got {lag}")
    return lag
