"""What one case does to its worker: that case alone pays, and its row says what happened."""

from __future__ import annotations

from harness.outcome import Measured
from tests.faults.fault import Ending, alike, fault
from tests.faults.stage import HANGS, Stage, described, gone


def _ending(stage: Stage, how: str) -> Ending:
    outcomes, done = stage.worker_hangs if how in HANGS else stage.worker_faults
    assert isinstance(outcomes["well"], Measured)
    row = described(outcomes[how])
    line = next(line for line in done.stdout.splitlines() if f"how={how} " in f"{line} ".replace(":", " "))
    assert line.endswith(row.removeprefix("failed: "))
    return Ending(done.returncode, alike(row), "failed: CASE: the same reason", "every other row; the log")


@fault("an exception in a case", "`raise` in a study")
def exception(stage: Stage) -> Ending:
    log = stage.worker_faults[0]["raise"].log
    assert "Traceback" in log
    assert "went wrong on purpose" in log
    return _ending(stage, "raise")


@fault("no memory within a limit", "`RLIMIT_AS`, then an allocation beyond it")
def memory_limit(stage: Stage) -> Ending:
    return _ending(stage, "no_memory")


@fault("a segmentation fault", "reading address 0")
def segfault(stage: Stage) -> Ending:
    assert "Segmentation fault" in stage.worker_faults[0]["segfault"].log
    return _ending(stage, "segfault")


@fault("a library ends the process", "`os._exit(3)`")
def sudden_exit(stage: Stage) -> Ending:
    return _ending(stage, "exit")


@fault("kill −9 of a worker", "SIGKILL by another hand")
def killed_worker(stage: Stage) -> Ending:
    return _ending(stage, "killed")


@fault("an out-of-memory kill", "SIGKILL while the system's count of such kills rises (a stand-in counter)")
def out_of_memory_kill(stage: Stage) -> Ending:
    return _ending(stage, "out_of_memory_kill")


@fault("a hang", "a sleep of an hour, `timeout_seconds = 4`")
def hang(stage: Stage) -> Ending:
    return _ending(stage, "hang")


@fault("a hang that is deaf to SIGTERM", "SIGTERM ignored, then a sleep of an hour")
def hang_deaf(stage: Stage) -> Ending:
    return _ending(stage, "hang_deaf")


@fault("a hang that started processes", "one child in the worker's group, one that left it, then a sleep")
def hang_with_children(stage: Stage) -> Ending:
    ending = _ending(stage, "hang_with_children")
    children = [int(pid) for pid in stage.children.read_text().split()]
    assert len(children) == 2
    assert gone(children), "the worker's children outlived it"
    return ending


@fault("a worker speaks garbage", "control characters and no JSON among its answers")
def garbage(stage: Stage) -> Ending:
    return _ending(stage, "garbage")


@fault("an answer of the wrong shape", "JSON with other types than the protocol's")
def wrong_shape(stage: Stage) -> Ending:
    return _ending(stage, "wrong_shape")


@fault("an answer to a question that was not asked", "an outcome under another case's key")
def answer_another(stage: Stage) -> Ending:
    return _ending(stage, "answer_another")


@fault("an endless answer", "80 MiB without a line end")
def gigabytes(stage: Stage) -> Ending:
    return _ending(stage, "gigabytes")


@fault("an endless log", "a worker that prints for ever")
def print_without_end(stage: Stage) -> Ending:
    return _ending(stage, "print_without_end")
