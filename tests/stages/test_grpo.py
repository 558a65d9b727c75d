"""What the `grpo` stage warns of: rewards that have limits of length, and are told none."""

from __future__ import annotations

from pathlib import Path

import pytest

from magistral_recipe.stages.grpo import GrpoStage


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
