"""Which backends are here, and where Numba keeps what it compiled.  Loading them all takes seconds."""

from __future__ import annotations

from harness.doctor.check import Level, Scene, Seen, check

NEEDED = ("numpy", "numba", "torch")
_REMEDY = "for the optional ones: pip install '.[peers]'; cudnn needs a CUDA device and torch's CUDA wheel"


@check("backends", slow=True)
def backends(scene: Scene) -> Seen:
    from implementations.contract import BackendUnavailable
    from implementations.registry import BACKENDS, load_backend

    absent = {}
    for name in BACKENDS:
        try:
            load_backend(name)
        except BackendUnavailable as error:
            absent[name] = str(error).removeprefix(f"{name}: ")
    here = f"{len(BACKENDS) - len(absent)} of {len(BACKENDS)} backends can be loaded"
    if not absent:
        return "ok", here
    reasons = "; ".join(f"{name}: {reason}" for name, reason in absent.items())
    level: Level = "problem" if any(name in absent for name in NEEDED) else "ok"
    return level, f"{here} ({reasons})", _REMEDY


@check("numba cache", slow=True)
def numba_cache(scene: Scene) -> Seen:
    from implementations.registry import load_backend

    folder = load_backend("numba").describe()["compiled code"]
    if folder.startswith("not kept"):
        remedy = "make the code's folder writable, or name another with NUMBA_CACHE_DIR"
        return "warning", "no folder takes Numba's compiled code: every process compiles anew", remedy
    return "ok", f"compiled code is kept in {folder}"
