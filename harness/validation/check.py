"""What a check is, and how it is registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.validation.row import Row
from implementations.registry import Registry


@dataclass(frozen=True)
class Check:
    """Args:
    group: the group, by which the table is ordered.
    rows: yields the rows; takes nothing, or a backend and a dtype where `of_backends`.
    of_backends: whether it runs on every backend and dtype.
    """

    group: str
    rows: Callable[..., Iterator[Row]]
    of_backends: bool = False


CHECKS: Registry[Check] = Registry("check", "harness.validation", "rnn_harness.validation")


def check(group: str, *, of_backends: bool = False) -> Callable[[Any], Any]:
    """Decorator: register a generator function of rows under `group.function_name`, spaces as underscores."""

    def enter(function: Callable[..., Iterator[Row]]) -> Callable[..., Iterator[Row]]:
        CHECKS.register(f"{group}.{function.__name__}".replace(" ", "_"))(Check(group, function, of_backends))
        return function

    return enter
