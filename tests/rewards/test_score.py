"""One completion at a time: a number always, whether it was graded, why, and of what parts."""

import asyncio
import json
import logging
import multiprocessing
import threading
import time

import numpy as np
import pytest

from magistral_recipe.rewards import (
    CodeCorrectness,
    FormatReward,
    LanguageConsistency,
    MagistralReward,
    MathCorrectness,
    OverlongPenalty,
    Score,
    code_correctness,
    magistral_reward,
    math_correctness,
)

GOOD = "<think>We add the two numbers and find that the sum is four.</think>The sum of the numbers is \\boxed{4}."
PROBLEM = "What is the sum of the two numbers two and two?"


def test_a_completion_of_the_sum():
    expected = {"format": 1.0, "correctness": 1.0, "language": 1.0}
    assert magistral_reward.score(GOOD, "4", PROBLEM) == Score(pytest.approx(1.1), True, "right", expected)
    assert magistral_reward.score(GOOD, "5", PROBLEM).value == pytest.approx(0.2)
    assert magistral_reward.score(GOOD, 4, [{"role": "user", "content": PROBLEM}]).value == pytest.approx(1.1)
    assert magistral_reward.score(GOOD, "4", language="de").parts["language"] == 0.0


def test_without_a_prompt_the_language_does_not_apply():
    score = magistral_reward.score(GOOD, "4")
    assert score.value == pytest.approx(1.0)
    assert score.parts == {"format": 1.0, "correctness": 1.0, "language": None}
    assert LanguageConsistency().score(GOOD) == Score(0.0, False, "no_problem", {})


def test_what_is_not_graded_is_zero_and_says_so():
    assert math_correctness.score(GOOD, r"\frac{1}{") == Score(0.0, False, "unreadable_reference", {})
    assert math_correctness.score(GOOD, "4", kind="code") == Score(0.0, False, "other_kind", {})


def test_the_answer_goes_to_the_column_of_the_reward():
    assert MathCorrectness(answer_column="gold").score(GOOD, "4").value == 1.0
    assert math_correctness.score(GOOD, solution="The sum is \\boxed{4}.").value == 1.0
    with pytest.raises(ValueError, match="missing a column of references"):
        math_correctness.score(GOOD)


def test_lengths_and_cuts():
    assert OverlongPenalty(100, 20).score(GOOD, completion_ids=[0] * 90).value == pytest.approx(-0.05)
    assert FormatReward().score("<think>and so on", truncated=True).reason == "cut"


@pytest.mark.parametrize("completion", [[], [{"role": "user", "content": "?"}], [{"role": "tool", "content": "4"}], ""])
@pytest.mark.parametrize("reward", [magistral_reward, math_correctness, FormatReward(), LanguageConsistency()])
def test_an_assistant_that_says_nothing_is_malformed(reward, completion):
    score = reward.score(completion, "4", PROBLEM)
    assert (score.value, score.graded, score.reason if reward is not magistral_reward else "malformed") == (
        0.0, True, "malformed",
    )  # fmt: skip
    assert magistral_reward.score(completion, "4", PROBLEM).value == 0.0


@pytest.mark.parametrize(
    "completion",
    [
        {"role": "assistant", "content": GOOD},
        [{"role": "assistant", "content": GOOD}],
        [{"role": "assistant", "reasoning": "We add the two numbers and find that the sum is four.",
          "content": "The sum of the numbers is \\boxed{4}."}],
        np.array([{"role": "assistant", "content": GOOD}], dtype=object),
        GOOD + "<|im_end|>",
        GOOD + "<|eot_id|>\n",
    ],
)  # fmt: skip
def test_shapes_of_one_completion(completion):
    assert magistral_reward.score(completion, "4", PROBLEM).value == pytest.approx(1.1)


@pytest.mark.parametrize("end", ["", "<|im_end|>", "<|im_end|>\n", "</s>", "<|endoftext|><|endoftext|>"])
def test_the_end_of_the_turn_costs_a_short_answer_nothing(end):
    thoughts = "<think>On additionne les deux nombres, et la somme vaut quatre.</think>"
    score = magistral_reward.score(f"{thoughts}\\boxed{{4}}{end}", "4", "Quelle est la somme de deux et deux ?")
    assert score.value == pytest.approx(1.1)


def test_completions_alone_may_stand_first():
    assert math_correctness([GOOD, "x"], answer=["4", "4"]) == [1.0, 0.0]
    assert math_correctness([PROBLEM], [GOOD], answer=["4"]) == [1.0]
    assert math_correctness([PROBLEM], completions=[GOOD], answer=["4"]) == [1.0]
    assert OverlongPenalty(100, 20)([PROBLEM], [GOOD], [[0] * 90]) == [pytest.approx(-0.05)]
    with pytest.raises(ValueError, match="missing argument 'completions'"):
        math_correctness(prompts=[PROBLEM], answer=["4"])
    with pytest.raises(TypeError, match="given twice"):
        math_correctness([PROBLEM], [GOOD], completions=[GOOD], answer=["4"])
    with pytest.raises(TypeError, match="by position"):
        math_correctness([PROBLEM], [GOOD], [[1]], ["4"])


@pytest.mark.parametrize("kind", [MagistralReward, MathCorrectness, CodeCorrectness, OverlongPenalty])
def test_a_class_in_place_of_an_instance(kind):
    example = "OverlongPenalty\\(...\\)" if kind is OverlongPenalty else f"`{kind.default_name}`"
    with pytest.raises(
        TypeError, match=f"{kind.__name__} is a class, not a reward: pass an instance, e.g. .?{example}"
    ):
        kind(prompts=[PROBLEM], completions=[GOOD], completion_ids=[[1]], answer=["4"])
    with pytest.raises(TypeError, match="pass an instance"):
        kind([GOOD], answer=["4"])  # as ms-swift calls


def test_one_completion_in_place_of_a_list():
    with pytest.raises(ValueError, match="must be a list; for one there is `score`"):
        magistral_reward(prompts=[PROBLEM], completions=GOOD, answer=["4"])


def test_scoring_goes_on_in_a_forked_child():
    async def score():
        return (await math_correctness.ascore(GOOD, "4")).value

    assert asyncio.run(score()) == 1.0
    context = multiprocessing.get_context("fork")
    found = context.SimpleQueue()
    child = context.Process(target=lambda: found.put(asyncio.run(score())))
    child.start()
    assert found.get() == 1.0
    child.join()


@pytest.mark.sandbox
def test_a_program():
    tests = json.dumps({"type": "stdio", "cases": [{"input": "2 2", "output": "4"}]})
    text = "<think>Add.</think>\n```python\nprint(sum(map(int, input().split())))\n```"
    assert code_correctness.score(text, tests=tests) == Score(1.0, True, "right", {})


def test_awaiting_never_blocks_the_loop(monkeypatch):
    release = threading.Event()
    reward = MathCorrectness()
    monkeypatch.setattr(reward, "judge", lambda batch, judge=reward.judge: release.wait(20) and judge(batch))

    async def main():
        waiting = [asyncio.create_task(reward.ascore(GOOD, answer)) for answer in ("4", "5", r"\frac{1}{")]
        waiting += [asyncio.create_task(reward.ascore(GOOD, "4")) for _ in range(200)]
        assert await asyncio.wait_for(asyncio.to_thread(int, "7"), 10) == 7  # nor the threads that it looks up hosts in
        ticks, until = 0, time.monotonic() + 0.2
        while time.monotonic() < until:
            await asyncio.sleep(0.01)
            ticks += 1
        assert ticks > 5
        release.set()
        return await asyncio.gather(*waiting)

    scores = [tuple(score)[:3] for score in asyncio.run(main())]
    assert scores[:3] == [(1.0, True, "right"), (0.0, True, "wrong"), (0.0, False, "unreadable_reference")]
    assert scores[3:] == [(1.0, True, "right")] * 200


def test_many_threads_score_at_once(caplog):
    scores = {}
    threads = [
        threading.Thread(target=lambda i=i: scores.update({i: magistral_reward.score(GOOD, str(i), PROBLEM).value}))
        for i in range(16)
    ]
    with caplog.at_level(logging.ERROR):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert scores == {i: pytest.approx(1.1 if i == 4 else 0.2) for i in range(16)}
    assert not caplog.records
