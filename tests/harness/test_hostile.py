"""What comes from outside ends as one clear line, a failed row, or escaped text: never as a traceback.

`data/hostile/` keeps what once was worth trying; hypothesis goes on from there.
"""

from __future__ import annotations

import csv
import io
import json
import random
import re
import sqlite3
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.axis_options import parse_axis
from harness.case import Case, canonical
from harness.errors import UserError
from harness.folder import find_run
from harness.ledger import Ledger, _digest
from harness.outcome import Failed, Measured, Unsupported, from_json, to_json
from harness.plan import checked
from harness.plan_file import load_plan
from harness.protocol import BadAnswer, read_answer, read_greeting
from harness.report import escape
from harness.text import one_line

HOSTILE = Path(__file__).parent / "data" / "hostile"
NAMES = json.loads((HOSTILE / "names" / "names.json").read_text(encoding="utf-8"))
PLANS = sorted((HOSTILE / "plans").iterdir())
ANSWERS = sorted((HOSTILE / "answers").iterdir())
CONTROLS = {chr(i) for i in (*range(32), *range(127, 160))} | set("\u202e\u2066\u2028\ufeff")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def assert_one_line(error: BaseException) -> None:
    assert "\n" not in str(error)
    assert not CONTROLS & set(str(error))
    str(error).encode()


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_hostile_plan_is_one_line(path):
    with pytest.raises(UserError) as caught:
        load_plan(str(path))
    assert_one_line(caught.value)


@QUICK
@given(JSON)
def test_any_data_as_a_plan_is_one_line(data):
    with pytest.raises(UserError) as caught:
        checked(data, "plan")
    assert_one_line(caught.value)


@QUICK
@given(st.dictionaries(st.sampled_from(["backend", "seq_len", "cell", "dtype", "x"]), JSON, max_size=5))
def test_any_axes_of_a_study_are_one_line_or_right(axes):
    try:
        checked({"name": "n", "studies": {"parity": axes}}, "plan")
    except UserError as error:
        assert_one_line(error)


@QUICK
@given(st.binary(max_size=200))
def test_any_bytes_as_a_plan_file_are_one_line(tmp_path, data):
    path = tmp_path / "plan.toml"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        load_plan(str(path))
    assert_one_line(caught.value)


@QUICK
@given(st.text(max_size=30))
def test_any_axis_option_is_read_or_one_line(text):
    try:
        parse_axis(text)
    except UserError as error:
        assert_one_line(error)


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_a_hostile_answer_is_refused(path):
    line = path.read_bytes().rstrip(b"\n") + b"\n"
    with pytest.raises(BadAnswer):
        read_answer(line, "K")
    with pytest.raises(BadAnswer):
        read_greeting(line)


@QUICK
@given(JSON)
def test_any_answer_is_an_outcome_that_can_be_kept_or_refused(data):
    line = json.dumps({"key": "K", "outcome": data}).encode()
    try:
        outcome = read_answer(line, "K")
    except BadAnswer:
        return
    assert from_json(json.loads(json.dumps(to_json(outcome)))) is not None


ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
ANY_SCALAR = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | ANY_TEXT


@QUICK
@given(st.dictionaries(ANY_TEXT, ANY_SCALAR, max_size=3), ANY_SCALAR, ANY_TEXT)
def test_what_can_be_recorded_can_be_read_back(tmp_path, found, value, text):
    path = tmp_path / "ledger.sqlite"
    path.unlink(missing_ok=True)
    try:
        case = Case("parity", {"backend": "numpy", **found})
        outcome = Measured({text: [value]}, {"fact": value})
    except ValueError:
        return
    with Ledger.create(path, {}, [case]) as ledger:
        ledger.record(case, outcome, finished_at=1.0, elapsed_seconds=1.0)
    (entry,) = everything(path)[1]
    assert (entry.case, entry.outcome) == (case, outcome)


@QUICK
@given(st.binary(max_size=100))
def test_any_bytes_as_an_answer_are_refused(data):
    with pytest.raises(BadAnswer):
        read_answer(data, "K")


@pytest.mark.parametrize("name", NAMES)
def test_no_run_name_leads_out_of_the_results(tmp_path, name):
    results = tmp_path / "results"
    results.mkdir()
    with pytest.raises(UserError) as caught:
        find_run(name, results)
    assert_one_line(caught.value)


@pytest.mark.parametrize("name", ["latest", "20250101-000000-linked"])
def test_a_link_out_of_the_results_is_not_followed(tmp_path, name):
    outside, results = tmp_path / "outside", tmp_path / "results"
    outside.mkdir()
    results.mkdir()
    Ledger.create(outside / "ledger.sqlite", {}, []).close()
    (results / name).symlink_to(outside)
    with pytest.raises(UserError, match="leads out of"):
        find_run(name, results)


@pytest.fixture
def ledger(tmp_path):
    return write_ledger(tmp_path / "ledger.sqlite")


def write_ledger(path: Path) -> Path:
    cases = [Case("parity", {"backend": "numpy", "seq_len": n}) for n in range(20)]
    with Ledger.create(path, {"run_id": "r", "plan": {"name": "p"}, "environment": {}}, cases) as ledger:
        for case in cases:
            outcome = Measured({"x": [case.axes["seq_len"], 0.5]}, {"agrees": True})
            ledger.record(case, outcome, finished_at=1.0, elapsed_seconds=2.0)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


def everything(path: Path):
    with Ledger.open(path) as ledger:
        return ledger.facts(), list(ledger.entries()), ledger.finished_keys(), ledger.counts()


def test_flipped_bytes_are_named_or_harmless(ledger):
    """No byte of the file, whichever flips, changes a number or loses a row in silence."""
    whole, data, draw, named = everything(ledger), ledger.read_bytes(), random.Random(7), 0
    numbers = [match.start() for match in re.finditer(rb"(?<=[\[ ])[0-9.]+(?=[\],])", data)]
    places = [*(draw.randrange(len(data)) for _ in range(150)), *(draw.choice(numbers) for _ in range(50))]
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 1 << draw.randrange(8)
        ledger.write_bytes(damaged)
        for beside in ("-wal", "-shm"):
            ledger.with_name(ledger.name + beside).unlink(missing_ok=True)
        try:
            assert everything(ledger) == whole
        except UserError as error:
            named += 1
            assert_one_line(error)
    assert named > 20


@pytest.mark.parametrize("size", [0, 1, 15, 100, 4095, 4096, 8192, 12000])
def test_a_ledger_cut_anywhere_is_named(ledger, size):
    ledger.write_bytes(ledger.read_bytes()[:size])
    with pytest.raises(UserError) as caught:
        everything(ledger)
    assert_one_line(caught.value)


@QUICK
@given(JSON)
def test_foreign_json_in_a_row_is_named(tmp_path, data):
    """Even where its digest is right: somebody else's program may have written it."""
    path = tmp_path / "ledger.sqlite"
    path.unlink(missing_ok=True)
    case = Case("parity", {"backend": "numpy"})
    Ledger.create(path, {}, [case]).close()
    text = json.dumps(data)
    row = (case.key, "measured", text, 1.0, 1.0)
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?)", (*row, _digest(*row)))
    connection.close()
    with pytest.raises(UserError) as caught:
        everything(path)
    assert_one_line(caught.value)


@pytest.mark.parametrize("name", ["plan", "environment", "run_id", "command", "started_at"])
def test_a_fact_of_the_wrong_kind_is_named(tmp_path, name):
    path = tmp_path / "ledger.sqlite"
    Ledger.create(path, {name: [1]}, []).close()
    with pytest.raises(UserError, match=name):
        everything(path)


def test_a_case_that_is_not_what_its_key_says_is_named(ledger):
    connection = sqlite3.connect(ledger)
    changed = canonical(Case("parity", {"backend": "numba", "seq_len": 3}).to_json())
    with connection:
        connection.execute("UPDATE cases SET definition = ? WHERE ordinal = 3", (changed,))
    connection.close()
    with pytest.raises(UserError, match="not what it was"):
        everything(ledger)


def test_a_ledger_of_the_first_schema_is_brought_up_to_date(ledger):
    whole = everything(ledger)
    connection = sqlite3.connect(ledger)
    connection.executescript(
        "ALTER TABLE run DROP COLUMN digest; ALTER TABLE outcomes DROP COLUMN digest;"
        "UPDATE run SET value = '1' WHERE name = 'schema_version';"
    )
    connection.close()
    assert everything(ledger) == whole


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


@pytest.fixture(scope="module")
def hostile_report(tmp_path_factory):
    return write_hostile_report(tmp_path_factory.mktemp("hostile"))


def write_hostile_report(folder: Path) -> Path:
    """A report of a run in which every word that may come from outside is hostile."""
    from harness.report import write_report

    cases, outcomes = [], []
    for i, name in enumerate(NAMES):
        cases.append(Case("parity", {"backend": "numpy", "cell": name, "seq_len": i}))
        outcomes.append(
            (Failed(name, name * 3), Unsupported(name), Measured({"x": [1.0]}, {"note": name}))[i % 3]
        )
    facts = {
        "run_id": NAMES[10],
        "plan": {"name": NAMES[10], "seed": NAMES[11], "replicates": 1},
        "environment": {name: name for name in NAMES},
        "command": NAMES[10],
        "started_at": 1e300,
    }
    with Ledger.create(folder / "ledger.sqlite", facts, cases) as ledger:
        for case, outcome in zip(cases, outcomes, strict=True):
            ledger.record(case, outcome, finished_at=0.0, elapsed_seconds=1.0)
    write_report(folder)
    return folder


def test_a_hostile_run_puts_no_markup_into_html(hostile_report):
    page = (hostile_report / "report.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert "alert(1)</script>" not in page
    assert not {"script", "iframe", "object", "embed", "form", "e"} & set(tags.found)


def test_a_hostile_run_puts_no_markup_into_markdown(hostile_report):
    page = (hostile_report / "report.md").read_text(encoding="utf-8")
    outside_code = "".join(page.split("```")[::2])
    assert "<script" not in outside_code
    assert "](f)" not in outside_code
    assert not (CONTROLS - {"\n"}) & set(page)


def test_a_hostile_run_puts_no_formula_into_a_spreadsheet(hostile_report):
    for path in hostile_report.rglob("*.csv"):
        for row in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))):
            for cell in row:
                try:
                    float(cell)
                except ValueError:
                    assert not cell.lstrip(" \u00a0").startswith(
                        ("=", "+", "-", "@", "\t", "\r", "\n", "＝")
                    ), cell


@QUICK
@given(st.text())
def test_any_text_is_one_line_that_can_be_written(text):
    found = one_line(text)
    assert not CONTROLS & set(found)
    found.encode()


@QUICK
@given(st.text(max_size=60))
def test_any_label_can_be_drawn(text):
    from matplotlib.figure import Figure

    from harness.report.drawing import style

    with style():
        figure = Figure(figsize=(1, 1))
        figure.text(0, 0, escape.label(text))
        figure.savefig(io.BytesIO(), format="svg")
