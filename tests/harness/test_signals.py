"""What ends a process in order, and where it has to wait."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness.report
from harness.signals import HEARD, Ended, held_back, told_to_end
from tests.report.synthetic import write_run


@pytest.fixture(autouse=True)
def _heard_again() -> Iterator[None]:
    """Who was told to end hears nothing more, nor does who was started in the background: each test is to."""
    before = {number: signal.getsignal(number) for number in HEARD}
    for number in HEARD:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_until_what_is_loaded_is_whole(number: signal.Signals) -> None:
    done, ended = [], threading.Event()

    def loading() -> None:
        with held_back():
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            done.append("all of it")

    other = threading.Thread(target=ended.wait)  # which would hear what this one masks
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt), told_to_end():
            loading()
    finally:
        ended.set()
        other.join()
    assert done == ["all of it"]


def test_a_report_is_not_cut_off_while_its_libraries_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM comes with the first import: it is heard once all are there, and before anything is written."""
    folder = write_run(tmp_path / "run", [])
    monkeypatch.delitem(sys.modules, "harness.report.build", raising=False)
    seen: list[str] = []

    class Killing:
        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name == "harness.report.build" and not seen:
                seen.append(name)
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sys, "meta_path", [Killing(), *sys.meta_path])
    with pytest.raises(Ended), told_to_end():
        harness.report.write_report(folder)
    assert seen
    assert "harness.report.build" in sys.modules
    assert not (folder / "report.md").exists()
