"""What a report knows of rewards: their own word where a run has it, a guess by names where it has none."""

from __future__ import annotations

import json

import pytest
from fabricated import make_run, stage_of

from magistral_recipe.report.advice import findings
from magistral_recipe.report.collect import Run, collect
from magistral_recipe.report.curves import composed_parts, reward_parts
from magistral_recipe.report.rewards import known_rewards, read_rewards
from magistral_recipe.report.seen import rollout_right
from magistral_recipe.rewards import FormatReward, MagistralReward, MathCorrectness, Reward
from magistral_recipe.rewards.facts import RewardFacts
from magistral_recipe.rewards.registry import build
from magistral_recipe.writing.thinking import Thinking

SUM = RewardFacts("mine", None, ("format", "style", "correctness"), 2.0, True)
EXACT = RewardFacts("exact", "correctness", (), 2.0, True)


def test_what_was_written_is_read_back(tmp_path):
    rewards = [MagistralReward(), FormatReward(name="shape"), build("length"), MathCorrectness()]
    assert all(isinstance(reward, Reward) for reward in rewards)
    facts = [reward.facts() for reward in rewards]
    (tmp_path / "rewards.json").write_text(json.dumps([*(each.to_json() for each in facts), {"name": "brevity"}]))
    assert read_rewards(tmp_path / "rewards.json") == tuple(facts)


@pytest.mark.parametrize(
    "content",
    ["", "{", "null", "{}", "[3]", '[{"name": 1, "parts": []}]', '[{"name": "a"}]', '[{"name": "a", "parts": 2}]'],
)
def test_a_broken_file_tells_nothing(tmp_path, content):
    (tmp_path / "rewards.json").write_text(content)
    assert read_rewards(tmp_path / "rewards.json") == ()
    assert read_rewards(tmp_path / "none.json") == ()


def test_odd_values_are_as_good_as_missing(tmp_path):
    record = {"name": "a", "part": 3, "parts": ["format", 4], "maximum": "much", "decides": "yes", "has_limits": 1}
    (tmp_path / "rewards.json").write_text(json.dumps([record]))
    assert read_rewards(tmp_path / "rewards.json") == (RewardFacts("a", None, ("format",)),)


def test_only_rewards_that_told_nothing_are_guessed_at():
    columns = ["mine/correctness", "mine/reason", "other/format", "accuracy"]
    known = known_rewards([SUM], columns, ["mine", "accuracy_reward"])
    assert known[0] == SUM
    assert {facts.name: (facts.part, facts.parts, facts.decides) for facts in known[1:]} == {
        "accuracy_reward": ("correctness", (), True),
        "other": (None, ("format",), False),
        "": (None, (), False),
    }


@pytest.mark.parametrize(
    ("told", "parts", "values", "right"),
    [
        # by what the rewards said of themselves
        ([EXACT], {}, {"exact": 2.0}, True),
        ([EXACT], {}, {"exact": 1.0}, False),
        ([EXACT], {}, {"exact": None}, None),
        ([EXACT], {"exact/reason": "sandbox_failed"}, {"exact": None}, None),
        ([EXACT], {"exact/reason": "other_kind"}, {"exact": None}, None),
        ([SUM], {"mine/correctness": 1.0}, {"mine": 0.3}, True),
        ([SUM], {"mine/correctness": 0.0, "mine/reason": "no_box"}, {"mine": 2.0}, False),
        ([SUM, EXACT], {"mine/correctness": 0.0}, {"mine": 0.0, "exact": 2.0}, True),
        ([RewardFacts("shape", "format")], {"shape/reason": "well_formed"}, {"shape": 1.0}, None),
        # a function of one's own beside them
        ([EXACT], {"judge/verdict": "good"}, {"exact": 0.0, "judge": 1.0}, False),
        # by names alone
        ([], {"magistral_reward/reason": "right", "magistral_reward/correctness": 1.0}, {}, True),
        ([], {"magistral_reward/reason": "wrong", "magistral_reward/correctness": 0.0}, {}, False),
        ([], {"magistral_reward/reason": "wrong"}, {"magistral_reward": 1.1}, False),
        ([], {"math_correctness/reason": "right"}, {"math_correctness": 1.0}, True),
        ([], {"math_correctness/reason": "unreadable_reference"}, {"math_correctness": None}, None),
        ([], {"math_correctness/reason": "other_kind", "code_correctness/reason": "timeout"}, {}, False),
        ([], {"correctness": 1.0}, {}, True),
        ([], {"reason": "wrong"}, {}, False),
        ([], {}, {"accuracy_reward": 1.0}, True),
        ([], {}, {"brevity": 1.0}, None),
        ([], {}, {}, None),
    ],
)
def test_who_decides_whether_a_rollout_was_right(told, parts, values, right):
    assert rollout_right(known_rewards(told, parts, values), parts, values) is right


def test_the_parts_of_a_reward_under_any_name_have_their_curves():
    stage = stage_of(
        **{
            "reward": [1.0, 2.0],
            "mine/style": [0.1, 0.2],
            "mine/correctness": [0.5, 1.0],
            "rewards/mine/mean": [1.0, 2.0],
            "rewards/shape/mean": [0.5, 1.0],
            "rewards/fair/mean": [0.5, 1.0],
            "groups/all_right": [0.0, 0.1],
        }
    )
    stage.rewards = (SUM, RewardFacts("shape", "format"), RewardFacts("fair", "fairness"))
    assert composed_parts(stage) == {"mine/style": "style", "mine/correctness": "correctness"}
    assert reward_parts(stage) == {"mine/correctness": "correctness", "rewards/shape/mean": "format"}


def test_without_their_word_parts_are_known_by_usual_names():
    stage = stage_of(
        **{
            "a/format": [0.5],
            "rewards/accuracy_reward/mean": [0.5],
            "rewards/think_format_reward/mean": [0.5],
            "rewards/brevity/mean": [0.5],
            "rewards/correctness": [0.5],
            "seconds/length": [0.5],
        }
    )
    assert reward_parts(stage) == {"a/format": "format", "rewards/accuracy_reward/mean": "correctness"}


def test_a_reward_of_ones_own_is_judged_by_what_it_said(tmp_path):
    stage = stage_of(**{"rewards/exact/mean": [0.0] * 20})
    assert findings(Run(tmp_path, "r", {}, "", [stage], Thinking(), [])) == []
    stage.rewards = (EXACT,)
    (finding,) = findings(Run(tmp_path, "r", {}, "", [stage], Thinking(), []))
    assert finding.title == "The correctness reward is never paid"


def test_a_run_folder_brings_its_rewards_facts(tmp_path):
    run = make_run(tmp_path, 2)
    row = {"step": 0, "group": 0, "id": "p", "completion": "x", "rewards": {"exact": 2.0, "speaks": 0.0}, "parts": {}}
    (run / "02-grpo" / "rollouts.jsonl").write_text(json.dumps(row) + "\n")
    (before,) = collect(run).stages[1].rollouts
    assert (before.right, before.mixed) == (None, None)
    facts = [EXACT, RewardFacts("speaks", "language")]
    (run / "02-grpo" / "rewards.json").write_text(json.dumps([each.to_json() for each in facts]))
    (after,) = collect(run).stages[1].rollouts
    assert (after.right, after.mixed) == (True, True)
