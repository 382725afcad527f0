"""The sentences are true: each is held against numbers worked out here, from the formulas of the run."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.case import Case
from harness.outcome import Failed, Measured, Unsupported
from harness.report.drawing import style
from harness.report.frames import Run
from harness.report.pictures import FIGURES
from harness.report.questions import SECTIONS, Answer
from harness.report.statistics import Curve
from harness.report.summaries.gradient_decay import Decay, Decays, common_slice
from harness.studies.study import STUDIES
from tests.report import synthetic
from tests.report.synthetic import sizes, timed, write_run


def answer(name: str, run: Run) -> Answer:
    found = SECTIONS[name].answer(run)
    assert found is not None
    return found


def throughput_run(
    folder: Path,
    seconds: dict[tuple[str, int], list[float]],
    unstable: dict[tuple[str, int], str] | None = None,
) -> Run:
    """(backend, T) -> the median of each process; and what disturbed all of them."""
    listed = []
    for (backend, seq_len), medians in seconds.items():
        why = {"unstable": (unstable or {}).get((backend, seq_len))}
        for i, median in enumerate(medians):
            axes = sizes(backend, "gru", seq_len, 1) | {"pass": "inference"}
            found = timed(median, seq_len)
            listed.append((Case("throughput", axes, i), replace(found, facts={**found.facts, **why})))
    return Run.read(write_run(folder, listed))


def test_every_study_of_the_project_has_a_section() -> None:
    assert {question.study for question in SECTIONS.values()} == set(STUDIES)


def test_who_is_fastest_and_by_how_much(run: Run) -> None:
    found = answer("throughput", run)
    # T 16 and 128, B 1 and 32, two passes, three cells: 24 comparisons, and the open case is in none.
    # On an LSTM at B=32 numba is at half the speed of torch: 4 of the 24.  Elsewhere torch follows at 1/4.
    assert found.sentence == (
        "numba was fastest in 20 of 24 comparisons (one cell, pass and set of sizes each), there at 4.0× "
        "the runner-up's speed in the geometric mean; torch in 4; by one process each, so without a verdict."
    )
    mean = math.exp((20 * math.log(4) + 4 * math.log(0.5)) / 24)
    sentence = next(s for s in found.details if s.startswith("numba: "))
    assert sentence.startswith(f"numba: {mean:.1f}× the speed of torch in the geometric mean over 24 compar")
    assert "from 0.50× (lstm, inference, T=16, B=32) to 4.0×" in sentence
    assert "Fastest in training: numba in 10 and torch in 2 of 12." in found.details
    assert "naive: 0.020× the speed of torch, the same in 18 comparisons." in found.details
    assert any("one process" in sentence for sentence in found.details)


def test_the_table_shows_what_the_sentence_counts(run: Run) -> None:
    table = answer("throughput", run).table
    assert table is not None
    fastest = table.columns.index("fastest")
    assert [row[fastest] for row in table.rows].count("numba") == 20
    naive = table.columns.index("naive")
    assert "n/a" in {row[naive] for row in table.rows}
    assert "0" not in {row[naive] for row in table.rows}
    assert "cudnn" not in table.columns


def test_medians_are_taken_within_a_process_and_means_across(tmp_path: Path) -> None:
    run = throughput_run(tmp_path, {("torch", 8): [1.0, 4.0], ("numba", 8): [0.5, 2.0]})
    frame = answer("throughput", run).summary.set_index("backend")
    assert frame["seconds"].to_dict() == pytest.approx({"torch": 2.0, "numba": 1.0})
    assert frame["first_call_seconds"]["torch"] == pytest.approx(12.5)
    assert frame["processes"].to_dict() == {"torch": 2, "numba": 2}
    # within each process the ratio is exactly 2, however much the processes differ
    numba = frame.loc["numba"]
    assert (numba["speedup_low"], numba["speedup"], numba["speedup_high"]) == pytest.approx((2.0, 2.0, 2.0))


def test_differences_between_processes_are_judged(tmp_path: Path) -> None:
    run = throughput_run(
        tmp_path,
        {
            ("torch", 8): [1.0, 1.0, 1.0],
            ("numba", 8): [0.50, 0.51, 0.49],
            ("torch", 16): [1.0, 1.0, 1.0],
            ("numba", 16): [0.5, 1.0, 2.0],
        },
    )
    found = answer("throughput", run)
    assert any("2 speed-ups over torch: 1 faster and 1 ambiguous" in sentence for sentence in found.details)
    assert "verdict" not in found.sentence


def test_a_lead_that_nothing_could_judge_is_told_as_such(tmp_path: Path) -> None:
    times = {("torch", 8): [1.0, 1.0], ("numba", 8): [0.5, 0.5]}
    run = throughput_run(tmp_path, times, unstable=dict.fromkeys(times, "load: 1.50 of 2 cores"))
    assert answer("throughput", run).sentence.endswith(
        "; without a verdict: of 1 speed-up none is valid (mostly: 4 processes unstable (load))."
    )


def test_without_torch_the_slowest_stands_in_as_reference(tmp_path: Path) -> None:
    run = throughput_run(tmp_path, {("numba", 8): [1.0], ("numpy", 8): [3.0], ("naive", 8): [2.0]})
    found = answer("throughput", run)
    assert set(found.summary["reference"]) == {"numpy"}
    assert "naive: 1.5× the speed of numpy, the same in 1 comparison." in found.details


def test_one_backend_alone_is_not_called_the_fastest(tmp_path: Path) -> None:
    found = answer("throughput", throughput_run(tmp_path, {("numba", 8): [0.25]}))
    assert "nothing can be compared" in found.sentence
    assert "fastest" not in found.sentence
    assert "32.0 to 32.0 steps per second" in found.sentence


def test_unequal_threads_are_said(tmp_path: Path) -> None:
    listed = []
    for backend, threads in (("numba", 2), ("naive", 1)):
        outcome = timed(1.0, 8)
        outcome.facts["num_threads"] = threads  # type: ignore[index]
        listed.append((Case("throughput", sizes(backend, "gru", 8, 1) | {"pass": "inference"}), outcome))
    found = answer("throughput", Run.read(write_run(tmp_path, listed)))
    assert "Threads in force were not equal: naive 1 and numba 2." in found.details


def test_parity_that_holds(run: Run) -> None:
    found = answer("parity", run)
    # 4 backends × 3 cells × 2 dtypes × 2 T, without naive's GRUs, which failed
    share = 3 * 1e-8 * 128 / 1e-4
    assert found.sentence == (
        "Yes: naive, numba, numpy and torch agree with the float64 reference in all 44 cases; the largest "
        f"error is {100 * share:.1f} % of its tolerance."
    )


def test_parity_that_does_not_hold(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path, list(synthetic.parity((16,), wrong=True))))
    found = answer("parity", run)
    assert found.sentence.startswith("No: numba disagreed with the float64 reference in 1 of 22 cases")
    assert "grad_weight_hh (numba, lstm" in found.sentence
    assert "relative error 0.00300" in found.sentence
    assert found.table is not None
    assert [row[found.table.columns.index("agrees")] for row in found.table.rows].count("NO") == 1


def test_an_error_that_is_no_number_is_a_disagreement(tmp_path: Path) -> None:
    columns = {"quantity": ["output"], "relative_error": [math.nan], "tolerance": [1e-4]}
    case = Case("parity", sizes("numba", "gru", 4, 1) | {"seed": 0})
    found = answer("parity", Run.read(write_run(tmp_path, [(case, Measured(columns))])))
    assert found.sentence.startswith("No: numba disagreed")
    assert "relative error n/a" in found.sentence


def test_what_a_step_costs(run: Run) -> None:
    found = answer("memory", run)
    # numba's RNN holds 8 × 512 B a step in training, naive's LSTM 8 × 4 × 4096 B
    assert found.sentence == (
        "In training (float32, B=8, I=32, H=32), one more step of T costs from 4.00 KiB (numba, rnn_tanh) to "
        "128 KiB (naive, lstm)."
    )
    assert found.details[0].endswith("costs from 512 B (numba, rnn_tanh) to 16.0 KiB (naive, lstm).")


def test_one_length_has_no_slope(tmp_path: Path) -> None:
    found = answer("memory", Run.read(write_run(tmp_path, list(synthetic.memory((16,))))))
    assert "the cost of a step is not known" in found.sentence
    assert found.summary["bytes_per_step"].isna().all()


def test_how_far_the_gradient_reaches(run: Run) -> None:
    found = answer("gradient_decay", run)
    rows = found.summary.set_index(["cell", "initialization", "forget_bias", "inputs", "block"]).sort_index()
    reach = rows.loc[("rnn_tanh", "orthogonal", np.nan, "noise", "hh"), "reach_steps"].item()
    # two seeds, one of them 0.01 higher; samples −2 … 1 in steps of 0.02·√lag: the median is at −0.01·√lag
    norms = [lag * math.log10(0.8) - 0.01 * math.sqrt(lag) + 0.005 for lag in range(25)]
    assert reach == next(lag for lag, norm in enumerate(norms) if norm < -2) - 1
    assert f"rnn_tanh reaches {reach:.0f} steps" in next(s for s in found.details if "orthogonal" in s)
    assert "soonest for rnn_tanh under pytorch_uniform" in found.sentence
    assert "it explodes in" in found.sentence
    kept = 10 ** (24 * math.log10(0.8 * 1.35) - 0.01 * math.sqrt(24) + 0.005)
    assert f"strongest for rnn_tanh under gaussian, gain 1.5 with a norm of {kept:.2f} at" in found.sentence


def test_the_soonest_to_vanish_is_told_by_its_horizon_between_whole_lags(tmp_path: Path) -> None:
    """Both reach 7 whole steps; one falls below 1 % right after, the other just before the eighth."""
    items = []
    for cell, slope in (("rnn_tanh", -2 / 7.9), ("rnn_relu", -2 / 7.05)):
        axes = {
            "backend": "numpy", "cell": cell, "initialization": "orthogonal", "inputs": "noise",
            "seq_len": 20, "seed": 0,
        }  # fmt: skip
        columns = {"lag": list(range(21)), "log10_spectral_norm": [slope * lag for lag in range(21)]}
        items.append((Case("gradient_decay", axes), Measured({**columns, "sample": [0] * 21})))
    found = answer("gradient_decay", Run.read(write_run(tmp_path / "run", items)))
    assert "soonest for rnn_relu under orthogonal, after 7.05 steps" in found.sentence


def test_samples_that_died_are_told_where_a_gradient_is_said_to_reach_all(tmp_path: Path) -> None:
    axes = {"cell": "rnn_relu", "initialization": "identity", "inputs": "noise", "seq_len": 20}
    lags, samples = zip(*((lag, sample) for lag in range(21) for sample in range(4)), strict=True)
    norms = [-math.inf if sample == 0 and lag > 9 else 0.0 for lag, sample in zip(lags, samples, strict=True)]
    columns = {"lag": list(lags), "sample": list(samples), "log10_spectral_norm": norms}
    items = [
        (Case("gradient_decay", {**axes, "backend": "numpy", "seed": seed}), Measured(columns))
        for seed in range(3)
    ]
    run = Run.read(write_run(tmp_path, items))
    found = answer("gradient_decay", run)
    assert found.details == (
        "identity: rnn_relu reaches all 20 steps (1.00; 3 of 12 samples exactly zero there).",
    )
    assert "a norm of 1.00 at lag 20 (3 of 12 samples exactly zero there)" in found.sentence
    rates = answer("decay_rates", run)
    assert rates.table is not None
    assert rates.table.rows[0][-1] == "stable (3 of 12 exactly zero)"
    assert "–" in rates.table.rows[0]  # the interval of what is but rounding
    assert any("3 of 12 in rnn_relu under identity" in sentence for sentence in rates.details)
    with style():
        (picture,) = FIGURES["decay_by_cell"].draw(run)
    assert "Median over 3 seeds × 4 samples, band" in picture.caption


def test_it_is_told_where_most_networks_are_and_not_most_blocks() -> None:
    shape = Curve(*(np.zeros(2),) * 4)
    blocks = [Decay({"cell": "lstm", "seq_len": 100}, b, shape, None, 1) for b in ("hh", "hc", "ch", "cc")]
    cells = [Decay({"cell": c, "seq_len": 200}, "hh", shape, None, 1) for c in ("rnn_tanh", "gru", "lstm")]
    found = Decays((*blocks, *cells), ["cell", "seq_len"])
    assert common_slice(found, ["cell"]) == (cells, "T=200", 1)


def test_the_endings_add_up(run: Run) -> None:
    found = answer("gradient_decay", run)
    summary = found.summary.query("block == 'hh' and inputs == 'noise'")
    for ending, words in (("vanishes", "1 % in"), ("carries", "the end in"), ("explodes", "explodes in")):
        assert f"{words} {(summary['ending'] == ending).sum()}," in found.sentence
    assert f"Of {len(summary)} combinations" in found.sentence


def test_what_clipping_does(run: Run) -> None:
    found = answer("clipping", run)
    first, second = found.sentence.split("; ")
    assert first == "Clipping on the parameters left every ‖dL/dh_k‖ exactly as it was, in all 12 settings"
    # a clamp at 10 changes nothing in the LSTM, whose norm ends at 1.02²⁴ = 1.6
    assert second.startswith("clipping on the state changed ‖dL/dh_k‖ in 5 of 6 settings")
    assert f"threshold 0.1: from {1.25**24:.0f} to 0.100 at t − k = 24" in second
    assert any("value on parameters" in s and "down to a cosine of 0.600" in s for s in found.details)
    assert any("global_norm on parameters" in s and "kept its direction" in s for s in found.details)


@pytest.mark.parametrize("name", list(SECTIONS))
@pytest.mark.parametrize("outcome", [Unsupported("no device"), Failed("SIGSEGV"), None])
def test_a_study_without_a_number_has_no_answer(tmp_path: Path, name: str, outcome: object) -> None:
    question = SECTIONS[name]
    run = Run.read(write_run(tmp_path, [(Case(question.study, {"backend": "numba"}), outcome)]))
    assert question.answer(run) is None


def test_what_stayed_unstable_is_marked_and_nothing_is_concluded(tmp_path: Path) -> None:
    medians = {("torch", 8): [1.0, 1.01, 0.99], ("numba", 8): [0.5, 0.51, 0.49]}
    run = throughput_run(tmp_path, medians, unstable={("numba", 8): "load: others used 1.50 of 2 cores"})
    found = answer("throughput", run)
    assert found.table is not None
    assert any("†" in cell for row in found.table.rows for cell in row)
    numba = found.summary.set_index("backend").loc["numba"]
    assert (numba["verdict"], numba["verdict_reason"]) == ("invalid", "3 processes unstable (load)")
    assert any("stayed unstable (†" in sentence for sentence in found.details)
