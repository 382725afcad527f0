"""The simulation that vouches for the statistics, and that it would not vouch for wrong ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.case import Case
from harness.report import simulation
from harness.report.frames import Run
from harness.report.pairs import Process, pair_ratios
from harness.report.sections.certainty import answer
from harness.report.simulation import (
    FalsePositives,
    Spread,
    condensed,
    coverage,
    coverage_of_ratios,
    false_positives,
    power,
    samples_in_turn,
)
from harness.report.statistics import Estimate, estimate
from harness.report.summaries import certainty as summary
from harness.report.summaries.certainty import certainty
from harness.report.verdicts import paired_ratio
from tests.report.synthetic import sizes, write_run
from tests.report.test_unit_of_statistics import measured

USUAL = Spread(processes=0.04, pairs=0.03, within=0.01, drift=0.01)


@pytest.mark.parametrize("replicates", [3, 5, 10])
def test_intervals_cover_the_truth(replicates: int) -> None:
    assert coverage(USUAL, replicates) >= 0.93
    assert coverage_of_ratios(USUAL, replicates) >= 0.93


def test_identical_code_is_rarely_called_different() -> None:
    found = false_positives(USUAL, 3, comparisons=30)
    assert found.of_comparisons <= 0.05
    assert found.of_grids <= 0.08  # 5 %, and the error of 300 trials


def test_a_tenth_is_found_by_five_processes() -> None:
    assert power(USUAL, 5, 0.10) >= 0.9


def test_power_grows_with_processes_and_with_the_slowdown() -> None:
    wide = Spread(0.05, 0.07, 0.01)
    assert power(wide, 10, 0.1) > power(wide, 3, 0.1) + 0.1
    assert power(wide, 5, 0.2) > power(wide, 5, 0.05) + 0.1
    assert power(USUAL, 10, 0.0) <= 0.05


def test_the_same_seed_gives_the_same_figures() -> None:
    assert coverage(USUAL, 3, trials=200) == coverage(USUAL, 3, trials=200)
    assert coverage(USUAL, 3, trials=200) != coverage(USUAL, 3, trials=200, seed=1)


def simulated(spread: Spread) -> tuple[list[Process], list[Process]]:
    theirs, ours = samples_in_turn(np.random.default_rng(0), 2, (1, 20_000), spread)
    return condensed(theirs)[0], condensed(ours)[0]


def test_simulated_processes_and_pairs_have_the_spread_that_was_asked_for() -> None:
    theirs, ours = simulated(Spread(processes=0.2, pairs=0.05, within=0.0, drift=0.0))
    times = np.log([process.seconds for process in ours])
    ratios = np.log(list(pair_ratios(dict(enumerate(theirs)), dict(enumerate(ours))).values()))
    assert times.std() == pytest.approx(0.2, rel=0.03)
    assert ratios.std() == pytest.approx(0.05, rel=0.03)
    assert times.mean() == pytest.approx(0.0, abs=5e-3)
    assert ratios.mean() == pytest.approx(0.0, abs=2e-3)


def test_what_both_sides_meet_costs_no_power() -> None:
    """A machine whose processes differ by a third, and whose rounds drift by as much: pairs cancel it."""
    restless = Spread(processes=0.35, pairs=0.03, within=0.01, drift=0.3)
    assert power(restless, 5, 0.10) >= 0.9
    assert false_positives(restless, 3, comparisons=30, trials=100).of_comparisons <= 0.05
    # nothing cancels where a pair's spread is that of two processes
    assert power(Spread(0.35, 0.5, 0.01, 0.3), 5, 0.10) < 0.2


def test_pairs_across_replicates_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if each process were divided by one of another replicate."""

    def crossed(theirs: dict[int, Process], ours: dict[int, Process]) -> Estimate:
        moved = dict(zip(ours, [*list(ours.values())[1:], ours[0]], strict=True))
        return paired_ratio(theirs, moved)

    monkeypatch.setattr(simulation, "paired_ratio", crossed)
    assert power(Spread(processes=0.35, pairs=0.03, within=0.01, drift=0.01), 5, 0.10) < 0.3


def test_pairs_across_rounds_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the medians of processes were divided, whatever the rounds: drift then drowns a tenth."""
    spread = Spread(processes=0.35, pairs=0.03, within=0.01, drift=0.5)
    assert power(spread, 5, 0.10) >= 0.9
    real = simulation.condensed

    rng = np.random.default_rng(0)

    def shuffled(samples: np.ndarray) -> list[list[Process]]:
        return [
            [
                Process(p.seconds, dict(zip(rng.permutation(5).tolist(), p.rounds.values(), strict=True)))
                for p in trial
            ]
            for trial in real(samples)
        ]

    monkeypatch.setattr(simulation, "condensed", shuffled)
    assert power(spread, 5, 0.10) < 0.5


@pytest.mark.parametrize("trials", [400])
def test_intervals_that_are_too_narrow_would_be_caught(monkeypatch: pytest.MonkeyPatch, trials: int) -> None:
    """As if each round were an observation of its own."""

    def by_rounds(theirs: dict[int, Process], ours: dict[int, Process]) -> Estimate:
        return estimate([theirs[r].rounds[i] / ours[r].rounds[i] for r in theirs for i in theirs[r].rounds])

    monkeypatch.setattr(simulation, "paired_ratio", by_rounds)
    assert coverage_of_ratios(USUAL, 3, trials=trials) < 0.8


def test_an_interval_over_pooled_samples_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if 30 repeats in each of 3 processes were 90 observations: it covers the truth far too rarely."""

    def pooled(values: np.ndarray) -> Estimate:
        logs = np.repeat(np.log(values), 30)
        half = 1.987 * logs.std(ddof=1) / np.sqrt(len(logs))
        return Estimate(1.0, np.exp(logs.mean() - half), np.exp(logs.mean() + half), 0.0, len(logs))

    monkeypatch.setattr(simulation, "estimate", pooled)
    assert coverage(USUAL, 3, trials=500) < 0.5


def test_a_grid_without_correction_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    corrected = simulation.judge
    monkeypatch.setattr(
        simulation, "judge", lambda listed: [verdict for one in listed for verdict in corrected([one])]
    )
    # without the correction, some comparison of nearly every grid is called different
    assert false_positives(Spread(0.05, 0.07, 0.01), 5, comparisons=60, trials=60).of_grids > 0.5


@pytest.mark.parametrize("spread", [(-0.1, 0.0, 0.0), (0.0, float("nan"), 0.0), (0.0, 0.0, 0.0, -1.0)])
def test_a_spread_is_a_number(spread: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="spread"):
        Spread(*spread)


def timed_run(folder: Path, between: float, *, facts: dict[str, object] | None = None) -> Run:
    """Two backends at 40 sizes in 4 processes each; replicates differ by half, which pairs cancel."""
    rng = np.random.default_rng(0)
    listed = []
    for seq_len in range(1, 41):
        for backend in ("torch", "numba"):
            for replicate in range(4):
                level = np.exp(between * rng.standard_normal()) * 1.5**replicate
                samples = [level * f for f in (0.99, 1.0, 1.01, 1.0, 0.98, 1.02)]
                axes = {**sizes(backend, "gru", seq_len, 1), "pass": "inference"}
                listed.append((Case("throughput", axes, replicate), measured(samples, **(facts or {}))))
    return Run.read(write_run(folder, listed))


def test_the_spread_of_pairs_is_not_that_between_replicates(tmp_path: Path) -> None:
    found = certainty(timed_run(tmp_path, 0.03))
    assert found is not None
    assert found.spread.pairs == pytest.approx(0.03 * 2**0.5, rel=0.15)
    assert found.spread.processes > 0.4  # of four replicates, each half as long again as the one before
    assert 0.005 < found.spread.within < 0.03
    assert (found.replicates, found.comparisons) == (4, 40)
    assert found.coverage >= 0.93


@pytest.fixture
def foregone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No simulation, where its figures are not what is looked at."""
    for name in ("coverage", "coverage_of_ratios", "power"):
        monkeypatch.setattr(summary, name, lambda *_, **__: 0.95)
    monkeypatch.setattr(summary, "false_positives", lambda *_, **__: FalsePositives(0.0, 0.0))


@pytest.mark.usefixtures("foregone")
def test_the_appendix_says_what_can_be_found_and_what_was_disturbed(tmp_path: Path) -> None:
    run = timed_run(tmp_path, 0.02, facts={"unstable": "load: others", "attempts": 3, "disturbed": "<b>"})
    found = answer(run)
    assert found is not None
    assert "a slowdown of 10 % is found by 3 processes in" in found.sentence
    assert found.sentence.endswith("; 320 of 320 timings (100 %) stayed unstable.")
    assert found.table is not None
    assert len(found.table.rows) == 320
    assert found.table.rows[0][2:] == ("3", "load: others", "<b>")


@pytest.mark.usefixtures("foregone")
def test_a_recorded_self_test_is_shown_as_text(tmp_path: Path) -> None:
    run = timed_run(tmp_path, 0.02)
    rows = [{"name": "clock", "target": "≤ 1", "got": "<script>", "verdict": "pass"}, {"name": None}]
    found = answer(replace(run, facts={**run.facts, "selftest": {"made_at": "today", "rows": rows}}))
    assert found is not None
    assert any("self-test on this machine (today): 1 pass" in sentence for sentence in found.details)
    assert any("clock: target ≤ 1, got <script>" in sentence for sentence in found.details)


@pytest.mark.parametrize("selftest", [None, 7, "text", {"rows": 3}, {"rows": ["a"]}, {"rows": [None]}])
@pytest.mark.usefixtures("foregone")
def test_a_recorded_self_test_that_is_none_is_passed_over(tmp_path: Path, selftest: object) -> None:
    run = timed_run(tmp_path, 0.02)
    found = answer(replace(run, facts={**run.facts, "selftest": selftest}))
    assert found is not None
    assert not any("Self-test" in sentence for sentence in found.details)


@pytest.mark.usefixtures("foregone")
def test_a_backend_whose_threads_stand_behind_each_other_is_named(tmp_path: Path) -> None:
    shares = {"torch": 0.2, "numba": 0.01}
    listed = [
        (
            Case("throughput", {**sizes(name, "gru", t, 1), "pass": "inference"}, i),
            measured([1.0], waited_share=share),
        )
        for t in range(1, 6)
        for name, share in shares.items()
        for i in range(2)
    ]
    found = answer(Run.read(write_run(tmp_path, listed)))
    assert found is not None
    told = [sentence for sentence in found.details if "queue" in sentence]
    assert len(told) == 1
    assert told[0].endswith("in these of 20 processes: 10 of torch (median 20 %).")


@pytest.mark.parametrize(("probes", "unsteady"), [((1e-3, 1.02e-3), False), ((1e-3, 1.7e-3), True)])
@pytest.mark.usefixtures("foregone")
def test_a_machine_that_changes_its_own_speed_is_named(
    tmp_path: Path, probes: tuple[float, float], unsteady: bool
) -> None:
    listed = [
        (Case("throughput", {**sizes(name, "gru", t, 1), "pass": "inference"}, i), measured([1.0], **fact))
        for t in range(1, 11)
        for name in ("torch", "numba")
        for i in range(2)
        for fact in [{"probe_seconds": probes[i]}]
    ]
    found = answer(Run.read(write_run(tmp_path, listed)))
    assert found is not None
    assert any("not steady" in sentence for sentence in found.details) == unsteady
    assert found.sentence.endswith("; 0 of 40 timings stayed unstable.")


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "No other processes were seen at work; "),
        ({"unstable": "drift: 1.2"}, "No other processes were seen at work; "),
        ({"unstable": "drift: 1.2; load: others"}, "seen at work beside 20 of 40 timings; they can be"),
        ({"disturbed": "attempt 1: drift: 1.2; load: others"}, "seen at work beside 20 of 40 timings; "),
    ],
)
@pytest.mark.usefixtures("foregone")
def test_other_processes_are_a_cause_where_they_were_seen_at_work(
    tmp_path: Path, facts: dict[str, str], said: str
) -> None:
    listed = [
        (
            Case("throughput", {**sizes(name, "gru", t, 1), "pass": "inference"}, i),
            measured([1.0], probe_seconds=(1e-3, 1.7e-3)[i], **(facts if name == "torch" else {})),
        )
        for t in range(1, 11)
        for name in ("torch", "numba")
        for i in range(2)
    ]
    found = answer(Run.read(write_run(tmp_path, listed)))
    assert found is not None
    (sentence,) = (sentence for sentence in found.details if "not steady" in sentence)
    assert said in sentence


def test_a_round_of_one_sample_tells_nothing_of_what_is_within() -> None:
    rng = np.random.default_rng(0)
    noisy = pd.DataFrame(
        {"key": "fast", "round": np.repeat(range(50), 20), "seconds": np.exp(0.1 * rng.standard_normal(1000))}
    )
    slow = [pd.DataFrame({"key": f"slow {i}", "round": range(50), "seconds": 1.0}) for i in range(3)]
    within, drift = summary._inside(pd.concat([noisy, *slow], ignore_index=True))
    assert within == pytest.approx(0.1, rel=0.2)
    assert drift == 0.0  # of a typical process: three of the four keep their speed
    assert summary._inside(pd.concat(slow, ignore_index=True)) == (0.0, 0.0)
