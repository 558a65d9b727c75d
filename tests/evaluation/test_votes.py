r"""Votes by what answers mean: the rules of the maths reward, and SymPy for what they leave undecided."""

from __future__ import annotations

import time

import pytest

from magistral_recipe.evaluation import votes
from magistral_recipe.evaluation.votes import group_answers, maj_at_k_of_problems, right_answers
from magistral_recipe.rewards.math import MathCorrectness
from magistral_recipe.verifiers.pool import Outcome

HALF = r"\int_0^1 x\,dx"


def test_answers_are_grouped_by_meaning():
    given = [["1/2", "0.5", r"\frac{1}{2}", " 0.5", "2", None, "50"], [None, None], []]
    assert group_answers(given) == [[0, 0, 0, 0, 1, None, 2], [None, None], []]


def test_what_the_rules_leave_undecided_is_asked_of_sympy():
    assert group_answers([[HALF, "3", "1/2"], ["1/3", HALF]]) == [[0, 1, 0], [0, 1]]
    assert right_answers([["0.5", "3", None]], [[HALF]]) == [[True, False, False]]
    assert maj_at_k_of_problems([["0.5", HALF, "3"]], [["1/2"]], 3) == {"maj@3": 1.0}


def test_rightness_is_the_rewards():
    """What still has to be computed is no answer, though it means the same as one that was."""
    answers = ["2", "1+1", r"\frac{4}{2}", "3", "2 or 3", "x=2"]
    rewards = MathCorrectness(thinking=None)(
        completions=[rf"\boxed{{{answer}}}" for answer in answers], answer=["2"] * len(answers)
    )
    assert right_answers([answers], [["2"]]) == [[reward == 1 for reward in rewards]]


def test_any_reference_is_right():
    assert right_answers([["3", "5", None]], [["4", "5"]]) == [[False, True, False]]


def test_an_endless_supply_of_odd_answers_costs_a_bounded_number_of_questions(monkeypatch):
    asked = []

    class Pool:
        def compare(self, pairs):
            asked.extend(pairs)
            return [Outcome.DIFFERENT] * len(pairs)

    monkeypatch.setattr(votes, "shared_pool", Pool)
    odd = [rf"\Gamma(\zeta({n}))" for n in range(3, 67)]
    assert group_answers([[*odd, odd[-1]]]) == [[*range(64), 63]]
    assert 0 < len(asked) <= votes.MAX_PAIRS
    assert odd[-1] in asked[0]  # the most frequent one first


def test_a_machine_without_workers_is_no_vote(monkeypatch):
    class Pool:
        def compare(self, pairs):
            return [Outcome.FAILED] * len(pairs)

    monkeypatch.setattr(votes, "shared_pool", Pool)
    with pytest.raises(RuntimeError, match="SymPy"):
        right_answers([["0.5"]], [[HALF]])


def test_unusable_problems_are_named():
    with pytest.raises(ValueError, match="problem 1: its reference"):
        right_answers([["1"], ["1"]], [["1"], [r"\frac{1}{"]])
    with pytest.raises(ValueError, match="maj@2: problem 1 has 1"):
        maj_at_k_of_problems([["1", "1"], ["1"]], [["1"], ["1"]], [1, 2])
    with pytest.raises(ValueError, match="no problems"):
        maj_at_k_of_problems([], [], 1)


def test_no_answer_takes_the_rules_longer_than_a_reward_would(monkeypatch):
    monkeypatch.setattr("magistral_recipe.evaluation.votes.SECONDS", 0.1)
    bombs = ["+".join(f"{3400 - k}!/{3399 - k}!" for k in range(80)) + f"+{number}" for number in range(12)]
    before = time.thread_time()
    assert group_answers([[*bombs, r"\frac12", "0.5"]]) == [[*range(12), 12, 12]]  # no honest vote is lost
    assert right_answers([[*bombs, "0.5"]], [[r"\frac12"]]) == [[*[False] * 12, True]]
    assert time.thread_time() - before < 6  # 12 s without a limit, and by the square of their number
