"""How long a run will take, case by case, before it is started.

Each study says what its cases cost in basic things (`Study.seconds`), each backend what loading and compiling
it cost (`implementations.hints`), and what a basic thing takes here is probed (`harness.measure.outlook`).
Nothing heavy is loaded for it.  Time shared by cases stands apart: processes, compilation, the report.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.case import Case
from harness.measure.outlook import LOADED_BY_A_WORKER, Outlook, Rates
from harness.plan import Plan
from harness.studies.study import STUDIES
from implementations.hints import Hint, Pass, hint_of

REPORT_OF_A_STUDY = 17.0
REPORT_OF_A_CASE = 0.07
"""What the report costs, over a fresh interpreter that imports NumPy."""
REPORT = "the report"


@dataclass(frozen=True)
class Forecast:
    """Seconds: of each case, in the order given, and by name of what cases share."""

    cases: tuple[tuple[Case, float], ...]
    shared: dict[str, float]

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self.cases) + sum(self.shared.values())

    def by_study(self) -> dict[str, tuple[int, float]]:
        """How many cases, and how long, by study."""
        found: dict[str, tuple[int, float]] = {}
        for case, seconds in self.cases:
            number, total = found.get(case.study, (0, 0.0))
            found[case.study] = (number + 1, total + seconds)
        return found

    def lines(self) -> Iterable[str]:
        """As people read it: the cases, the sums, the whole in the last line."""
        for case, seconds in self.cases:
            yield f"{spoken(seconds):>12}  {case}"
        yield ""
        for study, (number, seconds) in self.by_study().items():
            yield f"{spoken(seconds):>12}  {study}: {number} cases"
        for name, seconds in self.shared.items():
            yield f"{spoken(seconds):>12}  {name}"
        yield f"{len(self.cases)} cases, about {spoken(self.seconds)}"


def forecast(plan: Plan, cases: Sequence[Case], rates: Rates) -> Forecast:
    """Of the cases that are still to be run."""
    hints = {backend: hint_of(backend) for backend in dict.fromkeys(case.backend for case in cases)}
    here = {backend: hint.is_here() for backend, hint in hints.items()}

    def seconds(case: Case) -> float:
        hint = hints[case.backend]
        if not here[case.backend] or (hint.inference_only and trains(case)):
            return 10.0 * rates.call
        outlook = Outlook(rates, hint, plan.budget_seconds, plan.limit_of(case.study))
        return STUDIES[case.study].seconds(case, outlook)

    workers = {(case.replicate, case.backend) for case in cases}
    compiling = [
        _pieces(hints[backend], [case for case in cases if case.backend == backend])
        * hints[backend].compiling
        for backend in hints
        if here[backend]
    ]
    studies = len({case.study for case in cases})
    shared = {
        "starting processes": sum(hints[backend].loading + LOADED_BY_A_WORKER for _, backend in workers),
        "compiling": sum(compiling),
        REPORT: REPORT_OF_A_STUDY * studies + REPORT_OF_A_CASE * len(cases),
    }
    return Forecast(
        tuple((case, seconds(case)) for case in cases),
        {name: units * rates.interpreter for name, units in shared.items()},
    )


def trains(case: Case) -> bool:
    """Whether the case has a backward; where it does not say, it has."""
    return case.axes.get("pass", "training") == "training"


def _pieces(hint: Hint, cases: Sequence[Case]) -> int:
    """How many pieces of code the workers compile.  `startup` compiles in processes of its own."""
    if not hint.compiling:
        return 0
    compiled = [case for case in cases if "cell" in case.axes and case.study != "startup"]
    if hint.missing is not None:
        return hint.missing([_pass(case) for case in compiled])
    shapes = ("seq_len", "batch_size", "input_size", "hidden_size") if hint.per_shape else ()
    return len(
        {(case.replicate, *_pass(case), *(case.axes.get(name) for name in shapes)) for case in compiled}
    )


def _pass(case: Case) -> Pass:
    return str(case.axes["cell"]), str(case.axes.get("dtype") or "float32"), trains(case)


def spoken(seconds: float) -> str:
    """ "0.02 s", "7 s", "3 min 12 s", "2 h 5 min"."""
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
