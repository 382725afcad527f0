"""What was chosen of a plan, by options or by itself: what would come to nothing is refused or said."""

from __future__ import annotations

from collections.abc import Sequence

from harness.case import Case
from harness.errors import UserError
from harness.plan import Plan
from harness.studies.study import STUDIES


def require_cases(plan: Plan, cases: Sequence[Case]) -> list[str]:
    """What is to be said of the plan's studies that have no case, one line each.

    Raises:
        UserError: no study has any.
    """
    without = _without_cases(plan, cases)
    if not cases:
        raise UserError(
            f"plan {plan.name}: no cases: {'; '.join(f'{name}: {why}' for name, why in without.items())}",
            remedy="choose other values with --axis or in the plan",
        )
    return [f"{name} has no cases: {why}" for name, why in without.items()]


def require_backend_heeded(
    whole: Plan, chosen: Plan, backends: Sequence[str], axis: Sequence[object]
) -> list[str]:
    """What is to be said of the chosen studies that go on as planned, whatever backend was asked for.

    Args:
        whole: the plan before studies were chosen.
        backends: those of `--backend`, which studies that compare backends heed.
        axis: those of `--axis backend=…`, which also those heed that train or multiply with one.

    Raises:
        UserError: no chosen study heeds them.
    """
    lines = []
    heeding = (
        ("--backend", "compares backends", backends, lambda name: STUDIES[name].compares_backends),
        ("--axis backend", "runs on a backend", axis, lambda name: STUDIES[name].takes_backend),
    )
    for option, what, asked, heeds in heeding:
        deaf = [name for name in chosen.studies if not heeds(name)]
        if not asked or not deaf:
            continue
        if len(deaf) == len(chosen.studies):
            those = ", ".join(filter(heeds, whole.studies))
            raise UserError(
                f"{option}: no chosen study {what}: {', '.join(deaf)}",
                expected=f"one of {those} of plan {whole.name}" if those else "a plan with such a study",
                got=", ".join(map(str, asked)),
                remedy=f"leave {option} out, or choose such a study",
            )
        lines.append(f"{option} changes nothing in {', '.join(deaf)}")
    return lines


def _without_cases(plan: Plan, cases: Sequence[Case]) -> dict[str, str]:
    """Study -> why it has no case."""
    having = {case.study for case in cases}
    found: dict[str, str] = {}
    for name, axes in plan.axes():
        if name not in having:
            why = STUDIES[name].why_no_points(axes) or "every combination of its axes is left out"
            found[name] = why if found.get(name, why) == why else f"{found[name]}, {why}"
    return found
