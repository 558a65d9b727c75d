"""Correcting for a sampler that is not quite the trainer: truncated importance weights, as tensor arithmetic.

Other kernels and other roundings give a sampler a distribution of its own, µ. A token it drew stands in the loss with
the weight π_old / µ, which makes the sum an unbiased estimate again; its tail is cut, for less variance (truncated
importance sampling, Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training").

    token      ρ_t = exp(log π_old(o_t) − log µ(o_t))
    sequence   ρ = Π_t ρ_t, one weight for every token of the completion
    truncate   min(max(ρ, lowest), highest)        mask   ρ within the bounds, else 0

A product over a completion grows and falls with its length: at a gap of 0.01 nats a token it leaves any fixed bounds
within thousands of tokens, and with `sequence_mask` the longest completions drop out first. Hence by token, truncated,
where nothing else is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

if TYPE_CHECKING:
    from torch import Tensor

    from magistral_recipe.training.batching import TokenSequence

Correction = Literal["token_truncate", "token_mask", "sequence_truncate", "sequence_mask", "none"]

CORRECTIONS: tuple[Correction, ...] = get_args(Correction)

_LARGEST_LOG_WEIGHT = 80.0  # its exponential is still finite in float32


class ImportanceWeights(NamedTuple):
    """What one completion's tokens weigh.

    Attributes:
        weights: `[T]`, float32; 1 outside the mask and where the sampler left a token unscored.
        cut: `[T]`, booleans: tokens in the mask whose weight left the bounds.
        gap: `[T]`, float32: |log π_old − log µ| of known tokens in the mask, 0 elsewhere.
        known: `[T]`, booleans: tokens in the mask that the sampler scored.
    """

    weights: Tensor
    cut: Tensor
    gap: Tensor
    known: Tensor


def importance_weights(
    old_logps: Tensor,
    sampler_logps: Tensor,
    mask: Tensor,
    how: Correction,
    lowest: float | None = None,
    highest: float | None = 3.0,
) -> ImportanceWeights:
    """Weigh one completion's tokens.

    Args:
        old_logps: log π_old, under the trainer's weights that generated, `[T]`.
        sampler_logps: log µ, as the sampler recorded them, `[T]`; NaN where it did not.
        mask: 1 for a token that counts, `[T]`.
        how: see `CORRECTIONS`.
        lowest: the least weight; ``None`` for none.
        highest: the largest weight; ``None`` for none.

    Returns:
        The weights, and what they were made of. With `none` every weight is 1 and nothing is cut.
    """
    import torch  # not before: recipes name the corrections and load without it

    known = (mask != 0) & ~sampler_logps.isnan()
    difference = torch.where(known, old_logps.float() - sampler_logps.float(), 0.0)
    gap = difference.abs()
    if how == "none":
        return ImportanceWeights(torch.ones_like(gap), torch.zeros_like(known), gap, known)
    by_sequence = how.startswith("sequence")
    logarithm = difference.double().sum().float().expand_as(gap) if by_sequence else difference
    ratio = logarithm.clamp(max=_LARGEST_LOG_WEIGHT).exp()
    below = ratio < lowest if lowest is not None else torch.zeros_like(known)
    above = ratio > highest if highest is not None else torch.zeros_like(known)
    outside = below | above
    weights = ratio.masked_fill(outside, 0.0) if how.endswith("mask") else ratio.clamp(lowest, highest)
    corrected = mask != 0 if by_sequence else known
    return ImportanceWeights(torch.where(corrected, weights, 1.0), outside & corrected, gap, known)


def weigh(
    sequences: Iterable[TokenSequence], how: Correction, lowest: float | None, highest: float | None
) -> dict[str, float]:
    """Give sequences that a sampler of its own has drawn their tokens' weights.

    Args:
        sequences: with the log-probabilities of both; those that lack one are left as they are.
        how: see `CORRECTIONS`; with `none` no weights are given.
        lowest: see `importance_weights`.
        highest: see `importance_weights`.

    Returns:
        Sums over the tokens: `tokens` in the mask, `gap` over the `gap_tokens` that the sampler scored, those `cut`.
    """
    sums = dict.fromkeys(("tokens", "gap", "gap_tokens", "cut"), 0.0)
    for sequence in sequences:
        if sequence.sampler_logps is None or sequence.old_logps is None:
            continue
        found = importance_weights(
            sequence.old_logps.cpu(), sequence.sampler_logps, sequence.mask, how, lowest, highest
        )
        if how != "none":
            sequence.weight = found.weights
        sums["tokens"] += float(sequence.mask.sum())
        sums["gap"] += float(found.gap.double().sum())
        sums["gap_tokens"] += float(found.known.sum())
        sums["cut"] += float(found.cut.sum())
    return sums
