"""How long a run will still take: foretold case by case, and corrected by what its cases took so far.

The forecast knows how cases differ; what they really take on this machine, beside whatever else it does,
the run itself tells.  Of each study, the time that went by while its cases ended is set against what had
been foretold for them; a study of which little has been seen leans on all the others.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.case import Case
from harness.errors import UserError

TRUST_SECONDS = 3.0
"""So much foretold time of a study has to go by before its own pace counts for half."""
EARLY = 0.1
"""Until this share of the foretold time has gone by, the forecast makes up what is missing of it: the first
cases start processes and compile for all that follow."""


class Remaining:
    """Args:
    foretold: key -> seconds, of the cases that are to be run.
    afterwards: seconds of what comes after the last case, foretold too.
    clock: seconds that nobody sets.
    """

    def __init__(
        self,
        foretold: Mapping[str, float],
        afterwards: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._foretold = dict(foretold)
        self._afterwards = afterwards
        self._clock = clock
        self._seen: defaultdict[str, float] = defaultdict(float)
        self._took: defaultdict[str, float] = defaultdict(float)
        self._left: defaultdict[str, float] = defaultdict(float)
        self._since: float | None = None
        self._study: dict[str, str] = {}

    @classmethod
    def of(cls, folder: Path) -> Remaining:
        """Of the cases of a run that have not ended; of nothing where its plan cannot be read."""
        from harness.folder import LEDGER
        from harness.forecast import REPORT, forecast
        from harness.ledger import Ledger
        from harness.measure.outlook import TYPICAL
        from harness.plan import checked
        from harness.studies.study import STUDIES

        with Ledger.open(folder / LEDGER) as ledger:
            done = ledger.finished_keys()
            cases = [e.case for e in ledger.entries() if e.case.key not in done and e.case.study in STUDIES]
            try:
                plan = checked(ledger.facts().get("plan"), "plan")
            except UserError:
                return cls({})
        try:
            found = forecast(plan, cases, TYPICAL)
        except Exception:  # an old record, a third party's study: no forecast is worth a run
            return cls({})
        whole = sum(seconds for _, seconds in found.cases)
        shared = sum(found.shared.values()) - found.shared[REPORT]
        factor = 1.0 + (shared / whole if whole else 0.0)
        made = cls({case.key: factor * seconds for case, seconds in found.cases}, found.shared[REPORT])
        for case in cases:
            made.expect(case)
        return made

    def expect(self, case: Case) -> None:
        """This case is to be run."""
        if case.key in self._foretold and case.key not in self._study:
            self._study[case.key] = case.study
            self._left[case.study] += self._foretold[case.key]

    def start(self) -> None:
        """Time counts from now on, where it did not."""
        if self._since is None:
            self._since = self._clock()

    def wait(self) -> None:
        """Until the next start, time is none of the cases'."""
        self._since = None

    def finish(self, case: Case) -> None:
        """This case has ended: the time since the last one did is what it took, however many are at work."""
        now = self._clock()
        if self._since is not None:
            self._took[case.study] += now - self._since
        self._since = now
        study = self._study.pop(case.key, None)
        if study is not None:
            self._left[study] -= self._foretold[case.key]
            self._seen[study] += self._foretold[case.key]

    @property
    def seconds(self) -> float | None:
        """What is left; None before anything has ended, and where nothing was foretold."""
        seen = sum(self._seen.values())
        if not seen:
            return None
        missing = max(0.0, EARLY * (seen + sum(self._left.values())) - seen)
        pace = (sum(self._took.values()) + missing) / (seen + missing)
        trust = TRUST_SECONDS + missing
        left = sum(
            max(0.0, left) * (self._took[study] + trust * pace) / (self._seen[study] + trust)
            for study, left in list(self._left.items())
        )
        return left + self._afterwards * pace
