"""Minibatches: advantages and normalizers against NumPy in float64 on ragged groups; every sequence in its place."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from given_rollouts import NONE, round_of
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.training import assembly
from magistral_recipe.training.assembly import Plan, build_minibatches, exchange
from magistral_recipe.training.rounds import select

PLAN = Plan(minibatches=1, ranks=1, budget=1000, normalization="minibatch", loss_normalization="minibatch")

REWARDS = [[0.0, 1.0, 0.5, NONE], [1.0, 0.25, 0.0, 0.0], [0.1, 0.2, 0.9, 1.0]]
LENGTHS = [[4, 7, 1, 9], [3, 30, 5, 8], [2, 2, 6, 11]]


def kept(rewards=REWARDS, lengths=LENGTHS, masked=()):
    """The groups of a round that train; of the masked rollouts, by marker, no token counts."""
    round_ = round_of(rewards, lengths)
    for marker in masked:
        round_.rollouts[marker].counted = 0
    return select(round_, "total", keep_all=True).groups


def markers(minibatch):
    return [int(rollout.text.split()[-1]) for rollout in minibatch.rollouts]


def test_rollouts_without_reward_or_token_do_not_train_but_their_rewards_count_in_the_group():
    groups = kept(masked=[5])
    (minibatch,) = build_minibatches(groups, PLAN)
    assert markers(minibatch) == [0, 1, 2, 4, 6, 7, 8, 9, 10, 11]
    table = np.array(REWARDS, dtype=np.float64)
    centred = (table - np.nanmean(table, axis=1, keepdims=True)).ravel()[markers(minibatch)]
    expected = (centred - centred.mean()) / centred.std()
    assert minibatch.advantages == pytest.approx(expected.tolist(), abs=1e-5)
    assert minibatch.spread_before == pytest.approx(centred.std(), abs=1e-6)
    assert [groups[0][3].advantage, groups[1][1].advantage] == [0.0, 0.0]
    counted = np.array(LENGTHS).ravel()[markers(minibatch)]
    assert minibatch.tokens == counted.sum() == 49
    assert minibatch.normalizers == [49.0] * 10
    assert minibatch.lengths == (counted + 3).tolist()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_each_minibatch_is_normalised_over_its_own_ragged_groups(minibatches, seed):
    rng = np.random.default_rng(seed)
    table = np.round(rng.random((6, 4)), 1)
    table[rng.random((6, 4)) < 0.2] = np.nan
    table[:, 0], table[:, 1] = 0.0, 1.0  # every group has a signal
    built = build_minibatches(kept(table.tolist(), [[5] * 4] * 6), PLAN._replace(minibatches=minibatches))
    assert len(built) == minibatches
    centred = table - np.nanmean(table, axis=1, keepdims=True)
    for first, minibatch in enumerate(built):
        own = centred[first::minibatches].ravel()
        own = own[~np.isnan(own)]
        assert minibatch.advantages == pytest.approx(
            ((own - own.mean()) / own.std()).tolist() if len(own) else [], abs=1e-4
        )


def test_groups_are_dealt_whole_and_in_turn_and_a_minibatch_may_be_empty():
    groups = kept()
    first, second = build_minibatches(groups, PLAN._replace(minibatches=2))
    assert (markers(first), markers(second)) == ([0, 1, 2, 8, 9, 10, 11], [4, 5, 6, 7])
    *_, empty = build_minibatches(groups, PLAN._replace(minibatches=4))
    assert (empty.rollouts, empty.tokens, empty.normalizers, empty.spread_before) == ([], 0, [], 0.0)
    assert (empty.padding_share, empty.padding_share_in_one_piece()) == (0.0, 0.0)


def test_advantages_by_group_divide_by_the_spread_of_all_its_rewards():
    groups = kept(masked=[5])
    (minibatch,) = build_minibatches(groups, PLAN._replace(normalization="group"))
    table = np.array(REWARDS, dtype=np.float64)
    expected = (table - np.nanmean(table, axis=1, keepdims=True)) / (np.nanstd(table, axis=1, ddof=1)[:, None] + 1e-4)
    assert minibatch.advantages == pytest.approx(expected.ravel()[markers(minibatch)].tolist(), abs=1e-5)


def test_advantages_may_stay_as_they_are():
    (minibatch,) = build_minibatches(kept(), PLAN._replace(normalization="none"))
    assert minibatch.advantages == pytest.approx(
        [-0.5, 0.5, 0, 0.6875, -0.0625, -0.3125, -0.3125, -0.45, -0.35, 0.35, 0.45]
    )


def test_each_group_over_its_own_tokens():
    groups = kept(masked=[8, 9, 10, 11])
    (minibatch,) = build_minibatches(groups, PLAN._replace(loss_normalization="group"))
    # 4 + 7 + 1 and 3 + 30 + 5 + 8 tokens; the third group has none, so that two groups are averaged
    assert markers(minibatch) == [0, 1, 2, 4, 5, 6, 7]
    assert minibatch.normalizers == [24.0] * 3 + [92.0] * 4
    assert sum(length / n for length, n in zip([4, 7, 1, 3, 30, 5, 8], minibatch.normalizers, strict=True)) == 1.0


def test_padding_is_what_is_computed_beyond_the_tokens():
    groups = kept([[0.0, 1.0, 0.0, 1.0]], [[7, 7, 1, 1]])
    (minibatch,) = build_minibatches(groups, PLAN._replace(budget=20))
    # two of 10 tokens fit 20, then two of 4: nothing is padded; in one piece it would be 4 of 10
    assert [sorted(chosen) for chosen in minibatch.shares[0].bins] == [[0, 1], [2, 3]]
    assert minibatch.padding_share == 0.0
    assert minibatch.padding_share_in_one_piece() == pytest.approx(1 - 28 / 40)
    (whole,) = build_minibatches(groups, PLAN)
    assert whole.padding_share == pytest.approx(1 - 28 / 40)


def exchanged(monkeypatch, ranks):
    """What every rank holds after the exchange; each held the rollouts that it generated, a third of them or so."""
    plan = PLAN._replace(minibatches=2, ranks=ranks, budget=30)
    built = []
    for rank in range(ranks):
        groups = copy.deepcopy(kept())
        mine = np.array_split(np.arange(12), ranks)[rank]
        for marker, rollout in enumerate(rollout for group in groups for rollout in group):
            if marker not in mine:
                rollout.sequence = None
        built.append(build_minibatches(groups, plan))
    sent = []
    monkeypatch.setattr(assembly, "gather_object", lambda leaving: sent.extend(leaving) or [])
    for rank in range(ranks):
        exchange(copy.deepcopy(built[rank]), rank, ranks)
    monkeypatch.setattr(assembly, "gather_object", lambda leaving: sent)
    for rank in range(ranks):
        exchange(built[rank], rank, ranks)
    return built, sent


@pytest.mark.parametrize("ranks", [2, 3])
def test_every_sequence_reaches_the_rank_that_trains_it(monkeypatch, ranks):
    built, sent = exchanged(monkeypatch, ranks)
    assert sent
    trained = []
    for rank, minibatches in enumerate(built):
        for number, minibatch in enumerate(minibatches):
            assert [m.shares for m in minibatches] == [m.shares for m in built[0]]
            share = minibatch.shares[rank]
            for chosen in share.bins:
                found = minibatch.sequences(chosen)
                assert [int(s.prompt_ids[0]) for s in found] == [markers(minibatch)[place] for place in chosen]
                assert [s.length for s in found] == [minibatch.lengths[place] for place in chosen]
            trained += [(number, place) for place in share.rows]
    assert len(trained) == len(set(trained)) == 11  # one has no reward


def test_a_sequence_of_another_rank_is_not_trained_by_mistake(monkeypatch):
    built, _ = exchanged(monkeypatch, 3)
    minibatch = built[0][0]
    missing = [place for place, rollout in enumerate(minibatch.rollouts) if rollout.sequence is None]
    assert missing
    with pytest.raises(LookupError, match=f"rollout {missing[0]} of the minibatch is not on this rank"):
        minibatch.sequences(missing)


def test_alone_nothing_is_exchanged(monkeypatch):
    monkeypatch.setattr(assembly, "gather_object", None)
    (minibatch,) = build_minibatches(kept(), PLAN)
    exchange([minibatch], 0, 1)
    assert [int(s.prompt_ids[0]) for s in minibatch.sequences(range(11))] == markers(minibatch)
