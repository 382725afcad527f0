"""Plans: which studies to run over which axes, checked before anything starts.

A plan has a few settings and one block of axes per study (or several, where one study is swept over several).
It expands to cases.  `harness.plan_file` reads one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.case import Case, Scalar, require_scalars
from harness.errors import UserError
from harness.studies.study import STUDIES, StudyAxes, is_swept
from implementations.registry import did_you_mean


def listed(value: Any) -> Any:
    """The blocks of one study: a single table is a list of one."""
    return [value] if isinstance(value, dict) else value


def _in_unicode(path: str) -> str:
    require_scalars([path], "the path")
    return path


class Plan(BaseModel):
    """The settings of a run and the axes of each study, in the order of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    seed: Annotated[int, Field(ge=0, lt=2**63, strict=True)] = 0
    replicates: Annotated[int, Field(ge=1, le=10**6, strict=True)] = 3
    """In how many fresh processes each timed case is measured: one says nothing of how much they differ."""
    num_threads: Annotated[int | None, Field(ge=1, lt=2**31, strict=True)] = None
    """Threads that every backend gets; all cores that this process may use where absent."""
    budget_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = 0.5
    """How long the timed part of one case goes on."""
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = 30.0
    """A case whose estimate is above this is skipped, with the estimate as its reason."""
    max_seconds_of: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]] = {}
    """The same for some studies, by name: a training takes longer than any pass should."""
    timeout_seconds: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    """When a case counts as hung; 60 s and three times its limit where absent."""
    corpus: Annotated[str, AfterValidator(_in_unicode)] | None = None
    """The text for `inputs = "text"`; the Python standard library's source where absent."""
    studies: dict[str, Annotated[list[dict[str, Any]], BeforeValidator(listed)]] = Field(min_length=1)

    def limit_of(self, study: str) -> float:
        """How long a case of this study may take by its estimate, in seconds."""
        return self.max_seconds_of.get(study, self.max_seconds)

    def hang_of(self, study: str) -> float:
        """After how many seconds a case of this study counts as hung."""
        return self.timeout_seconds or 60.0 + 3.0 * self.limit_of(study)

    @property
    def threads(self) -> int:
        return self.num_threads or len(os.sched_getaffinity(0))

    def axes(self) -> list[tuple[str, StudyAxes]]:
        """Every block of every study, checked."""
        return [
            (name, STUDIES[name].Axes.model_validate(block))
            for name, blocks in self.studies.items()
            for block in blocks
        ]

    def cases(self) -> list[Case]:
        """Every case, once, in the plan's order; replicate after replicate.

        Only what is timed is repeated: a gradient comes out the same in every process, and so does a peak.

        Raises:
            UserError: a text that cannot be read, a case that no ledger could give back.
        """
        found: dict[str, Case] = {}
        text = {} if self.corpus is None else {"corpus": identity(Path(self.corpus))}
        for replicate in range(self.replicates):
            for name, axes in self.axes():
                if replicate and not STUDIES[name].repeated:
                    continue
                for point in STUDIES[name].points(axes):
                    read = text if point.get("inputs") == "text" else {}
                    case = self._case(name, {**point, **read}, replicate)
                    found.setdefault(case.key, case)
            here = [case for case in found.values() if case.replicate == replicate]
            for name, axes in self.axes():
                if replicate and not STUDIES[name].repeated:
                    continue
                for point in STUDIES[name].points_beside(axes, here):
                    case = self._case(name, point, replicate)
                    found.setdefault(case.key, case)
        return list(found.values())

    def _case(self, study: str, point: Mapping[str, Scalar], replicate: int) -> Case:
        try:
            return Case(study, point, replicate)
        except ValueError as error:  # each axis fits, what a study makes of several does not
            raise UserError(
                f"plan {self.name}: studies.{study}: {error}", remedy="choose smaller sizes"
            ) from error

    def select(
        self,
        studies: Sequence[str] = (),
        axes: Mapping[str, Sequence[Any]] | None = None,
        backends: Sequence[str] = (),
        corpus: str | None = None,
    ) -> Plan:
        """The plan narrowed to some studies, with axes replaced.

        Raises:
            UserError: a study that the plan lacks, an axis that none of its studies has, a bad value.
        """
        for name in studies:
            if name not in self.studies:
                from harness.plan_file import presets_with

                having = " or ".join(f"--plan {preset}" for preset in presets_with(name))
                raise UserError(
                    f"--study {name}: not in plan {self.name}"
                    f"{'' if having else did_you_mean(name, self.studies)}",
                    expected=f"one of {', '.join(self.studies)}",
                    remedy=f"{having} has it" if having else "choose one of these, or another plan",
                )
        kept = {name: blocks for name, blocks in self.studies.items() if not studies or name in studies}
        blocks = {name: [dict(block) for block in listed] for name, listed in kept.items()}
        for axis, values in (axes or {}).items():
            taking = {n: b for n, b in blocks.items() if axis != "backend" or STUDIES[n].takes_backend}
            _replace_axis(taking or blocks, axis, values)
        if backends:
            for name in blocks:
                if STUDIES[name].compares_backends:
                    _replace_axis({name: blocks[name]}, "backend", backends)
        changes: dict[str, Any] = {"studies": blocks}
        if corpus is not None:
            changes["corpus"] = corpus
        return checked({**self.model_dump(), **changes}, "command line")

    def with_corpus(self, corpus: Path) -> Plan:
        """The same plan, its text found at another place."""
        return self.model_copy(update={"corpus": str(corpus.resolve())})

    def require_corpus(self, cases: Iterable[Case]) -> None:
        """Hold the text against what the cases were planned with.

        Raises:
            UserError: it cannot be read, or it is another text.
        """
        planned = {str(case.axes["corpus"]) for case in cases if case.axes.get("corpus") is not None}
        if not planned or self.corpus is None:
            return
        found = identity(Path(self.corpus))
        if {name.rpartition(":")[2] for name in planned} != {found.rpartition(":")[2]}:
            raise UserError(
                f"{self.corpus}: not the text that this run was planned with",
                expected=" or ".join(sorted(planned)),
                got=found,
            )

    def to_toml(self) -> str:
        """The plan as TOML, every default written out."""
        import tomli_w

        data = self.model_dump(exclude_none=True, exclude={"studies"})
        data["studies"] = {name: [] for name in self.studies}
        for name, axes in self.axes():
            data["studies"][name].append(_without_none(axes.model_dump()))
        return tomli_w.dumps(data)


def checked(data: Any, source: str) -> Plan:
    """Validate a plan and all its axes.

    Raises:
        UserError: with the first thing that is wrong, and its place in `source`.
    """
    try:
        plan = Plan.model_validate(data)
    except ValidationError as error:
        raise _first_error(error, source, (), Plan.model_fields) from error
    for name in plan.max_seconds_of:
        if name not in STUDIES:
            raise UserError(f"{source}: max_seconds_of.{name}: {STUDIES.miss(name)}")
    for name, blocks in plan.studies.items():
        if name not in STUDIES:
            raise UserError(f"{source}: studies.{name}: {STUDIES.miss(name)}")
        model = STUDIES[name].Axes
        for i, block in enumerate(blocks):
            place = ("studies", name, i) if len(blocks) > 1 else ("studies", name)
            try:
                model.model_validate(block)
            except ValidationError as error:
                raise _first_error(error, source, place, model.model_fields) from error
    return plan


WORDS = {
    "dict_type": "expected a table of keys and values",
    "list_type": "expected a list, or a table of keys and values",
    "string_type": "expected a word in quotes",
    "string_pattern_mismatch": "expected at most 64 letters, digits, - and _, the first a letter or digit",
}
"""Error types of pydantic whose own words say too little, in those of a plan."""


def _first_error(
    error: ValidationError, source: str, place: tuple[str | int, ...], fields: Mapping[str, Any]
) -> UserError:
    found = error.errors(include_url=False)
    # a misspelt key is also a missing one: the misspelling is what the user can see
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    where = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}"
        for part in (*place, *first["loc"])
        if not str(part).startswith("function-")
    ).lstrip(".")
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        return UserError(
            f"{source}: {where}: unknown key {key!r}{did_you_mean(key, fields)}",
            expected=f"one of {', '.join(fields)}",
        )
    if first["type"] == "missing":
        table, _, _ = where.rpartition(".")
        beside = [e["loc"] for e in found if e["type"] == "missing" and e["loc"][:-1] == first["loc"][:-1]]
        return UserError(
            f"{source}: {f'{table}: ' if table else ''}missing {', '.join(str(loc[-1]) for loc in beside)}",
            remedy="add what is missing; `python -m harness list axes` says what each study takes",
        )
    message = WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    got = "" if first["type"] == "value_error" else shown(first["input"])
    return UserError(f"{source}: {where}: {message}", got=got or None)


def shown(value: Any) -> str:
    """A value of a plan as JSON, cut short."""
    try:
        return json.dumps(value, default=str)[:80]
    except ValueError:  # Python writes no number of more than some thousand digits
        return "a number too long to be shown"


def _replace_axis(blocks: Mapping[str, list[dict[str, Any]]], axis: str, values: Sequence[Any]) -> None:
    """Replace one axis in every block whose study has it."""
    having = [name for name in blocks if axis in STUDIES[name].Axes.model_fields]
    if not having:
        known = sorted({field for name in blocks for field in STUDIES[name].Axes.model_fields})
        raise UserError(
            f"--axis {axis}: no chosen study has this axis{did_you_mean(axis, known)}",
            expected=f"one of {', '.join(known)}",
        )
    for name in having:
        swept = is_swept(STUDIES[name].Axes.model_fields[axis])
        if not swept and len(values) != 1:
            raise UserError(
                f"--axis {axis}: fixed in study {name}", expected="one value", got=f"{len(values)} values"
            )
        for block in blocks[name]:
            block[axis] = list(values) if swept else values[0]


def identity(corpus: Path) -> str:
    """A digest of the text: another text is another case, wherever it lies and whatever it is called.

    Raises:
        UserError: it cannot be read.
    """
    try:
        content = corpus.read_bytes()
    except (OSError, ValueError) as error:  # a NUL in its name is a ValueError
        raise UserError(
            f"cannot read the text {corpus}: {getattr(error, 'strerror', None) or error}",
            expected="a text file",
            remedy="say where it is with --corpus FILE",
        ) from error
    return f"sha256:{hashlib.sha256(content).hexdigest()[:12]}"


def _without_none(axes: Mapping[str, Any]) -> dict[str, Any]:
    """Absent settings left out, absent values in a list as the word "none"."""
    return {
        name: ["none" if v is None else v for v in value] if isinstance(value, list) else value
        for name, value in axes.items()
        if value is not None
    }
