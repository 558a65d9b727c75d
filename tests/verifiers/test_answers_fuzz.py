"""No mutation of a real answer may raise, hang, or be judged in two ways: seeded mutations and arbitrary text."""

import logging
import time

import pytest
from answer_mutations import PIECES, mutated_pairs, pairs
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.rewards import MathCorrectness
from magistral_recipe.verifiers.answers import judge, references_of

REASONS = {"right", "wrong", "hedge", "restated", "unreadable", "undecided", "no_box", "several_boxes"}
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=30).map("".join)


def test_there_are_pairs_to_mutate():
    assert len(pairs()) > 2000


def check(count, seed, slowest=0.5):
    judged = 0
    for reference, box in mutated_pairs(count, seed):
        start = time.process_time()
        if texts := references_of(reference):
            verdict = judge(texts, [box])
            assert verdict.right in (True, False, None)
            assert verdict.reason in REASONS, (reference, box)
            judged += 1
        assert time.process_time() - start < slowest, (reference, box)
    assert judged > count * 0.9


def test_mutations_of_real_answers_are_judged():
    judge(["1"], ["2"])  # what is imported at first use counts for no pair
    check(2000, seed=20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_many_mutations_of_real_answers_are_judged(seed):
    judge(["1"], ["2"])
    check(10_000, seed)


@settings(max_examples=300, deadline=None)
@given(HOSTILE | st.text(max_size=50), HOSTILE | st.text(max_size=50))
def test_whatever_stands_in_a_box_earns_a_number(answer, box):
    assert judge_twice(answer, box) is not None


def judge_twice(answer, box):
    texts = references_of(answer)
    verdicts = [judge(texts, [box]) if texts else "unreadable" for _ in range(2)]
    assert verdicts[0] == verdicts[1]
    return verdicts[0]


def test_the_reward_never_calls_the_machine_at_fault(caplog):
    rows = list(mutated_pairs(300, seed=7))
    reward = MathCorrectness()
    with caplog.at_level(logging.ERROR):
        values = reward(
            completions=[f"<think>a</think>\\boxed{{{box}}}" for _, box in rows],
            answer=["42"] * len(rows),  # a number: nothing is left to SymPy
        )
    assert set(values) <= {0.0, 1.0}
    assert reward.counts["grader_error"] == reward.counts["worker_failed"] == 0
    assert not caplog.records


@pytest.mark.parametrize(
    "unit",
    [
        "**", "`", "*a", r"\text{", r"\text{a}", r"{\rm ", "_{1}C_", "(5)_", "1 000 ", "1.000", "1,000,", "three ",
        "a'b ", ": ", r"\text{for all }x,", r"x\in\mathbb{R},", "(A)", "5:30 ", "x=1;", r"\begin{array}",
        r"\mathrm{~N}",
        r"\cdots ", "a or ", "-", r"\pm", r"\mathbf{i}+", "[[1,2],", "^'", r"\{", "€", r"\boxed 5 ",
    ],
)  # fmt: skip
def test_repetitions_of_any_piece_cost_little(unit):
    start = time.process_time()
    for size in (990, 100_000):
        text = unit * (size // len(unit))
        for reference in ("42", r"\frac{1}{x}", "(1,2)", "A", "x>5"):
            judge([reference], [text])
    assert time.process_time() - start < 1.0
