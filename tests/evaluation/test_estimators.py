"""pass@k and maj@k against brute force over all choices of k samples."""

from __future__ import annotations

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
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01, abs=1e-12)


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


def test_too_many_choices_are_drawn_alike_each_time(monkeypatch):
    answers = ["12"] * 9 + ["7"] * 8 + [None] * 3
    exact = maj_at_k(clusters(answers), [a == "12" for a in answers], 5)
    monkeypatch.setattr(estimators, "EXACT_SUBSETS", 3000)
    drawn = [maj_at_k(clusters(answers), [a == "12" for a in answers], 5, seed=1) for _ in range(2)]
    assert drawn[0] == drawn[1] != exact
    assert drawn[0] == pytest.approx(exact, abs=0.05)


def test_more_voters_than_samples_raise():
    with pytest.raises(ValueError, match="maj@4 needs"):
        maj_at_k([0, 0, 1], [True, True, False], 4)
