"""Killed anywhere, any number of times, a run loses nothing that it acknowledged, and comes to the same end.

`pytest tests/faults --kill-points 100` (or `make faults`) is the long form.
"""

from __future__ import annotations

import random

import pytest

from tests.faults import kill_points, matrix
from tests.faults.kill_points import Tally

PER_CHAIN = 10
KINDS = ("moment", "commit", "worker")
LONG_FORM = 100
"""Points; the page tells of so many."""
SEED = 20250101


@pytest.fixture(scope="module")
def tally(request, faulty_here, tmp_path_factory) -> Tally:
    wanted = request.config.getoption("--kill-points")
    folder = tmp_path_factory.mktemp("kills")
    whole = kill_points.create(folder / "whole")
    kill_points.go_on(whole)
    expected = kill_points.read(whole)
    assert len(expected) == kill_points.CASES
    draw, total = random.Random(SEED), Tally()
    for start in range(0, wanted, PER_CHAIN):
        kinds = [KINDS[i % 3] for i in range(start, min(wanted, start + PER_CHAIN))]
        run = kill_points.create(folder / f"chain{start}")
        total.add(kill_points.chain(run, kinds, expected, draw))
    return total


@pytest.mark.timeout(1800)
def test_every_point_was_a_kill(tally, request):
    assert sum(tally.kills.values()) == request.config.getoption("--kill-points")
    assert tally.acknowledged > 0


def test_no_acknowledged_row_is_lost_or_changed(tally):
    assert (tally.lost, tally.changed) == (0, 0)


def test_no_row_comes_twice(tally):
    assert tally.duplicates == 0


def test_no_ledger_is_unreadable(tally):
    assert tally.unreadable == 0


def test_the_set_of_rows_is_that_of_an_uninterrupted_run(tally):
    assert (tally.missing, tally.differing) == (0, 0)


def test_a_killed_worker_costs_one_row_at_most(tally):
    assert tally.failed_rows <= tally.kills.get("worker", 0)


def test_the_page_tells_of_the_long_form(tally, request):
    long_form = sum(tally.kills.values()) == LONG_FORM
    if long_form and request.config.getoption("--write-faults"):
        matrix.write("kills", tally.table())
    told = Tally(kills={kind: (LONG_FORM + 2 - i) // 3 for i, kind in enumerate(KINDS)})
    assert matrix.section("kills") == told.table(), "make faults"
