"""One small registry for everything of which there may be one more.

A definition registers itself with a decorator in a file of its own; the registry finds that file by
listing its folder (and third parties' entry points) the first time somebody asks.  To the outside a
registry is a read-only mapping whose misses name the nearest known word.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import entry_points
from typing import TypeVar

from implementations.contract import Backend, BackendUnavailable, Cell

T = TypeVar("T")


class UnknownName(KeyError):
    """A name that is in no registry: the message says which names are, nearest first."""

    def __str__(self) -> str:
        return str(self.args[0])


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known one closest in spelling, or nothing."""
    matches = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""


class Registry(Mapping[str, T]):
    """Name -> definition, discovered on first use.

    Args:
        kind: what is registered, for messages ("backend").
        package: the package whose modules are imported to discover definitions.
        entry_point_group: the group under which installed third parties announce modules of theirs.
    """

    def __init__(self, kind: str, package: str, entry_point_group: str) -> None:
        self.kind = kind
        self._package = package
        self._group = entry_point_group
        self._items: dict[str, T] = {}
        self._discovered = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorator: enter the decorated definition under `name`.

        Raises:
            ValueError: another definition already has this name.
        """

        def enter(item: T) -> T:
            if name in self._items:
                raise ValueError(f"{self.kind} {name!r} is registered twice; choose another name")
            self._items[name] = item
            return item

        return enter

    def discover(self) -> None:
        """Import every module of the package and every entry point of the group, once."""
        if self._discovered:
            return
        self._discovered = True
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        for entry_point in entry_points(group=self._group):
            entry_point.load()

    def only(self, name: str) -> T:
        """The definition of this name, importing no more than its own module where that is called like it
        (a third party's entry point, too).  For a process that needs one of them and is to start quickly.

        Raises:
            UnknownName: as `registry[name]` does.
        """
        if name not in self._items and not self._discovered and name.isidentifier():
            module = f"{self._package}.{name}"
            if importlib.util.find_spec(module) is not None:
                importlib.import_module(module)
            for entry_point in entry_points(group=self._group, name=name):
                entry_point.load()
        return self._items[name] if name in self._items else self[name]

    def __getitem__(self, name: str) -> T:
        self.discover()
        if name not in self._items:
            raise UnknownName(self.miss(name))
        return self._items[name]

    def miss(self, name: str) -> str:
        """One line about a name that is not here: the nearest that is, and all of them."""
        self.discover()
        hint = did_you_mean(str(name), self._items)
        return f"unknown {self.kind} {name!r}{hint} (known: {', '.join(self._items)})"

    def __iter__(self) -> Iterator[str]:
        self.discover()
        return iter(self._items)

    def __len__(self) -> int:
        self.discover()
        return len(self._items)


CELLS: Registry[Cell] = Registry("cell", "implementations.cells", "rnn_harness.cells")
BACKENDS: Registry[Callable[[], Backend]] = Registry(
    "backend", "implementations.backends", "rnn_harness.backends"
)


def load_backend(name: str) -> Backend:
    """Load a backend, with its libraries.

    Args:
        name: a name in :data:`BACKENDS`.

    Raises:
        UnknownName: (a KeyError) there is no such backend; the message names the nearest.
        BackendUnavailable: its library or device is absent; the message says which.
    """
    load = BACKENDS[name]
    try:
        return load()
    except ImportError as error:
        raise BackendUnavailable(f"{name}: cannot import {error.name or error}: {error}") from error
