"""What a format is: a run to bytes, and bytes to the cases of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.case import Case
from harness.outcome import Outcome
from harness.report.frames import Run
from implementations.registry import Registry


@dataclass(frozen=True)
class Imported:
    """Args:
    facts: of the run, by name: `environment`, and what else the file tells.
    items: every case, once, with its outcome (None: it was planned and not run).
    """

    facts: dict[str, Any]
    items: Sequence[tuple[Case, Outcome | None]]


class Format(ABC):
    """A file format; `times_only`: it has no place for anything but times."""

    times_only: bool = True

    @abstractmethod
    def write(self, run: Run) -> bytes:
        """The run in this format.

        Raises:
            UserError: it holds nothing that this format can, or a library is absent.
        """

    @abstractmethod
    def looks_like(self, content: bytes) -> bool:
        """Whether a file is probably of this format."""

    @abstractmethod
    def read(self, content: bytes, name: str) -> Imported:
        """A file's cases.

        Args:
            name: the file's, for messages.

        Raises:
            UserError: it is not of this format, damaged, or out of bounds; the message says where.
        """


FORMATS: Registry[Format] = Registry("format", "harness.exchange.formats", "rnn_harness.formats")
