"""The paper's objective (Magistral §2.1) as tensor arithmetic: no model, no I/O, no TRL.

Four functions, in the order in which a step uses them: advantages within a group, which groups carry a
signal, advantages within a minibatch, the clipped loss. The trainer calls exactly these, so what a test
says about them it says about what trains.

Shapes: P prompts, G completions a prompt, B sequences of a minibatch, T completion tokens, padding included.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_FLAT = 1e-6  # a spread below this is rounding, not signal
_LARGEST_LOG_RATIO = 80.0  # its exponential is still finite in float32


class PolicyLoss(NamedTuple):
    """What one call of `clipped_policy_loss` returns.

    Attributes:
        loss: scalar to be minimised, differentiable.
        clipped_low: share of the masked tokens with ρ < 1 − ε_low and a negative advantage.
        clipped_high: share of the masked tokens with ρ > 1 + ε_high and a positive advantage.
    """

    loss: Tensor
    clipped_low: Tensor
    clipped_high: Tensor


def group_advantages(rewards: Tensor, group_size: int) -> Tensor:
    """Reward minus the mean of its group, not divided by the group's std (Magistral §2.1).

    Args:
        rewards: `[P * G]`, groups contiguous; NaN for a completion that nothing could score.
        group_size: G, at least 1.

    Returns:
        `[P * G]` in float32. A NaN stays out of its group's mean and gets advantage 0.
    """
    groups = _grouped(rewards, group_size)
    mean = groups.nanmean(dim=1, keepdim=True)
    return torch.nan_to_num(groups - mean, nan=0.0).reshape(-1)


def informative_groups(rewards: Tensor, group_size: int, tolerance: float = _FLAT) -> Tensor:
    """Whether a group holds more than one distinct reward; others carry no gradient and are removed (§2.1).

    Args:
        rewards: `[P * G]`, groups contiguous; NaN is left out.
        group_size: G.
        tolerance: rewards closer than this count as equal.

    Returns:
        Booleans, `[P]`.
    """
    groups = _grouped(rewards, group_size)
    missing = groups.isnan()
    highest = groups.masked_fill(missing, -torch.inf).amax(dim=1)
    lowest = groups.masked_fill(missing, torch.inf).amin(dim=1)
    return highest - lowest > tolerance


def normalize_advantages(advantages: Tensor, mask: Tensor | None = None) -> Tensor:
    """Standardise advantages over the sequences of one optimizer minibatch (Magistral §2.1).

    One value a sequence, not a token; the std is the population's.

    Args:
        advantages: `[B]`.
        mask: booleans `[B]`; rows outside it count for nothing and get 0. All rows by default.

    Returns:
        `[B]` in float32; all 0 where the std is below 1e-6.
    """
    values = advantages.float()
    inside = torch.ones_like(values, dtype=torch.bool) if mask is None else mask.bool()
    if not inside.any():
        return torch.zeros_like(values)
    chosen = values[inside]
    std = chosen.std(correction=0)
    if std < _FLAT:
        return torch.zeros_like(values)
    return torch.where(inside, (values - chosen.mean()) / std, torch.zeros_like(values))


def clipped_policy_loss(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    mask: Tensor,
    epsilon_low: float,
    epsilon_high: float,
    normalizer: Tensor | float,
) -> PolicyLoss:
    """The clipped surrogate with asymmetric bounds, summed over tokens (Magistral §2.1, Clip-Higher).

    `loss = −Σ mask · min(ρ·Â, clip(ρ, 1 − ε_low, 1 + ε_high)·Â) / normalizer`, with ρ = exp(logps − old_logps).

    Args:
        logps: log-probabilities of the completion tokens under the policy that is trained, `[B, T]`.
        old_logps: the same under the policy that generated, `[B, T]`; no gradient flows into them.
        advantages: Â, `[B]`.
        mask: 1 for a token that counts, `[B, T]`; a weight other than 1 (an importance weight) scales its token.
        epsilon_low: how far ρ may fall below 1, in [0, 1].
        epsilon_high: how far ρ may rise above 1; the paper uses 0.26 to 0.28, and 0.3 for Magistral Small.
        normalizer: tokens to divide by: those of the whole minibatch over all ranks, or `[B, 1]` for one a row;
            where no token counts it may be 0.

    Returns:
        The loss and the two clipped shares, in float32.
    """
    weights = mask.float()
    counted = weights != 0
    # Outside the mask the log-probabilities are padding; a ratio of theirs could overflow and 0 · inf is NaN.
    log_ratio = (logps.float() - old_logps.detach().float()).masked_fill(~counted, 0.0)
    advantage = advantages.float().unsqueeze(1)
    # A ratio that overflows is clipped all the same, unless the advantage is negative; but 0 · inf would be NaN.
    log_ratio = torch.where(advantage < 0, log_ratio, log_ratio.clamp(max=_LARGEST_LOG_RATIO))
    ratio = torch.exp(log_ratio)
    surrogate = torch.min(ratio * advantage, ratio.clamp(1 - epsilon_low, 1 + epsilon_high) * advantage)
    tokens_to_divide_by = torch.as_tensor(normalizer, dtype=torch.float32, device=weights.device)
    loss = -(weights * surrogate / tokens_to_divide_by.clamp(min=torch.finfo(torch.float32).tiny)).sum()
    with torch.no_grad():
        tokens = counted.sum().clamp(min=1)
        low = ((ratio < 1 - epsilon_low) & (advantage < 0) & counted).sum() / tokens
        high = ((ratio > 1 + epsilon_high) & (advantage > 0) & counted).sum() / tokens
    return PolicyLoss(loss, low, high)


def _grouped(rewards: Tensor, group_size: int) -> Tensor:
    if group_size < 1 or rewards.dim() != 1 or rewards.numel() % group_size:
        raise ValueError(f"{tuple(rewards.shape)} rewards do not make whole groups of {group_size}")
    return rewards.float().reshape(-1, group_size)
