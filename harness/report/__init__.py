"""What a run found, for people: tables, figures, one Markdown page and one HTML page, from its ledger alone.

A report needs neither the studies nor any backend, so that it is rebuilt where no torch is.  One more
question is one file in `sections/`, one more figure one file in `figures/`.
"""

from __future__ import annotations

from pathlib import Path

from harness.signals import held_back


def write_report(run_folder: Path, *, redact: bool = False, reference: Path | None = None) -> Path:
    """Write `tables/`, `figures/`, `report.md` and `report.html` of the run in `run_folder`.

    Args:
        redact: take users, hosts and paths out of what is written; the ledger stays as it is.
        reference: a folder for a smaller copy, to be kept with the code.

    Everything is made beside the old report and then takes its place: nothing half-written remains.

    Returns:
        The path of report.html; of the copy's report.md where one was asked for.

    Raises:
        UserError: the folder holds no readable ledger, or cannot be written.
    """
    with held_back():  # a library that was loaded half-way cannot be loaded again by this process
        from harness.report.build import FIGURES, SECTIONS, build  # here: importing this package loads little

        SECTIONS.discover()
        FIGURES.discover()
    return build(run_folder, redact=redact, reference=reference)


__all__ = ["write_report"]
