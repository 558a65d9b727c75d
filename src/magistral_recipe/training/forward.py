"""Log-probabilities of completions: right-padded rows, one forward pass a microbatch, no logits kept.

TRL pads prompts on the left and completions on the right, to the longest of the whole generation batch. Under
a causal model padding on the right changes nothing that comes before it, so rows need no attention mask, and
attention takes its fast causal path.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from magistral_recipe.training.batching import Microbatch, TokenSequence, collate, masked_sequence, pack


def row_logps(model: nn.Module, microbatch: Microbatch) -> tuple[Tensor, Tensor]:
    """Run a model whose head TRL has fused (`add_fused_lm_head`) over a microbatch.

    Args:
        model: the policy or the reference.
        microbatch: b rows, T tokens of window.

    Returns:
        Log-probabilities and entropies of the completion tokens, each `[b, T]`; 0 where nothing counts.
    """
    outputs = model(input_ids=microbatch.input_ids, labels=microbatch.labels, fused_lm_head=True)
    logps = microbatch.window(outputs.log_probs)
    entropy = torch.zeros_like(logps) if outputs.entropy is None else microbatch.window(outputs.entropy)
    return logps, entropy


def cut_window(values: Tensor, rows: Sequence[TokenSequence]) -> list[Tensor]:
    """Take each row's own tokens out of a microbatch's window.

    Args:
        values: `[b, T]`.
        rows: the b rows that the microbatch was collated from.

    Returns:
        One tensor `[c]` a row, on the CPU.
    """
    start = min(len(row.prompt_ids) for row in rows)
    values = values.float().cpu()
    return [
        values[i, len(row.prompt_ids) - start : len(row.prompt_ids) - start + len(row.completion_ids)].clone()
        for i, row in enumerate(rows)
    ]


def unpadded_logps(
    forward: Callable[[Microbatch], Tensor],
    input_ids: Tensor,
    attention_mask: Tensor,
    logits_to_keep: int,
    budget: int,
    pad_id: int,
    agree: Callable[[int], int] = int,
) -> Tensor:
    """Log-probabilities for TRL's padded batch, computed in microbatches of a token budget.

    Args:
        forward: from a microbatch to its log-probabilities `[b, T]`.
        input_ids: `[B, P + C]`, prompts padded on the left, completions on the right.
        attention_mask: `[B, P + C]`.
        logits_to_keep: C.
        budget: most tokens of a microbatch.
        pad_id: the token to pad with.
        agree: from this rank's number of forward passes to that of the busiest rank; the others make up for it
            with masked rows, since a sharded model needs all ranks at every pass.

    Returns:
        `[B, C]` on the device of `input_ids`; 0 at padding.
    """
    ids, mask = input_ids.cpu(), attention_mask.cpu().bool()
    split = ids.size(1) - logits_to_keep
    rows = []
    for i in range(ids.size(0)):
        inside = mask[i, split:]
        # A completion that TRL masks whole (truncated ones, by option) still needs a token to stand for it.
        completion = ids[i, split:][inside] if inside.any() else ids[i, split : split + 1]
        rows.append(
            TokenSequence(
                ids[i, :split][mask[i, :split]], completion, torch.full((len(completion),), float(inside.any()))
            )
        )
    result = torch.zeros(ids.size(0), logits_to_keep)
    bins = pack([row.length for row in rows], budget)
    for _ in range(agree(len(bins)) - len(bins)):
        forward(collate([masked_sequence(pad_id)], [0.0], pad_id, input_ids.device))
    for chosen in bins:
        members = [rows[i] for i in chosen]
        logps = forward(collate(members, [0.0] * len(members), pad_id, input_ids.device))
        for i, row, values in zip(chosen, members, cut_window(logps, members), strict=True):
            if row.mask.any():
                result[i, mask[i, split:]] = values
    return result.to(input_ids.device)


def kl_penalty(logps: Tensor, ref_logps: Tensor, ratio: Tensor | None) -> Tensor:
    """Schulman's estimator of the KL divergence to the reference, per token: exp(d) − d − 1, d = ref − policy.

    Args:
        logps: `[b, T]`.
        ref_logps: `[b, T]`.
        ratio: weights ρ `[b, T]` for off-policy tokens (TRL's `use_bias_correction_kl`), or ``None``.

    Returns:
        `[b, T]`.
    """
    difference = ref_logps - logps
    penalty = torch.exp(difference) - difference - 1
    return penalty if ratio is None else penalty * ratio
