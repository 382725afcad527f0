"""docs/plans.md says what a plan is made of: its keys are the plan's own, and its example is a plan."""

from __future__ import annotations

import json
import re
from pathlib import Path

from harness.plan import Plan
from harness.plan_file import load_plan

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "plans.md").read_text(encoding="utf-8")


def test_the_keys_and_defaults_are_those_of_a_plan():
    listed = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
    assert listed == {name: default(field) for name, field in Plan.model_fields.items()}


def default(field) -> str:
    if field.is_required():
        return "required"
    return "absent" if field.default is None else f"`{json.dumps(field.default)}`"


def test_the_example_is_a_plan_with_as_many_cases_as_the_page_says(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1], encoding="utf-8")
    plan = load_plan(str(path))
    assert f"\n{len(plan.cases())} measured\n" in PAGE
    assert plan.name in PAGE.split("```")[3]
    assert "docs/plans.md" in (ROOT / "README.md").read_text(encoding="utf-8")
