"""What is written into rollouts.jsonl and beside a broken step: one line a rollout, readable by any JSON reader."""

from __future__ import annotations

import json

import pytest
from given_rollouts import NONE, rollout

from magistral_recipe.training.metrics import append_lines
from magistral_recipe.training.rollouts import broken_step_records, rollout_records

PROBLEM = {
    "prompt": [{"role": "user", "content": "1 + 1?"}],
    "id": "p7",
    "language": "fr",
    "answer": "2",
    "difficulty": 0.5,
    "tests": ["long"] * 9,
}


def scored(reward, **changes):
    made = rollout(PROBLEM, reward, rewards={"math": reward, "format": 1.0}, parts={"math/reason": "right"}, **changes)
    made.advantage = 1.5
    return made


def test_a_line_holds_all_that_a_person_needs():
    first, second = scored(0.5, marker=3, truncated=True), scored(1.0, completion=9)
    other = rollout({"prompt": "plain"}, 0.0)
    records = rollout_records([[first, second], [other]], step=12)
    assert records[0] == {
        "step": 12,
        "group": 0,
        "id": "p7",
        "language": "fr",
        "answer": "2",
        "prompt": PROBLEM["prompt"],
        "completion": "completion 3",
        "tokens": 5,
        "truncated": True,
        "reward": 0.5,
        "rewards": {"math": 0.5, "format": 1.0},
        "parts": {"math/reason": "right"},
        "advantage": 1.5,
    }
    assert [(record["group"], record["tokens"], record["advantage"]) for record in records] == [
        (0, 5, 1.5),
        (0, 9, 1.5),
        (1, 5, 0.0),
    ]
    assert "id" not in records[2]


def test_a_missing_reward_is_null_in_the_file(tmp_path):
    append_lines(tmp_path / "rollouts.jsonl", rollout_records([[scored(NONE)]], step=0))

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    (line,) = (tmp_path / "rollouts.jsonl").read_text("utf-8").splitlines()
    record = json.loads(line, parse_constant=refuse)
    assert (record["reward"], record["rewards"]) == (None, {"math": None, "format": 1.0})


def test_a_broken_steps_lines_name_prompt_completion_and_advantage():
    assert broken_step_records([scored(0.5, marker=8), rollout({}, 0.0)]) == [
        {"prompt": PROBLEM["prompt"], "completion": "completion 8", "reward": 0.5, "advantage": 1.5, "tokens": 5},
        {"prompt": None, "completion": "completion 0", "reward": 0.0, "advantage": 0.0, "tokens": 5},
    ]


@pytest.mark.parametrize(
    ("reward", "counted", "trains"), [(0.0, 5, True), (1.0, 1, True), (NONE, 5, False), (1.0, 0, False)]
)
def test_a_rollout_trains_with_a_reward_and_a_token_that_counts(reward, counted, trains):
    assert rollout({}, reward, counted=counted).trains is trains
