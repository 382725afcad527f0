"""Fresh processes: how long one takes from its start to its first result, and what that result is.

One process per observation.  It is in the group of the process that starts it and ends with it, whatever
happens; what it sends is limited in size and checked.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from harness.measure.problem import Array, Problem
from implementations.registry import CELLS

MAXIMUM_ANSWER_BYTES = 2**16
LOG_BYTES = 2000
ENDING_SECONDS = 2.0
"""How long a process that has said all it had to say gets to end by itself."""


class NoFirstResult(RuntimeError):
    """A fresh process ended without a result, or took too long; the message ends with what it printed."""


@dataclass(frozen=True)
class Start:
    """One process.  The first four follow each other, from its start to its first result.

    Args:
        interpreter_seconds: until Python runs the first line of ours.
        import_seconds: until the backend and its libraries are loaded and their threads set.
        prepare_seconds: until parameters and inputs are in the backend's own form.
        first_call_seconds: the first pass.
        next_call_seconds: the second pass, not part of the way.
        compile_seconds: of the way, what went into compiling or into loading compiled code; None where the
            backend cannot tell.
        pieces_compiled, pieces_loaded: how many pieces of code were compiled, and found on disk.
    """

    interpreter_seconds: float
    import_seconds: float
    prepare_seconds: float
    first_call_seconds: float
    next_call_seconds: float
    compile_seconds: float | None
    pieces_compiled: int | None
    pieces_loaded: int | None


def write_problem(problem: Problem, path: Path) -> None:
    """Everything that a pass needs, in one `.npz` file without pickles."""
    names = CELLS[problem.cell].state_names
    arrays: dict[str, Any] = {
        "cell": np.array(problem.cell),
        "inputs": problem.inputs,
        "grad_output": problem.grad_output,
        **{f"parameter_{name}": array for name, array in problem.parameters.arrays().items()},
        **{f"initial_{name}": a for name, a in zip(names, problem.initial_state, strict=True)},
        **{f"grad_final_{name}": a for name, a in zip(names, problem.grad_final_state, strict=True)},
    }
    np.savez(path, allow_pickle=False, **arrays)


def start_fresh(
    backend: str,
    problem: Path,
    *,
    dtype: str,
    training: bool,
    num_threads: int,
    environment: Mapping[str, str],
    limit_seconds: float,
) -> tuple[Start, dict[str, Array]]:
    """Start a process, and wait for its first result.

    Args:
        problem: what :func:`write_problem` wrote.
        environment: variables that this process has beside ours.
        limit_seconds: when it counts as hung and is killed.

    Raises:
        NoFirstResult: it ended without a result, or was killed.
    """
    with tempfile.TemporaryDirectory(prefix="rnn-harness-start-") as folder:
        results = Path(folder) / "results.npz"
        request = {
            "backend": backend,
            "num_threads": num_threads,
            "dtype": dtype,
            "training": training,
            "problem": str(problem),
            "results": str(results),
        }
        start = _parsed(_answer(request, environment, limit_seconds))
        with np.load(results, allow_pickle=False) as file:
            return start, dict(file)


def _answer(request: dict[str, Any], environment: Mapping[str, str], limit_seconds: float) -> bytes:
    with tempfile.TemporaryFile() as log:
        request["started"] = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.measure.first_result"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **environment},
        )
        alarm = threading.Timer(limit_seconds, process.kill)
        alarm.start()
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.read(MAXIMUM_ANSWER_BYTES)
        except BrokenPipeError:  # it died before it had read the request
            answer = b""
        finally:
            overdue = not alarm.is_alive()
            alarm.cancel()
            _end(process)
        if answer.endswith(b"\n"):
            return answer
        what = f"within {limit_seconds:.0f} s" if overdue else f"(it ended with status {process.returncode})"
        tail = _tail(log)
        raise NoFirstResult(f"a fresh process had no result {what}: {tail.splitlines()[-1]}\n{tail}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let it end, kill it where it does not, and close its pipes."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(ENDING_SECONDS)
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
    process.wait()


def _tail(log: Any) -> str:
    end = log.seek(0, os.SEEK_END)
    log.seek(max(0, end - LOG_BYTES))
    return str(log.read().decode("utf-8", "replace").strip() or "nothing printed")


def _parsed(answer: bytes) -> Start:
    try:
        data = json.loads(answer)
        numbers = {field.name: data[field.name] for field in fields(Start)}
    except (ValueError, KeyError, TypeError) as error:
        raise NoFirstResult(f"a fresh process answered nothing that could be read: {error}") from error
    if not all(value is None or isinstance(value, int | float) for value in numbers.values()):
        raise NoFirstResult("a fresh process answered with something else than numbers")
    return Start(**numbers)
