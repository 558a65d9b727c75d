"""The vote of k among many samples: against fractions over all compositions, and against draws."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import product

import pytest

from magistral_recipe.evaluation.voting import DRAWS, drawn_vote, exact_vote


def by_compositions(sizes, silent, k):
    """Every way to share k voters among the groups, weighed by how many choices of samples make it."""
    total = Fraction(0)
    for votes in product(*(range(min(count, k) + 1) for count, _ in sizes)):
        rest = k - sum(votes)
        if not 0 <= rest <= silent:
            continue
        ways = math.comb(silent, rest) * math.prod(
            math.comb(count, n) for (count, _), n in zip(sizes, votes, strict=True)
        )
        most = max(votes, default=0)
        leaders = [good for (_, good), n in zip(sizes, votes, strict=True) if n == most and most > 0]
        if leaders:
            total += ways * Fraction(sum(leaders), len(leaders))
    return total / math.comb(sum(count for count, _ in sizes) + silent, k)


@pytest.mark.parametrize(
    ("sizes", "silent"),
    [
        (((40, True), (24, False)), 0),
        (((30, True), (30, False)), 4),
        (((20, False), (19, True), (18, False)), 7),
        (((12, True), (12, True), (30, False)), 10),
        (((1, True),), 63),
        (((64, False),), 0),
    ],
)
@pytest.mark.parametrize("k", [1, 2, 7, 32, 63, 64])
def test_votes_of_64_samples_are_counted_exactly(sizes, silent, k):
    assert exact_vote(sizes, silent, k) == pytest.approx(float(by_compositions(sizes, silent, k)), abs=1e-12)


def test_random_votes_are_counted_exactly():
    noise = random.Random(4)
    for _ in range(60):
        sizes = tuple((noise.randint(1, 6), noise.random() < 0.4) for _ in range(noise.randint(1, 4)))
        silent = noise.randint(0, 5)
        k = noise.randint(1, sum(count for count, _ in sizes) + silent)
        assert exact_vote(sizes, silent, k) == pytest.approx(float(by_compositions(sizes, silent, k)), abs=1e-12)


@pytest.mark.parametrize("k", [3, 16])
def test_drawn_votes_are_near_the_counted_ones_and_repeat_with_their_seed(k):
    sizes, silent = ((9, True), (8, False), (5, False)), 6
    exact = exact_vote(sizes, silent, k)
    drawn = drawn_vote(sizes, silent, k, seed=1)
    assert abs(drawn - exact) < 4 * math.sqrt(0.25 / DRAWS)
    assert drawn_vote(sizes, silent, k, seed=1) == drawn != drawn_vote(sizes, silent, k, seed=2)


def test_nobody_wins_where_nobody_answers():
    assert exact_vote((), 5, 3) == 0.0
    assert drawn_vote([], 5, 3, seed=0) == 0.0
