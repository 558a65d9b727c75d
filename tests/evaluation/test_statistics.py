"""Intervals against their definitions, the edges, and how often they cover."""

from __future__ import annotations

import math
from statistics import NormalDist

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from magistral_recipe.evaluation.estimators import pass_at_k
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


def tail(t, freedom):
    """P(T > t) by the incomplete beta function (A&S 26.7.1), to 40 digits."""
    with mpmath.workdps(40):
        x = freedom / (freedom + mpmath.mpf(t) ** 2)
        return mpmath.betainc(mpmath.mpf(freedom) / 2, mpmath.mpf(1) / 2, 0, x, regularized=True) / 2


@pytest.mark.parametrize("probability", [0.5001, 0.6, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995])
def test_t_quantiles_have_the_digits_that_they_claim(probability):
    for freedom in (*range(1, 20), 49, 50, 199, 200, 299, 300, 301, 302, 400, 1000, 10**5):
        found = t_quantile(probability, freedom)
        error = found * 1e-12 if freedom <= 300 else 2e-9
        wanted = mpmath.mpf(1) - mpmath.mpf(probability)
        assert tail(found + error, freedom) < wanted < tail(found - error, freedom), freedom


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
    # The prior is what single answers are anyway; it only has no n - 1 in its divisor.
    assert found == pytest.approx((share, centre - half, centre + half), abs=1e-5)


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


def test_one_success_among_many_samples_says_little():
    nothing = mean_interval([[0.0] * 64] * 30)
    once = mean_interval([[0.0] * 64] * 29 + [[1.0] + [0.0] * 63])
    assert once.high > 0.9 * nothing.high  # the variance alone would say 0.003
    everywhere = mean_interval([[1.0] + [0.0] * 63] * 30)
    assert everywhere.high < 0.05


def test_fractions_may_be_surer_than_right_and_wrong():
    halves = mean_interval([[0.5]] * 20)
    assert halves.high - halves.low < 0.05
    assert mean_interval([[1.0], [0.0]] * 10).high - 0.5 > 0.2


def test_more_confidence_is_wider_and_sides_mirror():
    scores = [[1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    narrow, wide = mean_interval(scores, 0.8), mean_interval(scores, 0.99)
    assert wide.low < narrow.low < narrow.high < wide.high
    mirrored = mean_interval([[1 - score for score in problem] for problem in scores], 0.8)
    assert mirrored == pytest.approx((1 - narrow.mean, 1 - narrow.high, 1 - narrow.low))


Rates = NDArray[np.float64]


def constant(rng: np.random.Generator, mean: float, shape: tuple[int, int]) -> Rates:
    return np.full(shape, mean)


def always_or_never(rng: np.random.Generator, mean: float, shape: tuple[int, int]) -> Rates:
    return (rng.random(shape) < mean).astype(float)


def beta(concentration: float):
    return lambda rng, mean, shape: rng.beta(mean * concentration, (1 - mean) * concentration, shape)


def two_kinds(low: float, high: float):
    return lambda rng, mean, shape: np.where(rng.random(shape) < (mean - low) / (high - low), high, low)


def log_odds(deviation: float):
    """Normal log-odds: a few problems are far easier than the rest."""
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / 20_000) for i in range(20_000)])

    def mean_at(centre: float) -> float:
        return float((1 / (1 + np.exp(-centre - deviation * quantiles))).mean())

    def draw(rng: np.random.Generator, mean: float, shape: tuple[int, int]) -> Rates:
        low, high = -60.0, 60.0
        for _ in range(60):
            centre = (low + high) / 2
            low, high = (centre, high) if mean_at(centre) < mean else (low, centre)
        return 1 / (1 + np.exp(-centre - deviation * rng.standard_normal(shape)))

    return draw


def coverage(population, mean: float, problems: int, samples: int, repeats: int = 1500) -> float:
    rng = np.random.default_rng(problems * samples)
    right = rng.binomial(samples, population(rng, mean, (repeats, problems)))
    rows = [[1.0] * r + [0.0] * (samples - r) for r in range(samples + 1)]
    intervals = (mean_interval([rows[r] for r in drawn]) for drawn in right.tolist())
    return sum(found.low <= mean <= found.high for found in intervals) / repeats


@pytest.mark.parametrize(
    ("population", "mean", "problems", "samples"),
    [
        (constant, 0.1, 30, 16),
        (constant, 0.5, 30, 64),
        (constant, 0.7, 60, 4),
        (always_or_never, 0.3, 30, 8),
        (beta(1), 0.1, 30, 64),
        (beta(1), 0.9, 30, 64),
        (beta(1), 0.5, 100, 16),
        (beta(0.3), 0.8, 30, 16),
        (beta(5), 0.9, 60, 16),
        (beta(2), 0.3, 500, 1),
        (two_kinds(0.2, 0.8), 0.5, 30, 4),
        (two_kinds(0.0, 0.5), 0.1, 60, 16),
        (log_odds(2.5), 0.1, 30, 64),
        (log_odds(3), 0.9, 30, 16),
    ],
)
def test_the_interval_covers(population, mean, problems, samples):
    assert 0.925 <= coverage(population, mean, problems, samples) <= 0.98


@pytest.mark.parametrize(
    ("population", "mean", "problems", "samples"),
    [  # by the variance alone, some of these cover 77%
        (beta(1), 0.01, 60, 64),
        (beta(1), 0.02, 30, 64),
        (beta(1), 0.98, 30, 64),
        (beta(2), 0.01, 30, 64),
        (beta(2), 0.95, 30, 16),
        (beta(0.3), 0.03, 30, 64),
        (beta(10), 0.99, 30, 64),
        (constant, 0.01, 150, 16),
        (always_or_never, 0.05, 30, 8),
        (two_kinds(0.0, 0.2), 0.02, 30, 16),
        (log_odds(3), 0.02, 60, 64),
        (log_odds(4), 0.987, 100, 64),
    ],
)
def test_near_the_edges_it_covers_too(population, mean, problems, samples):
    assert coverage(population, mean, problems, samples) >= 0.9


@pytest.mark.parametrize("problems", [30, 50, 53, 100, 500])
def test_single_answers_are_covered_at_every_rate(problems):
    """No simulation: the probability of each count of right answers is known."""
    ends = [mean_interval([[1.0]] * k + [[0.0]] * (problems - k)) for k in range(problems + 1)]
    low, high = np.array([end.low for end in ends]), np.array([end.high for end in ends])
    choices = np.array([float(math.comb(problems, k)) for k in range(problems + 1)])
    for rate in np.arange(0.01, 0.995, 0.005):
        chances = choices * rate ** np.arange(problems + 1) * (1 - rate) ** np.arange(problems, -1, -1)
        covered = float(chances[(low <= rate) & (rate <= high)].sum())
        # Counts are whole: no closed form keeps below 0.98 at each rate of 30 single answers (0.9839 at 0.11).
        assert (0.93 if 0.1 <= rate <= 0.9 else 0.9) <= covered
        assert covered <= 0.985 or rate < 0.1 or rate > 0.9


def test_pass_at_k_of_problems_is_covered():
    """Fractions, whose variance may be below that of right and wrong: the least design factor doesn't hold for them."""
    rng = np.random.default_rng(5)
    scores = [pass_at_k(16, right, 4) for right in range(17)]
    true = float((1 - (1 - rng.beta(0.6, 1.4, 1_000_000)) ** 4).mean())
    right = rng.binomial(16, rng.beta(0.6, 1.4, (1000, 60)))
    intervals = [mean_interval([[scores[r]] for r in row]) for row in right.tolist()]
    assert 0.925 <= sum(found.low <= true <= found.high for found in intervals) / 1000 <= 0.98
    assert np.mean([found.high - found.low for found in intervals]) < 0.2  # as for right and wrong: 0.24


def test_lengths_are_covered():
    rng = np.random.default_rng(3)
    logs = rng.normal(8, 0.5, (1000, 100, 1)) + rng.normal(0, 0.3, (1000, 100, 4))
    true = math.exp(8 + (0.5**2 + 0.3**2) / 2)
    intervals = [mean_interval(row.tolist(), bounds=None) for row in np.exp(logs)]
    assert 0.925 <= sum(found.low <= true <= found.high for found in intervals) / 1000 <= 0.98


def agresti_min(a, b, weight):
    """Their interval for matched pairs, with pseudo-observations of another weight than a half, and t quantiles."""
    gained = sum(y > x for x, y in zip(a, b, strict=True)) + weight
    lost = sum(y < x for x, y in zip(a, b, strict=True)) + weight
    n = len(a) + 4 * weight
    centre = (gained - lost) / n
    half = t_quantile(0.975, int(n - 1)) * math.sqrt((gained + lost - (gained - lost) ** 2 / n) / n**2)
    return centre - half, centre + half


def test_paired_difference_of_few_disagreements_is_agresti_and_min():
    a = [1, 1, 0, 0, 1, 0, 0, 1, 0, 0] * 3
    b = [*a[:6], 1, *a[7:24], 0, *a[25:]]  # one gained, one lost
    found = paired_difference([[float(x)] for x in a], [[float(y)] for y in b])
    assert found == pytest.approx((0.0, *agresti_min(a, b, 0.5)), abs=1e-12)
    everyone = paired_difference([[0.0]] * 10, [[0.0]] * 9 + [[1.0]])
    assert everyone[1:] == pytest.approx(agresti_min([0] * 10, [0] * 9 + [1], 0.5), abs=1e-12)


def test_paired_difference_of_many_disagreements_is_students():
    rng = np.random.default_rng(4)
    a, b = rng.random((2, 400, 3))
    differences = b.mean(1) - a.mean(1)
    half = t_quantile(0.975, 399) * differences.std(ddof=1) / 20
    expected = (differences.mean(), differences.mean() - half, differences.mean() + half)
    assert paired_difference(a.tolist(), b.tolist()) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("problems", "samples", "concentration", "shift"),
    [(30, 64, 2, 0.0), (30, 1, 2, 0.0), (30, 4, 10, 0.5), (100, 16, 1, 1.0), (100, 1, 10, -1.0), (400, 4, 1, 0.5)],
)
def test_the_paired_difference_covers(problems, samples, concentration, shift):
    """Model b's odds of each problem are exp(shift) times model a's."""
    rng = np.random.default_rng(6)

    def better(rates):
        return rates * math.exp(shift) / (1 - rates + rates * math.exp(shift))

    def drawn(size):
        return rng.beta(0.4 * concentration, 0.6 * concentration, size)

    population = drawn(500_000)
    true = float((better(population) - population).mean())
    covered = 0
    for _ in range(800):
        rates = drawn(problems)
        a = rng.binomial(samples, rates) / samples
        b = rng.binomial(samples, better(rates)) / samples
        found = paired_difference(a[:, None].tolist(), b[:, None].tolist())
        covered += found.low <= true <= found.high
    assert 0.925 <= covered / 800 <= 0.985


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


def test_the_bootstrap_of_votes_covers():
    """Single problems' scores of votes: mostly 0 or 1, with ties between."""
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(400):
        scores = rng.choice([0.0, 0.5, 1.0], 30, p=[0.35, 0.1, 0.55]).tolist()
        found = bootstrap_interval(scores, lambda drawn: math.fsum(drawn) / len(drawn), draws=400)
        covered += found.low <= 0.6 <= found.high
    assert 0.925 <= covered / 400 <= 0.98


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_the_bootstrap_has_a_width_at_its_bounds(score):
    found = bootstrap_interval([score] * 30, lambda drawn: math.fsum(drawn) / len(drawn), draws=50)
    assert found == pytest.approx(mean_interval([[score]] * 30), abs=1e-3)
    assert bootstrap_interval([0.5], lambda drawn: drawn[0], draws=2) == (0.5, 0.0, 1.0)
    with pytest.raises(ValueError, match="bounds=None"):
        bootstrap_interval([3, 4], lambda drawn: sum(drawn) / len(drawn))


@pytest.mark.parametrize(("samples", "within", "correlation"), [(4, 1.0, 0.0), (1, 0.5, 0.8), (16, 0.5, 0.5)])
def test_problems_needed_tells_the_difference(samples, within, correlation):
    """Rates of both models about a half, their parts between problems with the correlation asked for."""
    difference = 0.1
    n = problems_needed(difference, samples=samples, within=within, correlation=correlation)
    rng = np.random.default_rng(2)
    between = math.sqrt(0.25 * (1 - within))
    told = 0
    for _ in range(500):
        shared, own = rng.choice([-1, 1], n), rng.choice([-1, 1], (2, n))
        same = rng.random((2, n)) < math.sqrt(correlation)
        rates = 0.5 + between * np.where(same, shared, own) + np.array([[-difference / 2], [difference / 2]])
        a, b = rng.binomial(samples, rates.clip(0, 1)) / samples
        told += paired_difference(a[:, None].tolist(), b[:, None].tolist()).low > 0
    assert told / 500 == pytest.approx(0.8, abs=0.06)


def test_problems_needed_by_hand():
    # 2 · 0.25 · (0.5 / 1 + 0.5 · 0.2) = 0.3; 0.3 · ((1.96 + 0.8416) / 0.05)^2 = 941.9; t's quantile makes it 943.6
    assert problems_needed(0.05) == 944
    assert problems_needed(0.05) == pytest.approx(4 * problems_needed(0.1), rel=0.02)
    assert problems_needed(0.05, samples=64) > 942 * 0.05 / 0.3  # what lies between problems stays
    assert problems_needed(1.0, within=0.0, correlation=1.0) == 2


@pytest.mark.parametrize(
    ("argument", "value"),
    [("difference", 0), ("samples", 0), ("rate", 1.5), ("within", -1), ("correlation", 2), ("power", 1), ("level", 1)],
)
def test_problems_needed_names_what_is_wrong(argument, value):
    with pytest.raises(ValueError, match=argument):
        problems_needed(**{"difference": 0.1, argument: value})


def test_overlap():
    assert Interval(0.5, 0.4, 0.6).overlaps(Interval(0.7, 0.6, 0.8))
    assert not Interval(0.5, 0.4, 0.6).overlaps(Interval(0.8, 0.7, 0.9))
