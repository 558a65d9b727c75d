"""Log-probabilities in microbatches against the plain log-softmax of one row at a time; the KL estimator in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tiny_policy import policy
from trl.trainer.utils import add_fused_lm_head

from magistral_recipe.training.batching import TokenSequence, collate
from magistral_recipe.training.forward import cut_window, kl_penalty, row_logps, unpadded_logps

CPU = torch.device("cpu")
SHAPES = [(3, 5), (1, 9), (6, 1), (2, 2), (4, 7)]  # tokens of prompt and completion


def sequences(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [
        TokenSequence(
            torch.randint(3, 20, (prompt,), generator=generator),
            torch.randint(3, 20, (completion,), generator=generator),
            torch.ones(completion),
        )
        for prompt, completion in SHAPES
    ]


def with_head(*outputs):
    model = policy().eval()
    add_fused_lm_head(model, outputs=outputs)
    return model


@pytest.fixture(scope="module")
def fused():
    return with_head("log_probs", "entropy")


@torch.no_grad()
def by_definition(sequence):
    """Log-probabilities and entropies of one row without padding, in float64."""
    ids = torch.cat([sequence.prompt_ids, sequence.completion_ids])
    logits = policy().eval()(input_ids=ids.unsqueeze(0)).logits[0, len(sequence.prompt_ids) - 1 : -1].double()
    logps = logits.log_softmax(-1)
    return logps.gather(1, sequence.completion_ids.unsqueeze(1)).squeeze(1), -(logps.exp() * logps).sum(-1)


@torch.no_grad()
def test_a_padded_microbatch_gives_every_row_its_own_log_probabilities(fused):
    rows = sequences()
    logps, entropies = row_logps(fused, collate(rows, [0.0] * len(rows), 0, CPU))
    assert logps.shape == (5, 10)  # from the shortest prompt's end to the longest row's
    for row, found, entropy in zip(rows, cut_window(logps, rows), cut_window(entropies, rows), strict=True):
        expected, spread = by_definition(row)
        torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(entropy.double(), spread, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_tokens_that_do_not_count_have_log_probability_0(fused):
    rows = sequences()
    rows[0].mask[2:4] = 0
    logps, _ = row_logps(fused, collate(rows, [0.0] * len(rows), 0, CPU))
    found = cut_window(logps, rows)[0]
    expected = by_definition(rows[0])[0]
    assert found[2:4].tolist() == [0, 0]
    torch.testing.assert_close(found[[0, 1, 4]].double(), expected[[0, 1, 4]], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_reference_that_computes_no_entropy_has_0(fused):
    batch = collate(sequences(), [0.0] * 5, 0, CPU)
    logps, entropies = row_logps(with_head("log_probs"), batch)
    torch.testing.assert_close(logps, row_logps(fused, batch)[0])
    assert not entropies.any()


def test_each_row_is_cut_out_of_the_window_at_its_own_place():
    rows = [
        TokenSequence(torch.zeros(4), torch.zeros(2), torch.ones(2)),
        TokenSequence(torch.zeros(2), torch.zeros(5), torch.ones(5)),
    ]
    window = torch.arange(10.0).reshape(2, 5)
    first, second = cut_window(window, rows)
    assert (first.tolist(), second.tolist()) == ([2, 3], [5, 6, 7, 8, 9])
    window.zero_()  # what was cut out is a copy, which outlives the window
    assert first.tolist() == [2, 3]


def padded(rows):
    """TRL's shape: prompts padded on the left, completions on the right, to the longest of all."""
    prompt, completion = (max(each) for each in zip(*SHAPES, strict=True))
    ids = torch.zeros(len(rows), prompt + completion, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        start, end = prompt - len(row.prompt_ids), prompt + len(row.completion_ids)
        ids[i, start:end] = torch.cat([row.prompt_ids, row.completion_ids])
        mask[i, start:end] = 1
    return ids, mask, completion


@pytest.mark.parametrize(("budget", "passes"), [(1000, 1), (22, 3), (1, 5)])
@torch.no_grad()
def test_a_padded_batch_is_computed_without_its_padding(fused, budget, passes):
    rows, sizes = sequences(), []

    def forward(microbatch):
        sizes.append(microbatch.input_ids.numel())
        return row_logps(fused, microbatch)[0]

    found = unpadded_logps(forward, *padded(rows), budget, 0)
    assert found.shape == (5, 9)
    for i, row in enumerate(rows):
        count = len(row.completion_ids)
        torch.testing.assert_close(found[i, :count].double(), by_definition(row)[0], atol=1e-5, rtol=1e-5)
        assert not found[i, count:].any()
    assert len(sizes) == passes
    assert budget == 1 or max(sizes) <= budget


@torch.no_grad()
def test_a_completion_that_is_masked_whole_has_zeros_and_harms_no_other(fused):
    rows = sequences()
    ids, mask, completion = padded(rows)
    mask[1, -completion:] = 0
    found = unpadded_logps(lambda microbatch: row_logps(fused, microbatch)[0], ids, mask, completion, 1000, 0)
    assert not found[1].any()
    torch.testing.assert_close(found[0, :5].double(), by_definition(rows[0])[0], atol=1e-5, rtol=1e-5)


def test_a_rank_with_less_to_do_makes_as_many_passes_as_the_busiest():
    seen = []

    def forward(microbatch):
        seen.append(float(microbatch.mask.sum()))
        return torch.zeros_like(microbatch.mask)

    asked = []
    unpadded_logps(forward, *padded(sequences()), 22, 0, agree=lambda own: asked.append(own) or 5)
    assert asked == [3]
    assert seen[:2] == [0, 0]  # masked rows, of which nothing counts
    assert sum(seen[2:]) == sum(completion for _, completion in SHAPES)
    assert len(seen) == 5


def test_the_kl_estimator_is_schulmans_third():
    rng = np.random.default_rng(1)
    logps, reference = rng.normal(-2, 1, (3, 4)), rng.normal(-2, 1, (3, 4))
    weights = rng.random((3, 4))
    d = reference - logps
    expected = np.exp(d) - d - 1
    arrays = [torch.tensor(a, dtype=torch.float32) for a in (logps, reference, weights)]
    np.testing.assert_allclose(kl_penalty(arrays[0], arrays[1], None).numpy(), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(kl_penalty(*arrays).numpy(), expected * weights, rtol=1e-4, atol=1e-6)


def test_the_kl_estimator_is_unbiased_and_never_negative():
    policy_, reference = torch.tensor([0.7, 0.2, 0.1]), torch.tensor([0.2, 0.3, 0.5])
    penalty = kl_penalty(policy_.log(), reference.log(), None)
    assert (penalty >= 0).all()
    divergence = sum(p * math.log(p / q) for p, q in zip(policy_.tolist(), reference.tolist(), strict=True))
    assert float((policy_ * penalty).sum()) == pytest.approx(divergence, abs=1e-6)
    assert float(kl_penalty(policy_.log(), policy_.log(), None).abs().max()) == 0
