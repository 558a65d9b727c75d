"""pass@k and maj@k against brute force over all choices of k samples."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations, product
from statistics import mean

import pytest

from magistral_recipe.evaluation import estimators
from magistral_recipe.evaluation.estimators import clusters, maj_at_k, pass_at_k, vote


@pytest.mark.parametrize("n", range(1, 7))
def test_pass_at_k_is_the_mean_over_all_choices(n):
    for verdicts in product([0, 1], repeat=n):
        for k in range(1, n + 1):
            brute = mean(float(any(choice)) for choice in combinations(verdicts, k))
            assert pass_at_k(n, sum(verdicts), k) == pytest.approx(brute, abs=1e-12)


@pytest.mark.parametrize(("n", "right", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0)])
def test_impossible_counts_raise(n, right, k):
    with pytest.raises(ValueError, match=str(n)):
        pass_at_k(n, right, k)


def test_pass_at_k_of_many_samples_is_exact():
    assert pass_at_k(10_000, 1, 100) == 0.01


@pytest.mark.parametrize(("n", "right"), [(3, 1), (7, 2), (49, 1), (64, 37)])
def test_pass_at_1_is_the_rate_to_the_last_digit(n, right):
    assert pass_at_k(n, right, 1) == right / n
    missed = Fraction(1)  # all k wrong: one factor a sample, as HumanEval's own estimator multiplies them
    for drawn in range(2):
        missed *= Fraction(n - right - drawn, n - drawn)
    assert pass_at_k(n, right, 2) == float(1 - missed)


def naive_vote(answers, reference):
    given = [answer for answer in answers if answer is not None]
    if not given:
        return 0.0
    most = max(given.count(answer) for answer in given)
    leaders = {answer for answer in given if given.count(answer) == most}
    return (reference in leaders) / len(leaders)


@pytest.mark.parametrize("k", range(1, 7))
def test_maj_at_k_is_the_mean_over_all_choices(k):
    for answers in product(["12", "7", None], repeat=6):
        brute = mean(naive_vote(choice, "12") for choice in combinations(answers, k))
        assert maj_at_k(clusters(answers), [a == "12" for a in answers], k) == pytest.approx(brute, abs=1e-12)


def test_a_worked_example():
    answers = ["12", "12", "7", None, "7", "5"]
    assert maj_at_k(clusters(answers), [a == "12" for a in answers], 3) == pytest.approx(0.4167, abs=5e-5)


def test_ties_share_and_no_answer_never_wins():
    assert vote([0, 1, None, None, None], [True, False, False, False, False]) == 0.5
    assert vote([None, None], [False, False]) == 0.0


def test_votes_count_answers_by_meaning():
    same = {"1/2", "0.5"}.issuperset
    groups = clusters(["1/2", "0.5", " 0.5 ", "2", None], lambda a, b: same({a, b}))
    assert groups == [0, 0, 0, 1, None]
    assert clusters(["0.5", " 0.5 ", "1/2"]) == [0, 0, 1]


@pytest.mark.parametrize("seed", range(40))
def test_maj_at_k_of_any_groups_is_the_mean_over_all_choices(seed):
    """Several right groups (a list of references), ties, samples without an answer, up to ten samples."""
    source = random.Random(seed)
    groups = [source.choice([None, 0, 1, 2, 3, 4]) for _ in range(source.randint(2, 10))]
    good = set(source.sample(range(5), source.randint(0, 3)))
    right = [group in good for group in groups]
    for k in range(1, len(groups) + 1):
        brute = mean(
            vote([groups[i] for i in chosen], [right[i] for i in chosen])
            for chosen in combinations(range(len(groups)), k)
        )
        assert maj_at_k(groups, right, k) == pytest.approx(brute, abs=1e-12)


def test_maj_at_k_of_the_papers_64_samples_agrees_with_draws():
    """C(64, 32) is 1.8e18 choices: counted exactly, beside a mean over choices drawn one by one."""
    groups = [0] * 24 + [1] * 20 + [2] * 9 + list(range(3, 9)) + [None] * 5
    right = [group == 0 for group in groups]
    source = random.Random(0)
    drawn = [source.sample(range(64), 32) for _ in range(4000)]
    estimate = mean(vote([groups[i] for i in chosen], [right[i] for i in chosen]) for chosen in drawn)
    assert maj_at_k(groups, right, 32) == pytest.approx(estimate, abs=0.025)  # four standard errors
    assert maj_at_k(groups, right, 1) == pytest.approx(24 / 64, abs=1e-12)
    assert maj_at_k(groups, right, 64) == 1.0


def test_too_many_samples_are_drawn_alike_each_time(monkeypatch):
    groups = [0] * 90 + [1] * 80 + [None] * 30
    right = [group == 0 for group in groups]
    exact = maj_at_k(groups, right, 50)
    monkeypatch.setattr(estimators, "EXACT_SAMPLES", 100)
    drawn = [maj_at_k(groups, right, 50, seed=1) for _ in range(2)]
    assert drawn[0] == drawn[1] != exact
    assert drawn[0] != maj_at_k(groups, right, 50, seed=2)
    assert drawn[0] == pytest.approx(exact, abs=0.02)
    assert maj_at_k([None] * 200, [False] * 200, 50) == 0.0


def test_more_voters_than_samples_raise():
    with pytest.raises(ValueError, match="maj@4 needs"):
        maj_at_k([0, 0, 1], [True, True, False], 4)
