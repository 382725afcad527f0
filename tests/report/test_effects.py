"""Effects: intervals held against known values, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from harness.report import effects


def test_a_mean_and_its_t_interval() -> None:
    found = effects.mean([1.0, 2.0, 3.0])
    half = 4.302652729749464 / np.sqrt(3)  # t(0.975, 2) and s = 1
    assert (found.value, found.low, found.high) == pytest.approx((2.0, 2.0 - half, 2.0 + half))
    assert found.words() == "2.00 (95 % interval −0.484 to 4.48, 3 networks)"


def test_one_unit_has_no_interval_and_is_judged_by_its_value() -> None:
    found = effects.mean([2.0])
    assert np.isnan(found.low)
    assert found.above(1.0)
    assert not found.above(2.0)
    assert found.words() == "2.00 (1 network)"


def test_all_of_an_interval_has_to_lie_beyond() -> None:
    found = effects.Effect(2.0, 1.0, 3.0, 5)
    assert [found.above(limit) for limit in (0.9, 1.1, 3.0)] == [True, None, False]
    assert [found.below(limit) for limit in (3.1, 2.9, 1.0)] == [True, None, False]
    assert [found.within(*band) for band in ((1, 3), (1.5, 4), (3.1, 4), (0, 0.9))] == [
        True,
        None,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("interval", "about"),
    [
        ((0.013, 0.028, 0.043), True),  # certainly not 0, and of no importance
        ((-0.09, 0.0, 0.09), True),
        ((-0.44, -0.26, -0.09), False),  # certainly not 0, and likelier to matter than not
        ((0.11, 0.2, 0.3), False),  # all of it matters
        ((-0.02, 0.2, 0.42), None),  # may be 0
        ((0.01, 0.08, 0.15), None),  # is not 0, but whether it matters nobody knows
        ((-0.2, 0.0, 0.2), None),  # too wide to say
    ],
)
def test_about_is_shown_by_an_interval_within_the_margin_however_precise(
    interval: tuple[float, float, float], about: bool | None
) -> None:
    low, centre, high = interval
    assert effects.Effect(centre, low, high, 5).is_about(0.0, -0.1, 0.1) is about


def test_without_an_interval_the_value_says_whether_it_is_about() -> None:
    assert effects.exact(0.05).is_about(0.0, -0.1, 0.1) is True
    assert effects.exact(0.5).is_about(0.0, -0.1, 0.1) is False


def test_of_many_means_those_that_differ_from_0_are_found_at_a_false_discovery_rate() -> None:
    far, near, same = [1.0, 1.1, 0.9, 1.0], [0.7, 0.1, 0.4, 0.4], [0.0, 0.0, 0.0]
    assert effects.differing([near]) == [True]
    assert effects.differing([far, near, same, [7.0]]) == [True, False, False, False]
    rng = np.random.default_rng(0)
    found = [any(effects.differing(rng.standard_normal((20, 5)))) for _ in range(200)]
    assert np.mean(found) < 0.1  # of twenty that do not differ, one by one, two in three runs would have one


def test_shares_that_differ_are_found_by_an_exact_test() -> None:
    assert effects.p_of_equal_shares([(3, 3), (3, 3), (0, 3)]) == pytest.approx(3 / 84)
    assert effects.p_of_equal_shares([(5, 5), (0, 5)]) == pytest.approx(2 / 252)  # Fisher's, two-sided
    assert effects.p_of_equal_shares([(1, 3), (2, 3), (2, 4)]) > 0.5
    assert effects.p_of_equal_shares([(4, 4), (2, 2)]) == 1.0
    assert effects.p_of_equal_shares([(2, 7)]) == 1.0
    rng = np.random.default_rng(0)
    level = [
        effects.p_of_equal_shares([(int(n), 3) for n in rng.binomial(3, 0.6, 4)]) <= 0.05 for _ in range(1000)
    ]
    assert np.mean(level) <= 0.05


def test_ways_that_are_too_many_to_count_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    uneven = [(3, 3), (2, 4), (5, 5), (0, 4), (3, 6)]
    exact = effects.p_of_equal_shares(uneven)
    monkeypatch.setattr(effects, "MOST_WAYS", 10)
    assert effects.p_of_equal_shares(uneven) == pytest.approx(exact, abs=0.01)
    many = [(i % 3, 3 + i % 8) for i in range(24)]  # counted, these would take minutes
    assert 0.0 < effects.p_of_equal_shares(many) <= 1.0


def test_a_share_has_clopper_and_pearsons_interval() -> None:
    found = effects.share(3, 3)
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 3), 1.0))
    with pytest.raises(ValueError, match="nothing"):
        effects.share(0, 0)


def test_pairs_are_judged_by_those_that_differ() -> None:
    found = effects.first_alone([1, 1, 1, 0, 0], [0, 0, 0, 0, 1])
    assert (found.value, found.units) == (0.75, 4)
    same = effects.first_alone([1, 0], [1, 0])
    assert (same.value, same.units, same.unit) == (0.5, 2, "equal pair")
    assert (same.low, same.high) == (0.0, 1.0)  # no pair that differs says anything
    assert same.above(0.5) is None
    assert effects.first_alone([1] * 6, [0] * 6).above(0.5)
    assert not effects.first_alone([1] * 5, [0] * 5).above(0.5)  # five of five may be chance


def test_intervals_of_a_mean_cover_it_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    inside = [(found := effects.mean(rng.standard_normal(5))).low <= 0.0 <= found.high for _ in range(1000)]
    assert 0.93 < np.mean(inside) < 0.97


def test_a_difference_of_shares_has_newcombes_interval() -> None:
    found = effects.share_more((56, 70), (48, 80))  # Newcombe 1998, table II, example (a), method 10
    assert (found.value, found.low, found.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)
    with pytest.raises(ValueError, match="nothing"):
        effects.share_more((0, 0), (1, 2))


def test_the_largest_of_many_means_is_not_found_by_looking_at_all_of_them() -> None:
    """Twenty settings in which nothing grows: without the correction one in three such runs has a winner."""
    rng = np.random.default_rng(0)
    won = []
    for _ in range(400):
        settings = rng.standard_normal((20, 3))
        winner = settings[settings.mean(axis=1).argmax()]
        won.append((effects.mean(winner).above(0.0) is True, effects.mean(winner, of=20).above(0.0) is True))
    plain, corrected = np.mean(won, axis=0)
    assert corrected < 0.05 < plain
