"""Which groups are kept, what is said of a batch: against NumPy in float64, and worked by hand."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from given_rollouts import NONE, rollout, round_of
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.errors import RunError
from magistral_recipe.training.rounds import Round, batch_figures, select

rewards_of_a_group = st.lists(st.sampled_from([0.0, 0.1, 0.5, 1.0, NONE]), min_size=4, max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(rewards_of_a_group, min_size=1, max_size=8))
def test_a_group_is_kept_for_its_rewards_and_centred_on_their_mean(rewards):
    round_ = round_of(rewards)
    kept = select(round_, "total", keep_all=False)
    table = np.array(rewards, dtype=np.float64)
    distinct = [len({r for r in group if not math.isnan(r)}) for group in rewards]
    informative = [f"p{i}" for i, count in enumerate(distinct) if count > 1]
    assert [group[0].problem["id"] for group in kept.groups] == informative
    assert all(len(group) == 4 for group in kept.groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of a group without any reward
        centred = np.nan_to_num(table - np.nanmean(table, axis=1, keepdims=True))
        levels = np.nanmean(table, axis=1)[np.array(distinct) < 2]
    assert [r.centred for r in round_.rollouts] == pytest.approx(centred.ravel().tolist(), abs=1e-6)
    assert (kept.all_right, kept.all_wrong) == ((levels >= 0.75).sum(), (levels <= 0.25).sum())
    assert kept.all_right + kept.all_wrong + kept.other == len(levels)


def test_flat_groups_can_be_kept_and_are_counted_all_the_same():
    round_ = round_of([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
    kept = select(round_, "total", keep_all=True)
    assert kept.groups == round_.groups
    assert (kept.all_right, kept.all_wrong, kept.other) == (1, 1, 0)


@pytest.mark.parametrize(
    ("top", "kinds"), [(1.0, (3, 1, 0)), (2.0, (2, 1, 1)), (4.0, (0, 2, 2))], ids=["top 1", "top 2", "top 4"]
)
def test_right_and_wrong_are_quarters_of_what_can_be_reached(top, kinds):
    flat = round_of([[level, level] for level in (0.0, 1.0, 1.5, 2.0)])
    kept = select(flat, "total", keep_all=False, top=top)
    assert (kept.all_right, kept.all_wrong, kept.other) == kinds
    assert kept.groups == []


def test_a_group_that_nothing_scored_is_neither_right_nor_wrong():
    kept = select(round_of([[NONE, NONE], [NONE, 1.0]]), "total", keep_all=False)
    assert (kept.groups, kept.all_right, kept.all_wrong, kept.other) == ([], 1, 0, 1)


def several():
    """Two groups of two, each told apart by one column alone."""
    columns = [
        ({"format": 1.0, "math": 0.0}, {"words": 3, "reason": "wrong"}),
        ({"format": 0.0, "math": 0.0}, {"words": 3, "reason": "right"}),
        ({"format": 1.0, "math": NONE}, {"words": None, "reason": "wrong"}),
        ({"format": 1.0, "math": 1.0}, {"words": 4, "reason": "wrong"}),
    ]
    problems = [{"id": "p0"}, {"id": "p1"}]
    return Round(
        [rollout(problems[i // 2], 1.0, rewards=rewards, parts=parts) for i, (rewards, parts) in enumerate(columns)], 2
    )


@pytest.mark.parametrize(
    ("signal", "values"),
    [
        ("total", [1, 1, 1, 1]),
        ("format", [1, 0, 1, 1]),
        ("math", [0, 0, NONE, 1]),
        ("words", [3, 3, NONE, 4]),
        ("reason", [NONE] * 4),
    ],
)
def test_the_signal_is_the_total_a_reward_or_a_logged_column(signal, values):
    assert several().signal(signal).tolist() == pytest.approx(values, nan_ok=True)


def test_advantages_come_from_the_total_whatever_the_signal_is():
    kept = select(several(), "format", keep_all=False)
    assert [group[0].problem["id"] for group in kept.groups] == ["p0"]
    assert [r.centred for r in kept.groups[0]] == [0, 0]


def test_an_unknown_signal_lists_the_nearest():
    with pytest.raises(RunError, match=r"'formt'.*Did you mean 'format'"):
        several().signal("formt")


def test_groups_that_only_filled_up_the_ranks_are_dropped():
    round_ = round_of([[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]], [[1, 2], [3, 4], [50, 60]], seen=[1.0])
    first = round_.first(2)
    assert first.groups == round_.groups[:2]
    assert (first.completion_tokens, first.group_size, first.figures) == (10, 2, {"seen": [1.0]})
    assert len(round_.rollouts) == 6


def test_figures_of_a_batch_count_every_rollout_of_every_round_once():
    rng = np.random.default_rng(5)
    rounds, tables, lengths = [], [], []
    for groups in (4, 2, 1):
        rewards = np.round(rng.random((groups, 4)), 2)
        rewards[0, 0] = np.nan
        rewards[-1] = 1.0 if groups > 1 else 0.0
        long = rng.integers(1, 90, (groups, 4))
        rounds.append(round_of(rewards.tolist(), long.tolist()))
        tables.append(rewards)
        lengths.append(long)
    for place, each in enumerate(rounds[0].rollouts):
        each.truncated = place % 3 == 0
    kept = [select(round_, "total", keep_all=False) for round_ in rounds]
    figures = batch_figures(rounds, kept, used=3)
    table, tokens = np.concatenate(tables), np.concatenate(lengths).ravel()
    cut = np.array([r.truncated for round_ in rounds for r in round_.rollouts])
    expected = {
        "reward": np.nanmean(table),
        "reward_std": np.nanstd(table, ddof=1),
        "rewards/only/mean": np.nanmean(table),
        "rewards/only/std": np.nanstd(table, ddof=1),
        "frac_reward_zero_std": 3 / 7,
        "completions/mean_length": tokens.mean(),
        "completions/min_length": tokens.min(),
        "completions/max_length": tokens.max(),
        "completions/p95_length": np.sort(tokens)[math.ceil(0.95 * 28) - 1],
        "completions/clipped_ratio": 6 / 28,
        "completions/mean_terminated_length": tokens[~cut].mean(),
        "completions/min_terminated_length": tokens[~cut].min(),
        "completions/max_terminated_length": tokens[~cut].max(),
        "groups/generated": 7,
        "groups/trained": 3,
        "groups/uninformative": 3 / 7,
        "groups/all_right": 2 / 7,
        "groups/all_wrong": 1 / 7,
        "groups/other_flat": 0,
        "groups/refill_rounds": 2,
        "groups/extra_tokens": lengths[1].sum() + lengths[2].sum(),
        "groups/unscored_rows": 2,  # the third round's gap is in its flat group, which is filled up again
    }
    assert figures == pytest.approx(expected)


def test_a_batch_without_an_ended_completion_says_length_0():
    round_ = round_of([[0.0, 1.0]])
    for each in round_.rollouts:
        each.truncated = True
    figures = batch_figures([round_], [select(round_, "total", keep_all=False)], 1)
    assert {name: figures[f"completions/{name}_terminated_length"] for name in ("mean", "min", "max")} == {
        "mean": 0,
        "min": 0,
        "max": 0,
    }


def test_what_else_was_logged_is_weighed_by_rollouts():
    # a figure of TRL's under a name that is worked out here is not taken over
    rounds = [
        round_of([[0.0, 1.0]] * 3, mine=[0.2, 0.4], reward=[99.0], gone=[math.nan]),
        round_of([[0.0, 1.0]], mine=[0.9], late=[4.0]),
        round_of([[0.0, 1.0]], mine=[math.nan], empty=[]),
    ]
    figures = batch_figures(rounds, [select(r, "total", keep_all=False) for r in rounds], 5)
    assert figures["mine"] == pytest.approx((6 * 0.3 + 2 * 0.9) / 8)
    assert figures["late"] == 4.0
    assert figures["reward"] == 0.5
    assert not {"gone", "empty"} & set(figures)
