"""The software: versions, what linear algebra goes through, the settings that change how it computes."""

from __future__ import annotations

import os
import subprocess
from importlib import metadata
from pathlib import Path

from harness.measure.environment.model import Blas, Git

PACKAGES = (
    *("rnn-harness", "numpy", "scipy", "numba", "llvmlite", "torch", "pandas"),
    *("jax", "jaxlib", "onnx", "onnxruntime"),
)
VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "OMP_DYNAMIC", "GOMP_SPINCOUNT"),
    *("GOMP_CPU_AFFINITY", "KMP_AFFINITY", "KMP_BLOCKTIME"),
    *("MKL_NUM_THREADS", "MKL_DYNAMIC", "MKL_ENABLE_INSTRUCTIONS", "MKL_CBWR"),
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"),
    *("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER", "NUMBA_THREADING_LAYER_PRIORITY", "NUMBA_CPU_NAME"),
    *("NUMBA_CPU_FEATURES", "NUMBA_DISABLE_JIT", "NUMBA_OPT", "NUMBA_ENABLE_AVX"),
    *("ONEDNN_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE", "ATEN_CPU_CAPABILITY", "TORCHINDUCTOR_FREEZING"),
    *("NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "CUBLAS_WORKSPACE_CONFIG"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_LAUNCH_BLOCKING", "PYTORCH_CUDA_ALLOC_CONF", "XLA_FLAGS"),
    *("JAX_PLATFORMS", "JAX_ENABLE_X64", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_"),
    *("PYTHONHASHSEED", "PYTHONMALLOC"),
)
"""Every one of them changes speed, memory or results; none of them names a person or a place."""
_VALUE_LENGTH = 200


def packages() -> dict[str, str | None]:
    return {name: _version(name) for name in PACKAGES}


def variables() -> dict[str, str]:
    return {name: os.environ[name][:_VALUE_LENGTH] for name in VARIABLES if name in os.environ}


def blas() -> list[Blas]:
    """Loads NumPy's and SciPy's linear algebra to see what comes with it."""
    import numpy  # noqa: F401
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_info

    found = {
        (
            str(pool["internal_api"]),
            pool.get("version"),
            pool.get("architecture"),
            int(pool["num_threads"]),
        )
        for pool in threadpool_info()
    }
    return [
        Blas(library=library, version=version, architecture=architecture, num_threads=threads)
        for library, version, architecture, threads in sorted(found, key=str)
    ]


def git() -> Git | None:
    """Commit and cleanliness of the checkout that this code runs from."""
    root = Path(__file__).resolve().parents[3]

    def answer(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if Path(answer("rev-parse", "--show-toplevel")).resolve() != root:
            return None  # installed somewhere below another checkout
        return Git(commit=answer("rev-parse", "HEAD"), dirty=bool(answer("status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
