"""Intervals against their definitions, the edges, and how often they cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from magistral_recipe.evaluation.statistics import (
    Interval,
    bootstrap_interval,
    mean_interval,
    paired_difference,
    problems_needed,
    t_quantile,
)


@pytest.mark.parametrize(
    ("probability", "freedom", "expected"),
    [  # Abramowitz & Stegun, table 26.10
        (0.975, 1, 12.706),
        (0.975, 2, 4.303),
        (0.975, 3, 3.182),
        (0.975, 10, 2.228),
        (0.95, 5, 2.015),
        (0.995, 7, 3.499),
        (0.975, 60, 2.000),
        (0.975, 120, 1.980),
        (0.975, 10**6, 1.960),
        (0.5, 9, 0.0),
    ],
)
def test_t_quantiles_are_the_tables(probability, freedom, expected):
    assert t_quantile(probability, freedom) == pytest.approx(expected, abs=6e-4)


def test_both_forms_of_the_t_quantile_meet():
    steps = [t_quantile(0.975, freedom) - t_quantile(0.975, freedom + 1) for freedom in range(297, 304)]
    assert max(steps) / min(steps) < 1.1


def test_one_sample_a_problem_is_wilson_with_t():
    right, n = 37, 50
    share, t = right / n, t_quantile(0.975, n - 1)
    effective = share * (1 - share) / (share * (1 - share) / (n - 1))  # variance of the mean, n - 1 in its divisor
    centre = (share + t**2 / (2 * effective)) / (1 + t**2 / effective)
    half = t * math.sqrt(share * (1 - share) / effective + t**2 / (4 * effective**2)) / (1 + t**2 / effective)
    found = mean_interval([[1.0]] * right + [[0.0]] * (n - right))
    assert found == pytest.approx((share, centre - half, centre + half), abs=1e-12)


def test_lengths_have_the_usual_t_interval():
    scores = [[3.0, 5.0], [10.0], [7.0, 7.0, 1.0], [2.5]]
    means = np.array([np.mean(problem) for problem in scores])
    half = t_quantile(0.975, 3) * means.std(ddof=1) / 2
    expected = (means.mean(), means.mean() - half, means.mean() + half)
    assert mean_interval(scores, bounds=None) == pytest.approx(expected, abs=1e-12)


def test_problems_weigh_equally_whatever_their_samples():
    assert mean_interval([[1.0] * 9, [0.0]]).mean == 0.5


def test_repeating_a_sample_adds_no_certainty():
    once = mean_interval([[1.0], [0.0], [1.0], [1.0], [0.0], [1.0]])
    assert mean_interval([[v] * 64 for v in (1.0, 0.0, 1.0, 1.0, 0.0, 1.0)]) == pytest.approx(once)


@pytest.mark.parametrize(("score", "low", "high"), [(0.0, 0.0, 0.122), (1.0, 0.878, 1.0)])
def test_none_and_all_of_thirty_have_a_width(score, low, high):
    assert mean_interval([[score] * 4] * 30) == pytest.approx((score, low, high), abs=1e-3)


def test_equal_problems_with_chance_inside_have_a_width():
    found = mean_interval([[1.0, 0.0]] * 20)
    assert found.low < 0.36
    assert found.high > 0.64


def test_one_problem_says_nothing_of_the_spread():
    assert mean_interval([[0.0, 1.0]]) == (0.5, 0.0, 1.0)
    assert mean_interval([[5.0]], bounds=None) == (5.0, -math.inf, math.inf)


def test_other_bounds_are_scaled():
    unit = mean_interval([[0.0], [1.0], [1.0]])
    doubled = mean_interval([[-1.0], [1.0], [1.0]], bounds=(-1.0, 1.0))
    assert doubled == pytest.approx([2 * value - 1 for value in unit])


@pytest.mark.parametrize(("scores", "level"), [([], 0.95), ([[]], 0.95), ([[2.0]], 0.95), ([[0.5], [1.0]], 1.0)])
def test_impossible_requests_raise(scores, level):
    with pytest.raises(ValueError, match=r"score|level"):
        mean_interval(scores, level)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(("problems", "samples"), [(30, 8), (200, 1)])
def test_the_interval_covers(rate, problems, samples):
    rng = np.random.default_rng(int(rate * 100) + problems)
    repeats = 400
    rates = rng.beta(2 * rate, 2 * (1 - rate), size=(repeats, problems))
    right = rng.binomial(samples, rates)
    covered = 0
    for row in right:
        found = mean_interval([[1.0] * r + [0.0] * (samples - r) for r in row.tolist()])
        covered += found.low <= rate <= found.high
    # 0.95 with four standard errors of 400 repeats
    assert covered / repeats == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / repeats))


def test_paired_difference_is_agresti_and_min_for_single_answers():
    a = [1, 1, 0, 0, 1, 0, 0, 1, 0, 0]
    b = [1, 0, 1, 1, 1, 1, 0, 1, 1, 0]
    gained = sum(y > x for x, y in zip(a, b, strict=True)) + 0.5
    lost = sum(y < x for x, y in zip(a, b, strict=True)) + 0.5
    n = len(a) + 2
    centre = (gained - lost) / n
    half = t_quantile(0.975, n - 1) * math.sqrt((gained + lost - (gained - lost) ** 2 / n) / n**2)
    found = paired_difference([[float(x)] for x in a], [[float(y)] for y in b])
    assert found == pytest.approx((0.3, centre - half, centre + half), abs=1e-12)


def test_the_same_model_twice():
    samples = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]] * 3
    found = paired_difference(samples, samples)
    assert found.mean == 0
    assert found.low == pytest.approx(-found.high)
    assert found.high > 0.05
    assert paired_difference([[1.0]] * 5, [[1.0]] * 5) == (0, 0, 0)


def test_pairing_takes_the_problems_difficulty_out():
    rng = np.random.default_rng(0)
    hard = rng.integers(0, 2, 200)
    a = [[float(h)] * 8 for h in hard]
    b = [[float(h)] * 7 + [1.0] for h in hard]  # a little better on every hard problem
    paired = paired_difference(a, b)
    assert paired.low > 0
    assert mean_interval(a).overlaps(mean_interval(b))


def test_different_problems_cannot_be_paired():
    with pytest.raises(ValueError, match="same problems"):
        paired_difference([[1.0]], [[1.0], [0.0]])


def test_bootstrap_of_a_mean_agrees_with_the_closed_form():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 2, 300).astype(float).tolist()
    found = bootstrap_interval(scores, lambda drawn: float(np.mean(drawn)), draws=1000)
    assert found == pytest.approx(mean_interval([[s] for s in scores]), abs=0.01)
    assert found == bootstrap_interval(scores, lambda drawn: float(np.mean(drawn)), draws=1000)
    with pytest.raises(ValueError, match="no problems"):
        bootstrap_interval([], len)


def test_problems_needed_tells_the_difference():
    difference, samples, rate = 0.1, 4, 0.5
    n = problems_needed(difference, samples=samples, rate=rate, within=1.0)
    rng = np.random.default_rng(2)
    told = 0
    for _ in range(300):  # no spread between problems: all variance is within
        a = (rng.random((n, samples)) < rate - difference / 2).astype(float).tolist()
        b = (rng.random((n, samples)) < rate + difference / 2).astype(float).tolist()
        told += paired_difference(a, b).low > 0
    assert told / 300 == pytest.approx(0.8, abs=0.1)
    assert problems_needed(0.05) == pytest.approx(4 * problems_needed(0.1), rel=0.02)
    with pytest.raises(ValueError, match="difference"):
        problems_needed(0)


def test_overlap():
    assert Interval(0.5, 0.4, 0.6).overlaps(Interval(0.7, 0.6, 0.8))
    assert not Interval(0.5, 0.4, 0.6).overlaps(Interval(0.8, 0.7, 0.9))
