"""A run that is told to end ends in order: what had ended is recorded, the report is written.

SIGTERM (a scheduler, `kill`) and SIGHUP (the terminal is gone) are heard as Ctrl-C is.  Whoever cannot wait
for the report presses Ctrl-\\ (SIGQUIT), which ends the run at once; it can be resumed all the same.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = "ending in order, with a report; Ctrl-\\ ends at once, and the run can be resumed then too\n"
"""What a second Ctrl-C is answered."""


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
    """Within, Ctrl-C raises KeyboardInterrupt, SIGTERM and SIGHUP :class:`Ended`; what is ignored (`nohup`)
    stays so.

    Only the first of them is heard: what it set going, the last report, is not to be cut off by its echo.
    Nor is what comes after the context: one that was told to end is on its way out.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        for heard in before:
            signal.signal(heard, say_once if heard == signal.SIGINT else signal.SIG_IGN)
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)

    def say_once(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)
        with suppress(OSError):  # the terminal may be gone
            os.write(2, PATIENCE.encode())

    before = {number: signal.getsignal(number) for number in HEARD}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        if not told:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def held_back() -> Iterator[None]:
    """Within, what :func:`told_to_end` hears waits until the end of the context."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in HEARD}
    # a mask would not do: another thread of the process would hear it
    before = {number: handler for number, handler in before.items() if callable(handler)}
    for number in before:
        signal.signal(number, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
