"""What a study is: a question, the axes it sweeps, and how one case of it is measured.

One study is one file in this folder: a subclass of :class:`Study`, registered by decoration.  Its axes are
a pydantic model: a field that is a list is swept, any other field is a fixed setting; both stand in every
case.  `measure` runs in a worker process and returns columns and facts.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic.fields import FieldInfo

from harness.case import Case, Scalar, require_scalars
from harness.initializations import INITIALIZATIONS
from harness.measure.outlook import Outlook
from harness.measure.timing import Go, Pause, alone
from harness.outcome import Measured, Unsupported
from implementations.contract import DTYPES, Backend
from implementations.registry import BACKENDS, CELLS, Registry


def known(registry: Registry[Any]) -> AfterValidator:
    """A pydantic check: the name is in `registry`; the error names the nearest."""

    def check(name: str) -> str:
        if name not in registry:
            raise ValueError(registry.miss(name))
        return name

    return AfterValidator(check)


def one_of(kind: str, names: tuple[str, ...]) -> AfterValidator:
    """A pydantic check: the word is one of `names`."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"unknown {kind} {name!r}; known: {', '.join(names)}")
        return name

    return AfterValidator(check)


BackendName = Annotated[str, known(BACKENDS)]
CellName = Annotated[str, known(CELLS)]
InitializationName = Annotated[str, known(INITIALIZATIONS)]
DtypeName = Annotated[str, one_of("dtype", DTYPES)]
PassName = Annotated[str, one_of("pass", ("inference", "training"))]
Size = Annotated[int, Field(ge=1, lt=2**31, strict=True)]
"""How many of something; the product of two still fits in 64 bits."""
Seed = Annotated[int, Field(ge=0, lt=2**63, strict=True)]
Finite = Annotated[float, Field(allow_inf_nan=False, strict=True)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
or_none = BeforeValidator(lambda value: None if value == "none" else value)
"""A pydantic check: "none" is read as the null that TOML does not have."""
OptionalFinite = Annotated[Finite | None, or_none]


def once(points: Iterable[dict[str, Scalar]]) -> Iterator[dict[str, Scalar]]:
    """Each point once, where it comes first: what a study does not look at no longer tells points apart."""
    seen: set[tuple[Scalar, ...]] = set()
    for point in points:
        if (identity := tuple(point.values())) not in seen:
            seen.add(identity)
            yield point


class StudyAxes(BaseModel):
    """The axes of a study.  Every list is swept, everything else is fixed; `backend` is always there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backend: list[BackendName]

    @field_validator("*")
    @classmethod
    def _can_be_recorded(cls, value: Any) -> Any:
        if isinstance(value, list) and not value:
            raise ValueError("an axis needs at least one value, got none")
        require_scalars(value if isinstance(value, list) else [value], "an axis")
        return value


def is_swept(axis: FieldInfo) -> bool:
    """Whether the axis is a list of values, each of which is measured."""
    return str(axis.annotation).startswith("list[")


@dataclass(frozen=True)
class Company:
    """Those who are measured in turn with a case; by default, nobody.

    Args:
        together: a name that they share and nobody else has, or None.
        root: the process whose descendants they all are, or None.
        pause: lets the others have their turn.
    """

    together: str | None = None
    root: int | None = None
    pause: Callable[[Pause], Go] = alone


@dataclass(frozen=True)
class Context:
    """What a worker gives to a measurement.

    Args:
        backend: the loaded backend, its threads set.
        num_threads: the thread budget that every backend of the comparison has.
        corpus: path of the text that `inputs="text"` reads; None for the standard library's source.
        budget_seconds: how long the timed part of one case goes on.
        max_seconds: a case that would take longer is not started.
        company: who is measured in turn with this case.
    """

    backend: Backend
    num_threads: int
    corpus: str | None
    budget_seconds: float
    max_seconds: float
    company: Company = field(default_factory=Company)


class Study(ABC):
    """One question.

    `timing`: nothing else may run beside its cases.  `repeated`: its cases differ from process to process, so
    each is measured in as many fresh ones as the plan has replicates.  `compares_backends`: its backend axis
    is what people sweep.  `in_numpy`: the analysis runs in NumPy, whatever backend its cases name.
    """

    name: ClassVar[str]
    question: ClassVar[str]
    timing: ClassVar[bool] = False
    repeated: ClassVar[bool] = False
    compares_backends: ClassVar[bool] = True
    in_numpy: ClassVar[bool] = False
    Axes: ClassVar[type[StudyAxes]]

    @property
    def takes_backend(self) -> bool:
        """Whether another backend on its axis makes another measurement."""
        return self.compares_backends or not self.in_numpy

    def points(self, axes: StudyAxes) -> Iterator[dict[str, Scalar]]:
        """Every combination of the swept axes, with the fixed settings; override to leave some out."""
        values = axes.model_dump()
        swept = {name: value for name, value in values.items() if isinstance(value, list)}
        fixed = {name: value for name, value in values.items() if name not in swept}
        for combination in itertools.product(*swept.values()):
            yield {**dict(zip(swept, combination, strict=True)), **fixed}

    def why_no_points(self, axes: StudyAxes) -> str | None:
        """Why some combinations are left out, for one who finds that all of them were."""
        return None

    def points_beside(self, axes: StudyAxes, planned: Sequence[Case]) -> Iterator[dict[str, Scalar]]:
        """Points that follow from what the plan measures in other studies; none, as a rule.

        Args:
            planned: the cases of one replicate.
        """
        return iter(())

    def needs_fresh_process(self) -> bool:
        """Whether each case here must have a worker in which nothing was measured before."""
        return False

    def why_not(self, case: Case, context: Context) -> str | None:
        """Why this case is not started here (the backend lacks it, it is too large, it takes too long)."""
        return None

    def seconds(self, case: Case, outlook: Outlook) -> float:
        """About how long one case takes here, its backend loaded and compiled: a forecast skips nothing."""
        return outlook.calls(50_000)

    @abstractmethod
    def measure(self, case: Case, context: Context) -> Measured | Unsupported:
        """Measure one case, in a worker process.  An exception makes it *failed*, with its traceback."""


STUDIES: Registry[Study] = Registry("study", "harness.studies", "rnn_harness.studies")
