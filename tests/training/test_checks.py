"""What is refused before the first generation: each named with its row, and what rewards are called with."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from datasets import Dataset, IterableDataset

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.training import checks


def config(**changes):
    base = {"max_steps": -1, "num_train_epochs": 1, "prompts_per_batch": 4, "minibatches_per_batch": 2}
    return SimpleNamespace(**{**base, "num_iterations": 1, **changes})


@pytest.mark.parametrize(
    ("changes", "rows", "steps"),
    [
        ({"max_steps": 7}, 1, 7),
        ({}, 8, 4),  # two batches of two steps
        ({}, 9, 6),  # the last batch is not whole
        ({}, 1, 2),
        ({"num_train_epochs": 2.5}, 8, 10),
        ({"num_train_epochs": 0.01}, 8, 2),
        ({"num_iterations": 3}, 8, 12),
    ],
)
def test_steps_follow_from_passes_over_the_data(changes, rows, steps):
    assert checks.steps_of(config(**changes), Dataset.from_list([{"prompt": "p"}] * rows)) == steps


def test_an_iterable_data_set_needs_its_steps_said():
    endless = IterableDataset.from_generator(lambda: iter([{"prompt": "p"}]))
    assert checks.steps_of(config(max_steps=3), endless) == 3
    with pytest.raises(DataError, match="set `max_steps`"):
        checks.steps_of(config(), endless)


def test_the_first_row_is_a_copy():
    rows = [{"prompt": "p", "answer": "1"}]
    row = checks.first_row(rows)
    row["answer"] = "2"
    assert rows[0]["answer"] == "1"
    with pytest.raises(DataError, match="no `prompt` column, only question"):
        checks.first_row([{"question": "q"}])
    with pytest.raises(DataError, match="is empty"):
        checks.first_row([])


def lengths(counts, **limits):
    """Check prompts that have as many tokens as said."""
    data = Dataset.from_list([{"prompt": f"{count} " + "x" * count} for count in counts])
    asked = []

    def tokens(prompt):
        asked.append(prompt)
        return int(prompt.split()[0])

    settings = {"context": None, "new_tokens": 10, "budgets": None, **limits}
    checks.check_lengths(data, tokens, settings["context"], settings["new_tokens"], settings["budgets"])
    return asked


@pytest.mark.parametrize(
    ("counts", "limits", "message"),
    [
        ([5, 0], {}, "row 1 .* renders to no token at all"),
        ([5, 91], {"context": 100}, "row 1 .* 91 tokens and a completion of up to 10 .* context of 100"),
        ([50], {"budgets": {"one": None, "two": 50}}, "row 0 .* 50 tokens leaves no room in two=50"),
    ],
)
def test_a_prompt_that_does_not_fit_is_named(counts, limits, message):
    with pytest.raises(DataError, match=message):
        lengths(counts, **limits)


def test_prompts_that_just_fit_pass():
    assert len(lengths([90, 49], context=100, budgets={"budget": 91})) == 2


def test_of_a_large_data_set_the_longest_prompts_are_looked_at():
    counts = [10] * 500
    counts[321] = 95
    with pytest.raises(DataError, match="row 321"):
        lengths(counts, context=100)
    assert len(lengths([10] * 500)) == 200


@pytest.mark.parametrize("prompt", [None, 3, [], ["text"]])
def test_a_prompt_is_text_or_messages(prompt):
    with pytest.raises(DataError, match=r"row 0 .* must be text or a list of messages"):
        checks.first_row([{"prompt": prompt}])


def test_rewards_are_told_which_completions_were_cut_off():
    rows = [{"prompt": "p", "answer": "1", "completion": "hidden"}, {"prompt": "q", "answer": "2", "completion": ""}]
    ids = [[5, 1], [5, 6]]
    found = checks.reward_arguments(rows, ["a", "b"], ids, {1}, "state")
    assert found == {
        "truncated": [False, True],
        "answer": ["1", "2"],
        "prompts": ["p", "q"],
        "completions": ["a", "b"],
        "completion_ids": ids,
        "trainer_state": "state",
    }
    assert checks.reward_arguments(rows[:1], [""], [[]], {1}, None)["truncated"] == [True]


@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_a_gap_up_to_the_limit_passes(gap):
    checks.check_gap(gap, 0.5, 3)


def test_a_gap_beyond_the_limit_stops_with_its_likely_causes():
    with pytest.raises(RunError, match=r"step 3: .* 0\.501 nats a token, .*stale weights"):
        checks.check_gap(0.501, 0.5, 3)
