"""Verdicts flow from the ledger: made-up runs that support each claim, contradict it, or split it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
import pytest

from harness.outcome import Measured, Outcome
from harness.report import write_report
from harness.report.claim import CLAIMS, DEPENDS, NOT_SUPPORTED, NOT_TESTED, SUPPORTED, UNDECIDED, Claim
from harness.report.claims_page import Judged, judge, page
from harness.report.frames import Run
from harness.report.summaries.gradient_decay import NORM
from tests.report.synthetic import Item, write_run
from tests.report.synthetic_claims import (
    LENGTH,
    SEEDS,
    cliff,
    clipped_pass,
    costing,
    decay,
    directions,
    language,
    peaks,
    plane,
    power,
    reaching,
    timed,
    training,
    updated,
)

LEARNERS = ("rnn_tanh", "lstm")


def verdicts(folder: Path, items: Iterable[Item]) -> dict[str, Judged]:
    run = Run.read(write_run(folder, list(items)))
    return {entry.claim.name: entry for entry in judge(run, [])}


def gates(*rates: float) -> list[Item]:
    """Cell paths of gates that see their biases alone (σ(0) exactly), and at work at b_f = 3, 5, …"""
    alone = decay(
        "lstm", "orthogonal", -math.log(2), block="cc", theory=-math.log(2), gain=0.0, inputs="zeros",
        forget_bias=0.0,
    )  # fmt: skip
    at_work = [
        decay("lstm", "orthogonal", rate, block="cc", forget_bias=3.0 + 2 * i) for i, rate in enumerate(rates)
    ]
    return [*alone, *(item for part in at_work for item in part)]


def learners(lstm: str, simple: str, seq_len: int = 50) -> list[Item]:
    return [
        *training("lstm", lstm, seq_len=seq_len, seeds=range(8)),
        *training("rnn_tanh", simple, seq_len=seq_len, seeds=range(8)),
    ]


def foretold(solved: float, unsolved: float, seq_len: int = 50) -> list[Item]:
    """log10 of the norm before of those that solve and of those that do not."""
    return [
        *training("lstm", "solved", norm=solved, seq_len=seq_len, seeds=range(8)),
        *training("rnn_tanh", "not solved", norm=unsolved, seq_len=seq_len, seeds=range(8)),
    ]


def exploding(clipped: str, vanishing: str) -> list[Item]:
    """Trainings that diverge without clipping and end so with it; and vanishing ones that are not solved
    without it and end so with it."""
    none = {"rule": "none", "threshold": None}
    return [
        *training("rnn_tanh", "diverged", gain=2.5, norm=5.0, seeds=range(8), **none),
        *training("rnn_tanh", clipped, gain=2.5, norm=5.0, seeds=range(8)),
        *training("rnn_tanh", "not solved", gain=0.5, norm=-9.0, seeds=range(8), **none),
        *training("rnn_tanh", vanishing, gain=0.5, norm=-9.0, seeds=range(8)),
    ]


def beside(gru: float, lstm: float, spread: float = 0.02) -> list[Item]:
    """Rates of a GRU and an LSTM under three starts, differing by as much from start to start."""
    starts = (("orthogonal", spread), ("gaussian", -spread), ("identity", spread / 5))
    return [
        item
        for start, shift in starts
        for part in (decay("gru", start, gru + shift), decay("lstm", start, lstm))
        for item in part
    ]


def skipping(gain: float, through: float, far: float = 1.0, cells: tuple[str, ...] = ("lstm",)) -> list[Item]:
    """Skips across time gain so many orders of magnitude, residual connections so many through depth and
    through time."""
    return [
        item
        for cell in cells
        for part in (
            reaching(cell, "1 layer", far=-9.0),
            reaching(cell, "1 layer, skip 8", far=-9.0 + gain),
            reaching(cell, "2 layers", far=-9.0, through=-3.0),
            reaching(cell, "2 layers, residual", far=-9.0 + far, through=-3.0 + through),
        )
        for item in part
    ]


CASES: list[tuple[str, str, list[Item]]] = [
    ("C1", SUPPORTED, [
        *decay("rnn_tanh", "orthogonal", -0.5, bound=-0.1),
        *decay("rnn_tanh", "gaussian", 0.2, bound=0.3),
    ]),
    ("C1", NOT_SUPPORTED, [
        *decay("rnn_tanh", "orthogonal", -0.05, bound=-0.1),
        *decay("rnn_tanh", "gaussian", 0.2, bound=0.3),
    ]),
    ("C1", DEPENDS, [
        *decay("rnn_tanh", "orthogonal", -0.5, bound=-0.1),
        *decay("rnn_tanh", "gaussian", -0.2, bound=0.3),
    ]),
    ("C2", SUPPORTED, [*power()]),
    ("C2", NOT_SUPPORTED, [*power(1.2, 0.8)]),
    ("C2", DEPENDS, [*power(2e4, 0.8)]),
    ("C3", SUPPORTED, [*cliff(1e4, served=())]),
    ("C3", NOT_SUPPORTED, [*cliff(3.0, served=(0.1,))]),
    ("C3", DEPENDS, [*cliff(1e4, served=(0.1,))]),
    ("C4", SUPPORTED, [
        *clipped_pass(9.0, 1.0, 0.1),
        *clipped_pass(9.0, 1.0, -0.1),
        *exploding("not solved", "not solved"),
    ]),
    ("C4", NOT_SUPPORTED, [
        *clipped_pass(9.0, 2.0, 0.1),
        *clipped_pass(9.0, 2.0, -0.1, raised=5.0),
        *exploding("diverged", "solved"),
    ]),
    ("C4", DEPENDS, exploding("not solved", "solved")),
    ("C5", SUPPORTED, [*decay("rnn_tanh", "orthogonal", -0.5), *decay("rnn_relu", "orthogonal", -0.1)]),
    ("C5", NOT_SUPPORTED, [*decay("rnn_tanh", "orthogonal", -0.5), *decay("rnn_relu", "orthogonal", -0.5)]),
    ("C5", DEPENDS, [
        *decay("rnn_tanh", "orthogonal", -0.5), *decay("rnn_relu", "orthogonal", -0.1),
        *decay("rnn_tanh", "gaussian", -0.5), *decay("rnn_relu", "gaussian", -0.9),
    ]),
    ("C6", SUPPORTED, [*decay("rnn_relu", "identity", 0.0), *decay("rnn_relu", "orthogonal", -1.0)]),
    ("C6", NOT_SUPPORTED, [*decay("rnn_relu", "identity", -0.5)]),
    ("C6", DEPENDS, [*decay("rnn_relu", "irnn", 0.0), *decay("rnn_tanh", "irnn", -0.5)]),
    ("C7", SUPPORTED, skipping(4.0, 1.0)),
    ("C7", NOT_SUPPORTED, skipping(-1.0, 0.0, 0.0)),
    ("C7", DEPENDS, skipping(4.0, -1.0)),
    ("C8", SUPPORTED, gates(0.0, 0.01)),
    ("C8", NOT_SUPPORTED, [*decay("lstm", "orthogonal", -0.9, block="cc", forget_bias=3.0)]),
    ("C8", DEPENDS, gates(0.0, 0.9)),
    ("C9", SUPPORTED, learners("solved", "not solved")),
    ("C9", NOT_SUPPORTED, learners("solved", "solved")),
    ("C9", DEPENDS, [*learners("solved", "not solved", 100), *learners("solved", "solved", 20)]),
    ("C10", SUPPORTED, [*beside(-0.3, -0.3), *language("gru", 2.5, 300.0), *language("lstm", 2.5, 400.0)]),
    ("C10", SUPPORTED, [  # a difference that is certain, and too small to matter
        *beside(-0.27, -0.3, spread=0.005), *language("gru", 2.5, 300.0), *language("lstm", 2.5, 400.0),
    ]),
    ("C10", NOT_SUPPORTED, [
        *beside(-0.3, -3.0),
        *language("gru", 2.5, 500.0),
        *language("lstm", 2.1, 400.0),
    ]),
    ("C10", DEPENDS, [*beside(-0.3, -3.0), *language("gru", 2.5, 300.0), *language("lstm", 2.5, 400.0)]),
    ("C11", SUPPORTED, [*training("lstm", "solved"), *training("lstm_peephole", "solved")]),
    ("C11", NOT_SUPPORTED, [
        *training("lstm", "solved", loss=0.005),
        *training("lstm_no_forget_gate", "not solved", loss=0.17),
    ]),
    ("C11", DEPENDS, [
        *training("lstm", "solved", loss=0.005), *training("lstm_no_forget_gate", "not solved", loss=0.17),
        *training("lstm_peephole", "solved", loss=0.005),
    ]),
    ("C12", SUPPORTED, [*foretold(-1.0, -9.0), *updated("rnn_tanh", -1.0)]),
    ("C12", NOT_SUPPORTED, [*foretold(-9.0, -1.0), *updated("rnn_tanh", -0.06)]),
    ("C12", DEPENDS, [
        *foretold(-1.0, -9.0),
        *foretold(-3.0, -9.0, 100),
        *training("gru", "solved", norm=-3.0, seq_len=100, seeds=range(24)),
    ]),
    ("C13", SUPPORTED, [*timed(4.2)]),
    ("C13", NOT_SUPPORTED, [*timed(1.2, flop=3.0)]),
    ("C13", DEPENDS, [*timed(1.2)]),
    ("C14", SUPPORTED, [*language("gru", 2.5, 400.0)]),
    ("C14", NOT_SUPPORTED, [*language("gru", 3.5, 4000.0)]),
    ("C14", DEPENDS, [*language("gru", 3.5, 4000.0), *language("lstm", 2.5, 4000.0)]),
    ("C15", SUPPORTED, [*reaching("lstm", "2 layers, both ways", later=3), *costing(4.1)]),
    ("C15", NOT_SUPPORTED, [*reaching("lstm", "2 layers, both ways", later=0, near=-9.0), *costing(9.0)]),
    ("C15", DEPENDS, [*reaching("lstm", "2 layers", through=-1.0), *costing(9.0)]),
]  # fmt: skip


OPEN: list[tuple[str, list[Item]]] = [
    ("C1", [  # the largest of twenty rates is above 0 by what chance gives it
        *decay("rnn_tanh", "orthogonal", -0.5, bound=-0.1),
        *(item for i in range(20) for item in decay("rnn_tanh", f"start_{i}", 0.004, bound=0.3)),
    ]),
    ("C4", [
        *training("rnn_tanh", "diverged", gain=2.5, seeds=range(3), rule="none", threshold=None),
        *training("rnn_tanh", "not solved", gain=2.5, seeds=range(3)),
    ]),
    ("C9", learners("not solved", "not solved")),
    ("C9", [  # three of three may be luck
        *training("lstm", "solved", seeds=range(3)), *training("rnn_tanh", "solved", seeds=range(3)),
    ]),
    ("C10", [*beside(-0.3, -0.3, spread=0.5)]),
    ("C10", [  # five of five unequal pairs may be chance
        *training("gru", "solved", seeds=range(5)), *training("lstm", "not solved", seeds=range(5)),
    ]),
    ("C13", [*timed(3.0, spread=1.5)]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "items"), OPEN, ids=[f"{name}-{i}" for i, (name, _) in enumerate(OPEN)])
def test_what_is_too_scattered_or_too_few_to_tell_is_undecided(
    name: str, items: list[Item], tmp_path: Path
) -> None:
    found = verdicts(tmp_path / "run", items)[name]
    assert found.word == UNDECIDED, found.finding
    assert found.verdict.startswith(UNDECIDED)
    shown = page([found])
    assert shown is not None
    assert f"1 is {UNDECIDED}" in shown.sentence
    assert UNDECIDED in [row[-1] for row in found.conditions.rows]


def test_what_a_claim_says_and_the_run_has_nothing_of_is_undecided(tmp_path: Path) -> None:
    found = verdicts(tmp_path / "run", decay("rnn_tanh", "orthogonal", -0.5, bound=-0.1))["C1"]
    assert (
        found.verdict
        == "undecided for β_W β_h > 1; holds for the bound at every lag and β_W β_h < 1 in rnn_tanh"
    )
    assert found.effect.endswith("no network had β_W β_h > 1")


def test_gradients_that_are_zero_are_not_kept(tmp_path: Path) -> None:
    """Of networks whose norm stays at 1 where it lives, the sequences in which it dies count."""
    kept = list(decay("rnn_relu", "identity", 0.0))
    half = [(case, _dead(outcome)) if i % 2 else (case, outcome) for i, (case, outcome) in enumerate(kept)]
    assert verdicts(tmp_path / "kept", kept)["C6"].word == SUPPORTED
    found = verdicts(tmp_path / "half", half)["C6"]
    assert found.word == UNDECIDED
    assert "sequences lose it altogether" in found.effect


def test_planes_count_where_the_network_in_the_middle_has_learned(tmp_path: Path) -> None:
    items = [*cliff(1e4, ()), *plane(500.0, 0.001), *plane(600.0, 0.002, seed=1), *plane(5.0, 0.166, seed=2)]
    found = verdicts(tmp_path / "run", items)["C3"]
    assert found.word == SUPPORTED
    assert found.finding is not None
    assert [(c.words, c.effect.units) for c in found.finding.conditions] == [
        ("one unit", 1), ("planes through trained gru at T=50", 2), ("the learning rates", 2),
    ]  # fmt: skip
    assert found.effect.endswith(
        "none serves every start within 1 step; left out, as the network in the middle had not learned: "
        "1 plane through gru at T=50"
    )


def test_networks_that_share_their_weights_count_once(tmp_path: Path) -> None:
    """Noise and text read by the networks of one seed: the interval is that over seeds."""
    items = [
        item
        for inputs in ("noise", "text")
        for cell, rate in (("rnn_tanh", -0.5), ("rnn_relu", -0.1))
        for item in decay(cell, "identity", rate, bound=0.2, inputs=inputs)
    ]
    found = verdicts(tmp_path / "run", items)
    for name in ("C1", "C5", "C6"):
        finding = found[name].finding
        assert finding is not None
        units = {(c.effect.units, c.effect.unit) for c in finding.conditions if c.words[:9] != "the bound"}
        assert units == {(len(SEEDS), "seed")}, name


def test_each_cell_is_held_against_the_bound_for_itself(tmp_path: Path) -> None:
    items = [
        *decay("rnn_tanh", "orthogonal", -0.5, bound=-0.1),
        *decay("rnn_tanh", "gaussian", 0.2, bound=0.3),
        *decay("rnn_relu", "orthogonal", -0.3, bound=-0.2),
        *decay("rnn_relu", "gaussian", -0.2, bound=0.3),
    ]
    found = verdicts(tmp_path / "run", items)["C1"].finding
    assert found is not None
    assert [(c.words, round(c.effect.value, 2)) for c in found.conditions[1:]] == [
        ("β_W β_h < 1 in rnn_tanh", -0.5),
        ("β_W β_h < 1 in rnn_relu", -0.3),
        ("β_W β_h > 1 where it grows most, in rnn_tanh", 0.2),
    ]


def test_a_norm_that_is_zero_as_its_bound_is_lies_under_it(tmp_path: Path) -> None:
    zero = -math.inf
    found = verdicts(tmp_path / "run", decay("rnn_tanh", "orthogonal", zero, bound=zero))["C1"].finding
    assert found is not None
    bound = found.conditions[0]
    assert (bound.words, bound.effect.value, bound.holds) == ("the bound at every lag", 0.0, True)


def test_a_least_ratio_that_was_matched_is_told_as_one(tmp_path: Path) -> None:
    """Two of three networks are matched by counting in 2 bits, and the best counting model is that one."""
    found = verdicts(tmp_path / "run", language("gru", 2.0, 400.0))["C14"]
    assert "at least 250× (3 networks)" in found.effect
    assert "more than" not in found.effect


def test_planes_of_which_nothing_says_whether_they_learned_are_named_so(tmp_path: Path) -> None:
    """As in a ledger from before the loss in the middle was recorded."""
    older = []
    for case, outcome in plane(5.0, 0.001):
        assert isinstance(outcome, Measured)
        facts = {k: v for k, v in outcome.facts.items() if k not in ("centre_loss", "baseline")}
        older.append((case, Measured(outcome.columns, facts)))
    found = verdicts(tmp_path / "run", [*cliff(1e4, ()), *older])["C3"]
    assert (
        "left out, as nothing says whether the network in the middle had learned: 1 plane"
        in found.tested + found.effect
    )
    assert "had not learned" not in found.tested + found.effect


def test_one_start_alone_does_not_show_that_a_gru_decays_alike(tmp_path: Path) -> None:
    items = [item for cell in ("gru", "lstm") for item in decay(cell, "orthogonal", -0.3, seeds=(0,))]
    found = verdicts(tmp_path / "run", items)["C10"].finding
    assert found is not None
    assert [c.holds for c in found.conditions if c.words == "decay"] == [None]


def test_above_one_it_can_grow_and_need_not(tmp_path: Path) -> None:
    items = [
        *decay("rnn_tanh", "orthogonal", -0.5, bound=-0.1),
        *decay("rnn_tanh", "gaussian", 0.2, bound=0.3),
        *decay("rnn_relu", "gaussian", -0.2, bound=0.3),
    ]
    assert verdicts(tmp_path / "run", items)["C1"].word == SUPPORTED


def test_a_norm_that_stays_may_be_that_of_few_directions(tmp_path: Path) -> None:
    """One unit that lives keeps the spectral norm at 1."""
    items = [*decay("rnn_relu", "identity", 0.0), *directions("rnn_relu", alive=2, of=32)]
    found = verdicts(tmp_path / "run", items)["C6"]
    assert found.verdict == (
        "depends on the activation and what is kept: holds for the norm in rnn_relu; not for most directions "
        "in rnn_relu"
    )
    assert "share of singular values above 1 % at lag 64: most directions in rnn_relu: 6.2 %" in found.effect
    varied = [
        item
        for seed, alive in enumerate((0, 1, 6))
        for item in directions("rnn_relu", alive=alive, of=32, seeds=(seed,))
    ]
    effect = verdicts(tmp_path / "varied", [*decay("rnn_relu", "identity", 0.0), *varied])["C6"].effect
    assert "(95 % interval 0 % to " in effect  # a share is never below none


def test_open_gates_are_shown_to_let_through_and_not_excused_by_scatter(tmp_path: Path) -> None:
    """The limit is ln 100 over the longest lag; an interval that leaves it tells nothing."""
    limit = math.log(100.0) / LENGTH

    def at_work(*rates: float, beside: Sequence[Item] = tuple(gates())) -> Judged:
        networks_ = [
            item
            for seed, rate in enumerate(rates)
            for batch in (1, 4)
            for item in decay(
                "lstm", "orthogonal", rate, block="cc", forget_bias=5.0, seeds=(seed,), batch_size=batch
            )
        ]
        folder = tmp_path / f"{len(beside)}_{'_'.join(map(str, rates))}"
        return verdicts(folder, [*beside, *networks_])["C8"]

    held = at_work(0.01, 0.011, 0.012)
    assert held.word == SUPPORTED
    assert "b_f = 5 (nats per step, within ±0.115): 0.0110" in held.effect
    assert "3 seeds" in held.effect
    assert held.effect.endswith("; with b_f = 5 it grows")
    assert at_work(-limit, 0.0, limit).word == UNDECIDED
    assert at_work(2.0 * limit, 2.01 * limit, 2.02 * limit).word == DEPENDS
    alone = at_work(0.01, 0.011, 0.012, beside=())
    assert alone.verdict == "undecided for gates that see their biases alone; holds for b_f = 5"
    half = verdicts(tmp_path / "half", gates())["C8"].verdict
    assert half.startswith("undecided for open gates in networks at work; holds for gates that see")


def test_a_ratio_without_an_interval_is_undecided(tmp_path: Path) -> None:
    once = [(case, outcome) for case, outcome in timed(4.0) if case.replicate == 0]
    found = verdicts(tmp_path / "run", once)["C13"]
    assert found.verdict == "undecided for time of training on numpy; holds for arithmetic"
    assert found.effect.endswith("arithmetic 4.0×; time of training on numpy 4.0× (no interval)")
    found = verdicts(tmp_path / "thrice", timed(4.2))["C13"]
    assert "time of training on numpy 4.2× (4.2× to 4.2×)" in found.effect


def test_sizes_that_all_processes_have_give_an_interval(tmp_path: Path) -> None:
    """A long sequence that one process alone had time for takes no interval away."""
    items = [
        *timed(4.2),
        *(item for item in timed(4.2, seq_len=512) if item[0].replicate == 0),
        *(item for item in timed(4.2, seq_len=256) if item[0].replicate == 1),
    ]
    found = verdicts(tmp_path / "run", items)["C13"].finding
    assert found is not None
    assert found.conditions[-1].effect.units == 3
    assert found.conditions[-1].holds


def test_parameters_are_counted_beside_arithmetic(tmp_path: Path) -> None:
    items = [
        *timed(4.2), *costing(4.1, cell="lstm", parameters=400),
        *costing(4.1, cell="rnn_tanh", parameters=100),
    ]  # fmt: skip
    found = verdicts(tmp_path / "run", items)["C13"].finding
    assert found is not None
    assert [c.words for c in found.conditions] == ["arithmetic", "parameters", "time of training on numpy"]
    assert found.conditions[1].holds


def test_memory_of_outputs_alone_is_said_to_be_that(tmp_path: Path) -> None:
    def remembered(**slopes: float) -> list[Item]:
        return [item for cell in ("lstm", "rnn_tanh") for item in peaks(cell, bytes_per_step=slopes[cell])]

    found = verdicts(tmp_path / "outputs", remembered(lstm=4 * 8, rnn_tanh=4 * 8))["C13"]
    assert found.effect.endswith("; inference on numba keeps the outputs alone, which are as large in both")
    found = verdicts(tmp_path / "more", remembered(lstm=4 * 32, rnn_tanh=4 * 8))["C13"]
    assert "keeps the outputs" not in found.effect


def test_a_structure_is_judged_once_for_its_reach_and_once_on_each_backend(tmp_path: Path) -> None:
    items = [
        *reaching("lstm", "2 layers, both ways", later=4), *reaching("gru", "2 layers, both ways", later=2),
        *reaching("lstm", "2 layers", through=-1.0), *reaching("gru", "2 layers", through=-5.0),
        *costing(4.1, cell="lstm"), *costing(4.2, cell="gru"),
    ]  # fmt: skip
    found = verdicts(tmp_path / "run", items)["C15"].finding
    assert found is not None
    assert [(c.words, c.holds, c.effect.units) for c in found.conditions] == [
        ("2 layers + both ways (earlier)", True, 3),
        ("2 layers + both ways (later)", False, 3),
        ("2 layers (to the first layer)", False, 3),
        ("2 layers + both ways on numba", True, 3),
    ]


def test_skips_say_how_far_they_carry_and_what_they_cost(tmp_path: Path) -> None:
    found = verdicts(tmp_path / "run", skipping(4.0, 1.0, -2.0))["C7"]
    assert found.verdict.endswith("; not for residual connections through time in lstm")
    assert found.effect.endswith(
        "; 0 of 3 networks with skips across time keep 1 % beyond three quarters of the longest lag"
    )
    carried = verdicts(tmp_path / "carried", skipping(8.0, 1.0, 1.0))["C7"]
    assert carried.word == SUPPORTED
    assert "; 3 of 3 networks with skips" in carried.effect


def _dead(outcome: Outcome | None) -> Measured:
    assert isinstance(outcome, Measured)
    dead = [
        -math.inf if lag else norm
        for lag, norm in zip(*(outcome.columns[n] for n in ("lag", NORM)), strict=True)
    ]
    return Measured({**outcome.columns, NORM: dead}, outcome.facts)


def test_noise_cannot_support_a_claim(tmp_path: Path) -> None:
    """The same mean, measured well and measured badly: only the first says "about four times"."""
    steady = verdicts(tmp_path / "steady", timed(4.0))["C13"]
    loose = verdicts(tmp_path / "loose", timed(3.0, spread=1.33))["C13"]
    assert steady.word == SUPPORTED
    assert loose.word == UNDECIDED


def test_clipping_is_judged_place_by_place_and_a_network_counts_once(tmp_path: Path) -> None:
    none = {"rule": "none", "threshold": None}
    items = [
        *training("rnn_tanh", "diverged", gain=2.5, norm=5.0, seeds=range(6), **none),
        *(
            item
            for threshold in (0.1, 1.0, 10.0)
            for place, end in (("parameters", "not solved"), ("state", "diverged"))
            for item in training(
                "rnn_tanh", end, gain=2.5, norm=5.0, seeds=range(6), place=place, threshold=threshold
            )
        ),
    ]
    found = verdicts(tmp_path / "run", items)["C4"].finding
    assert found is not None
    assert [
        (c.words.rpartition(" on ")[2], c.effect.value, c.effect.units, c.holds) for c in found.conditions
    ] == [
        ("parameters", 1.0, 6, True),
        ("the state", 0.0, 6, False),
    ]


def clipped_each(
    ends: dict[float, str], place: str = "parameters", unclipped: str = "diverged", **axes: object
) -> list[Item]:
    """Six networks without clipping, and by threshold how they end with it."""
    none = training("rnn_tanh", unclipped, seeds=range(6), rule="none", threshold=None, **axes)
    clipped = [
        training("rnn_tanh", end, seeds=range(6), place=place, threshold=threshold, **axes)
        for threshold, end in ends.items()
    ]
    return [item for part in (none, *clipped) for item in part]


def test_the_best_threshold_of_a_network_counts(tmp_path: Path) -> None:
    """One that solves is enough, however many do not: most of the thresholds hid it."""
    items = clipped_each(
        {0.1: "not solved", 1.0: "solved", 10.0: "not solved"}, unclipped="not solved", norm=-9.0
    )
    found = verdicts(tmp_path / "run", items)["C4"].finding
    assert found is not None
    (condition,) = found.conditions
    assert (condition.words, condition.effect.value, condition.holds) == (
        "vanishing in training clipped on parameters", 1.0, False,
    )  # fmt: skip


def test_whoever_is_kept_from_exploding_need_not_solve_its_task(tmp_path: Path) -> None:
    items = clipped_each({1.0: "not solved"}, gain=1.5, norm=5.0)
    found = verdicts(tmp_path / "run", items)["C4"].finding
    assert found is not None
    (condition,) = found.conditions
    assert condition.quantity == "of networks that explode, do not when clipped – none of 6 solve the task"


def test_a_network_that_ends_far_above_knowing_nothing_has_exploded(tmp_path: Path) -> None:
    """Whether its numbers overflowed within the steps it had or not."""
    items = clipped_each({1.0: "not solved"}, gain=1.5, unclipped="not solved", loss=1e9)
    found = verdicts(tmp_path / "run", items)["C4"].finding
    assert found is not None
    (condition,) = found.conditions
    assert (condition.words, condition.effect.value) == ("explosion in training clipped on parameters", 0.0)


def test_networks_that_certainly_fare_differently_are_judged_one_by_one(tmp_path: Path) -> None:
    """Of one gain all explode when clipped on the state, of the others none: no mean says that."""
    items = [
        *clipped_each({1.0: "not solved"}, gain=1.5, norm=5.0, place="state"),
        *clipped_each({1.0: "diverged"}, gain=2.5, norm=5.0, place="state"),
    ]
    found = verdicts(tmp_path / "run", items)["C4"].finding
    assert found is not None
    assert [(c.words, c.effect.units, c.holds) for c in found.conditions] == [
        ("explosion in training of gain 1.5, clipped on the state", 6, True),
        ("explosion in training of gain 2.5, clipped on the state", 6, False),
    ]
    alike = [
        *clipped_each({1.0: "not solved"}, gain=1.5, norm=5.0),
        *clipped_each({1.0: "not solved"}, gain=2.5, norm=5.0),
    ]
    together = verdicts(tmp_path / "alike", alike)["C4"].finding
    assert together is not None
    assert [(c.words, c.effect.units) for c in together.conditions] == [
        ("explosion in training clipped on parameters", 12)
    ]


def test_what_holds_by_construction_does_not_support_a_claim(tmp_path: Path) -> None:
    items = [*clipped_pass(9.0, 1.0, 0.1), *clipped_pass(9.0, 1.0, -0.1)]
    assert verdicts(tmp_path / "run", items)["C4"].verdict == (
        "undecided for explosion in training and vanishing in training; holds for explosion (check of one "
        "pass) and vanishing (check of one pass)"
    )


def test_the_best_start_of_each_cell_is_held_against_the_other(tmp_path: Path) -> None:
    """An LSTM that learns under a start that no simple RNN has still learns it."""
    items = [
        *training("lstm", "solved", initialization="chrono", seq_len=100),
        *training("lstm", "not solved", seq_len=100),
        *(item for start in ("orthogonal", "identity", "irnn", "gaussian", "xavier_uniform")
          for item in training("rnn_tanh", "not solved", initialization=start, seq_len=100)),
    ]  # fmt: skip
    found = verdicts(tmp_path / "run", items)["C9"]
    assert found.word == SUPPORTED
    assert "LSTM 3 of 3 (lstm, chrono, global_norm 1), simple RNN 0 of 15 (5 settings alike)" in found.effect


def test_who_was_trained_longer_is_held_against_who_was_too(tmp_path: Path) -> None:
    """An LSTM solves after many steps what neither solves after few: two conditions, and not one half."""
    items = [
        *training("lstm", "not solved", seeds=range(6)), *training("rnn_tanh", "not solved", seeds=range(6)),
        *training("lstm", "solved", seeds=range(6), steps=900),
        *training("rnn_tanh", "not solved", seeds=range(6), steps=900),
    ]  # fmt: skip
    found = verdicts(tmp_path / "run", items)["C9"].finding
    assert found is not None
    assert [(c.words, c.effect.value, c.holds) for c in found.conditions] == [
        ("adding at T=50 (200 steps of B=4)", 0.0, None),
        ("adding at T=50 (900 steps of B=4)", 1.0, True),
    ]
    assert "95 % interval" in found.effect


def test_a_network_under_several_clippings_is_one_that_had_vanished(tmp_path: Path) -> None:
    items = [
        *training("rnn_tanh", "not solved", norm=-9.0, seeds=range(4), rule="none", threshold=None),
        *training("rnn_tanh", "not solved", norm=-9.0, seeds=range(4)),
        *training("rnn_tanh", "solved", norm=-9.0, seeds=range(4), threshold=0.1),
    ]
    found = verdicts(tmp_path / "run", items)["C12"].finding
    assert found is not None
    effects = [c.effect for c in found.conditions if c.words == "adding at T=50 where it had vanished"]
    assert [(effect.value, effect.units, effect.unit) for effect in effects] == [(1.0, 4, "network")]


def test_a_variant_stands_beside_the_lstm_of_its_own_forget_bias_once(tmp_path: Path) -> None:
    items = [
        *training("lstm_peephole", "solved", seeds=range(4)),
        *training("lstm", "solved", seeds=range(4)),
        *training("lstm", "not solved", seeds=range(4), forget_bias=1.0),
    ]
    found = verdicts(tmp_path / "run", items)["C11"].finding
    assert found is not None
    assert [(c.effect.units, c.effect.value) for c in found.conditions] == [(4, 0.0)]


def counted_by(orders: list[tuple[float, float]], items: Iterable[Item]) -> list[Item]:
    """The same networks beside counting models with these bits in so many bytes."""
    changed = []
    for case, outcome in items:
        assert isinstance(outcome, Measured)
        bits, sizes = zip(*orders, strict=True)
        columns = {
            "quantity": ["held_out", *("ngram" for _ in orders)],
            "step": [60, *(None for _ in orders)],
            "order": [None, *range(1, len(orders) + 1)],
            "bits_per_character": [outcome.facts["final_bits_per_character"], *bits],
            "memory_bytes": [None, *sizes],
            "entries": [None, *(10 for _ in orders)],
            "seconds": [1.0, *(None for _ in orders)],
        }
        changed.append((case, Measured(columns, outcome.facts)))
    return changed


def test_a_network_that_no_counting_matches_is_held_against_the_best(tmp_path: Path) -> None:
    """Not against the largest, which may be worse; of two that are equally good, against the smaller."""
    orders = [(3.0, 1e3), (2.0, 8e3), (2.0, 9e3), (2.1, 1e5)]
    found = verdicts(tmp_path / "run", counted_by(orders, language("gru", 1.5, 1e3)))["C14"].finding
    assert found is not None
    (condition,) = found.conditions
    assert (condition.effect.value, condition.holds) == (8.0, True)
    assert "more than 8.0× (3 networks)" in found.effect
    assert "counting takes 2.00 bits at its best, in 7.81 KiB" in found.effect
    # less memory than the best has, which is worse, says nothing of what one as good would need
    larger = verdicts(tmp_path / "larger", counted_by(orders, language("gru", 1.5, 1e4)))["C14"]
    assert larger.verdict == UNDECIDED


def test_a_ratio_without_spread_has_no_interval(tmp_path: Path) -> None:
    """Counting models come in steps: networks as good as one of them are alike, not known to be alike."""
    same = verdicts(tmp_path / "same", language("gru", 2.5, 400.0))["C14"].finding
    split = verdicts(tmp_path / "split", language("gru", 3.0, 400.0))["C14"].finding
    assert same is not None
    assert split is not None
    assert "interval" not in same.effect
    assert "interval" in split.effect


@pytest.mark.parametrize(
    ("name", "word", "items"), CASES, ids=[f"{name}-{word.replace(' ', '-')}" for name, word, _ in CASES]
)
def test_the_ledger_alone_decides(name: str, word: str, items: list[Item], tmp_path: Path) -> None:
    found = verdicts(tmp_path / "run", items)
    assert not [entry.problem for entry in found.values() if entry.problem]
    assert found[name].word == word, found[name].finding
    assert found[name].effect
    assert "nan" not in f"{found[name].effect} {found[name].verdict}"


def test_every_claim_has_a_ledger_of_each_kind() -> None:
    tried = {(name, word) for name, word, _ in CASES}
    assert tried == {(name, word) for name in CLAIMS for word in (SUPPORTED, NOT_SUPPORTED, DEPENDS)}


def test_what_has_no_rows_is_not_tested_and_says_what_would_test_it(tmp_path: Path) -> None:
    found = verdicts(tmp_path / "run", power())
    assert {name for name, entry in found.items() if entry.word != NOT_TESTED} == {"C2"}
    assert found["C9"].effect == "no rows of learning for it in this run"
    shown = page(list(found.values()))
    assert shown is not None
    others = [f"C{i}" for i in range(1, 16) if i != 2]
    assert shown.sentence == (
        "Of 15 claims, 1 is supported and 14 are not tested "
        f"(no rows for {', '.join(others[:-1])} and {others[-1]})."
    )
    assert [entry.claim.name for entry in shown.judged] == ["C2"]


def test_a_run_that_tests_nothing_has_no_such_page(tmp_path: Path) -> None:
    found = verdicts(tmp_path / "run", [])
    assert page(list(found.values())) is None


def test_the_verdict_names_what_it_depends_on(tmp_path: Path) -> None:
    items = next(items for name, word, items in CASES if (name, word) == ("C5", DEPENDS))
    found = verdicts(tmp_path / "run", items)["C5"]
    assert found.verdict == "depends on the initialization: holds for orthogonal; not for gaussian"
    assert found.finding is not None
    orthogonal, gaussian = found.finding.conditions
    assert orthogonal.effect.value == pytest.approx(0.4)
    assert (gaussian.effect.value, gaussian.effect.units) == (pytest.approx(-0.4), len(SEEDS))


def test_fewer_weights_alone_say_nothing_of_a_gru(tmp_path: Path) -> None:
    smaller = [*language("gru", 2.5, 300.0, seeds=(0,)), *language("lstm", 2.5, 400.0, seeds=(0,))]
    assert verdicts(tmp_path / "run", smaller)["C10"].word == NOT_TESTED


def test_the_page_comes_first_and_its_claims_lead_to_their_sections(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", [*power(), *cliff(1e4, ()), *learners("solved", "not solved")])
    write_report(folder)
    html = (folder / "report.html").read_text(encoding="utf-8")
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert html.index('<section id="claims">') < html.index('<section class="short"')
    assert markdown.index("Which claims does this run support?") < markdown.index("## In short")
    for name, section in (("c2", "error_surface"), ("c9", "learning")):  # the details, and the numbers
        assert f'<a class="name" href="#claim-{name}">{name.upper()}</a>' in html
        assert f'id="claim-{name}"' in html
        assert f'<a href="#{section}">{section}</a>' in html
        assert f'<section id="{section}">' in html
        assert f"| [{name.upper()}](#claim-{name}) |" in markdown
        assert f'<a id="claim-{name}"></a>' in markdown
        assert f"[{section}](#{section})" in markdown
        assert f'<a id="{section}"></a>' in markdown
    for name in CLAIMS:
        assert name in markdown
    rows = pd.read_csv(folder / "tables" / "claims.csv")
    assert list(rows["claim"]) == [f"C{i}" for i in range(1, 16)]
    assert dict(zip(rows["claim"], rows["verdict"], strict=True))["C9"] == SUPPORTED
    conditions = pd.read_csv(folder / "tables" / "claims_summary.csv")
    assert set(conditions["claim"]) == {"C2", "C3", "C9"}


def test_a_claim_that_raises_is_named_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: Run) -> None:
        raise ValueError("<b>no</b>")

    own = Claim("C2", "text", "rule", ("error_surface",), "error_surface", broken)
    CLAIMS.discover()
    monkeypatch.setitem(CLAIMS._items, "C2", own)
    found = verdicts(tmp_path / "run", [*power(), *cliff(1e4, ())])
    assert found["C2"].word == NOT_TESTED
    assert found["C2"].effect == "could not be judged: ValueError: <b>no</b>"
    assert found["C3"].word == SUPPORTED
    write_report(tmp_path / "run")
    assert "<b>no</b>" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_no_claim_stumbles_over_a_whole_run(run: Run) -> None:
    found = judge(run, [])
    assert not [entry.problem for entry in found if entry.problem]
    assert {entry.claim.name for entry in found if entry.finding} >= {"C1", "C4", "C10", "C13"}


def test_names_from_outside_stay_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>|*a*"
    folder = write_run(tmp_path / "run", [
        *training("lstm", "solved", task=hostile), *training("rnn_tanh", "not solved", task=hostile),
        *timed(1.0, backend=hostile),
    ])  # fmt: skip
    page_of_it = write_report(folder).read_text(encoding="utf-8")
    assert "<script" not in page_of_it
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    rows = [line for line in markdown.splitlines() if re.match(r"\| (\[C\d+\]|C\d+)", line)]
    verdicts_of_all = pd.read_csv(folder / "tables" / "claims.csv")["verdict"]
    assert len(verdicts_of_all) == len(CLAIMS)
    assert len(rows) == (verdicts_of_all != NOT_TESTED).sum() > 1
    for row in rows:
        assert "<script" not in row
        assert len(re.findall(r"(?<!\\)\|", row)) == 6
    for row in (line for line in markdown.splitlines() if line.endswith((" yes |", " undecided |"))):
        assert "<script" not in row
        assert len(re.findall(r"(?<!\\)\|", row)) == 7  # a condition
