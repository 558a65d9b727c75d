"""Importance weights of sampler against trainer, held against plain NumPy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from magistral_recipe.training.checks import cut_warning
from magistral_recipe.training.correction import CORRECTIONS, importance_weights


def reference(old, sampler, mask, how, lowest, highest):
    """The definition, a token at a time, in float64."""
    ratios = [math.exp(old[t] - sampler[t]) if mask[t] and not math.isnan(sampler[t]) else 1.0 for t in range(len(old))]
    product = math.prod(ratios)
    weights, cut = [], []
    for t, ratio in enumerate(ratios):
        scored = mask[t] and not math.isnan(sampler[t])
        if how == "none" or not mask[t] or (how.startswith("token") and not scored):
            weights.append(1.0)
            cut.append(False)
            continue
        weight = product if how.startswith("sequence") else ratio
        low = -math.inf if lowest is None else lowest
        high = math.inf if highest is None else highest
        cut.append(not low <= weight <= high)
        if how.endswith("mask"):
            weights.append(weight if low <= weight <= high else 0.0)
        else:
            weights.append(min(max(weight, low), high))
    return np.array(weights), np.array(cut)


@pytest.mark.parametrize("how", CORRECTIONS)
@pytest.mark.parametrize(("lowest", "highest"), [(None, 3.0), (0.5, 2.0), (0.8, None)])
def test_weights_are_those_of_the_definition(how, lowest, highest):
    rng = np.random.default_rng(3)
    for scale in (0.01, 0.3, 1.5):
        old = rng.normal(-2, 1, 40)
        sampler = old + rng.normal(0, scale, 40)
        mask = rng.random(40) > 0.2
        sampler[5] = math.nan
        mask[5] = True
        found = importance_weights(
            torch.tensor(old, dtype=torch.float32), torch.tensor(sampler, dtype=torch.float32),
            torch.tensor(mask, dtype=torch.float32), how, lowest, highest,
        )  # fmt: skip
        weights, cut = reference(old, sampler, mask, how, lowest, highest)
        np.testing.assert_allclose(found.weights.double().numpy(), weights, rtol=3e-5)
        assert found.cut.tolist() == cut.tolist()
        gaps = [abs(a - b) for a, b, m in zip(old, sampler, mask, strict=True) if m and not math.isnan(b)]
        assert float(found.gap.sum()) == pytest.approx(sum(gaps), rel=1e-5)
        assert int(found.known.sum()) == len(gaps)


def test_a_long_completion_leaves_a_sequences_bounds_and_no_tokens():
    """A gap of 0.01 nats a token, all one way, over 200 tokens: a product of e², and tokens of 1.01."""
    old, sampler = torch.zeros(200), torch.full((200,), -0.01)
    ones = torch.ones(200)
    assert importance_weights(old, sampler, ones, "sequence_mask").weights.tolist() == [0.0] * 200
    token = importance_weights(old, sampler, ones, "token_truncate")
    assert token.weights.tolist() == pytest.approx([math.exp(0.01)] * 200)
    assert not token.cut.any()


def test_a_ratio_that_overflows_is_cut_and_finite():
    found = importance_weights(torch.tensor([0.0]), torch.tensor([-500.0]), torch.ones(1), "token_truncate")
    assert found.weights.tolist() == [3.0]
    assert found.cut.tolist() == [True]


def test_the_warning_begins_above_five_percent_and_names_the_remedy():
    assert cut_warning(0.05, 0.01, "token_truncate") is None
    assert "cuts the importance weights of 5.1% of the tokens" in cut_warning(0.051, 0.02, "token_truncate")
    assert "stale weights" in cut_warning(0.5, 0.02, "token_mask")
    assert "rollouts: {correction: token_truncate}" in cut_warning(0.5, 0.02, "sequence_mask")
