"""What rewards say of themselves, held against what they do."""

from __future__ import annotations

import inspect
import textwrap

import pytest

from magistral_recipe.rewards import Batch, Grade, MagistralReward, OverlongPenalty, Reason, Reward
from magistral_recipe.rewards.facts import AXES, RewardFacts, owner_of_reasons, part_column, reason_column
from magistral_recipe.rewards.registry import TABLE, build

# part, parts, maximum, decides, has limits, must pay perfect answers to maths, to text
OURS = {
    "magistral": (None, AXES, 1.1, True, True, True, False),
    "format": ("format", (), 1.0, False, False, True, True),
    "math": ("correctness", (), 1.0, True, False, True, True),
    "code": ("correctness", (), 1.0, True, False, True, True),
    "length": ("length", (), 0.0, False, True, False, False),
    "language": ("language", (), 1.0, False, False, True, True),
    "reasoning_language": (None, (), 1.0, False, False, False, False),
    "repetition": (None, (), 0.0, False, False, False, False),
}


def made(name: str) -> Reward:
    reward = build(name, {"language": "fr"} if name == "reasoning_language" else {})
    assert isinstance(reward, Reward)
    return reward


def test_every_reward_of_the_table_is_looked_at():
    assert set(OURS) == set(TABLE)
    assert len(OURS) == 8


@pytest.mark.parametrize("name", OURS)
def test_each_reward_says_what_it_is(name):
    reward = made(name)
    part, parts, maximum, decides, has_limits, maths, text = OURS[name]
    assert reward.facts() == RewardFacts(reward.name, part, parts, pytest.approx(maximum), decides, has_limits)
    assert (reward.must_pay_perfect("math"), reward.must_pay_perfect("text")) == (maths, text)


def test_a_sum_logs_its_parts_and_reasons_under_the_names_that_its_facts_give():
    logged = {}
    reward = MagistralReward(max_length=10, cache=5, name="mine")
    reward(
        completions=["<think>x</think>\\boxed{1}"],
        completion_ids=[[1]],
        answer=["1"],
        language=["en"],
        log_extra=lambda column, values: logged.update({column: values}),
    )
    facts = reward.facts()
    assert set(logged) == {*(facts.column(part) for part in AXES), facts.reasons}
    assert [logged[facts.column(part)] for part in ("format", "correctness", "length")] == [[1.0], [1.0], [0.0]]
    assert logged[facts.reasons] == ["right"]
    assert OverlongPenalty().facts().column("length") is None  # no sum: its value is the part


def test_a_sum_with_a_foreign_grader_promises_nothing():
    assert not MagistralReward(correctness=lambda **_: []).must_pay_perfect("math")


def test_a_new_reward_has_the_modest_facts_and_a_method_makes_its_limits():
    class Brief(Reward):
        default_name = "brief"

        def grade(self, batch: Batch) -> list[Grade]:
            return [Grade(1.0, Reason.WITHIN_LIMITS)] * len(batch)

    class Limited(Brief):
        def set_limits(self, max_length: int, cache: int) -> None:
            pass

    assert Brief().facts() == RewardFacts("brief", None, (), 1.0, False, False)
    assert Brief(name="other").facts().name == "other"
    assert Limited().facts().has_limits
    assert not Brief().must_pay_perfect("math")


def test_the_example_of_the_docstring_works():
    lines = inspect.cleandoc(Reward.__doc__ or "").splitlines()
    start = next(at for at, line in enumerate(lines) if line.strip().startswith("class Exact"))
    stop = next(at for at, line in enumerate(lines) if at > start and line and not line.startswith("    "))
    assert stop - start <= 11
    scope = {"Reward": Reward, "Batch": Batch, "Grade": Grade, "Reason": Reason}
    exec(textwrap.dedent("\n".join(lines[start:stop])), scope)
    reward = scope["Exact"]()
    assert reward(completions=["4", "5"], answer=["4", "4"]) == [1.0, 0.0]
    assert reward.facts() == RewardFacts("exact", "correctness", (), 1.0, True, False)
    assert reward.must_pay_perfect("math")


def test_columns_are_named_and_read_back():
    assert part_column("r", "format") == "r/format"
    assert part_column("", "format") == "format"
    assert reason_column("r") == "r/reason"
    for column, owner in {"r/reason": "r", "r/style/reason": "r/style", "reason": "", "r/format": None}.items():
        assert owner_of_reasons(column) == owner
