"""Names and places out of a record that is to be shown to others: `--redact`.

Users, hosts and paths become placeholders, the same ones every time: `<user>`, `<host>`, `<path>`, in a
command `<corpus>` and the like; of a source file the place in the code is kept
(`<project>/harness/worker.py`).  Only text written by people and programs is changed: the names and settings
of a case identify a measurement, and stay.
"""

from __future__ import annotations

import getpass
import os
import platform
import re
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.outcome import Failed, Measured, Outcome, Unsupported

_NEVER_A_NAME = frozenset({"", "localhost", "root", "user", "users", "home", "python", "python3"})
"""Words that say nothing about anybody, and stand in texts for other things."""
_SEPARATOR = r"""\s"'`<>|;,:()\[\]{}=*"""
_START = r"(?:file:/{0,2}|~\w*|\.{1,2})?/"
_QUOTED_PATH = re.compile(rf"""(["'])(?:{_START}|[A-Za-z]:\\)[^"'\n]*\1""")
_PATH = re.compile(rf"(?<![\w.~<>/%-]){_START}(?:[^{_SEPARATOR}/]+/?)+")
_WINDOWS_PATH = re.compile(rf"(?<!\w)[A-Za-z]:\\[^{_SEPARATOR}]+|\\\\[^{_SEPARATOR}]+")
_EVERYWHERE = re.compile(r"^(?:/(?:proc|sys|dev)/|/\d+(?:\.\d+)?$)")
"""Paths that every machine has, and what only looks like one ("886/886")."""
_HOME = re.compile(r"/(?:home|Users)/([^/\s\"'<>]+)")
_AT_HOST = re.compile(r"\b([\w.-]+)@([\w-]+(?:\.[\w-]+)+)\b")
_NEEDS_NO_QUOTES = re.compile(r"[\w@%+=:,./<>-]+")
_FILE_OPTIONS = ("corpus", "results", "resume", "weights", "data", "vocabulary", "output", "scheduler")


@dataclass(frozen=True)
class Redactor:
    """Args:
    sources: folder -> the name it is shown under, without brackets: of the Python files below it the rest
        of the path is kept, because it says where in the code something happened.
    users, hosts: the words to take out.
    """

    sources: Mapping[str, str]
    users: frozenset[str]
    hosts: frozenset[str]

    @classmethod
    def of_this_machine(cls) -> Redactor:
        """What this machine and this process are called."""
        named = {
            "project": Path(__file__).resolve().parents[1],
            "python": sys.prefix,
            "python-base": sys.base_prefix,
        }
        known: dict[str, str] = {}
        for name, place in named.items():
            for form in (str(place), os.path.realpath(str(place))):
                if len(form) > 1:
                    known.setdefault(form, name)
        names = {platform.node(), socket.gethostname(), os.environ.get("HOSTNAME", "")}
        hosts = names | {name.partition(".")[0] for name in names}
        return cls(known, frozenset(_users() - _NEVER_A_NAME), frozenset(hosts - _NEVER_A_NAME))

    def heard_in(self, value: Any) -> Redactor:
        """The same, with the users whose home folders are named in a record from another machine."""
        found = {match for text in _texts(value) for match in _HOME.findall(text)}
        return replace(self, users=self.users | (found - _NEVER_A_NAME))

    def __call__(self, value: Any) -> Any:
        """JSON of the same shape, every string in it (keys of mappings too) redacted."""
        match value:
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(key)): self(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self(inner) for inner in value]
            case _:
                return value

    def text(self, text: str) -> str:
        """One string."""
        for source in sorted(self.sources, key=len, reverse=True):
            shown = f"<{self.sources[source]}>"
            text = re.sub(rf"{re.escape(source)}(/[\w./-]+\.py)\b", rf"{shown}\1", text)
        text = _QUOTED_PATH.sub(r"\1<path>\1", text)
        text = _WINDOWS_PATH.sub("<path>", text)
        text = _PATH.sub(lambda found: found[0] if _EVERYWHERE.match(found[0]) else "<path>", text)
        text = _AT_HOST.sub("<user>@<host>", text)
        for words, name in ((self.hosts, "host"), (self.users, "user")):
            for word in sorted(words, key=len, reverse=True):
                text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", f"<{name}>", text)
        return text

    def command(self, command: str) -> str:
        """A command line: the values of options that name files, and whatever holds a path."""
        try:
            words = shlex.split(command)
        except ValueError:  # an unclosed quotation mark
            return self.text(command)
        kept: list[str] = []
        for word in words:
            option, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
            before = kept[-1] if kept else ""
            if equals:
                kept.append(f"{option}={self._value(option, value)}")
            else:
                kept.append(self._value(before, word))
        return " ".join(word if _NEEDS_NO_QUOTES.fullmatch(word) else shlex.quote(word) for word in kept)

    def _value(self, option: str, value: str) -> str:
        name = option.removeprefix("--")
        if name in _FILE_OPTIONS and value != "latest":
            return f"<{name}>"
        if "/" in value or "\\" in value or value.endswith(".toml"):
            return "<path>"
        return self.text(value)

    def outcome(self, outcome: Outcome) -> Outcome:
        """A case's end: its reason, its log, and what words its columns and facts hold."""
        match outcome:
            case Measured(columns, facts):
                return Measured({name: self._column(values) for name, values in columns.items()}, self(facts))
            case Unsupported(reason):
                return Unsupported(self.text(reason))
            case Failed(reason, log):
                return Failed(self.text(reason), self.text(log))
            case _:
                return outcome

    def _column(self, values: Sequence[Any]) -> list[Any]:
        words = {value: self.text(value) for value in set(values) if isinstance(value, str)}
        return [words.get(value, value) for value in values] if words else list(values)

    def facts(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """A run's facts: environment, command and plan; its id is the folder's name, and stays."""
        told = self.heard_in(facts)
        found = {name: told(value) for name, value in facts.items()}
        if isinstance(facts.get("command"), str):
            found["command"] = told.command(facts["command"])
        if isinstance(facts.get("plan"), Mapping) and facts["plan"].get("corpus") is not None:
            found["plan"]["corpus"] = "<corpus>"
        return {**found, **({"run_id": facts["run_id"]} if "run_id" in facts else {}), "redacted": True}


def _users() -> set[str]:
    found = {os.environ.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME")}
    with suppress(KeyError, OSError, ImportError):  # a user id without a name
        found.add(getpass.getuser())
    return found | {Path.home().name}


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case Mapping():
            return [text for item in value.items() for text in _texts(list(item))]
        case list() | tuple():
            return [text for item in value for text in _texts(item)]
        case _:
            return []
