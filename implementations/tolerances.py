"""The one table of tolerances: what counts as agreement with the float64 reference.

Relative error is max|a − ref| / max|ref| over the array.  Nobody loosens an entry to pass a test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RELATIVE_TOLERANCE = {
    "float64": {"output": 1e-10, "gradient": 1e-10},
    "float32": {"output": 1e-4, "gradient": 1e-4},
    "tf32": {"output": 5e-3, "gradient": 2e-2},
    "bfloat16": {"output": 5e-2, "gradient": 2e-1},
    "float16": {"output": 1e-2, "gradient": 5e-2},
}
"""dtype -> what is compared ("output" covers the final state) -> largest relative error that agrees."""


def relative_error(actual: NDArray, reference: NDArray) -> float:
    """max|actual − reference| / max|reference|; 0 where both are all zero.

    NaN and inf agree only where the reference has the same: a mismatch of shape or of non-finite
    places is an infinite error.
    """
    actual = np.asarray(actual, dtype=np.float64)
    reference = np.asarray(reference, dtype=np.float64)
    if actual.shape != reference.shape:
        return float("inf")
    finite = np.isfinite(reference)
    same_elsewhere = (actual == reference) | (np.isnan(actual) & np.isnan(reference))
    if not np.all(same_elsewhere | finite) or not np.all(np.isfinite(actual[finite])):
        return float("inf")
    largest = float(np.max(np.abs(actual[finite] - reference[finite]), initial=0.0))
    scale = float(np.max(np.abs(reference[finite]), initial=0.0))
    if largest == 0.0:
        return 0.0
    return largest / scale if scale > 0.0 else float("inf")
