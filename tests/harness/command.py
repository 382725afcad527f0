"""Running the command line as a person does: a process of its own, from the outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FAULTY = Path(__file__).parent / "faulty"


def start(*arguments: str | Path, **options) -> subprocess.Popen:
    """`python run_all.py …`, with the faulty backend within reach."""
    environment = {**os.environ, "PYTHONPATH": f"{FAULTY}{os.pathsep}{ROOT}"}
    return subprocess.Popen(
        [sys.executable, str(ROOT / "run_all.py"), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=_hear_ctrl_c,
        **options,
    )


def _hear_ctrl_c() -> None:
    """A job in a shell's background is deaf to both keys, and so would be what these tests start from one."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


def run_all(*arguments: str | Path, timeout: float = 100.0) -> subprocess.CompletedProcess:
    """The same, waited for."""
    process = start(*arguments)
    out, err = process.communicate(timeout=timeout)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def write_plan(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def only_run(results: Path) -> Path:
    """The one run in a results folder."""
    (folder,) = [p for p in results.iterdir() if not p.is_symlink()]
    return folder
