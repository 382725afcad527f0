"""C7: skip connections carry gradients past the decay."""

from __future__ import annotations

from harness.report.claim import Finding, claim
from harness.report.frames import Run


@claim(
    "C7",
    text="Skip connections carry gradients past the decay.",
    rule=(
        "Networks with and without skips are paired; it holds where the interval of the difference of their "
        "rates lies above 0."
    ),
    studies=("structures",),
    section="structures",
)
def judge(run: Run) -> Finding | None:
    """No study of this harness has rows for it yet."""
    return None
