"""The gradient studies: their points, their columns, and that a divergence is a row and no failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from harness.clipping.norms import Norm
from harness.gradients import log10_forget_gate_decay
from harness.gradients.trajectory import run_forward
from harness.initializations import initialize
from harness.outcome import Measured, Unsupported
from harness.studies.clipping import _cosine, loss_gradient
from harness.studies.gradient_decay import chosen_lags
from harness.studies.theory import log10_forget_gate_rms
from tests.harness.studying import SMALL, measure, measured, points


def test_a_cell_without_a_forget_gate_comes_once() -> None:
    found = points("gradient_decay", cell=["gru", "lstm"], forget_bias=["none", 0.0, 3.0], **SMALL)
    assert [(p["cell"], p["forget_bias"]) for p in found] == [
        ("gru", None),
        ("lstm", None),
        ("lstm", 0.0),
        ("lstm", 3.0),
    ]


@pytest.mark.parametrize("inputs", ["noise", "zeros", "text"])
def test_decay_of_an_lstm_has_every_block(inputs: str, tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("one two three four five six", encoding="utf-8")
    found = measure("gradient_decay", cell=["lstm"], inputs=[inputs], corpus=str(corpus), **SMALL)
    assert isinstance(found, Measured)
    assert set(found.columns) == {
        "lag", "block", "sample", "log10_spectral_norm", "log10_frobenius_norm", "log10_bound",
        "log10_product_bound", "log10_forget_gate_largest", "log10_forget_gate_rms",
        "log10_written_rms", "log10_chrono_law",
    }  # fmt: skip
    assert set(found.columns["block"]) == {"hh", "hc", "ch", "cc", "ss"}
    assert len(found.columns["lag"]) == 5 * 13 * 2
    assert set(found.columns["log10_bound"]) == {None}
    lag0 = found.columns["block"].index("hc")
    assert found.columns["log10_spectral_norm"][lag0] == -np.inf


def test_forget_gates_that_see_their_biases_alone_are_the_cell_path() -> None:
    """Without weights, block cc is diag(σ(b_f)^lag): the two columns are its norms."""
    found = measure(
        "gradient_decay", cell=["lstm"], gain=[0.0], initialization=["chrono"], inputs=["zeros"], **SMALL
    )
    assert isinstance(found, Measured)
    frame = pd.DataFrame(found.columns).query("block == 'cc'").astype(float, errors="ignore")
    np.testing.assert_allclose(
        frame["log10_spectral_norm"], frame["log10_forget_gate_largest"].astype(float), atol=1e-12
    )
    np.testing.assert_allclose(
        frame["log10_frobenius_norm"] - 0.5 * np.log10(5),
        frame["log10_forget_gate_rms"].astype(float),
        atol=1e-12,
    )
    others = pd.DataFrame(found.columns).query("block != 'cc'")
    assert others["log10_forget_gate_rms"].isna().all()


def test_what_a_step_wrote_is_what_the_gates_say() -> None:
    """Where recurrent weights are next to nothing, block ch is diag(σ(b_i) σ(b_f)^(lag−1)) U_g."""
    found = measure(
        "gradient_decay",
        cell=["lstm"],
        gain=[1e-6],
        initialization=["chrono"],
        t_max=[30.0],
        inputs=["zeros"],
        **SMALL | {"hidden_size": [64], "seed": [0]},
    )
    assert isinstance(found, Measured)
    frame = pd.DataFrame(found.columns).query("block == 'ch' and sample == 0").set_index("lag")
    written, law = (frame[name].astype(float) for name in ("log10_written_rms", "log10_chrono_law"))
    assert written[0] == law[0] == -np.inf
    measured = frame["log10_frobenius_norm"] - frame["log10_frobenius_norm"][1]
    np.testing.assert_allclose(measured[1:], (written - written[1])[1:], atol=0.05)
    np.testing.assert_allclose(law[1:], written[1:], atol=0.2)


@pytest.mark.parametrize("cell", ["lstm_no_input_gate", "lstm_no_forget_gate", "lstm_gate_recurrence"])
def test_a_variant_of_the_lstm_has_every_block_and_no_law_of_a_gate_that_is_not_there(cell: str) -> None:
    found = measured("gradient_decay", cell=[cell], **SMALL)
    names = "hc" if cell != "lstm_gate_recurrence" else "hcifo"
    assert set(found.columns["block"]) == {"ss", *(to + of for to in names for of in names)}
    whole = cell == "lstm_gate_recurrence"
    assert any(value is not None for value in found.columns["log10_written_rms"]) == whole


def test_t_max_is_chronos_alone() -> None:
    found = points(
        "gradient_decay", cell=["lstm"], initialization=["chrono", "identity"], t_max=["none", 9.0], **SMALL
    )
    assert [(p["initialization"], p["t_max"]) for p in found] == [
        ("chrono", 100.0),
        ("chrono", 9.0),
        ("identity", None),
    ]


def test_one_forget_bias_for_all_units_is_one_curve() -> None:
    parameters = initialize("gaussian", "lstm", 3, 4, forget_bias=-800.0)
    lags = [0, 1, 100]
    np.testing.assert_allclose(
        log10_forget_gate_rms("lstm", parameters, lags), log10_forget_gate_decay("lstm", parameters, lags)
    )


def test_an_initialization_that_a_cell_cannot_have_is_unsupported() -> None:
    found = measure("gradient_decay", cell=["rnn_tanh"], initialization=["chrono"], **SMALL)
    assert isinstance(found, Unsupported)
    assert "rnn_tanh has none" in found.reason


def test_decay_of_a_simple_network_stays_under_its_bounds() -> None:
    found = measure("gradient_decay", cell=["rnn_tanh"], initialization=["gaussian"], gain=[2.0], **SMALL)
    assert isinstance(found, Measured)
    assert set(found.columns["block"]) == {"hh"}
    norm, product, bound = (
        np.array(found.columns[name])
        for name in ("log10_spectral_norm", "log10_product_bound", "log10_bound")
    )
    assert (norm <= product + 1e-12).all()
    assert (product <= bound + 1e-12).all()


def test_a_divergence_is_unsupported_with_its_step() -> None:
    found = measure(
        "gradient_decay", cell=["rnn_linear"], gain=[1e40], initialization=["orthogonal"], **SMALL
    )
    assert isinstance(found, Unsupported)
    assert "diverged: h_t is not finite at step t = 9" in found.reason


@pytest.mark.parametrize(("seq_len", "count"), [(1, 2), (256, 257), (1000, 94), (100_000, 105)])
def test_lags_are_few_enough_and_reach_both_ends(seq_len: int, count: int) -> None:
    lags = chosen_lags(seq_len)
    assert lags[0] == 0
    assert lags[-1] == seq_len
    assert (np.diff(lags) > 0).all()
    assert abs(len(lags) - count) < 10


def test_a_rule_and_place_that_cannot_be_had_come_once() -> None:
    """For the first network; what can be had comes for each of them."""
    found = points(
        "clipping",
        cell=["rnn_tanh", "lstm"],
        rule=["none", "global_norm", "per_sample_norm", "adaptive", "truncated"],
        place=["parameters", "state"],
        threshold=[0.1, 1.0],
        steps=3,
        **SMALL,
    )
    tanh, lstm = (
        [(p["rule"], p["place"], p["threshold"]) for p in found if p["cell"] == cell]
        for cell in ("rnn_tanh", "lstm")
    )
    impossible = [
        ("per_sample_norm", "parameters", None),
        ("adaptive", "state", None),
        ("truncated", "parameters", None),
    ]
    assert lstm == [
        ("none", "parameters", None),
        ("global_norm", "parameters", 0.1),
        ("global_norm", "parameters", 1.0),
        ("global_norm", "state", 0.1),
        ("global_norm", "state", 1.0),
        ("per_sample_norm", "state", 0.1),
        ("per_sample_norm", "state", 1.0),
        ("adaptive", "parameters", 0.1),
        ("adaptive", "parameters", 1.0),
        ("truncated", "state", None),
    ]
    assert sorted(tanh, key=str) == sorted([*lstm, *impossible], key=str)


def test_clipping_that_cannot_be_had_says_so() -> None:
    axes = {"cell": ["rnn_tanh"], "threshold": [0.1, 1.0], "rule": ["adaptive"], "place": ["state"]}
    found = measure("clipping", **axes, **SMALL)
    assert isinstance(found, Unsupported)
    assert "'adaptive' cannot act at place 'state'" in found.reason


@pytest.mark.parametrize("loss", ["last", "all"])
@pytest.mark.parametrize("place", ["parameters", "state"])
def test_clipping_by_place(place: str, loss: str) -> None:
    found = measure(
        "clipping",
        cell=["lstm"],
        gain=[4.0],
        rule=["global_norm"],
        place=[place],
        threshold=[1e-3],
        loss=[loss],
        **SMALL,
    )
    assert isinstance(found, Measured)
    before, after = (np.array(found.columns[f"log10_norm_{n}clipped"]) for n in ("un", ""))
    assert found.columns["lag"] == np.repeat(np.arange(13), 2).tolist()
    assert np.isfinite(before).all()
    if place == "parameters":
        np.testing.assert_array_equal(before, after)
        assert found.facts["parameter_norm_clipped"] == pytest.approx(1e-3, rel=2e-3)
        assert found.facts["cosine"] == pytest.approx(1.0)
        assert found.facts["clipped_steps_fraction"] is None  # no step was clipped, nor could any be
        assert found.facts["clipped_samples_fraction"] is None
    else:
        assert (after <= -3.0).all()
        assert found.facts["clipped_steps_fraction"] > 0.0
    assert found.facts["parameter_norm_clipped"] < found.facts["parameter_norm_unclipped"]


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm_peephole"])
def test_clipping_at_the_gates(cell: str) -> None:
    axes = {"cell": [cell], "gain": [4.0], "rule": ["value"], "place": ["gates"], "threshold": [1e-4]}
    found = measure("clipping", **axes, **SMALL)
    if cell == "lstm_peephole":
        assert isinstance(found, Unsupported)
        assert "cannot be had for lstm_peephole" in found.reason
        return
    assert isinstance(found, Measured)
    before, after = (np.array(found.columns[f"log10_norm_{n}clipped"]) for n in ("un", ""))
    first = np.array(found.columns["lag"]) == 0
    np.testing.assert_array_equal(before[first], after[first])  # no gate has been passed yet
    if cell == "rnn_tanh":  # whose only way back is through its gates: at most ‖W‖₂·√H·c
        weight = initialize("pytorch_uniform", cell, 5, 5, seed=0, gain=4.0).weight_hh
        assert (after[~first] <= np.log10(np.linalg.norm(weight, 2) * np.sqrt(5) * 1e-4)).all()
    share = found.facts["clipped_steps_fraction"]
    assert 0 < share <= 1
    assert share * 12 == pytest.approx(round(share * 12))  # of T steps: the state that is given has no gates
    assert after[-1] != before[-1]
    assert found.facts["parameter_norm_clipped"] < found.facts["parameter_norm_unclipped"]


def test_the_clipped_are_counted_by_step_and_by_sample() -> None:
    """Against the analysis itself, at a threshold that some samples reach and some do not."""
    axes = {"cell": ["rnn_tanh"], "rule": ["per_sample_norm"], "place": ["state"], "seed": [0]}
    sizes = {"seq_len": [12], "hidden_size": [5], "batch_size": 3}
    plain = measure("clipping", threshold=[1e9], **axes, **sizes)
    assert isinstance(plain, Measured)
    norms = np.reshape(plain.columns["log10_norm_unclipped"], (13, 3))
    between = float(10 ** np.sort(norms[0])[1]) * 1.0001
    found = measure("clipping", threshold=[between], **axes, **sizes)
    assert isinstance(found, Measured)
    changed = np.reshape(found.columns["log10_norm_clipped"], (13, 3))[0] < norms[0]
    assert changed.sum() == 1
    assert found.facts["clipped_steps_fraction"] >= 1 / 13
    assert 0 < found.facts["clipped_samples_fraction"] < found.facts["clipped_steps_fraction"]
    assert found.facts["clipped_samples_fraction"] * 39 == pytest.approx(
        round(found.facts["clipped_samples_fraction"] * 39)
    )


def test_the_loss_is_a_mean_over_the_batch() -> None:
    """Its gradient against differences of ½‖R h − y‖², by an output that is moved."""
    parameters = initialize("orthogonal", "rnn_linear", 2, 3, seed=1)
    inputs = np.random.default_rng(0).standard_normal((4, 5, 2))
    found = loss_gradient("rnn_linear", parameters, inputs, "all", 7)
    rng = np.random.default_rng([7, 4])
    readout = rng.standard_normal((3, 3)) / np.sqrt(3)
    targets = rng.standard_normal((4, 5, 3))
    output = run_forward("rnn_linear", parameters, inputs).states[0][1:]

    def loss(moved: np.ndarray) -> float:
        return float(0.5 * np.sum((moved @ readout.T - targets) ** 2, axis=2).mean(axis=1).sum())

    direction = rng.standard_normal(output.shape)
    difference = (loss(output + 1e-6 * direction) - loss(output - 1e-6 * direction)) / 2e-6
    assert np.sum(found * direction) == pytest.approx(difference, rel=1e-6)
    last = loss_gradient("rnn_linear", parameters, inputs, "last", 7)
    np.testing.assert_array_equal(last[-1], found[-1])
    assert not last[:-1].any()


def test_a_cosine_has_a_sign() -> None:
    one = {"a": np.array([3.0, 4.0]), "b": np.zeros(1)}
    other = {"a": np.array([-4.0, 0.0]), "b": np.array([3.0])}
    norms = Norm(one.values()), Norm(other.values())
    assert _cosine(one, other, *norms) == pytest.approx(-12 / 25)
    assert _cosine(one, {"a": np.zeros(2), "b": np.zeros(1)}, norms[0], Norm([np.zeros(3)])) is None


def test_the_loss_at_the_end_shows_the_vanishing_and_the_loss_at_all_steps_covers_it() -> None:
    last, everywhere = (
        measure(
            "clipping",
            cell=["rnn_tanh"],
            rule=["none"],
            loss=[loss],
            seq_len=[60],
            hidden_size=[16],
            seed=[0],
        )
        for loss in ("last", "all")
    )
    assert isinstance(last, Measured)
    assert isinstance(everywhere, Measured)
    assert np.mean(last.columns["log10_norm_unclipped"][-4:]) < -8
    assert np.mean(everywhere.columns["log10_norm_unclipped"][-4:]) > -3


@pytest.mark.parametrize(
    ("study", "axes", "complaint"),
    [
        ("gradient_decay", {"cell": ["lstn"]}, "did you mean 'lstm'"),
        ("gradient_decay", {"cell": ["lstm"], "initialization": ["ortogonal"]}, "did you mean 'orthogonal'"),
        ("gradient_decay", {"cell": ["lstm"], "inputs": ["nose"]}, "unknown inputs 'nose'"),
        ("gradient_decay", {"cell": ["lstm"], "seed": [-1]}, "greater than or equal to 0"),
        ("clipping", {"cell": ["lstm"], "rule": ["global"]}, "did you mean 'global_norm'"),
        ("clipping", {"cell": ["lstm"], "place": ["gate"]}, "unknown place 'gate'"),
        ("clipping", {"cell": ["lstm"], "threshold": [0.0]}, "greater than 0"),
    ],
)
def test_bad_axes_are_refused(study: str, axes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        points(study, **{**SMALL, **axes})
