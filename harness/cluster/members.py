"""The workers of a cluster as a run sees them: who may take its cases, and on which kind of machine.

Each worker is asked once who it is.  One whose software is another stops the run with a line: its cases
would not be the ones that were planned.
"""

from __future__ import annotations

from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from harness.cluster import task
from harness.cluster.connection import RESOURCE
from harness.cluster.messages import Presence, bounded, software
from harness.errors import UserError
from harness.measure.machine import Machine
from harness.plan import Plan, identity

if TYPE_CHECKING:
    from distributed import Client


class Members:
    """Args:
    client: connected to the cluster.
    plan: whose text every worker must have.
    """

    def __init__(self, client: Client, plan: Plan) -> None:
        self._client = client
        self._corpus = plan.corpus
        self._expected = None if plan.corpus is None else identity(Path(plan.corpus))
        self._known: dict[str, Machine] = {}
        self._threads: dict[str, int] = {}
        self._machines: dict[str, Machine] = {}

    def refresh(self) -> None:
        """Ask those who have come, forget those who have gone.

        Raises:
            UserError: a worker has other software, another text, or offers no resource.
        """
        offered = {
            address: worker
            for address, worker in self._client.scheduler_info()["workers"].items()
            if worker.get("resources", {}).get(RESOURCE)
        }
        self._threads = {address: worker["nthreads"] for address, worker in offered.items()}
        strangers = [address for address in offered if address not in self._known]
        if strangers:
            self._ask(strangers)
        self._known = {address: machine for address, machine in self._known.items() if address in offered}
        self._machines |= {machine.label: machine for machine in self._known.values()}

    def _ask(self, strangers: list[str]) -> None:
        """First whether they have the package: a call of what is not there would never be answered."""
        for question in ((find_spec, task.__name__), (task.present, self._corpus)):
            answers = self._client.run(*question, workers=strangers, on_error="return")
            strangers = [
                address for address, answer in answers.items() if not isinstance(answer, OSError)
            ]  # the others have gone again
            for address in strangers:
                self._require_answer(address, answers[address])
        for address in strangers:
            self._known[address] = self._checked(address, answers[address])

    def __len__(self) -> int:
        return len(self._known)

    @property
    def threads(self) -> int:
        """How many cases that are not timed can be at work at once."""
        return sum(self._threads[address] for address in self._known)

    def machine(self, label: str) -> Machine:
        """The machine of this fingerprint, with its environment."""
        return self._machines.get(label) or Machine(label, {})

    def to_compare_on(self) -> list[str] | None:
        """Who may take what is timed: those on the most frequent kind of machine; None where all are."""
        kinds = Counter(machine.label for machine in self._known.values())
        if len(kinds) < 2:
            return None
        chosen, _ = min(kinds.items(), key=lambda kind: (-kind[1], kind[0]))
        return [address for address, machine in self._known.items() if machine.label == chosen]

    def has_any(self, addresses: list[str]) -> bool:
        """Is one of these still here?"""
        return any(address in self._known for address in addresses)

    def others(self) -> int:
        """How many workers the cluster has that offer nothing to a case."""
        return len(self._client.scheduler_info()["workers"]) - len(self._threads)

    def _require_answer(self, address: str, answer: Any) -> None:
        if answer is None or isinstance(answer, ModuleNotFoundError):
            raise UserError(
                f"worker {address}: {answer or 'no module of this version of rnn-harness'}",
                expected=f"rnn-harness {software().rnn_harness} there, as here",
                remedy="install it there, in the environment that `dask worker` runs in",
            )
        if isinstance(answer, BaseException):
            raise UserError(f"worker {address}: {type(answer).__name__}: {answer}") from answer

    def _checked(self, address: str, answer: str) -> Machine:
        try:
            presence = Presence.model_validate_json(bounded(answer))
        except ValidationError as error:
            raise UserError(f"worker {address}: not an answer of rnn-harness: {error}") from error
        for name, here in software():
            there = getattr(presence.software, name)
            if there != here:
                raise UserError(
                    f"worker {address}: another {name.replace('_', '-')} than here",
                    expected=here,
                    got=there,
                    remedy="install the same on every machine",
                )
        if presence.corpus != self._expected:
            raise UserError(
                f"worker {address}: {self._corpus} is not the same text there",
                expected=str(self._expected),
                got=presence.corpus or "no such file",
                remedy="put the file at the same path on every machine",
            )
        return Machine.of(presence.environment)
