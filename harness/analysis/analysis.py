"""The result of an analysis: frames to go on with, and a report to read."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pandas as pd

from harness.analysis.changes import summary_columns
from harness.analysis.layer import Findings, examine
from harness.analysis.networks import Network
from harness.analysis.settings import Settings
from harness.errors import UserError


@dataclass(frozen=True)
class Analysis:
    """How far gradients reach in each layer of a network.

    Args:
        title: what was analysed.
        facts: (name, text) that say what was read, and how.
        layers: what was found, layer by layer.
        command: what makes it again.

    `left_out` and `failed` say what is missing and why; every frame has a column `layer`.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    layers: tuple[Findings, ...]
    command: str

    @property
    def summaries(self) -> pd.DataFrame:
        """One row per layer and block: rate, half-life, horizons, verdict and its rule."""
        return pd.DataFrame(
            [
                {"layer": f.network.name, "cell": f.network.cell.name, "block": block}
                | summary_columns(summary)
                | {"rule": summary.rule}
                for f in self.layers
                for block, summary in f.summaries.items()
            ]
        )

    @property
    def decay(self) -> pd.DataFrame:
        """layer, anchor, block, sample, lag and the norms in log10 (an exact zero is −inf)."""
        return _joined(f.decay for f in self.layers)

    @property
    def bound(self) -> pd.DataFrame:
        """layer, lag, log10_bound = (β_W β_h)^lag, of the simple RNNs."""
        return _joined(f.bound for f in self.layers)

    @property
    def spectrum(self) -> pd.DataFrame:
        """layer, lag, index, log10_singular_value of ∂s_T/∂s_{T−lag}, of the first sample."""
        return _joined(f.spectrum for f in self.layers)

    @property
    def lyapunov(self) -> pd.DataFrame:
        """layer, index, exponent (nats per step), standard_error, converged."""
        return _joined(f.lyapunov for f in self.layers)

    @property
    def gates(self) -> pd.DataFrame:
        """layer, gate, unit, bias, mean, quantiles, time_constant, of gated cells."""
        return _joined(f.gates for f in self.layers)

    @property
    def changes(self) -> pd.DataFrame:
        """layer, change, kind, cell, rate, half-life, horizons, verdict, note."""
        return _joined(f.changes for f in self.layers)

    @property
    def change_curves(self) -> pd.DataFrame:
        """layer, change, lag, log10_typical."""
        return _joined(f.change_curves for f in self.layers)

    @property
    def left_out(self) -> tuple[str, ...]:
        return tuple(text for f in self.layers for text in f.left_out)

    @property
    def failed(self) -> tuple[str, ...]:
        """What went wrong; a forward pass that diverged, first of all."""
        return tuple(text for f in self.layers for text in f.failed)

    def write(self, folder: str | Path) -> Path:
        """Write report.html, report.md, tables/ and figures/ into `folder`, in place of an older analysis.

        Returns:
            The path of report.html.

        Raises:
            UserError: the folder cannot be written, or holds something that is no analysis.
        """
        from harness.analysis.page import write_page  # here, so that importing this loads no matplotlib

        return write_page(self, Path(folder))

    def write_below(self, results: Path) -> Path:
        """The same, into a new folder in `results` that is named by the time, whole or not at all."""
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-analyze"
        draft = results / f".{stem}-{os.getpid()}"
        try:
            results.mkdir(parents=True, exist_ok=True)
            self.write(draft)
            for number in count(1):
                folder = results / (stem if number == 1 else f"{stem}-{number}")
                if not folder.exists():
                    draft.rename(folder)
                    return folder / "report.html"
        except OSError as error:
            raise UserError(
                f"{results}: cannot write the results folder: {error.strerror or error}",
                remedy="choose a writable folder with --results DIR",
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        raise AssertionError("unreachable: the numbers do not end")


def analysis_of(
    title: str,
    facts: Sequence[tuple[str, str]],
    networks: Sequence[Network],
    settings: Settings,
    command: str,
) -> Analysis:
    """Examine every network."""
    findings = tuple(examine(network, settings) for network in networks)
    return Analysis(title, tuple(facts), findings, command)


def _joined(frames: Iterable[pd.DataFrame]) -> pd.DataFrame:
    there = [frame for frame in frames if not frame.empty]
    return pd.concat(there, ignore_index=True) if there else pd.DataFrame()
