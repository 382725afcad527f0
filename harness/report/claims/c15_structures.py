"""C15: both directions, and depth: what does each cost, and how far does the gradient reach in each?"""

from __future__ import annotations

from harness.report.claim import Finding, claim
from harness.report.frames import Run


@claim(
    "C15",
    text=(
        "A bidirectional network sees both directions, and deep ones pass an intermediate representation "
        "on; each costs in proportion to its layers, and the gradient reaches through each."
    ),
    rule="Structures are held against one layer of as many parameters.",
    studies=("structures",),
    section="structures",
)
def judge(run: Run) -> Finding | None:
    """No study of this harness has rows for it yet."""
    return None
