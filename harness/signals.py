"""A run that is told to end ends in order: what had ended is recorded, the report is written.

SIGTERM (a scheduler, `kill`) and SIGHUP (the terminal is gone) are heard as Ctrl-C is.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

HEARD = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """The run was told to end by a signal other than Ctrl-C's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def exit_status(interrupt: BaseException) -> int:
    """What a shell expects of a process that a signal ended: 128 and the signal's number (130 for Ctrl-C)."""
    return 128 + (interrupt.number if isinstance(interrupt, Ended) else signal.SIGINT)


@contextmanager
def told_to_end() -> Iterator[None]:
    """Within, SIGTERM and SIGHUP raise :class:`Ended`; one that is ignored (`nohup`) stays so.

    Only the first of them is heard: what it set going, the last report, is not to be cut off by its echo.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        for heard in before:
            signal.signal(heard, signal.SIG_IGN)
        raise Ended(number)

    before = {number: signal.getsignal(number) for number in HEARD}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
