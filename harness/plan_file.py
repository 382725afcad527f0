"""Plan files: a plan read from TOML, and the presets that come with the package.

A file has a few settings and one table per study (or an array of tables, where one study is swept over
several blocks).  Presets are the files in `harness/plans/`; a file with `extends = "standard"`, or a list of
presets, has all that they have, its own settings in place of theirs, and its own blocks after them.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.plan import Plan, checked, listed, shown
from implementations.registry import did_you_mean

PRESETS = Path(__file__).parent / "plans"


def load_plan(name_or_file: str) -> Plan:
    """A preset by name, or a plan file by path.

    Raises:
        UserError: no such preset or file, no TOML, or content that is wrong; the message says where in
            the file and which word would have been right.
    """
    path = Path(name_or_file)
    if not path.suffix and not path.is_file():
        path = PRESETS / f"{name_or_file}.toml"
        if path.parent != PRESETS or not path.is_file():
            raise UserError(
                f"unknown plan {name_or_file!r}{did_you_mean(name_or_file, preset_names())}",
                expected=f"one of {', '.join(preset_names())}, or the path of a .toml file",
            )
    return checked(_extended(_read(path), str(path)), str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path}: cannot read the plan: {error.strerror}", expected="a TOML file") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file", expected="TOML in UTF-8", got=error.reason) from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}", remedy="mend the file at that place") from error
    except (ValueError, RecursionError) as error:  # a number of too many digits; brackets without end
        raise UserError(
            f"{path}: cannot be read: {error}", expected="numbers of 64 bits, and nesting within reason"
        ) from error


def _extended(data: dict[str, Any], source: str) -> dict[str, Any]:
    """The plan with all of the presets that it extends, if it extends any."""
    data = dict(data)
    names = data.pop("extends", None)
    whole: dict[str, Any] = {}
    for name in [] if names is None else names if isinstance(names, list) else [names]:
        if name not in preset_names():
            raise UserError(
                f"{source}: extends: unknown plan {shown(name)}{did_you_mean(shown(name), preset_names())}",
                expected=f"one of {', '.join(preset_names())}",
            )
        whole = _joined(whole, _extended(_read(PRESETS / f"{name}.toml"), str(name)))
    return _joined(whole, data)


def _joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The settings of both, the second's where both have one, and the blocks of both.

    What is wrong with the second is left as it is, to be said where all of it is checked.
    """
    joined = {**first, **second}
    one, other = first.get("max_seconds_of", {}), second.get("max_seconds_of", {})
    if one and isinstance(other, dict):
        joined["max_seconds_of"] = {**one, **other}
    one, other = first.get("studies", {}), second.get("studies", {})
    if one and isinstance(other, dict):
        both = {study: (listed(one[study]), listed(other[study])) for study in other if study in one}
        added = {study: [*a, *b] if isinstance(b, list) else b for study, (a, b) in both.items()}
        joined["studies"] = {**one, **other, **added}
    return joined


def preset_names() -> list[str]:
    """Names of the plans that come with the package."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def presets_with(study: str) -> list[str]:
    """Names of those presets that have the study."""
    return [name for name in preset_names() if study in load_plan(name).studies]
