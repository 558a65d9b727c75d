"""The sampling noise: stable values, and draws that follow the distribution asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from magistral_recipe.generation import Sampling
from magistral_recipe.generation.noise import pick, uniforms


def test_values_never_change():
    # Results on disk are repeated from these numbers: a change here is a change of every sample.
    assert uniforms(42, "aime-1", 3, 2).tolist() == pytest.approx([0.08383751827698982, 0.8522798645065853], abs=0)


def test_more_positions_keep_the_first():
    assert (uniforms(1, "a", 0, 100)[:10] == uniforms(1, "a", 0, 10)).all()


def test_keys_do_not_run_into_each_other():
    keys = [(1, "1", 1), (11, "1", 1), (1, "11", 1), (1, "1", 11), (1, "1\0", 1), (1, "\x001", 1)]
    assert len({uniforms(seed, id_, sample, 1)[0] for seed, id_, sample in keys}) == len(keys)


def test_noise_is_uniform():
    noise = np.concatenate([uniforms(0, f"p{i}", i % 4, 500) for i in range(40)])
    counts = np.histogram(noise, bins=20, range=(0, 1))[0]
    chi2 = ((counts - 1000) ** 2 / 1000).sum()
    assert chi2 < 43.8  # 99.9% quantile at 19 degrees of freedom
    assert 0 <= noise.min() <= noise.max() < 1


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 1.0), (2.0, 1.0), (1.0, 0.8), (0.7, 0.5)])
def test_draws_follow_the_distribution(temperature, top_p):
    logits = np.array([0.3, 2.0, -1.0, 1.2, 0.0, -4.0])
    weights = np.exp(logits / temperature)
    probabilities = weights / weights.sum()
    kept, share = [], 0.0
    for token in np.argsort(-probabilities):  # the nucleus, by its definition
        kept.append(token)
        share += probabilities[token]
        if share >= top_p:
            break
    expected = np.zeros(6)
    expected[kept] = probabilities[kept] / probabilities[kept].sum()
    noise = torch.from_numpy(uniforms(3, "draws", 0, 20_000))
    drawn = pick(torch.tensor(logits, dtype=torch.float32).expand(20_000, -1), noise, temperature, top_p)
    shares = np.bincount(drawn[:, 0].numpy(), minlength=6) / 20_000
    assert shares == pytest.approx(expected, abs=4 * 0.5 / np.sqrt(20_000))
    assert (shares[expected == 0] == 0).all()


@pytest.mark.parametrize("noise", [0.0, 1 - 2.0**-53])
def test_extreme_noise_never_picks_the_impossible(noise):
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    assert pick(logits, torch.tensor([noise], dtype=torch.float64), 1.0, 1.0).item() in (1, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"temperature": float("inf")}, {"top_p": 0.0}, {"top_p": 1.1}, {"max_new_tokens": 0}],
)
def test_impossible_sampling_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)
