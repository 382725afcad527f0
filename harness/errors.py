"""What a user can do wrong, as one line: what, what was expected, what came, what to do."""

from __future__ import annotations

from harness.text import one_line


class UserError(Exception):
    """Something the user can mend.  The command line prints it as one line and exits with 2.

    Args:
        what: what was wrong ("plan.toml: studies.throughput.cell[1]: unknown cell 'lstn'").
        expected: what would have been right.
        got: what came.
        remedy: what to do.
    """

    def __init__(
        self, what: str, *, expected: str | None = None, got: str | None = None, remedy: str | None = None
    ) -> None:
        parts = [what]
        if expected:
            parts.append(f"expected {expected}")
        if got:
            parts.append(f"got {got}")
        if remedy:
            parts.append(remedy)
        super().__init__(" ".join(one_line("; ".join(parts)).split()))


class Interrupted(UserError):
    """A run that had to stop before its end.  What had ended is recorded; it can be resumed."""
