"""Running the checks: the engine once, then every backend that is available, in every dtype it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from harness.validation.check import CHECKS, Check
from harness.validation.row import Row, failed
from implementations.contract import DTYPES, Backend, BackendUnavailable
from implementations.registry import BACKENDS, CELLS, UnknownName, load_backend


@dataclass(frozen=True)
class Skipped:
    """What was not checked, and why: a backend that is absent, dtypes and cells that it does not have."""

    subject: str
    reason: str


def chosen_backends(names: Iterable[str]) -> list[str]:
    """These backends, or all that are registered where none is named.

    Raises:
        UnknownName: (a KeyError) no such backend; the message names the nearest.
    """
    chosen = list(dict.fromkeys(names))
    for name in chosen:
        if name not in BACKENDS:
            raise UnknownName(BACKENDS.miss(name))
    return chosen or list(BACKENDS)


def validate(backends: Iterable[str] = ()) -> Iterator[Row | Skipped]:
    """Every row, as it is computed.  An exception inside a check is a failed row.

    Args:
        backends: names; where none is given, all but those that compile at every shape, which takes minutes.

    Raises:
        UnknownName: (a KeyError) no such backend.
    """
    named = list(backends)
    names = chosen_backends(named)
    for check in _in_order(of_backends=False):
        yield from rows_of(check, "engine")
    for name in names:
        try:
            backend = load_backend(name)
        except BackendUnavailable as reason:
            yield Skipped(name, str(reason).removeprefix(f"{name}: "))
            continue
        if backend.compiles and not named:
            yield Skipped(name, f"compiles at every shape, for minutes in all; --backend {name} checks it")
            continue
        for dtype in DTYPES:
            if not _whole_dtype_missing(backend, dtype):
                for check in _in_order(of_backends=True):
                    yield from rows_of(check, f"{name} {dtype}", backend, dtype)
        yield from _skipped(backend)


def rows_of(check: Check, subject: str, *arguments: object) -> Iterator[Row]:
    """The rows of one check, with its group and who was checked."""
    try:
        for row in check.rows(*arguments):
            yield replace(row, group=check.group, subject=subject)
    except Exception as error:  # whatever a check meets is a row of the table, not the end of it
        name = check.rows.__name__.replace("_", " ")
        yield replace(failed(name, error), group=check.group, subject=subject)


def _in_order(*, of_backends: bool) -> list[Check]:
    found = [check for check in CHECKS.values() if check.of_backends is of_backends]
    return sorted(found, key=lambda check: check.group)


def _reasons(backend: Backend, dtype: str) -> dict[str, str]:
    """Cell -> why this backend does not have it in this dtype."""
    reasons = {cell: backend.why_unsupported(cell, dtype, training=True) for cell in CELLS}
    return {cell: reason for cell, reason in reasons.items() if reason is not None}


def _whole_dtype_missing(backend: Backend, dtype: str) -> bool:
    return len(_reasons(backend, dtype)) == len(CELLS)


def _skipped(backend: Backend) -> Iterator[Skipped]:
    """One line per dtype that is missing as a whole, and one per reason that keeps cells from the others."""
    cells: dict[str, list[str]] = {}
    for dtype in DTYPES:
        reasons = _reasons(backend, dtype)
        if len(reasons) == len(CELLS):
            yield Skipped(f"{backend.name} {dtype}", max(reasons.values(), key=list(reasons.values()).count))
            continue
        for cell, reason in reasons.items():
            cells.setdefault(reason, []).append(cell)
    for reason, names in cells.items():
        yield Skipped(f"{backend.name} {', '.join(dict.fromkeys(names))}", reason)
