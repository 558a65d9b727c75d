"""Sixty-four completions that are all malformed are no chance: one warning, with an example and the likely cause."""

import logging
import pickle

import pytest

from magistral_recipe.rewards import FormatReward, MagistralReward, MathCorrectness, Thinking, magistral_reward
from magistral_recipe.rewards.watch import FIRST

PROMPT = "What is 2+2?"
CHAT = [{"role": "user", "content": PROMPT}]


def told(caplog, reward, completion, times=FIRST, prompt=None):
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(0, times, 8):
            prompts = None if prompt is None else [prompt] * 8
            reward(prompts=prompts, completions=[completion] * 8, answer=["4"] * 8)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("completion", "prompt", "cause"),
    [
        ("2+2 is 4</think>\\boxed{4}", None, "Thinking(opened_by_prompt=True)"),
        ("2+2 is 4</think>\\boxed{4}", PROMPT, "Thinking(opened_by_prompt=True)"),
        ("What is 2+2? It is 4</think>\\boxed{4}", None, "Thinking(opened_by_prompt=True)"),
        ("It is \\boxed{4}", None, "special tokens of the model's tokenizer"),
        ("It is \\boxed{4}", PROMPT, "SFT comes first"),
        ([{"role": "assistant", "content": "It is \\boxed{4}"}], CHAT, "SFT comes first"),
        (f"{PROMPT}<think>2+2</think>\\boxed{{4}}", PROMPT, "The prompt stands in front"),
        (f"<|im_start|>user\n{PROMPT}<|im_end|>\n<think>2+2</think>\\boxed{{4}}", CHAT, "The prompt stands in front"),
        ([{"role": "assistant", "content": "\\boxed{4}", "reasoning_content": None}], CHAT, "reasoning parser"),
        ("<think>2+2 is", None, "never close it"),
        ("Sure! <think>2+2</think>\\boxed{4}", None, "not as one pair at the start"),
    ],
)
def test_the_cause(caplog, completion, prompt, cause):
    (message,) = told(caplog, FormatReward(), completion, prompt=prompt)
    assert message.startswith(f"format_reward: the first {FIRST} completions are all malformed")
    assert cause in message
    assert "2+2" in message or "boxed" in message


def test_tags_that_the_prompt_was_said_to_open(caplog):
    reward = FormatReward(Thinking(opened_by_prompt=True))
    (message,) = told(caplog, reward, "<think>2+2</think>\\boxed{4}")
    assert "leave `opened_by_prompt` out" in message


def test_it_is_said_once(caplog):
    assert len(told(caplog, FormatReward(), "no tags", times=10 * FIRST)) == 1


@pytest.mark.parametrize("completion", ["<think>2+2</think>4", "", " "])
def test_nothing_is_said_of_what_is_well_formed_or_blank(caplog, completion):
    assert told(caplog, FormatReward(), completion) == []


def test_one_that_is_well_formed_settles_it(caplog):
    reward = FormatReward()
    assert told(caplog, reward, "<think>2+2</think>4", times=8) == []
    assert told(caplog, reward, "no tags") == []


def test_fewer_are_no_reason(caplog):
    assert told(caplog, FormatReward(), "no tags", times=FIRST - 8) == []


def test_single_scores_count_too(caplog):
    reward = MathCorrectness()
    with caplog.at_level(logging.WARNING):
        for _ in range(FIRST):
            reward.score("no tags", "4")
    assert len(caplog.records) == 1


def test_a_pickled_reward_watches_anew(caplog):
    reward = MagistralReward()
    assert len(told(caplog, reward, "no tags", prompt=PROMPT)) == 1
    assert len(told(caplog, pickle.loads(pickle.dumps(reward)), "no tags", prompt=PROMPT)) == 1
    assert magistral_reward.thinking == Thinking()
