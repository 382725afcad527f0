"""All that is measured of one network: decay, spectra, exponents, gates, and what would change them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.analysis.changes import what_would_change
from harness.analysis.gates import carry_gates
from harness.analysis.networks import Network
from harness.analysis.settings import (
    PRODUCT_FLOP,
    QR_CUBES,
    WIDEST,
    Settings,
    product_flop,
    samples_within,
    spectrum_lags,
)
from harness.gradients import (
    has_norm_bound,
    jacobian_decay,
    log10_norm_bound,
    lyapunov_spectrum,
    singular_spectrum,
)
from harness.gradients.products import block_names
from harness.gradients.summary import DecaySummary, summarize_decay
from harness.gradients.threads import threads_for

Array = NDArray[Any]

PROBES = 64
ONE_THREAD = 512
"""State size up to which BLAS gets one thread: beside other work, more would only wait for each other."""
WARMUP_SHARE = 4
"""One step in so many is run before exponents are averaged."""


@dataclass
class Findings:
    """What was found of one layer; every frame has a column `layer`.

    Args:
        network: the layer.
        norm: which norm the decay is of, in words.
        summaries: block -> summary over anchors and samples.
        decay: anchor, block, sample, lag, norms in log10; bound: lag, log10_bound.
        spectrum: lag, index, log10_singular_value.
        lyapunov: index, exponent, standard_error, converged.
        gates: gate, unit, mean, quantiles over time and samples.
        changes: what the horizon would be; change_curves: their decay.
        left_out: what was not computed, and why.
        failed: what could not be computed, and why.
    """

    network: Network
    norm: str = "spectral norm"
    summaries: dict[str, DecaySummary] = field(default_factory=dict)
    decay: pd.DataFrame = field(default_factory=pd.DataFrame)
    bound: pd.DataFrame = field(default_factory=pd.DataFrame)
    spectrum: pd.DataFrame = field(default_factory=pd.DataFrame)
    lyapunov: pd.DataFrame = field(default_factory=pd.DataFrame)
    gates: pd.DataFrame = field(default_factory=pd.DataFrame)
    changes: pd.DataFrame = field(default_factory=pd.DataFrame)
    change_curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    left_out: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def examine(network: Network, settings: Settings) -> Findings:
    """All that can be said of one layer within the settings' budget."""
    findings = Findings(network)
    if network.divergence:
        findings.failed.append(network.divergence)
    if not len(network.inputs):
        return findings
    parts: list[tuple[str, Callable[[Findings, Settings], None]]] = [
        ("the decay", _decay),
        ("the singular spectrum", _spectrum),
        ("the Lyapunov exponents", _lyapunov),
        ("the gates", _gates),
        ("what would change", _changes),
    ]
    size = network.parameters.hidden_size * len(network.cell.state_names)
    with threads_for(1) if size <= ONE_THREAD else nullcontext():
        for what, part in parts:
            try:
                part(findings, settings)
            except FloatingPointError as error:
                findings.failed.append(f"{network.name}: {what} left the numbers: {error}")
    return findings


def _decay(findings: Findings, settings: Settings) -> None:
    network = findings.network
    states, size = len(network.cell.state_names), network.parameters.hidden_size
    anchors = settings.chosen_anchors(len(network.inputs))
    each = states * sum(product_flop(anchor, size, states) for anchor in anchors)
    if each > PRODUCT_FLOP and size <= WIDEST:
        each, anchors = each * anchors[0] / sum(anchors), anchors[:1]
        findings.left_out.append(f"{network.name}: anchors before T, because a state of {size} is wide")
    taken = _first_samples(findings, "the decay", PRODUCT_FLOP, each)
    probes = PROBES if size > WIDEST else None
    if probes:
        findings.norm = f"Frobenius norm, estimated by {PROBES} probes"
    lags = settings.chosen_lags(anchors[0])
    frames = []
    for anchor in anchors:
        decay = jacobian_decay(
            _named(network),
            network.parameters,
            network.inputs[:, :taken],
            initial_state=_state(network, taken),
            anchor=anchor,
            lags=lags[lags <= anchor],
            blocks=block_names(network.cell) if states > 1 else ("hh",),
            probes=probes,
        )
        frames.append(decay.to_frame().assign(layer=network.name, anchor=anchor))
    columns = ["layer", "anchor", "block", "sample", "lag"]
    frame = pd.concat(frames, ignore_index=True)
    findings.decay = frame[[*columns, *(name for name in frame if name not in columns)]]
    for block, part in findings.decay.groupby("block", sort=False):
        findings.summaries[str(block)] = summarize_curves(part)
    if has_norm_bound(network.cell.name):
        lags = np.unique(findings.decay["lag"])
        bound = log10_norm_bound(network.cell.name, network.parameters, lags)
        findings.bound = pd.DataFrame({"layer": network.name, "lag": lags, "log10_bound": bound})


def norm_column(frame: pd.DataFrame) -> str:
    """The spectral norm where it is known, else the Frobenius norm."""
    spectral = "log10_spectral_norm"
    return spectral if spectral in frame else "log10_frobenius_norm"


def summarize_curves(part: pd.DataFrame) -> DecaySummary:
    """One block's curves: anchors vary within a sample, and the samples are the repetitions."""
    column = norm_column(part)
    wide = part.pivot_table(index="lag", columns=["anchor", "sample"], values=column, dropna=False)
    anchors, samples = (wide.columns.get_level_values(name).nunique() for name in ("anchor", "sample"))
    return summarize_decay(wide.index.to_numpy(), wide.to_numpy().reshape(len(wide), anchors, samples))


def _spectrum(findings: Findings, settings: Settings) -> None:
    network = findings.network
    size = network.parameters.hidden_size * len(network.cell.state_names)
    wanted = spectrum_lags(len(network.inputs), size)
    if not wanted or wanted[-1] < len(network.inputs):
        longest = f"lags beyond {wanted[-1]}" if wanted else "all of it"
        findings.left_out.append(
            f"{network.name}: of the singular spectrum {longest}, for its cost at S = {size}"
        )
    frames = []
    for lag in wanted:
        values = singular_spectrum(
            _named(network),
            network.parameters,
            network.inputs[:, :1],
            initial_state=_state(network, 1),
            lag=lag,
        )[0]
        frames.append(
            pd.DataFrame(
                {
                    "layer": network.name,
                    "lag": lag,
                    "index": np.arange(1, len(values) + 1),
                    "log10_singular_value": values,
                }
            )
        )
    if frames:
        findings.spectrum = pd.concat(frames, ignore_index=True)


def _lyapunov(findings: Findings, settings: Settings) -> None:
    network = findings.network
    seq_len = len(network.inputs)
    size = network.parameters.hidden_size * len(network.cell.state_names)
    leading = min(size, int(4 * QR_CUBES / (seq_len * float(size) ** 2)))
    too_wide = leading < 1 or network.parameters.hidden_size > WIDEST
    if too_wide or seq_len < 2:
        why = f"for their cost at S = {size} and T = {seq_len}" if seq_len > 1 else "which need 2 steps"
        findings.left_out.append(f"{network.name}: Lyapunov exponents, {why}")
        return
    if leading < size:
        findings.left_out.append(
            f"{network.name}: Lyapunov exponents beyond the leading {leading}, for their cost at S = {size}"
        )
    each = seq_len * float(size) ** 2 * leading
    taken = _first_samples(findings, "the Lyapunov exponents", QR_CUBES, each)
    found = lyapunov_spectrum(
        _named(network),
        network.parameters,
        network.inputs[:, :taken],
        initial_state=_state(network, taken),
        warmup=seq_len // WARMUP_SHARE,
        leading=leading,
    )
    findings.lyapunov = pd.DataFrame(
        {
            "layer": network.name,
            "index": np.arange(1, len(found.exponents) + 1),
            "exponent": found.exponents,
            "standard_error": found.standard_error,
            "converged": bool(found.converged),
        }
    )


def _gates(findings: Findings, settings: Settings) -> None:
    findings.gates = carry_gates(findings.network)


def _changes(findings: Findings, settings: Settings) -> None:
    network = findings.network
    if not network.in_registry:
        findings.left_out.append(
            f"{network.name}: what would change, which needs a cell that is known by name"
        )
    elif network.parameters.hidden_size > WIDEST:
        findings.left_out.append(f"{network.name}: what would change, because the state is wide")
    else:
        findings.changes, findings.change_curves = what_would_change(network, settings)


def _first_samples(findings: Findings, what: str, budget: float, each: float) -> int:
    there = int(findings.network.inputs.shape[1])
    taken = samples_within(budget, each, there)
    if taken < there:
        findings.left_out.append(
            f"{findings.network.name}: samples beyond the first {taken} in {what}, for their cost"
        )
    return taken


def _state(network: Network, taken: int) -> tuple[Array, ...] | None:
    state = network.initial_state
    return None if state is None else tuple(array[:taken] for array in state)


def _named(network: Network) -> Any:
    """What the engine takes: the name of a cell that it knows, or the cell itself."""
    return network.cell.name if network.in_registry else network.cell
