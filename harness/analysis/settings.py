"""How much is computed: what the user asks for, and less of what would take too long in a wide network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

PRODUCT_FLOP = 4e11
"""Of the Jacobian products of one layer: about ten seconds on two cores."""
QR_CUBES = 5e9
"""T·B·S²·N of the N Lyapunov exponents; one sample may take four times as much."""
SPECTRUM_CUBES = 6e8
"""lag·S³ of one singular spectrum."""
WIDEST = 2048
"""Hidden size beyond which no matrix is formed: norms are estimated by probes."""


@dataclass(frozen=True)
class Settings:
    """Args:
    steps: T at most.
    samples: B at most, and how many windows a single sequence is cut into.
    anchors: from how many places t the decay is followed back.
    lags: how many lags at most, in equal ratios.
    seeds: draws of each initialization that is tried instead.
    """

    steps: int = 256
    samples: int = 4
    anchors: int = 3
    lags: int = 48
    seeds: int = 3

    def __post_init__(self) -> None:
        for name in ("steps", "samples", "anchors", "lags", "seeds"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise UserError(f"{name} must be a whole number of at least 1", got=repr(value))

    def chosen_lags(self, anchor: int) -> NDArray[np.int64]:
        """0 and 1…anchor: all, or about as many as `lags` in equal ratios."""
        if anchor < self.lags:
            return np.arange(anchor + 1)
        spaced = np.rint(np.geomspace(1, anchor, self.lags)).astype(np.int64)
        return np.unique(np.concatenate([[0], spaced]))

    def chosen_anchors(self, seq_len: int) -> list[int]:
        """Evenly from T/2 to T, the last first."""
        places = np.linspace(seq_len, max(1, seq_len // 2), self.anchors)
        return sorted({int(t) for t in np.rint(places)}, reverse=True)


def samples_within(budget: float, each: float, there: int) -> int:
    """How many of the samples fit into a budget: at least one."""
    return max(1, min(there, int(budget / max(each, 1.0))))


def product_flop(seq_len: int, hidden_size: int, states: int) -> float:
    """Of the rows of one state over T steps, per sample: 2·T·H·S²."""
    return 2.0 * seq_len * hidden_size * (states * hidden_size) ** 2


def spectrum_lags(seq_len: int, state_size: int) -> list[int]:
    """1, 4, 16, … and T, as far as they are affordable; none where not even one step is."""
    lags: list[Any] = [4**n for n in range(12) if 4**n < seq_len]
    return [lag for lag in [*lags, seq_len] if lag * float(state_size) ** 3 <= SPECTRUM_CUBES]
