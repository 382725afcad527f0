"""A third party's study, found by entry point, whose cases do to their worker what their name says.

It loads no library and takes next to no time: what is tested is the run around it.
"""

import ctypes
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

from harness.measure.timing import Pause
from harness.outcome import Measured
from harness.studies.study import STUDIES, Study, StudyAxes

FOREIGN_KEY = "0123456789abcdef"


class Axes(StudyAxes):
    how: list[str]
    number: list[int]
    pause_seconds: float = 0.0
    padding: int = 0


class Faulty(Study):
    name = "faulty"
    question = "What does a run do when a case goes wrong?"
    compares_backends = True
    Axes = Axes

    def measure(self, case, context):
        time.sleep(case.axes["pause_seconds"])
        if case.axes["how"] == "pause_for_ever":
            while True:
                context.company.pause(Pause())
        FAULTS[case.axes["how"]]()
        number = case.axes["number"]
        squares = [number * i**2 for i in range(4)]
        return Measured(
            {"i": list(range(4)), "square": squares}, {"padding_text": "x" * case.axes["padding"]}
        )


class FaultyTimed(Faulty):
    name = "faulty_timed"
    timing = True


def _raise():
    raise RuntimeError("went wrong on purpose")


def _hang():
    time.sleep(3600)


def _hang_deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


def _hang_with_children():
    """One child in this process's group, one that left it; both write down their numbers."""
    command = [sys.executable, "-S", "-c", "import time; time.sleep(3600)"]
    children = [subprocess.Popen(command, start_new_session=leaves) for leaves in (False, True)]
    Path(os.environ["FAULT_CHILDREN"]).write_text(" ".join(str(child.pid) for child in children))
    time.sleep(3600)


def _out_of_memory_kill():
    """What the system does: count one more such kill, and kill."""
    Path(os.environ["FAULT_OOM_COUNTER"]).write_text("oom 1\noom_kill 1\n")
    os.kill(os.getpid(), signal.SIGKILL)


def _no_memory():
    """A limit that the next large array meets."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + 2**26, resource.RLIM_INFINITY))
    try:
        bytearray(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _say(text):
    """Speak into the answers, which no library of a worker should."""
    for number in range(3, 64):
        try:
            found = os.fstat(number)
        except OSError:
            continue
        if stat.S_ISFIFO(found.st_mode):
            data = text.encode()
            while data:
                data = data[os.write(number, data) :]


def _say_and_wait(text):
    """Nothing follows: what is read is this alone."""
    _say(text)
    time.sleep(3600)


def _answer_another():
    _say_and_wait(
        json.dumps({"key": FOREIGN_KEY, "outcome": {"status": "unsupported", "reason": "not asked"}}) + "\n"
    )


def _print_without_end():
    chunk = b"warning: again and again\n" * 4096
    while True:
        os.write(2, chunk)


FAULTS = {
    "well": lambda: None,
    "raise": _raise,
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "out_of_memory_kill": _out_of_memory_kill,
    "no_memory": _no_memory,
    "hang": _hang,
    "hang_deaf": _hang_deaf,
    "hang_with_children": _hang_with_children,
    "garbage": lambda: _say_and_wait("\x1b[31mno JSON\n"),
    "wrong_shape": lambda: _say_and_wait('{"key": 1, "outcome": []}\n'),
    "gigabytes": lambda: _say("x" * 2**20 * 80),
    "answer_another": _answer_another,
    "print_without_end": _print_without_end,
}

STUDIES.register("faulty")(Faulty())
STUDIES.register("faulty_timed")(FaultyTimed())
