"""Plans: presets hold, cases expand once each, the written form reads back the same."""

from __future__ import annotations

import math
import tomllib
from contextlib import suppress

import pytest

from harness.axis_options import parse_axis, read_axes
from harness.errors import UserError
from harness.initializations import initialize, why_unsupported
from harness.plan import checked
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


WORDS = ["2 layers, both ways", "1 layer, skip 16"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("seq_len=64,256", ("seq_len", [64, 256])),
        ("gain=0.5", ("gain", [0.5])),
        ("cell=lstm, gru", ("cell", ["lstm", "gru"])),
        ('structure="2 layers, both ways","1 layer, skip 16"', ("structure", WORDS)),
        ('structure="2 layers, both ways", "1 layer, skip 16"', ("structure", WORDS)),
        ("structure=2 layers, both ways", ("structure", ["2 layers", "both ways"])),
    ],
)
def test_parse_axis(text, expected):
    assert parse_axis(text) == expected


DEEP = {
    "name": "deep",
    "studies": {
        "depth_decay": {"cell": ["gru"], "structure": ["1 layer"], "seq_len": [4], "hidden_size": [3]}
    },
}


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["structure=2 layers, both ways"], ["2 layers, both ways"]),
        (["structure=2 layers,both ways"], ["2 layers, both ways"]),
        (["structure=2 layers, 3 layers"], ["2 layers", "3 layers"]),
        (["structure=2 layers, both ways", "structure=1 layer, skip 16"], WORDS),
        (['structure="2 layers, both ways",1 layer'], ["2 layers, both ways", "1 layer"]),
    ],
)
def test_a_value_with_commas_is_one_value(texts, expected):
    """Where the axis takes it whole and not in pieces; of several, each by itself or in quotes."""
    plan = checked(DEEP, "test")
    assert plan.select(axes=read_axes(plan, texts)).studies["depth_decay"][0]["structure"] == expected


def test_several_values_with_commas_are_refused_with_the_way_to_write_them():
    plan = checked(DEEP, "test")
    with pytest.raises(UserError, match="--axis structure: 'both ways' is no value") as caught:
        plan.select(axes=read_axes(plan, ["structure=1 layer, 2 layers, both ways"]))
    assert """NAME='"VALUE, WITH COMMAS",VALUE'""" in str(caught.value)


@pytest.mark.parametrize("text", ['cell="lstm', 'cell="lstm"x', "cell=a\rb"])
def test_quotes_that_do_not_close_are_refused(text):
    with pytest.raises(UserError, match=r"--axis .*quotes"):
        parse_axis(text)


def test_a_repeated_axis_adds_values():
    plan = checked(SMALL, "test")
    assert read_axes(plan, ["seq_len=7,8", "hidden_size=3", "seq_len=9"]) == {
        "seq_len": [7, 8, 9],
        "hidden_size": [3],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [("seq_len=" + 5000 * "9", r"--axis seq_len: .*5000 characters"), ("seed=" + 10**5 * "[", "--axis seed")],
    ids=["digits", "brackets"],
)
def test_an_axis_that_python_cannot_read_is_refused(text, words):
    with pytest.raises(UserError, match=words):
        parse_axis(text)


def least(study):
    """The axes that a study cannot do without."""
    fields = STUDIES[study].Axes.model_fields
    known = {"backend": "numpy", "cell": "lstm", "structure": "1 layer"}
    required = {
        name: known.get(name, 2) for name in fields if fields[name].is_required() or name == "backend"
    }
    return {name: one(study, name, value) for name, value in required.items()}


def one(study, axis, value):
    """A single value of an axis, swept or fixed."""
    swept = str(STUDIES[study].Axes.model_fields[axis].annotation).startswith("list[")
    return [value] if swept else value


@pytest.mark.parametrize(
    ("study", "axes"),
    [
        ("parity", {"seed": [-1]}),
        ("parity", {"seed": [True]}),
        ("parity", {"seed": [10**20]}),
        ("parity", {"seq_len": [10**20]}),
        ("parity", {"input_size": 2**31}),
        ("depth_decay", {"batch_size": -1}),
        ("depth_decay", {"batch_size": 0}),
        ("error_surface", {"seed": True}),
        ("error_surface", {"grid": "7"}),
        ("language_model", {"orders": True}),
        ("gradient_decay", {"gain": [True]}),
        ("gradient_decay", {"gain": ["1"]}),
        ("gradient_decay", {"forget_bias": [math.nan]}),
        ("gradient_decay", {"forget_bias": [math.inf]}),
        ("gradient_decay", {"t_max": [math.nan]}),
        ("gradient_decay", {"t_max": [1]}),
        ("gain_map", {"input_scale": ["1"]}),
        ("learning", {"forget_bias": [math.nan]}),
        ("learning", {"learning_rate": [True]}),
        ("learning", {"truncate": 10**20}),
        ("lyapunov", {"warmup": 10**20}),
        ("jacobian_map", {"grid": 10**20}),
        ("startup", {"starts": 2**31}),
    ],
)
def test_an_axis_outside_of_its_range_is_refused_with_its_place(study, axes):
    ((axis, _),) = axes.items()
    with pytest.raises(UserError, match=rf"plan: studies\.{study}\.{axis}"):
        checked({"name": "n", "studies": {study: {**least(study), **axes}}}, "plan")


@pytest.mark.parametrize(
    ("study", "axis"), [("learning", "truncate"), ("time_to_solve", "truncate"), ("clipping", "steps")]
)
def test_a_rule_that_needs_steps_is_refused_without_them(study, axis):
    block = {**least(study), "rule": ["global_norm", "truncated"]}
    with pytest.raises(UserError, match=rf"plan: studies\.{study}: rule 'truncated' needs {axis}"):
        checked({"name": "n", "studies": {study: block}}, "plan")
    assert checked({"name": "n", "studies": {study: {**block, axis: 2}}}, "plan").cases()


@pytest.mark.parametrize("study", STUDIES)
def test_no_axis_takes_what_is_neither_its_number_nor_its_word(study):
    checked({"name": "n", "studies": {study: least(study)}}, "plan").cases()
    for axis in STUDIES[study].Axes.model_fields:
        for value in (math.nan, "\ud800", True):
            block = {**least(study), axis: one(study, axis, value)}
            with pytest.raises(UserError, match=rf"plan: studies\.{study}\.{axis}"):
                checked({"name": "n", "studies": {study: block}}, "plan")


@pytest.mark.parametrize("study", STUDIES)
def test_every_axis_takes_a_large_number_as_one_of_the_reals_or_refuses_it(study):
    for axis in STUDIES[study].Axes.model_fields:
        block = {**least(study), axis: one(study, axis, 2**63)}
        with suppress(UserError):
            cases = checked({"name": "n", "studies": {study: block}}, "plan").cases()
            assert {type(case.axes[axis]) for case in cases} <= {float, type(None)}, axis


@pytest.mark.parametrize("name", ["seed", "replicates", "num_threads"])
@pytest.mark.parametrize("value", [10**20, pytest.param(16**6000, id="long"), True, "1"])
def test_a_setting_outside_of_its_range_is_refused(name, value):
    with pytest.raises(UserError, match=f"test: {name}: "):
        checked({**SMALL, name: value}, "test")


@pytest.mark.parametrize("corpus", ["missing.txt", "nul\0.txt", "."])
def test_a_text_that_cannot_be_read_is_named(tmp_path, monkeypatch, corpus):
    monkeypatch.chdir(tmp_path)
    plan = checked({**SMALL, "corpus": corpus}, "test")
    with pytest.raises(UserError, match=r"cannot read the text .*; expected a text file; say where it is"):
        plan.cases()


def test_a_place_that_cannot_be_written_down_is_refused():
    with pytest.raises(UserError, match="test: corpus: the path holds text that is no Unicode"):
        checked({**SMALL, "corpus": "odd\udcff.txt"}, "test")


def test_a_case_that_a_study_makes_too_large_is_refused(monkeypatch):
    points = [{"backend": "numpy", "rows": 2**64}]
    monkeypatch.setattr(STUDIES["throughput"], "points", lambda axes: iter(points))
    with pytest.raises(UserError, match=r"plan small: studies\.throughput: axis 'rows' .* beyond 64 bits"):
        checked(SMALL, "test").cases()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (f"seed = {5000 * '9'}", "cannot be read: Exceeds the limit"),
        (f"seed = {10**5 * '['}", "cannot be read"),
        (f"seed = 0x{6000 * 'f'}", "seed: .*got a number too long to be shown"),
        (f"extends = 0x{6000 * 'f'}", "extends: unknown plan a number too long to be shown"),
    ],
    ids=["digits", "brackets", "hexadecimal digits", "hexadecimal extends"],
)
def test_a_file_that_python_cannot_read_is_refused(tmp_path, content, words):
    path = tmp_path / "plan.toml"
    path.write_text(f'name = "n"\n{content}\n[studies.parity]\nbackend = ["numpy"]\n')
    with pytest.raises(UserError, match=words) as caught:
        load_plan(str(path))
    assert "\n" not in str(caught.value)


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


def test_a_mark_of_byte_order_is_no_part_of_a_plan(tmp_path):
    path = tmp_path / "marked.toml"
    path.write_text('name = "marked"\nextends = "quick"\n', encoding="utf-8-sig")
    assert load_plan(str(path)).name == "marked"


@pytest.mark.parametrize("key", ["budget_seconds", "max_seconds"])
@pytest.mark.parametrize("value", ["1", True])
def test_seconds_are_numbers(key, value):
    with pytest.raises(UserError, match=key):
        checked({**SMALL, key: value}, "test")


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


@pytest.mark.parametrize(
    "study", [name for name in STUDIES if "forget_bias" in STUDIES[name].Axes.model_fields]
)
def test_a_cell_without_a_forget_gate_comes_once_for_all_forget_biases(study):
    def planned(cell, biases):
        axes = {**least(study), "cell": [cell], "forget_bias": biases}
        return checked({"name": "test", "studies": {study: axes}}, "test").cases()

    assert planned("gru", [1.0, "none"]) == planned("gru", ["none"])
    assert len(planned("lstm", [1.0, "none"])) > len(planned("lstm", ["none"]))


@pytest.mark.parametrize("name", preset_names())
def test_every_network_of_a_preset_can_be_started_or_says_why_not(name):
    asked = {
        (str(axes["initialization"]), str(axes["cell"]), axes.get("gain", 1.0), axes.get("forget_bias"))
        for axes in (case.axes for case in load_plan(name).cases())
        if axes.get("cell") is not None and axes.get("initialization") is not None
    }
    for scheme, cell, gain, forget_bias in asked:
        if why_unsupported(scheme, cell) is None:
            initialize(scheme, cell, 3, 4, gain=gain, forget_bias=forget_bias)
