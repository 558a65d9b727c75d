"""What the `grpo` stage warns of: rewards that have limits of length, and are told none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import families
import pytest
from transformers import GenerationConfig

from magistral_recipe.stages.grpo import GrpoStage, stop_at_turn_ends
from magistral_recipe.writing.chat_format import ChatFormat, stop_token_ids


def warned(**keys) -> list[tuple]:
    return [key for key, _ in GrpoStage(problems="train", **keys).warnings(Path())]


@pytest.mark.parametrize("reward", ["magistral", "length"])
def test_a_reward_with_limits_and_none_given_is_warned_of(reward):
    ((key, text),) = GrpoStage(problems="train", rewards=[reward]).warnings(Path())
    assert key == ("trainer", "overlong_cache")
    assert text.startswith(f"'{reward}' punishes no length")


def test_limits_may_come_from_the_trainer_the_schedule_or_the_reward():
    assert warned(trainer={"overlong_cache": 64}) == []
    assert warned(trainer={"overlong_cache": 0}) == []
    assert warned(schedule=[{"from_step": 3, "overlong_cache": 64}]) == []
    assert warned(rewards=[{"magistral": {"max_length": 512, "cache": 128}}]) == []
    assert warned(schedule=[{"from_step": 3, "max_completion_length": 64}]) == [("trainer", "overlong_cache")]


def test_rewards_without_limits_are_not():
    assert warned(rewards=["math"]) == []


def test_rl_from_a_base_stops_where_the_template_ends_a_turn():
    """As a base ships: its tokenizer and configs know the end of a text, its template ends turns with another token."""
    tokenizer = families.qwen3()
    tokenizer.eos_token = "<|endoftext|>"
    chat = ChatFormat(template="tokenizer").install(tokenizer)
    model = SimpleNamespace(generation_config=GenerationConfig(eos_token_id=tokenizer.eos_token_id))
    start = SimpleNamespace(tokenizer=tokenizer, chat=chat, model=model)
    assert "'<|im_end|>' too, with which the chat template ends a turn" in stop_at_turn_ends(start)
    ends = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    assert model.generation_config.eos_token_id == stop_token_ids(tokenizer, model) == ends
    assert stop_at_turn_ends(start) is None  # known by now
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    assert chat.turn_end(tokenizer) is None
