"""The soft penalty, against the paper's formula written down again (Magistral §2.2.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magistral_recipe.rewards import OverlongPenalty


def formula(length: int, l_max: int, l_cache: int) -> float:
    if length <= l_max - l_cache:
        return 0.0
    if length <= l_max:
        return -0.1 * (length - l_max + l_cache) / l_cache
    return -0.1


@pytest.mark.parametrize(
    ("length", "expected"), [(0, 0), (79, 0), (80, 0), (90, -0.05), (100, -0.1), (101, -0.1), (999, -0.1)]
)
def test_linear_between_the_limits(length, expected):
    assert OverlongPenalty(100, 20)(completions=["x"], completion_ids=[[0] * length]) == [pytest.approx(expected)]


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))), st.integers(0, 400))
def test_it_is_the_formula(limits, length):
    value = OverlongPenalty(*limits)(completions=["x"], completion_ids=[range(length)])
    assert value == [pytest.approx(formula(length, *limits))]


@pytest.mark.parametrize(("length", "expected"), [(100, 0.0), (101, -0.1)])
def test_without_a_cache_it_is_a_hard_limit(length, expected):
    assert OverlongPenalty(100, 0)(completions=["x"], completion_ids=[[0] * length]) == [expected]


@pytest.mark.parametrize("limits", [(100, 100), (100, 101), (100, -1), (0, 0), (100, None), (None, 10)])
def test_limits_out_of_order(limits):
    with pytest.raises(ValueError, match="cache"):
        OverlongPenalty(*limits)


def test_lengths_are_needed():
    with pytest.raises(ValueError, match="completion_ids"):
        OverlongPenalty(100, 20)(completions=["x"])


def test_limits_given_by_a_schedule():
    reward = OverlongPenalty()
    with pytest.raises(ValueError, match="no limits"):
        reward(completions=["x"], completion_ids=[[0]])
    reward.set_limits(10, 5)
    assert reward(completions=["x"], completion_ids=[[0] * 10]) == [-0.1]
    reward.set_limits(20, 5)
    assert reward(completions=["x"], completion_ids=[[0] * 10]) == [0.0]
    with pytest.raises(ValueError, match="0 <= cache < max_length"):
        reward.set_limits(5, 10)


def test_limits_given_twice():
    with pytest.raises(ValueError, match="given twice"):
        OverlongPenalty(100, 20).set_limits(200, 20)
