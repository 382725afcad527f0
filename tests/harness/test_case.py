"""A case's key is decided by what is measured, and by nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.run import in_order

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
axes = st.dictionaries(st.text(min_size=1), scalars, max_size=5)


def test_the_key_is_stable():
    case = Case("throughput", {"backend": "numba", "seq_len": 128, "gain": 1.0})
    assert case.key == "4aa45b9d302a5861"
    assert Case("throughput", {"gain": 1.0, "seq_len": 128, "backend": "numba"}).key == case.key


@given(axes)
def test_json_round_trip_keeps_the_key(values):
    case = Case("parity", {"backend": "numpy", **values}, 2)
    assert Case.from_json(case.to_json()).key == case.key


@given(axes, axes)
def test_different_axes_have_different_keys(first, second):
    a, b = Case("parity", {"backend": "x", **first}), Case("parity", {"backend": "x", **second})
    same = sorted(map(repr, a.axes.items())) == sorted(map(repr, b.axes.items()))
    assert (a.key == b.key) == same


def cases():
    return [
        Case("throughput", {"backend": b, "seq_len": t}, r)
        for r in (0, 1)
        for t in range(6)
        for b in ("naive", "numpy", "numba", "torch")
    ]


def test_blocks_stay_together_and_replicates_follow_each_other():
    ordered = list(in_order(cases(), seed=0))
    assert sorted(c.key for c in ordered) == sorted(c.key for c in cases())
    assert [c.replicate for c in ordered] == [0] * 24 + [1] * 24
    blocks = [c.block for c in ordered]
    assert all(len(set(blocks[i : i + 4])) == 1 for i in range(0, len(blocks), 4))


def test_the_order_within_blocks_is_random_but_repeatable():
    orders = [tuple(c.backend for c in list(in_order(cases(), 0))[i : i + 4]) for i in range(0, 48, 4)]
    assert len(set(orders)) > 3
    assert list(in_order(cases(), 0)) == list(in_order(cases(), 0))
    assert list(in_order(cases(), 0)) != list(in_order(cases(), 1))


def test_a_resumed_run_keeps_the_order_of_what_is_left():
    whole = list(in_order(cases(), 0))
    left = [case for case in in_order(whole[::-1][:20], 0) if case.replicate == 1]
    blocks = [case.block for case in left]
    assert [b for i, b in enumerate(blocks) if b not in blocks[:i]]
