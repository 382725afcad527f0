"""Plans: presets hold, cases expand once each, the written form reads back the same."""

from __future__ import annotations

import tomllib

import pytest

from harness.errors import UserError
from harness.plan import checked, parse_axis
from harness.plan_file import load_plan, preset_names
from harness.studies.study import STUDIES

SMALL = {
    "name": "small",
    "studies": {
        "throughput": {
            "backend": ["numpy", "naive"],
            "cell": ["lstm"],
            "seq_len": [2, 4],
            "batch_size": [1],
            "hidden_size": [3],
        }
    },
}


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_valid_plan_that_reads_back_the_same(name):
    plan = load_plan(name)
    again = checked(tomllib.loads(plan.to_toml()), "again")
    assert again.cases() == plan.cases()
    assert [s for s in STUDIES if s in plan.studies]


def test_quick_has_every_study_and_every_backend():
    plan = load_plan("quick")
    assert set(plan.studies) >= {"parity", "throughput", "memory", "gradient_decay", "clipping"}
    assert {case.backend for case in plan.cases()} >= {"naive", "numpy", "numba", "torch", "cudnn"}


def test_cases_are_the_product_of_the_axes_times_replicates():
    plan = checked({**SMALL, "replicates": 3}, "test")
    cases = plan.cases()
    assert len(cases) == len({case.key for case in cases}) == 2 * 2 * 2 * 3
    assert {case.replicate for case in cases} == {0, 1, 2}


def test_several_blocks_of_one_study_make_each_case_once():
    block = SMALL["studies"]["throughput"]
    both = {"throughput": [block, {**block, "seq_len": [4, 8]}]}
    lengths = [c.axes["seq_len"] for c in checked({"name": "two", "studies": both}, "test").cases()]
    assert sorted(lengths) == sorted([2, 4, 8] * 2 * 2 * 3)


def test_select_narrows_and_replaces():
    plan = checked(SMALL, "test").select(axes={"seq_len": [7]}, backends=["numba"])
    assert {(c.backend, c.axes["seq_len"]) for c in plan.cases()} == {("numba", 7)}


def test_an_axis_that_no_study_has_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="did you mean 'hidden_size'"):
        checked(SMALL, "test").select(axes={"hidden_sizes": [7]})


def test_a_fixed_setting_takes_one_value_only():
    with pytest.raises(UserError, match="expected one value; got 2 values"):
        checked(SMALL, "test").select(axes={"input_size": [7, 8]})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seq_len=64,256", ("seq_len", [64, 256])),
        ("gain=0.5", ("gain", [0.5])),
        ("cell=lstm, gru", ("cell", ["lstm", "gru"])),
    ],
)
def test_parse_axis(text, expected):
    assert parse_axis(text) == expected


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "plan.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not a text file"):
        load_plan(str(path))


def test_a_plan_extends_a_preset_with_settings_and_blocks_of_its_own(tmp_path):
    path = tmp_path / "more.toml"
    path.write_text(
        'name = "more"\nextends = "quick"\nbudget_seconds = 0.07\n'
        '[studies.parity]\nbackend = ["numpy"]\ncell = ["lstm"]\nseq_len = [7]\n'
    )
    plan, quick = load_plan(str(path)), load_plan("quick")
    assert (plan.name, plan.budget_seconds, plan.max_seconds) == ("more", 0.07, quick.max_seconds)
    here, there = ({case.key: case for case in of.cases()} for of in (plan, quick))
    assert here.keys() > there.keys()
    assert {here[key].axes["seq_len"] for key in here.keys() - there.keys()} == {7}


def test_a_plan_extends_several(tmp_path, monkeypatch):
    first = 'name = "first"\nbudget_seconds = 0.2\nmax_seconds = 3.0\n[max_seconds_of]\nlearning = 1.0\n'
    second = 'name = "second"\nmax_seconds = 4.0\n[max_seconds_of]\nlearning = 2.0\nparity = 5.0\n'
    block = '[studies.parity]\nbackend = ["numpy"]\ncell = ["lstm"]\nseq_len = [{}]\n'
    (tmp_path / "first.toml").write_text(first + block.format(1))
    (tmp_path / "second.toml").write_text(second + block.format(2))
    own = 'name = "third"\nextends = ["first", "second"]\n[max_seconds_of]\nparity = 6.0\n'
    (tmp_path / "third.toml").write_text(own + block.format(3))
    monkeypatch.setattr("harness.plan_file.PRESETS", tmp_path)
    plan = load_plan("third")
    assert (plan.name, plan.budget_seconds, plan.max_seconds) == ("third", 0.2, 4.0)
    assert plan.max_seconds_of == {"learning": 2.0, "parity": 6.0}
    assert [case.axes["seq_len"] for case in plan.cases()] == [1, 1, 2, 2, 3, 3]  # of two dtypes each


@pytest.mark.parametrize("word", ['"quik"', '"../plans/quick"', "3", "{}", '["quick", "quik"]', "[[]]"])
def test_a_plan_that_extends_nothing_known_is_refused(word, tmp_path):
    path = tmp_path / "more.toml"
    path.write_text(f'name = "more"\nextends = {word}\n')
    with pytest.raises(UserError, match=r"extends: unknown plan .* expected one of"):
        load_plan(str(path))


@pytest.mark.parametrize("part", ["standard", "learning"])
def test_full_holds_all_of(part):
    assert {c.key for c in load_plan("full").cases()} > {c.key for c in load_plan(part).cases()}


def test_a_study_may_have_a_limit_of_its_own():
    plan = checked({**SMALL, "max_seconds": 4.0, "max_seconds_of": {"learning": 300.0}}, "test")
    assert (plan.limit_of("throughput"), plan.limit_of("learning")) == (4.0, 300.0)
    assert (plan.hang_of("throughput"), plan.hang_of("learning")) == (72.0, 960.0)
    hasty = plan.model_copy(update={"timeout_seconds": 5.0})
    assert hasty.hang_of("learning") == 5.0
    with pytest.raises(UserError, match=r"max_seconds_of\.lerning: .*learning"):
        checked({**SMALL, "max_seconds_of": {"lerning": 1.0}}, "test")


def test_only_what_is_timed_is_repeated():
    parity = {"backend": ["numpy"], "cell": ["gru"], "seq_len": [2]}
    plan = checked({**SMALL, "replicates": 2, "studies": {**SMALL["studies"], "parity": parity}}, "test")
    assert {case.replicate for case in plan.cases() if case.study == "throughput"} == {0, 1}
    assert {case.replicate for case in plan.cases() if case.study == "parity"} == {0}
