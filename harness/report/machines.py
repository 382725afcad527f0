"""Which machines a run had, by short names, and what may be compared on one machine only.

A time says something beside another time of the same machine alone, and so does a peak of memory or a
kernel's rate.  In a run that had several machines, the machine is therefore one of the axes of these
studies (:meth:`harness.report.frames.Run.axes`): every grouping by the axes keeps machines apart.
Gradients and errors are the same numbers everywhere, and are not kept apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import ascii_uppercase
from typing import Any

from harness.ledger import Entry
from harness.outcome import Measured
from harness.report.words import missing

AXIS = "machine"
CONFINED = frozenset({"throughput", "memory", "limits", "startup", "time_to_solve", "structures"})
"""Studies whose numbers belong to the machine they were measured on."""


def short_names(entries: Iterable[Entry]) -> dict[str, str]:
    """Fingerprint -> "A", "B", … in the plan's order; after 26 of them "27", …"""
    found = dict.fromkeys(filter(None, map(machine_of, entries)))
    return {
        label: ascii_uppercase[i] if i < len(ascii_uppercase) else str(i + 1) for i, label in enumerate(found)
    }


def machine_of(entry: Entry) -> str | None:
    """The fingerprint of the machine that measured it; None where nobody did, or nobody said where."""
    if isinstance(entry.outcome, Measured) and AXIS in entry.outcome.facts:
        return str(entry.outcome.facts[AXIS])
    return None


def apart(axes: Iterable[str]) -> list[str]:
    """The machine, where it is among the axes: to group by before anything is pooled over all settings."""
    return [axis for axis in axes if axis == AXIS]


def with_place(name: str, row: Mapping[str, Any]) -> str:
    """ "numba", or "numba on machine A" where the row belongs to one of several machines."""
    machine = row.get(AXIS)
    return name if missing(machine) else f"{name} on machine {machine}"
