"""What the run and a Dask worker say to each other: JSON text, checked on both sides, of bounded size.

Dask carries the text; of its own serialisation only the name of one function of this package is used.
"""

from __future__ import annotations

import hashlib
import platform
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from harness.supervisor import MAXIMUM_ANSWER_BYTES

ROOT = Path(__file__).resolve().parents[2]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Software(_Message):
    """What must be the same on all machines of a run: else its cases are not the cases that were planned."""

    rnn_harness: str
    python: str


class Request(_Message):
    """Cases for one worker; with `exclusive` nothing else runs on its machine meanwhile.

    Args:
        run: names the run, so that what it left behind can be ended.
        name: the plan's, for people who wait for this run's turn to end.
        num_threads: what each backend of a comparison gets; all cores of the machine where absent.
    """

    run: str
    name: str
    software: Software
    cases: list[dict[str, Any]]
    exclusive: bool
    num_threads: int | None
    corpus: str | None
    budget_seconds: float
    max_seconds: float
    hang_seconds: float


class EndedThere(_Message):
    """The outcome of one case."""

    outcome: dict[str, Any]
    elapsed_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Answer(_Message):
    """How the cases of a request ended, in its order; or why none of them was begun.

    Args:
        machine: the fingerprint of the hardware they ran on.
        backends: what each backend said of itself.
    """

    machine: str = ""
    ended: list[EndedThere] = []
    backends: dict[str, dict[str, Any]] = {}
    refused: str | None = None


class Presence(_Message):
    """What a worker says of itself before it gets work.

    Args:
        corpus: the identity of the text that the plan reads, None where there is no such file.
    """

    software: Software
    environment: dict[str, Any]
    corpus: str | None


def bounded(text: str) -> str:
    """The text.

    Raises:
        ValueError: it is larger than an answer may be.
    """
    if len(text) > MAXIMUM_ANSWER_BYTES:
        raise ValueError(f"message of {len(text) >> 20} MiB; at most {MAXIMUM_ANSWER_BYTES >> 20} are taken")
    return text


@lru_cache(maxsize=1)
def software() -> Software:
    """This process's: the version of rnn-harness with a digest of its sources, and of Python."""
    digest = hashlib.sha256()
    for package in ("harness", "implementations"):
        for path in sorted((ROOT / package).rglob("*.py")):
            digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    try:
        version = metadata.version("rnn-harness")
    except metadata.PackageNotFoundError:  # run from a checkout
        version = "checkout"
    return Software(rnn_harness=f"{version} {digest.hexdigest()[:12]}", python=platform.python_version())
