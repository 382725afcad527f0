"""CONTRIBUTING.md shows the house: a room that it does not name is not found, one that is gone misleads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSE = re.search(r"## The house.*?```(.*?)```", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.S)


def rooms(package: str) -> set[str]:
    """Modules and packages of a package, as the house names them: "plan.py", "studies/"."""
    found = {path.name for path in (ROOT / package).glob("*.py") if not path.name.startswith("__")}
    return found | {f"{path.parent.name}/" for path in (ROOT / package).glob("*/__init__.py")}


@pytest.mark.parametrize("package", ["harness", "implementations"])
def test_every_room_is_named_and_every_name_is_a_room(package: str) -> None:
    assert HOUSE is not None
    (part,) = re.findall(rf"^{package}/.*?(?=^\S)", HOUSE[1], re.S | re.M)
    named = set(re.findall(r"[a-z_]+(?:\.py|/)", part))
    assert not rooms(package) - named
    told = {name for name in named if name.endswith(".py")} - rooms(package)
    assert all(list((ROOT / package).rglob(name)) for name in told), told
