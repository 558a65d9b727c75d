"""What the trainer writes down about its rewards, beside the rollouts."""

from __future__ import annotations

import json

from tiny_policy import letters_reward, trainer

from magistral_recipe.report.rewards import read_rewards
from magistral_recipe.rewards import FormatReward, OverlongPenalty
from magistral_recipe.training.scoring import reward_records


def test_rewards_say_what_they_are_and_functions_only_their_names():
    form, length = FormatReward(name="shape"), OverlongPenalty()
    assert reward_records([form, letters_reward, length], ["shape", "letters_reward", "overlong_penalty"]) == [
        {"name": "shape", "part": "format", "parts": (), "maximum": 1.0, "decides": False, "has_limits": False},
        {"name": "letters_reward"},
        {
            "name": "overlong_penalty",
            "part": "length",
            "parts": (),
            "maximum": 0.0,
            "decides": False,
            "has_limits": True,
        },
    ]


def test_a_trainer_used_alone_writes_them_where_its_rollouts_go(tmp_path):
    rewards = [letters_reward, FormatReward(name="shape")]
    run = trainer(tmp_path / "out", rewards, max_steps=1, minibatches_per_batch=1, rollouts_every=1)
    run.train()
    assert (tmp_path / "out" / "rollouts.jsonl").is_file()
    assert [each["name"] for each in json.loads((tmp_path / "out" / "rewards.json").read_text())] == [
        "letters_reward",
        "shape",
    ]
    assert read_rewards(tmp_path / "out" / "rewards.json") == (rewards[1].facts(),)


def test_they_go_where_the_rollouts_are_sent_to(tmp_path):
    there = tmp_path / "stage" / "rollouts.jsonl"
    run = trainer(tmp_path / "out", max_steps=1, minibatches_per_batch=1, rollouts_file=str(there))
    run.train()
    assert json.loads(there.with_name("rewards.json").read_text()) == [{"name": "letters_reward"}]
