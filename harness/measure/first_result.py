"""The way of a fresh process to its first result, timed by itself; :mod:`harness.measure.starts` starts it.

Until the result is there it imports what a user would: the implementations and the backend, nothing of the
harness.  Standard input brings one line of JSON and stays open: where it ends, the parent is gone, and so is
this process.  Standard output carries one line of JSON back; what a library prints goes to standard error.
"""

from __future__ import annotations

import time

ENTERED = time.perf_counter()

import json  # noqa: E402 (after the clock was read: importing is part of what is timed)
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from typing import Any  # noqa: E402


def main() -> None:
    """Answer the one request."""
    request = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        json.dump(first_result(**request), answers)
        answers.write("\n")


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def first_result(
    started: float, backend: str, num_threads: int, dtype: str, training: bool, problem: str, results: str
) -> dict[str, Any]:
    """Load, bind, and run one pass for the first and the second time.

    Args:
        started: `time.perf_counter()` of the parent, before it started this process: all read one clock.
        problem: an `.npz` file of what is to be computed.
        results: where the first pass's results go, an `.npz` file.

    Returns:
        The fields of :class:`harness.measure.starts.Start`.
    """
    import numpy as np

    from implementations.contract import Compilation, Parameters
    from implementations.registry import load_backend

    loaded = load_backend(backend)
    loaded.set_num_threads(num_threads)
    imported = time.perf_counter()

    with np.load(problem, allow_pickle=False) as file:
        arrays = dict(file)
    parameters = Parameters.from_arrays(
        {name.removeprefix("parameter_"): a for name, a in arrays.items() if name.startswith("parameter_")}
    )
    layer = loaded.bind(str(arrays["cell"]), parameters, dtype)

    def native(name: str) -> Any:
        return loaded.to_native(arrays[name], dtype)

    inputs, grad_output = native("inputs"), native("grad_output")
    states, grad_states = (
        tuple(native(f"{kind}_{name}") for name in layer.cell.state_names)
        for kind in ("initial", "grad_final")
    )

    def one_pass() -> tuple[Any, Any]:
        forward = layer.forward(inputs, states, training=training)
        gradients = layer.backward(forward.tape, grad_output, grad_states) if training else None
        loaded.synchronize()
        return forward, gradients

    prepared = time.perf_counter()
    first = one_pass()
    there = time.perf_counter()
    spent: Compilation | None = loaded.compilation()
    again = time.perf_counter()
    one_pass()
    done = time.perf_counter()

    from harness.measure.problem import Prepared  # what names the results: nothing of it was timed

    named = Prepared(layer, inputs, states, grad_output, grad_states).named(*first)
    np.savez(results, allow_pickle=False, **named)
    return {
        "interpreter_seconds": ENTERED - started,
        "import_seconds": imported - ENTERED,
        "prepare_seconds": prepared - imported,
        "first_call_seconds": there - prepared,
        "next_call_seconds": done - again,
        "compile_seconds": None if spent is None else spent.seconds,
        "pieces_compiled": None if spent is None else spent.compiled,
        "pieces_loaded": None if spent is None else spent.loaded,
    }


if __name__ == "__main__":
    main()
