"""Every measurement names the machine it comes from, in the words of its hardware."""

from __future__ import annotations

import pytest

from harness.case import Case
from harness.executor import Ended
from harness.ledger import Ledger
from harness.measure.machine import Machine, fingerprint
from harness.outcome import Failed, Measured, Unsupported
from harness.run import at_its_machine
from tests.harness.command import only_run, run_all

CASE = Case("throughput", {"backend": "numpy"})
HERE = Machine("a processor, 2 cores", {})


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        (
            {"cpu_model": "EPYC", "allowed_cores": 2, "gpus": [{"name": "H200"}], "load_average": 3.0},
            "EPYC, 2 cores, H200",
        ),
        ({"cpu_model": "EPYC", "allowed_cores": 4, "gpus": []}, "EPYC, 4 cores"),
        ({}, "unknown machine"),
    ],
)
def test_a_fingerprint_is_the_hardware(environment, words):
    assert fingerprint(environment) == words


def test_a_measurement_gets_its_machine_and_nothing_else_does():
    measured = Measured({"seconds": [1.0]}, {"flop": 2})
    assert at_its_machine(Ended(CASE, measured, 1.0, HERE)) == Measured(
        {"seconds": [1.0]}, {"flop": 2, "machine": HERE.label}
    )
    for outcome in (Unsupported("no"), Failed("bad")):
        assert at_its_machine(Ended(CASE, outcome, 1.0, HERE)) == outcome


def test_a_study_that_speaks_of_machines_itself_keeps_its_words():
    measured = Measured({"machine": ["loom"]}, {})
    assert at_its_machine(Ended(CASE, measured, 1.0, HERE)) == measured


def test_a_run_records_its_machine(tmp_path):
    axes = ("--axis", "seq_len=2", "--axis", "cell=gru", "--axis", "batch_size=1")
    done = run_all("--study", "throughput", "--backend", "numpy", *axes, "--results", tmp_path)
    assert done.returncode == 0, done.stderr
    with Ledger.open(only_run(tmp_path) / "ledger.sqlite") as ledger:
        facts, entries = ledger.facts(), list(ledger.entries())
    (label,) = facts["machines"]
    assert label == fingerprint(facts["environment"])
    assert {entry.outcome.facts["machine"] for entry in entries} == {label}
