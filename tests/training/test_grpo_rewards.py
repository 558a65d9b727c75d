"""Rewards of every kind that TRL takes, and what they may get wrong: one line, before anything is generated."""

from __future__ import annotations

import copy
import functools
import math

import numpy as np
import pytest
import torch
from datasets import Dataset, IterableDataset
from tiny_policy import letters_reward, logged, policy, problems, settings, tokenizer, trainer

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.training.grpo import MagistralGRPOTrainer


async def awaited_letters(completions, **_):
    return letters_reward(completions)


async def awaited_error(completions, **_):
    raise KeyError("judge")


async def awaited_too_few(completions, **_):
    return [1.0]


async def awaited_infinity(completions, **_):
    return [math.inf] * len(completions)


def text(completions, **_):
    return ["good"] * len(completions)


def one_number(completions, **_):
    return 0.5


def short_column(completions, log_extra, **_):
    log_extra("mark", [1.0])
    return letters_reward(completions)


def column_once_more(completions, log_extra, **_):
    log_extra("letters", [1.0] * len(completions))
    return letters_reward(completions)


@pytest.mark.parametrize(
    ("rewards", "message"),
    [
        (awaited_error, "'awaited_error' raised KeyError: 'judge'"),
        (awaited_too_few, "'awaited_too_few' returned 1 values for 4 completions"),
        (awaited_infinity, "'awaited_infinity' returned inf for completion 0"),
        (text, "'text' returned 'good' for completion 0, not a number or None"),
        (one_number, "'one_number' returned 0.5 instead of a list of numbers"),
        (short_column, "'short_column' has logged 1 values of 'mark' for 4 completions"),
        ([letters_reward, column_once_more], "'column_once_more' has logged 8 values of 'letters' for 4 completions"),
    ],
)
def test_a_wrong_answer_is_found_before_the_first_generation(tmp_path, rewards, message):
    run = trainer(tmp_path, rewards)
    run._make_source = None  # would fail in another way
    with pytest.raises(RunError, match=f"reward {message}"):
        run.train()


def test_a_coroutine_that_breaks_later_is_named_too(tmp_path):
    with pytest.raises(RunError, match="reward 'awaited_infinity' returned inf for completion 0"):
        trainer(tmp_path, awaited_infinity, probe_rewards=False).train()


@pytest.mark.parametrize("awaited", [awaited_letters, functools.partial(functools.partial(awaited_letters))])
def test_a_coroutine_gives_what_a_plain_reward_gives(tmp_path, awaited):
    rewards = []
    for name, reward in (("plain", letters_reward), ("awaited", awaited)):
        run = trainer(tmp_path / name, reward)
        run.train()
        rewards.append(logged(run, "reward"))
    assert rewards[0] == rewards[1]


@pytest.mark.parametrize("kind", [np.float32, np.int64, torch.tensor], ids=["float32", "int64", "tensor"])
def test_a_logged_column_of_any_library_is_a_signal(tmp_path, kind):
    def reward(completions, log_extra, **_):
        log_extra("count", [kind(len(text)) for text in completions])
        return letters_reward(completions)

    run = trainer(tmp_path, reward, signal="count", max_steps=2)
    run.train()
    assert logged(run, "groups/trained") == [4]


def test_a_flat_group_is_right_or_wrong_by_what_its_signal_reaches(tmp_path):
    def always(completions, **_):
        return [1.0] * len(completions)

    run = trainer(tmp_path, [always, letters_reward], signal="always", max_empty_batches=9, max_refill_rounds=0)
    with pytest.raises(RunError, match="none had anything to train on"):
        run.train()
    assert set(logged(run, "groups/all_right")) == {1.0}


def test_the_logged_advantage_std_is_the_one_that_is_divided_by(tmp_path):
    seen = []
    run = trainer(tmp_path, max_steps=1)
    original = run._report_step
    run._report_step = lambda minibatch, **times: (seen.append(minibatch), original(minibatch, **times))
    run.train()
    rewards = np.array([rollout.reward for rollout in seen[0].rollouts]).reshape(-1, 4)
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    assert logged(run, "advantage_std") == [pytest.approx(centred.std(), abs=1e-6)]
    assert seen[0].advantages == pytest.approx((centred / centred.std()).ravel(), abs=1e-4)


def test_an_evaluation_between_steps_is_not_counted_as_theirs(tmp_path):
    run = MagistralGRPOTrainer(
        policy(),
        letters_reward,
        settings(tmp_path, eval_strategy="steps", eval_steps=1, per_device_eval_batch_size=4, max_steps=2),
        problems(),
        eval_dataset=problems(2),
        processing_class=tokenizer(),
    )
    run.train()
    assert len(logged(run, "eval_reward")) == 2
    assert len(logged(run, "seconds/generating")) == 1  # the second step generates nothing


# ---- rows and settings that cannot train


def rows_without_prompt():
    return iter([{"question": "a"}])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (problems().to_iterable_dataset().filter(lambda row: False), "the training data set is empty"),
        (IterableDataset.from_generator(rows_without_prompt), "no `prompt` column, only question"),
        (Dataset.from_dict({"prompt": ["a", None]}), "row 1 .* must be text or a list of messages, not None"),
        (Dataset.from_dict({"prompt": [7, 8]}), "row 0 .* must be text or a list of messages, not 7"),
    ],
)
def test_rows_that_cannot_train_are_named(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        trainer(tmp_path, data=data).train()


@pytest.mark.parametrize("budget", ["max_tokens_per_microbatch", "max_tokens_per_generation"])
def test_a_budget_below_a_prompt_is_named(tmp_path, budget):
    data = Dataset.from_dict({"prompt": ["a=", "a" * 40]})
    with pytest.raises(DataError, match=f"row 1 .* a prompt of 40 tokens leaves no room in {budget}=30"):
        trainer(tmp_path, data=data, **{budget: 30}).train()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["prompt", "id", "difficulty"], r"schedule\[1\]: no row .* difficulty in \[5.0, inf\]"),
        (["prompt"], r"schedule\[0\]: a difficulty band needs a `difficulty` column"),
    ],
)
def test_a_band_without_rows_is_found_before_it_comes_into_force(tmp_path, columns, message):
    schedule = [{"from_step": 100, "min_difficulty": 0.5}, {"from_step": 200, "min_difficulty": 5.0}]
    run = trainer(tmp_path, data=problems().select_columns(columns), schedule=schedule)
    run._make_source = None
    with pytest.raises(DataError, match=message):
        run.train()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": 0.0}, "temperature must be above 0, not 0.0"),
        ({"max_completion_length": None}, "max_completion_length must be a whole number of at least 1, not None"),
        ({"max_tokens_per_generation": 0}, "max_tokens_per_generation must be a whole number of at least 1, not 0"),
        ({"prompts_per_batch": 4.0}, "prompts_per_batch must be a whole number of at least 1, not 4.0"),
        ({"sampler_gap_limit": math.nan}, "sampler_gap_limit must be above 0, not nan"),
        ({"schedule": [{"from_step": 1, "prompts_per_batch": "3"}]}, r"schedule\[0\]: prompts_per_batch=3 does not"),
    ],
)
def test_settings_out_of_bounds_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        settings(tmp_path, **changes)


# ---- environments and tools

_TEMPLATE = (
    "{% for m in messages %}{{ m['content'] or '' }}"
    "{% for c in m.tool_calls or [] %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}"
    "{% endfor %}{% if add_generation_prompt %}={% endif %}"
)


def test_rewards_reach_the_environments_of_their_completions(tmp_path, monkeypatch, caplog):
    class Environment:
        def reset(self, **row):
            self.id = row["id"]

        def get_reward(self):
            return float(self.id[-1])

    def by_place(environments, **columns):
        assert [environment.id for environment in environments] == columns["id"]
        return [float(place % 2) for place in range(len(environments))]

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    own = copy.deepcopy(tokenizer())
    own.chat_template = _TEMPLATE
    rows = [{"prompt": [{"role": "user", "content": f"ab{i}"}], "id": f"p{i}"} for i in range(5)]
    run = MagistralGRPOTrainer(
        policy(),
        by_place,
        settings(tmp_path, max_steps=2),
        Dataset.from_list(rows),
        processing_class=own,
        environment_factory=Environment,
    )
    run.train()
    assert "not replaced" in caplog.text
    assert logged(run, "rewards/by_place/mean") == [0.5]
    assert logged(run, "groups/trained") == [4]
