"""Environment variables that fight with the thread budget, or change what is computed."""

from __future__ import annotations

from harness.doctor.check import Scene, Seen, check

_BUDGETS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_PLACES = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
_OFF = ("", "0", "false", "disabled", "none")


@check("thread variables")
def thread_variables(scene: Scene) -> Seen:
    """The number of threads a worker gets from the plan, whatever these say; the others it inherits."""
    found = scene.environment.variables
    places = [name for name in _PLACES if found.get(name, "").lower() not in _OFF]
    if places:
        text = f"{', '.join(places)} pin threads: one library's, not another's"
        return "warning", text, f"unset {' '.join(places)}"
    if found.get("OMP_WAIT_POLICY", "").lower() == "passive":
        text = "OMP_WAIT_POLICY=PASSIVE slows OpenMP's libraries down, torch's layers many times"
        return "warning", text, "unset OMP_WAIT_POLICY"
    budgets = {name: found[name] for name in _BUDGETS if name in found}
    if len(set(budgets.values())) > 1:
        listed = ", ".join(f"{name}={value}" for name, value in budgets.items())
        text = f"{listed} differ; in a run each backend gets the plan's num_threads instead"
        return "warning", text, f"unset {' '.join(budgets)}"
    return "ok", "nothing works against the plan's num_threads"


@check("compilation")
def compilation(scene: Scene) -> Seen:
    if scene.environment.variables.get("NUMBA_DISABLE_JIT", "0").lower() not in _OFF:
        return "problem", "NUMBA_DISABLE_JIT is set: Numba compiles nothing", "unset NUMBA_DISABLE_JIT"
    return "ok", "nothing keeps Numba from compiling"


@check("tf32")
def tf32(scene: Scene) -> Seen:
    names = ("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE")
    forced = [name for name in names if scene.environment.variables.get(name, "").lower() not in _OFF]
    if forced:
        text = f"{' and '.join(forced)} would turn float32 into TF32 on a GPU"
        return "problem", text, f"unset {' '.join(forced)}"
    return "ok", "nothing forces TF32 upon float32; only dtype tf32 uses it"
