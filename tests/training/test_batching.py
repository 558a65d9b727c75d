"""Microbatches: everything once, within the budget, the same plan on every rank."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.training.batching import (
    TokenSequence,
    collate,
    deal_groups,
    masked_sequence,
    pack,
    padded_tokens,
    share_out,
)

lengths_of_rows = st.lists(st.integers(1, 200), min_size=0, max_size=60)


@settings(max_examples=200, deadline=None)
@given(lengths_of_rows, st.integers(1, 400))
def test_every_row_is_packed_once_and_within_the_budget(lengths, budget):
    bins = pack(lengths, budget)
    assert sorted(i for chosen in bins for i in chosen) == list(range(len(lengths)))
    for chosen in bins:
        width = max(lengths[i] for i in chosen)
        assert len(chosen) == 1 or width * len(chosen) <= budget


def test_packing_by_size_pads_less_than_packing_in_order():
    lengths = [1, 100, 2, 99, 3, 98, 4, 97]
    bins = pack(lengths, 400)
    assert padded_tokens(lengths, bins) == 4 * 100 + 4 * 4
    assert padded_tokens(lengths, [[0, 1, 2, 3], [4, 5, 6, 7]]) == 4 * 100 + 4 * 98


@settings(max_examples=100, deadline=None)
@given(lengths_of_rows, st.integers(1, 5), st.integers(1, 400))
def test_ranks_share_the_work_in_step(lengths, ranks, budget):
    shares = share_out(lengths, ranks, budget)
    assert sorted(i for share in shares for i in share.rows) == list(range(len(lengths)))
    assert len({len(share.bins) for share in shares}) == 1
    for share in shares:
        assert sorted(i for chosen in share.bins for i in chosen) == share.rows
    loads = [sum(lengths[i] for i in share.rows) for share in shares]
    assert max(loads) - min(loads) <= max(lengths, default=0)


def test_groups_stay_whole_and_spread_over_minibatches():
    assert deal_groups(5, 2) == [[0, 2, 4], [1, 3]]
    assert deal_groups(1, 2) == [[0], []]


def test_rows_are_padded_on_the_right_and_windowed_from_the_shortest_prompt():
    rows = [
        TokenSequence(
            torch.tensor([5, 6, 7]), torch.tensor([8, 1]), torch.ones(2), old_logps=torch.tensor([-1.0, -2.0])
        ),
        TokenSequence(
            torch.tensor([5]), torch.tensor([9, 9, 1]), torch.tensor([1.0, 0, 1]), old_logps=torch.full((3,), -3.0)
        ),
    ]
    batch = collate(rows, [0.5, -0.5], 0, torch.device("cpu"), normalizers=[3.0, 4.0])
    assert batch.input_ids.tolist() == [[5, 6, 7, 8, 1], [5, 9, 9, 1, 0]]
    assert batch.labels.tolist() == [[-100, -100, -100, 8, 1], [-100, 9, -100, 1, -100]]
    assert batch.mask.tolist() == [[0, 0, 1, 1], [1, 0, 1, 0]]
    assert batch.old_logps.tolist() == [[0, 0, -1, -2], [-3, -3, -3, 0]]
    assert batch.normalizer.tolist() == [[3], [4]]
    assert batch.window(torch.arange(4.0).repeat(2, 1)).tolist() == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize(
    ("lengths", "budget", "bins"),
    [
        ([10, 10, 10], 30, [[0, 1, 2]]),  # filled to the last token
        ([10, 10, 10], 29, [[0, 1], [2]]),
        ([10, 10, 10], 9, [[0], [1], [2]]),  # above the budget, each alone
        ([50, 10, 10], 30, [[0], [1, 2]]),
        ([3, 7, 3, 7], 14, [[1, 3], [0, 2]]),
        ([10, 1, 1, 1, 1], 20, [[0, 1], [2, 3, 4]]),  # a bin is as wide as its longest, however short the others
        ([], 10, []),
    ],
)
def test_microbatches_are_filled_by_size_up_to_their_budget(lengths, budget, bins):
    assert pack(lengths, budget) == bins


def test_work_is_dealt_by_tokens_and_short_ranks_make_up_the_passes():
    one, two = share_out([9, 4, 4], 2, 4)
    assert (one.rows, one.bins) == ([0], [[0], []])
    assert (two.rows, two.bins) == ([1, 2], [[1], [2]])
    assert share_out([], 2, 9) == [([], []), ([], [])]


def test_an_empty_microbatch_is_a_row_of_which_nothing_counts():
    row = masked_sequence(7)
    batch = collate([row], [0.0], 0, torch.device("cpu"))
    assert (row.length, batch.input_ids.tolist()) == (2, [[7, 7]])
    assert (batch.labels.tolist(), batch.mask.tolist()) == ([[-100, -100]], [[0.0]])


def test_optional_columns_are_taken_where_every_row_has_them():
    rows = [
        TokenSequence(torch.tensor([5]), torch.tensor([6, 7]), torch.ones(2), weight=torch.tensor([0.5])),
        TokenSequence(torch.tensor([5]), torch.tensor([8]), torch.ones(1), weight=torch.tensor([2.0])),
    ]
    rows[0].ref_logps = torch.tensor([-1.0, -2.0])
    batch = collate(rows, [1.0, 2.0], 0, torch.device("cpu"), tokens=3)
    assert batch.weight.tolist() == [[0.5, 0.5], [2.0, 1.0]]  # one weight a sequence is every token's
    assert (batch.ref_logps, batch.old_logps, batch.sampler_logps) == (None, None, None)
    assert (batch.normalizer, batch.tokens, batch.advantages.tolist()) == (1.0, 3, [1.0, 2.0])


def test_a_window_is_cut_from_next_token_values_at_the_shortest_prompts_end():
    rows = [
        TokenSequence(torch.tensor([5, 6, 7]), torch.tensor([8]), torch.ones(1)),
        TokenSequence(torch.tensor([5, 6]), torch.tensor([8, 9, 1]), torch.ones(3)),
    ]
    batch = collate(rows, [0.0, 0.0], 0, torch.device("cpu"))
    per_token = torch.arange(8).reshape(2, 4)  # value j is of token j + 1
    assert batch.window(per_token).tolist() == [[1, 2, 3], [5, 6, 7]]
