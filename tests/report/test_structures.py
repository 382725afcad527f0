"""The sections and figures on structures are true: each is held against the formulas of the run."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Measured, Unsupported
from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS, Answer
from harness.report.summaries.depth_decay import depth_decays, through_all
from harness.report.summaries.structures import structures
from tests.report.synthetic import Item, sizes, timed, write_run
from tests.report.synthetic_gradients import SEEDS, network

TIMES = {"1 layer": 1.0, "2 layers": 2.0, "4 layers, residual": 5.0}
"""Over one layer of the same width; a layer twice as wide takes 2.5."""
WIDE, TWICE = 16, 2.5


def costs(replicates: int = 3) -> Iterator[Item]:
    """numba takes a tenth of torch's time; every structure has as many parameters as a layer of width 16."""
    for replicate, backend, (name, factor) in itertools.product(
        range(replicates), ("numba", "torch", "torch_stack"), {**TIMES, "wide": TWICE}.items()
    ):
        axes = sizes(backend, "lstm", 64, 4) | {"pass": "training", "structure": name}
        if name == "wide":
            axes |= {"structure": "1 layer", "hidden_size": WIDE}
        case = Case("structures", axes, replicate)
        if backend == "torch_stack" and "residual" in name:
            yield case, Unsupported("torch.nn's stacks have no residual connections")
            continue
        speed = 0.1 if backend == "numba" else 1.0
        found = timed(1e-3 * factor * speed * 1.1**replicate, 256)
        own = axes["hidden_size"] if axes["structure"] == "1 layer" else WIDE
        facts = {
            **found.facts,
            "parameters": 1000 if name == "1 layer" else 4000,
            "equal_hidden_size": own,
            "peak_bytes": None if backend == "torch" else 1e6 * factor,
        }
        yield case, Measured(found.columns, facts)


LAGS = list(range(-3, 33))
LENGTH = 32


def decays() -> Iterator[Item]:
    """10^(−lag/4) for each layer between; with skips a tenth of the fall; both ways as far ahead as back."""
    words = ("1 layer", "1 layer, skip 4", "2 layers", "2 layers, skip 4", "2 layers, both ways")
    for name, seed in itertools.product(words, SEEDS):
        layers = int(name[0])
        rate = 0.025 if "skip" in name else 0.25
        pairs = [(l, m) for l in range(1, layers + 1) for m in range(1, l + 1)]  # noqa: E741 # the field's letter
        rows = [
            (l, m, lag, -rate * abs(lag) - 0.5 * (l - m))
            for l, m in pairs  # noqa: E741 # the field's letter
            for lag in LAGS
            if lag >= 0 or "both" in name
        ]
        keys = ("later_layer", "earlier_layer", "lag", "log10_spectral_norm")
        columns = dict(zip(keys, map(list, zip(*rows, strict=True)), strict=True))
        axes = network("rnn_tanh", "orthogonal", seed, structure=name)
        yield Case("depth_decay", axes), Measured({**columns, "sample": [0] * len(rows)}, {"anchor": 33})


def run_of(folder: Path, listed: list[Item]) -> Run:
    return Run.read(write_run(folder, listed))


def answer(name: str, folder: Path, listed: list[Item]) -> Answer:
    found = SECTIONS[name].answer(run_of(folder, listed))
    assert found is not None
    assert found.table is not None
    assert all(len(row) == len(found.table.columns) for row in found.table.rows)
    return found


def test_costs_are_ratios_within_a_replicate(tmp_path: Path) -> None:
    summary = structures(run_of(tmp_path, list(costs())))
    assert summary is not None
    frame = summary.frame.set_index(["structure", "backend"])
    assert WIDE not in set(summary.frame["hidden_size"])  # it is there to be compared with
    for (name, backend), row in frame.iterrows():
        assert row["over_single"] == pytest.approx(TIMES[name]), backend
        wanted = 1.0 if name == "1 layer" else TIMES[name] / TWICE
        assert row["over_equal"] == pytest.approx(wanted)
        assert row["over_equal_low"] == pytest.approx(wanted)  # replicates differ by a factor that cancels
        assert row["processes"] == 3
    assert math.isnan(frame.loc[("2 layers", "torch"), "bytes_over_equal"])
    assert frame.loc[("2 layers", "numba"), "bytes_over_equal"] == pytest.approx(2.0 / TWICE)


def test_structures_section(tmp_path: Path) -> None:
    found = answer("structures", tmp_path, list(costs()))
    assert found.sentence.startswith(
        "At the same number of parameters a structure takes from 0.80× (2 layers,"
    )
    assert "to 2.0× (4 layers, residual, lstm in " in found.sentence
    assert any(
        "4 layers, residual: 2.0× the time of one layer of as many parameters, 5.0× that of one of the same "
        "width, in the geometric mean over 2 combinations" in sentence
        for sentence in found.details
    )
    assert "Of 3 comparisons between backends the fastest was numba in 3." in found.details
    assert any("from 0.80× (2 layers, lstm in numba" in sentence for sentence in found.details)


def test_a_structure_without_its_equal_says_so(tmp_path: Path) -> None:
    found = answer("structures", tmp_path, [i for i in costs() if i[0].axes["hidden_size"] != WIDE])
    assert found.sentence == "No structure was measured beside one layer of as many parameters."
    assert not any("memory" in sentence for sentence in found.details)


def test_peaks_that_could_not_be_taken_are_said_to_be_missing(tmp_path: Path) -> None:
    found = answer("structures", tmp_path, [i for i in costs() if i[0].axes["backend"] == "torch"])
    assert "Peaks of memory could not be taken in the processes that timed." in found.details


def test_depth_decay_section(tmp_path: Path) -> None:
    found = answer("depth_decay", tmp_path, list(decays()))
    skip, plain = math.log10(2) / 0.025, math.log10(2) / 0.25
    assert found.sentence == (
        "From the top layer down to the first the gradient reaches furthest in rnn_tanh, 1 layer, skip 4 "
        f"under orthogonal: a median norm of up to {10 ** (-0.025 * 29):.3f} at lags 29 to {LENGTH}, "
        f"halving every {skip:.1f} steps."
    )
    assert (
        "rnn_tanh, 2 layers under orthogonal: skips of 4 steps leave a norm of "
        f"up to {10 ** (-0.5 - 0.025 * 29):.4f} at lags 29 to 32, against 10⁻⁸ without; "
        f"halving every {skip:.1f} steps against halving every {plain:.2f} steps."
    ) in found.details
    assert any(
        "within one step the norm from the top layer down to the first is 0.316 (2 layers), " in sentence
        for sentence in found.details
    )
    assert any("of the step 3 ahead a step hears with a norm of 0.0562" in s for s in found.details)


def test_who_reaches_furthest_does_not_hang_on_the_phase_of_a_saw_tooth(tmp_path: Path) -> None:
    """One network's teeth stand at the last lag, the other's, twenty times as high, two lags before."""
    items = []
    for start, height, peak in (("orthogonal", -2.0, LENGTH), ("gaussian", -0.7, LENGTH - 2)):
        lags = list(range(LENGTH + 1))
        norms = [height if (lag - peak) % 4 == 0 else -9.0 for lag in lags]
        columns = {
            "later_layer": [1] * len(lags), "earlier_layer": [1] * len(lags), "lag": lags,
            "sample": [0] * len(lags), "log10_spectral_norm": norms,
        }  # fmt: skip
        axes = {
            "backend": "numpy", "cell": "rnn_tanh", "initialization": start, "structure": "1 layer, skip 4",
            "seq_len": 40, "hidden_size": 8, "seed": 0,
        }  # fmt: skip
        items.append((Case("depth_decay", axes), Measured(columns, {"anchor": 33})))
    found = answer("depth_decay", tmp_path, items)
    assert (
        "reaches furthest in rnn_tanh, 1 layer, skip 4 under gaussian: a median norm of up to 0.200"
        in found.sentence
    )


def test_networks_of_several_lengths_are_told_apart(tmp_path: Path) -> None:
    longer = [(replace(c, axes={**c.axes, "seq_len": 64}), found) for c, found in decays()]
    found = answer("depth_decay", tmp_path, [*decays(), *longer])
    for words in ("within one step", "ahead a step hears"):
        told = [sentence for sentence in found.details if words in sentence]
        assert [t.partition(":")[0] for t in told] == [f"rnn_tanh under orthogonal (T={t})" for t in (40, 64)]
        assert all(sentence.count("(2 layers, both ways)") == 1 for sentence in told)


def test_rates_leave_the_steps_ahead_out(tmp_path: Path) -> None:
    found = depth_decays(run_of(tmp_path, list(decays())))
    assert found is not None
    both = found.rates[found.rates["structure"] == "2 layers, both ways"]
    np.testing.assert_allclose(both["half_life_steps"], math.log10(2) / 0.25)
    whole = through_all(found)
    assert len(whole) == 5
    np.testing.assert_allclose(whole["half_life_within"], whole["half_life_steps"])


@pytest.mark.parametrize("name", ["structures", "depth_decay", "depth_map"])
def test_figures_hold_what_was_measured(name: str, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", [*costs(), *decays()])
    with style():
        (picture,) = FIGURES[name].draw(run)
        assert list(FIGURES[name].draw(run_of(tmp_path / "none", []))) == []
    assert not picture.data.empty
    assert any(axes.get_xlabel() for axes in picture.figure.axes)
    match name:
        case "structures":
            assert set(picture.data["structure"]) == {"2 layers", "4 layers, residual"}
        case "depth_decay":
            assert set(picture.data["earlier_layer"]) == {1}
            assert set(picture.data["structure"]) == {i[0].axes["structure"] for i in decays()}
        case "depth_map":  # a single layer has no other to reach
            assert not picture.data["structure"].str.startswith("1 layer").any()
