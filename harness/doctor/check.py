"""What a check is: a function from the scene to a finding, registered under its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.measure.environment.model import Environment
from implementations.registry import Registry

Level = Literal["ok", "warning", "problem"]
LEVELS: tuple[Level, ...] = ("ok", "warning", "problem")


@dataclass(frozen=True)
class Finding:
    """Args:
    check: whose it is.
    level: ok; warning: numbers will be worse than they could be; problem: they will be worthless, or there
        will be none.
    text: what was found.
    remedy: what to do about it; empty where there is nothing.
    """

    check: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Scene:
    """The machine as recorded, and the folder that runs are to go to."""

    environment: Environment
    results: Path


Seen = tuple[Level, str] | tuple[Level, str, str]
Look = Callable[[Scene], Seen]


@dataclass(frozen=True)
class Check:
    """A question to the scene; `slow` ones are asked by `doctor` alone, not at the start of each run."""

    ask: Look
    slow: bool

    def look(self, name: str, scene: Scene) -> Finding:
        """The finding; a check that breaks is a finding too."""
        try:
            return Finding(name, *self.ask(scene))
        except Exception as error:  # a machine may refuse anything; the other checks still count
            return Finding(name, "warning", f"could not be checked: {type(error).__name__}: {error}")


CHECKS: Registry[Check] = Registry("check", "harness.doctor.checks", "rnn_harness.checks")


def check(name: str, *, slow: bool = False) -> Callable[[Look], Look]:
    """Decorator: register a check under `name`.  It gives level, text and, where there is one, a remedy."""

    def enter(ask: Look) -> Look:
        CHECKS.register(name)(Check(ask, slow))
        return ask

    return enter
