"""A case's key is decided by what is measured, and by nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.case import Case
from harness.executor import blocks

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text()
)
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


def in_order(cases, seed):
    return [case for block in blocks(cases, seed) for case in block]


def test_blocks_are_whole_and_replicates_follow_each_other():
    found = list(blocks(cases(), seed=0))
    assert sorted(c.key for block in found for c in block) == sorted(c.key for c in cases())
    assert [block[0].replicate for block in found] == [0] * 6 + [1] * 6
    assert all(len(block) == 4 and len({c.block for c in block}) == 1 for block in found)


def test_the_order_within_blocks_is_random_but_repeatable():
    orders = [tuple(c.backend for c in block) for block in blocks(cases(), 0)]
    assert len(set(orders)) > 3
    assert in_order(cases(), 0) == in_order(cases(), 0)
    assert in_order(cases(), 0) != in_order(cases(), 1)


def test_a_resumed_run_keeps_the_order_of_what_is_left():
    whole = in_order(cases(), 0)
    left = [case for case in in_order(whole[::-1][:20], 0) if case.replicate == 1]
    seen = [case.block for case in left]
    assert [b for i, b in enumerate(seen) if b not in seen[:i]]
