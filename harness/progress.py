"""What a person sees while a run goes on: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from harness.case import Case
from harness.forecast import spoken
from harness.outcome import Failed, Outcome, Unsupported
from harness.remaining import Remaining
from harness.text import one_line

LINE_EVERY_SECONDS = 5.0


class Terminal:
    """An observer of :func:`harness.run.execute`; use it as a context.

    Args:
        remaining: what knows how long the rest takes.
    """

    def __init__(self, console: Console, remaining: Remaining) -> None:
        self._console = console
        self._remaining = remaining
        self._bar = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.description}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, left="")
        self._total = self._done = 0
        self._last_line = 0.0

    def begin(self, total: int, done: int) -> None:
        self._total, self._done = total, done
        self._bar.update(self._task, total=total, completed=done)
        if done:
            self._console.print(f"{done} of {total} cases had ended before", highlight=False)

    def start(self, case: Case) -> None:
        self._remaining.start()
        self._bar.update(self._task, description=escape(one_line(case)))

    def finish(self, case: Case, outcome: Outcome) -> None:
        self._done += 1
        self._remaining.finish(case)
        self._bar.update(self._task, completed=self._done, left=self._left())
        if isinstance(outcome, Failed):
            reason = outcome.reason.strip().splitlines()[0] if outcome.reason.strip() else "no reason given"
            self._say(f"failed: {case}: {reason}")
        elif not self._console.is_terminal and self._line_is_due():
            left = self._left()
            counted = f"{self._done}/{self._total}" + (f", {left}" if left else "")
            why = f": {outcome.reason}" if isinstance(outcome, Unsupported) else ""
            self._say(f"{counted}, {outcome.status}: {case}{why}")

    def wait(self, why: str) -> None:
        """The run stands still for a reason that people should know."""
        self._remaining.wait()
        self._say(why)

    def _left(self) -> str:
        """ "about 3 min 12 s left"; nothing where nobody knows."""
        seconds = self._remaining.seconds
        return "" if seconds is None else f"about {spoken(seconds)} left"

    def _say(self, line: str) -> None:
        self._console.print(escape(one_line(line)), highlight=False, soft_wrap=True)

    def _line_is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last_line < LINE_EVERY_SECONDS and self._done < self._total:
            return False
        self._last_line = now
        return True

    def __enter__(self) -> Terminal:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
