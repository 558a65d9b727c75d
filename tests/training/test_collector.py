"""Filling a batch: which prompts are drawn in which round, what is dropped, when it stops, what a resume needs."""

from __future__ import annotations

import json

import pytest
from datasets import Dataset
from given_rollouts import NONE, rollout
from tiny_policy import settings

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.training.collector import Collector
from magistral_recipe.training.prompt_stream import PromptStream
from magistral_recipe.training.rounds import Round
from magistral_recipe.training.schedule import Schedule, Settings

BASE = Settings(max_completion_length=12, overlong_cache=None, prompts_per_batch=4)


class Generator:
    """Scores every group by its prompt: those in `good` have a signal; notes what it was asked for."""

    def __init__(self, good, size=4):
        self.good, self.size, self.asked = set(good), size, []

    def __call__(self, problems):
        names = [problem["prompt"] for problem in problems]
        self.asked.append(names)
        rollouts = []
        for problem in problems:
            rewards = [1.0] + [0.0] * (self.size - 1) if problem["prompt"] in self.good else [0.0] * self.size
            rollouts += [rollout(problem, reward, completion=2) for reward in rewards]
        return Round(rollouts, self.size)


def collector(tmp_path, entries=(), processes=1, count=12, **changes):
    config = settings(tmp_path, **changes)
    data = Dataset.from_list([{"prompt": f"p{i}", "difficulty": i / 10} for i in range(count)])
    stream = PromptStream(data, seed=1, shuffle=False)
    return Collector(config, stream, Schedule(list(entries), BASE), processes, top=1.0)


def prompts(batch):
    return [group[0].problem["prompt"] for group in batch.groups]


def test_as_many_prompts_are_drawn_as_are_missing_in_the_streams_order(tmp_path):
    generate = Generator(["p1", "p4", "p7", "p8", "p9"])
    batch = collector(tmp_path, max_refill_rounds=9).fill(BASE, generate)
    assert generate.asked == [["p0", "p1", "p2", "p3"], ["p4", "p5", "p6"], ["p7", "p8"]]
    assert prompts(batch) == ["p1", "p4", "p7", "p8"]
    assert batch.tokens == 9 * 4 * 2
    figures = {name: batch.figures[f"groups/{name}"] for name in ("generated", "trained", "refill_rounds")}
    assert figures == {"generated": 9, "trained": 4, "refill_rounds": 2}
    assert batch.figures["groups/extra_tokens"] == 5 * 4 * 2
    assert batch.figures["groups/all_wrong"] == pytest.approx(5 / 9)


def test_the_next_batch_goes_on_where_the_last_one_stopped_drawing(tmp_path):
    made = collector(tmp_path, max_refill_rounds=1)
    generate = Generator(f"p{i}" for i in range(2, 12))
    made.fill(BASE, generate)
    made.fill(BASE, generate)
    assert generate.asked == [["p0", "p1", "p2", "p3"], ["p4", "p5"], ["p6", "p7", "p8", "p9"]]
    assert made.epoch == pytest.approx(10 / 12)


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_rounds_are_bounded_and_the_batch_stays_smaller(tmp_path, rounds):
    generate = Generator(["p1"])
    batch = collector(tmp_path, max_refill_rounds=rounds).fill(BASE, generate)
    assert [len(names) for names in generate.asked] == [4, 3, 3, 3][: rounds + 1]
    assert prompts(batch) == ["p1"] if rounds < 3 else ["p1", "p1"]


def test_flat_groups_are_kept_without_a_second_round_where_that_is_asked(tmp_path):
    generate = Generator(["p1"])
    batch = collector(tmp_path, keep_uninformative_groups=True, max_refill_rounds=5).fill(BASE, generate)
    assert prompts(batch) == ["p0", "p1", "p2", "p3"]
    assert len(generate.asked) == 1


@pytest.mark.parametrize(("processes", "asked"), [(2, 1), (3, 3), (5, 5), (8, 2)])
def test_repetitions_that_fill_up_the_ranks_are_neither_trained_nor_counted(tmp_path, processes, asked):
    made = collector(tmp_path, processes=processes)
    generate = Generator(["p0"])
    batch = made.fill(BASE._replace(prompts_per_batch=1), generate)
    assert generate.asked == [["p0"] * asked]
    assert prompts(batch) == ["p0"]
    assert (batch.figures["groups/generated"], batch.tokens) == (1, 8)
    assert made.epoch == pytest.approx(1 / 12)


def test_empty_batches_in_a_row_stop_the_run_and_a_full_one_starts_the_count_anew(tmp_path, caplog):
    made = collector(tmp_path, max_refill_rounds=0, max_empty_batches=2)
    flat = Generator([])
    assert made.fill(BASE, flat).groups == []
    assert "nothing is trained on it" in caplog.text
    assert made.fill(BASE, Generator(["p5"])).groups
    assert made.fill(BASE, flat).groups == []
    with pytest.raises(RunError, match=r"2 generation batches in a row .*all right 0%, all wrong 100%, other 0%"):
        made.fill(BASE, flat)


def test_groups_without_any_reward_are_neither_right_nor_wrong_in_the_message(tmp_path):
    made = collector(tmp_path, max_refill_rounds=0, max_empty_batches=1)
    with pytest.raises(RunError, match="all right 0%, all wrong 0%, other 100%"):
        made.fill(BASE, lambda problems: Round([rollout(p, NONE) for p in problems for _ in range(4)], 4))


def scored(*rewards):
    """A generator that pays every completion of the n-th round the n-th reward, or the pair of them in turn."""
    rounds = iter(rewards)

    def generate(problems):
        paid = next(rounds)
        pair = paid if isinstance(paid, tuple) else (paid, paid)
        return Round([rollout(problem, pair[i % 2]) for problem in problems for i in range(4)], 4)

    return generate


@pytest.mark.parametrize(
    ("rewards", "said"),
    [
        (
            [0.0, 0.0],
            "every one of 16 completions earned 0.00, and the rewards don't say why: read them;",
        ),
        (
            [1.0, 1.0],
            "every one of 16 completions earned 1.00, all right: there is nothing left to learn here",
        ),
        (
            [(1.0, 0.0), (0.6, 0.0), 0.0, 0.0],
            "the policy has collapsed. The first batch earned 0.50 a completion, this one",
        ),
        (
            [(1.0, 0.0), (0.6, 0.0), 0.1, 0.1],  # the format is still paid: neither right nor wrong
            "the policy has collapsed. The first batch earned 0.50 a completion, this one 0.10",
        ),
        ([(1.0, 0.0), 1.0, 1.0], "these problems are learnt. Choose harder ones"),
        ([NONE, NONE], "no reward applied to any of 16 completions. Do the rows have the columns"),
    ],
)
def test_a_run_with_nothing_to_learn_says_which_kind_it_is(tmp_path, rewards, said):
    made, generate = collector(tmp_path, max_refill_rounds=0, max_empty_batches=2), scored(*rewards)
    for _ in rewards[:-1]:
        made.fill(BASE, generate)
    with pytest.raises(RunError) as caught:
        made.fill(BASE, generate)
    assert said in str(caught.value)
    if "collapsed" in said:
        assert "0, after 2 batches that trained: lower learning_rate (" in str(caught.value)
        assert "Check the rewards" not in str(caught.value)


def test_a_restored_collector_knows_how_it_began(tmp_path):
    first, generate = collector(tmp_path, max_refill_rounds=0, max_empty_batches=1), scored((1.0, 0.0), 0.0)
    first.fill(BASE, generate)
    second = collector(tmp_path, max_refill_rounds=0, max_empty_batches=1)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    with pytest.raises(RunError, match="collapsed"):
        second.fill(BASE, generate)


def test_a_restored_collector_draws_and_counts_on(tmp_path):
    first = collector(tmp_path, max_refill_rounds=0, max_empty_batches=2)
    first.fill(BASE, Generator([]))
    second = collector(tmp_path, max_refill_rounds=0, max_empty_batches=2)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    generate = Generator([])
    with pytest.raises(RunError, match="2 generation batches in a row"):
        second.fill(BASE, generate)
    assert generate.asked == [["p4", "p5", "p6", "p7"]]


def test_the_schedule_sees_every_batch_and_moves_the_band(tmp_path):
    entries = [
        {"from_step": 2, "min_difficulty": 0.5, "prompts_per_batch": 2},
        {"when": {"metric": "uninformative", "above": 0.4, "for": 1}, "max_difficulty": 0.6},
    ]
    made = collector(tmp_path, entries, max_refill_rounds=0)
    generate = Generator([f"p{i}" for i in range(6)])
    made.fill(made.advance(0), generate)
    in_force = made.advance(2)
    assert (in_force.prompts_per_batch, in_force.min_difficulty) == (2, 0.5)
    made.fill(in_force, generate)
    assert generate.asked[1] == ["p5", "p6"]  # half of them flat: the second entry's condition
    made.fill(made.advance(4), generate)
    assert generate.asked[2] == ["p5", "p6"]  # of a new pass: nothing above 0.6


def test_a_schedule_is_checked_whole_before_anything_is_generated(tmp_path):
    entries = [{"from_step": 2, "max_completion_length": 40}, {"from_step": 4, "max_completion_length": 20}]
    assert collector(tmp_path, entries).check_schedule() == 40
    with pytest.raises(DataError, match=r"schedule\[1\]: no row .* difficulty in \[5"):
        collector(tmp_path, [{"from_step": 2}, {"from_step": 4, "min_difficulty": 5.0}]).check_schedule()
