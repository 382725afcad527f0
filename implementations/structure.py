"""How layers are put together: depth, directions, residual connections, skip connections across time.

    h^l_t = f^l(z^l_t, s^l_{t−1}),   z^l_t = y^{l−1}_t, or [y^{l−1}_t, h^l_{t−s}] with skip connections
    y^l_t = h^l_t,                   or h^l_t + y^{l−1}_t where residual and both have one width;   y^0 = x

Residual connections between layers are those of Wu et al. 2016 ("Google's Neural Machine Translation
System").  Skip connections across time are those of Zhang et al. 2016 ("Architectural Complexity Measures of
Recurrent Neural Networks", the recurrent skip coefficient), known since Lin et al. 1996 (NARX networks):
besides h_{t−1} a step reads h_{t−s}, through weights of its own, and paths through time are up to s times
shorter.  h_{t−s} counts as zero for t <= s: a pass begins with no past but its initial state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypedDict

from implementations.checks import check_flag, check_integer

MAX_LAYERS = 1000
"""Far more than anybody trains; whatever counts layers one by one ends in time."""

_SPELLING = re.compile(
    r"(?P<layers>[1-9]\d{,17}) layers?(?P<bi>, both ways)?(?P<res>, residual)?(, skip (?P<s>\d{1,18}))?"
)
EXPECTED = (
    f'"N layers" (at most {MAX_LAYERS}), then as it applies ", both ways", ", residual" and ", skip S" in '
    "this order"
)


class Options(TypedDict):
    """What `bind_stack` is told besides the layers."""

    bidirectional: bool
    residual: bool
    skip: int


@dataclass(frozen=True)
class Structure:
    """One way to put layers together.

    Args:
        num_layers: L.
        bidirectional: each layer also runs from the end to the start; the outputs stand side by side.
        residual: each layer's output is added to what it read, where both have one width.
        skip: s, how many steps a skip connection goes back, 2 or more; 0 for none.

    Raises:
        ValueError: a number that is none, or out of range.
    """

    num_layers: int = 1
    bidirectional: bool = False
    residual: bool = False
    skip: int = 0

    def __post_init__(self) -> None:
        for name in ("num_layers", "skip"):
            object.__setattr__(self, name, check_integer(name, getattr(self, name)))
        for name in ("bidirectional", "residual"):
            object.__setattr__(self, name, check_flag(name, getattr(self, name)))
        if not 1 <= self.num_layers <= MAX_LAYERS:
            raise ValueError(f"num_layers must be at least 1 and at most {MAX_LAYERS}, got {self.num_layers}")
        if self.skip < 0 or self.skip == 1:
            raise ValueError(f"skip must be 0 (none) or at least 2 steps, got {self.skip}")

    @classmethod
    def parse(cls, words: str) -> Structure:
        """The inverse of `str`.

        Raises:
            ValueError: words of another form.
        """
        found = _SPELLING.fullmatch(words) if isinstance(words, str) else None
        if found is None:
            raise ValueError(f"structure must be {EXPECTED}, got {repr(words)[:80]}")
        return cls(int(found["layers"]), bool(found["bi"]), bool(found["res"]), int(found["s"] or 0))

    def __str__(self) -> str:
        words = [f"{self.num_layers} layer{'' if self.num_layers == 1 else 's'}"]
        words += ["both ways"] * self.bidirectional + ["residual"] * self.residual
        return ", ".join([*words, *[f"skip {self.skip}"] * bool(self.skip)])

    @property
    def directions(self) -> int:
        """D."""
        return 2 if self.bidirectional else 1

    @property
    def options(self) -> Options:
        return Options(bidirectional=self.bidirectional, residual=self.residual, skip=self.skip)

    def widths(self, input_size: int, hidden_size: int) -> list[int]:
        """Columns of weight_ih of each of the L·D places; with skip connections the last H read h_{t−s}."""
        past = hidden_size if self.skip else 0
        above = [self.directions * hidden_size + past] * self.directions
        return [input_size + past] * self.directions + above * (self.num_layers - 1)

    def adds(self, read: int, written: int) -> bool:
        """Whether a layer that reads vectors of one width and writes those of another adds the two."""
        return self.residual and read == written

    def why_nothing_is_added(self, input_size: int, hidden_size: int) -> str | None:
        """Why residual connections of these sizes make no difference, or None where they do, or there are
        none.  The first layer alone may add nothing: those above it read what they write."""
        written = self.directions * hidden_size
        if not self.residual or self.num_layers > 1 or self.adds(input_size, written):
            return None
        sizes = f"it reads {input_size} and writes {written}"
        return f"residual adds nothing: no layer reads and writes one width: {sizes}"
