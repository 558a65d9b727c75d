"""The objective against the formulas of Magistral §2.1, written down again in NumPy float64 and plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.training.objective import (
    clipped_policy_loss,
    group_advantages,
    informative_groups,
    normalize_advantages,
)

NAN = float("nan")
rewards_of_groups = st.integers(1, 6).flatmap(
    lambda size: st.tuples(
        st.just(size),
        st.lists(
            st.lists(st.one_of(st.just(NAN), st.floats(-2, 2, width=32)), min_size=size, max_size=size),
            min_size=1,
            max_size=6,
        ),
    )
)


def advantages_by_definition(groups):
    result = []
    for group in groups:
        known = [r for r in group if not math.isnan(r)]
        mean = sum(known) / len(known) if known else 0.0
        result += [0.0 if math.isnan(r) else r - mean for r in group]
    return result


def loss_by_definition(logps, old, advantages, mask, low, high, normalizer):
    total, cut_low, cut_high, tokens = 0.0, 0, 0, 0
    for i in range(logps.shape[0]):
        for t in range(logps.shape[1]):
            if mask[i, t] == 0:
                continue
            tokens += 1
            ratio = math.exp(logps[i, t] - old[i, t])
            clipped = min(max(ratio, 1 - low), 1 + high)
            total += mask[i, t] * min(ratio * advantages[i], clipped * advantages[i])
            cut_low += ratio < 1 - low and advantages[i] < 0
            cut_high += ratio > 1 + high and advantages[i] > 0
    return -total / normalizer, cut_low / max(tokens, 1), cut_high / max(tokens, 1)


@settings(max_examples=100, deadline=None)
@given(rewards_of_groups)
def test_group_advantages_match_their_definition(case):
    size, groups = case
    flat = torch.tensor([r for group in groups for r in group], dtype=torch.float32)
    np.testing.assert_allclose(group_advantages(flat, size).numpy(), advantages_by_definition(groups), atol=1e-6)


@settings(max_examples=100, deadline=None)
@given(rewards_of_groups)
def test_a_group_is_informative_when_two_known_rewards_differ(case):
    size, groups = case
    flat = torch.tensor([r for group in groups for r in group], dtype=torch.float32)
    expected = []
    for group in groups:
        known = [np.float32(r) for r in group if not math.isnan(r)]
        expected.append(bool(known) and max(known) - min(known) > np.float32(1e-6))
    assert informative_groups(flat, size).tolist() == expected


def test_a_group_is_known_by_its_known_rewards():
    rewards = torch.tensor([NAN, 1, 0, 1, 1, 1, 1, NAN, NAN, NAN, NAN, NAN])
    assert informative_groups(rewards, 4).tolist() == [True, False, False]
    assert group_advantages(rewards, 4).tolist() == pytest.approx([0, 1 / 3, -2 / 3, 1 / 3] + [0] * 8)


def test_rewards_that_make_no_whole_groups_are_refused():
    with pytest.raises(ValueError, match="whole groups of 4"):
        group_advantages(torch.zeros(6), 4)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 3, width=32), st.booleans()), min_size=1, max_size=20))
def test_minibatch_advantages_are_standardised_over_the_rows_that_count(rows):
    values = np.array([v for v, _ in rows], dtype=np.float64)
    mask = np.array([m for _, m in rows])
    expected = np.zeros(len(rows))
    if mask.any() and values[mask].std() >= 1e-4:  # below, float32 itself decides what is flat
        expected[mask] = (values[mask] - values[mask].mean()) / values[mask].std()
    elif mask.any() and 0 < values[mask].std() < 1e-4:
        return
    actual = normalize_advantages(torch.tensor(values, dtype=torch.float32), torch.tensor(mask))
    np.testing.assert_allclose(actual.numpy(), expected, atol=2e-3 if mask.any() else 0, rtol=2e-4)


def test_minibatch_advantages_worked_by_hand():
    # mean 0, population std sqrt((3 · .25² + .75²) / 4) = .4330
    actual = normalize_advantages(torch.tensor([0.25, 0.25, 0.25, -0.75]))
    assert actual.tolist() == pytest.approx([0.5774, 0.5774, 0.5774, -1.7321], abs=1e-4)


@pytest.mark.parametrize("mask", [None, torch.tensor([False, False, False])])
def test_a_flat_or_empty_minibatch_gets_zeros(mask):
    assert normalize_advantages(torch.full((3,), 0.7), mask).tolist() == [0, 0, 0]


def random_case(seed, shape=(5, 7)):
    rng = np.random.default_rng(seed)
    logps = rng.normal(-1, 0.7, shape)
    old = logps + rng.normal(0, 0.3, shape)
    advantages = rng.normal(0, 1, shape[0])
    mask = (rng.random(shape) < 0.8).astype(np.float64)
    return logps, old, advantages, mask


@pytest.mark.parametrize("seed", range(8))
def test_loss_and_clipped_shares_match_their_definition(seed):
    logps, old, advantages, mask = random_case(seed)
    expected = loss_by_definition(logps, old, advantages, mask, 0.2, 0.28, mask.sum())
    arrays = (torch.tensor(a, dtype=torch.float32) for a in (logps, old, advantages, mask))
    actual = clipped_policy_loss(*arrays, 0.2, 0.28, float(mask.sum()))
    assert [float(x) for x in actual] == pytest.approx(expected, abs=1e-6)


def test_each_side_is_clipped_only_where_it_would_gain():
    ratio = torch.tensor([[0.5, 2.0], [0.5, 2.0]])
    loss, low, high = clipped_policy_loss(
        ratio.log(), torch.zeros(2, 2), torch.tensor([1.0, -1.0]), torch.ones(2, 2), 0.2, 0.28, 1.0
    )
    # A=+1: min(.5, .8) + min(2, 1.28); A=-1: min(-.5, -.8) + min(-2, -1.28)
    assert float(loss) == pytest.approx(-(0.5 + 1.28 - 0.8 - 2.0), abs=1e-6)
    assert (float(low), float(high)) == (0.25, 0.25)


@pytest.mark.parametrize("seed", range(4))
def test_gradients_match_finite_differences(seed):
    logps, old, advantages, mask = random_case(seed, (3, 4))
    x = torch.tensor(logps, dtype=torch.float32, requires_grad=True)
    arrays = [torch.tensor(a, dtype=torch.float32) for a in (old, advantages, mask)]
    clipped_policy_loss(x, *arrays, 0.2, 0.28, 4.0).loss.backward()
    step = 1e-6
    for i, t in np.ndindex(*logps.shape):
        up, down = logps.copy(), logps.copy()
        up[i, t] += step
        down[i, t] -= step
        slope = (
            loss_by_definition(up, old, advantages, mask, 0.2, 0.28, 4.0)[0]
            - loss_by_definition(down, old, advantages, mask, 0.2, 0.28, 4.0)[0]
        ) / (2 * step)
        assert x.grad[i, t].item() == pytest.approx(slope, abs=1e-5)


def test_no_gradient_reaches_the_old_policy_or_masked_tokens():
    logps = torch.zeros(1, 3, requires_grad=True)
    old = torch.zeros(1, 3, requires_grad=True)
    mask = torch.tensor([[1.0, 1.0, 0.0]])
    clipped_policy_loss(logps, old, torch.tensor([1.0]), mask, 0.2, 0.28, 2.0).loss.backward()
    assert old.grad is None
    assert logps.grad.tolist() == [[-0.5, -0.5, 0.0]]


def test_padding_of_any_value_cannot_make_the_loss_nan():
    logps = torch.tensor([[-1.0, 500.0]], requires_grad=True)
    old = torch.tensor([[-1.0, -500.0]])
    result = clipped_policy_loss(logps, old, torch.tensor([1.0]), torch.tensor([[1, 0]]), 0.2, 0.28, 1)
    result.loss.backward()
    assert float(result.loss.detach()) == -1.0
    assert logps.grad.tolist() == [[-1.0, 0.0]]


@pytest.mark.parametrize(("advantage", "loss"), [(1.0, -1.28), (0.0, 0.0)])
def test_a_ratio_that_overflows_is_clipped_and_has_no_gradient(advantage, loss):
    logps = torch.tensor([[100.0]], requires_grad=True)
    result = clipped_policy_loss(
        logps, torch.zeros(1, 1), torch.tensor([advantage]), torch.ones(1, 1), 0.2, 0.28, normalizer=1.0
    )
    result.loss.backward()
    assert float(result.loss.detach()) == pytest.approx(loss)
    assert logps.grad.tolist() == [[0.0]]


def test_a_minibatch_without_a_token_that_counts_has_loss_0():
    logps, mask = torch.zeros(2, 3, requires_grad=True), torch.zeros(2, 3)
    result = clipped_policy_loss(logps, torch.zeros(2, 3), torch.tensor([1.0, -1.0]), mask, 0.2, 0.28, mask.sum())
    result.loss.backward()
    assert [float(x.detach()) for x in result] == [0, 0, 0]
    assert logps.grad.abs().sum() == 0


def test_one_normalizer_a_row_gives_the_printed_formula():
    logps, old, advantages, mask = random_case(1, (4, 6))
    per_group = [
        loss_by_definition(logps[g : g + 2], old[g : g + 2], advantages[g : g + 2], mask[g : g + 2], 0.2, 0.28, 1)[0]
        / mask[g : g + 2].sum()
        for g in (0, 2)
    ]
    tokens = torch.tensor([mask[:2].sum()] * 2 + [mask[2:].sum()] * 2, dtype=torch.float32).unsqueeze(1)
    arrays = (torch.tensor(a, dtype=torch.float32) for a in (logps, old, advantages, mask))
    actual = clipped_policy_loss(*arrays, 0.2, 0.28, 2 * tokens)
    assert float(actual.loss) == pytest.approx(sum(per_group) / 2, abs=1e-6)


def test_half_precision_is_summed_in_float32():
    logps = torch.full((1, 4096), -1.0, dtype=torch.bfloat16)
    result = clipped_policy_loss(logps, logps, torch.tensor([1.0]), torch.ones(1, 4096), 0.2, 0.28, 4096.0)
    assert result.loss.dtype == torch.float32
    assert float(result.loss) == -1.0
