"""Which sequences stand in which minibatch, on which rank, in which microbatch; and their tensors.

The plan is a function of the global rows alone (their lengths), so that every rank makes the same one without
a word. Microbatches have a token budget, padding included, and are filled greedily in order of size (Magistral
§3); sequences are padded on the right, to the longest of their own microbatch only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


@dataclass
class TokenSequence:
    """One completion on its way into training, without padding, on the CPU.

    Attributes:
        prompt_ids: `[p]`.
        completion_ids: `[c]`.
        mask: `[c]`, 1 for a token that the policy wrote and that counts.
        weight: importance weight of sampler against trainer, `[c]` or `[1]`; ``None`` for 1.
        old_logps: `[c]`, under the weights that generated; ``None`` where they are the weights being trained.
        ref_logps: `[c]`, under the reference model; ``None`` without a KL term.
        sampler_logps: `[c]`, as the sampler recorded them; ``None`` where it does not.
    """

    prompt_ids: Tensor
    completion_ids: Tensor
    mask: Tensor
    weight: Tensor | None = None
    old_logps: Tensor | None = None
    ref_logps: Tensor | None = None
    sampler_logps: Tensor | None = None

    @property
    def length(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt_ids) + len(self.completion_ids)


@dataclass
class Microbatch:
    """Rows padded to their longest, as one forward pass takes them; b rows, L tokens wide.

    The completions' window is the last T = L − s positions, where s is the shortest prompt.

    Attributes:
        input_ids: `[b, L]`, right-padded.
        labels: `[b, L]`, −100 wherever no completion token counts.
        mask: `[b, T]`, 1 for a token that counts.
        advantages: `[b]`.
        normalizer: scalar or `[b, 1]`; what the token sum is divided by.
        weight, old_logps, ref_logps, sampler_logps: `[b, T]` or ``None``.
        tokens: tokens that count in the whole minibatch, over all ranks.
    """

    input_ids: Tensor
    labels: Tensor
    mask: Tensor
    advantages: Tensor
    normalizer: Tensor | float = 1.0
    weight: Tensor | None = None
    old_logps: Tensor | None = None
    ref_logps: Tensor | None = None
    sampler_logps: Tensor | None = None
    tokens: int = 1

    def window(self, per_token: Tensor) -> Tensor:
        """Cut `[b, L − 1]` next-token values to the completions' window `[b, T]`."""
        return per_token[:, per_token.size(1) - self.mask.size(1) :]


class Share(NamedTuple):
    """One rank's part of a minibatch.

    Attributes:
        rows: indices into the minibatch's rows.
        bins: microbatches, each a list of indices into the minibatch's rows; an empty one is a masked row
            that keeps ranks in step.
    """

    rows: list[int]
    bins: list[list[int]]


def pack(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Fill microbatches greedily: by size, descending, each sequence where it fits.

    Args:
        lengths: tokens of each sequence.
        budget: most tokens of a microbatch, padding to its longest included. A sequence above it stands alone.

    Returns:
        Indices into `lengths`, each exactly once; bins in order of their longest sequence.
    """
    bins: list[list[int]] = []
    room: list[int] = []  # sequences that still fit: a bin's first is its longest, so its width is settled
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        target = next((b for b, free in enumerate(room) if free > 0), None)
        if target is None:
            bins.append([])
            room.append(max(budget // max(lengths[index], 1), 1))
            target = len(bins) - 1
        bins[target].append(index)
        room[target] -= 1
    return bins


def share_out(lengths: Sequence[int], ranks: int, budget: int) -> list[Share]:
    """Deal a minibatch's rows to ranks, balanced by tokens, with equally many microbatches each.

    Args:
        lengths: tokens of each row of the minibatch, all ranks together.
        ranks: how many processes train.
        budget: most tokens of a microbatch.

    Returns:
        One share a rank. A rank with too few microbatches gets empty ones.
    """
    dealt: list[list[int]] = [[] for _ in range(ranks)]
    load = [0] * ranks
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        rank = min(range(ranks), key=lambda r: (load[r], r))
        dealt[rank].append(index)
        load[rank] += lengths[index]
    packed = []
    for rows in dealt:
        rows.sort()
        packed.append([[rows[i] for i in chosen] for chosen in pack([lengths[row] for row in rows], budget)])
    steps = max((len(bins) for bins in packed), default=0)
    return [Share(rows, bins + [[]] * (steps - len(bins))) for rows, bins in zip(dealt, packed, strict=True)]


def deal_groups(groups: int, minibatches: int) -> list[list[int]]:
    """Deal whole groups to minibatches in turn, so that an ordered data set spreads over all of them.

    Args:
        groups: how many groups the batch holds.
        minibatches: how many optimizer steps it serves.

    Returns:
        Group indices, one list a minibatch; sizes differ by at most 1.
    """
    return [list(range(first, groups, minibatches)) for first in range(minibatches)]


def padded_tokens(lengths: Sequence[int], bins: Sequence[Sequence[int]]) -> int:
    """Tokens that the bins compute, padding included."""
    return sum(len(chosen) * max(lengths[i] for i in chosen) for chosen in bins if chosen)


def collate(
    rows: Sequence[TokenSequence],
    advantages: Sequence[float],
    pad_id: int,
    device: torch.device,
    *,
    normalizers: Sequence[float] | float = 1.0,
    tokens: int = 1,
) -> Microbatch:
    """Pad rows into one microbatch.

    Args:
        rows: at least one; optional columns are taken where every row has them.
        advantages: one a row.
        pad_id: the token to pad with; no loss and no gradient ever depends on it.
        device: where the tensors go.
        normalizers: one a row, or one for all.
        tokens: tokens that count in the whole minibatch, over all ranks.

    Returns:
        The microbatch on `device`.
    """
    width = max(row.length for row in rows)
    start = min(len(row.prompt_ids) for row in rows)
    input_ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    labels = torch.full((len(rows), width), -100, dtype=torch.long)
    for i, row in enumerate(rows):
        prompt, end = len(row.prompt_ids), row.length
        input_ids[i, :prompt] = row.prompt_ids
        input_ids[i, prompt:end] = row.completion_ids
        labels[i, prompt:end] = torch.where(row.mask != 0, row.completion_ids.long(), -100)

    def windowed(name: str, fill: float) -> Tensor | None:
        if any(getattr(row, name) is None for row in rows):
            return None
        table = torch.full((len(rows), width - start), fill)
        for i, row in enumerate(rows):
            begin = len(row.prompt_ids) - start
            table[i, begin : begin + len(row.completion_ids)] = getattr(row, name)
        return table.to(device)

    mask = windowed("mask", 0.0)
    assert mask is not None
    if isinstance(normalizers, (int, float)):
        normalizer: Tensor | float = float(normalizers)
    else:
        normalizer = torch.tensor(normalizers, dtype=torch.float32, device=device).unsqueeze(1)
    return Microbatch(
        input_ids=input_ids.to(device),
        labels=labels.to(device),
        mask=mask,
        advantages=torch.tensor(list(advantages), dtype=torch.float32, device=device),
        normalizer=normalizer,
        weight=windowed("weight", 1.0),
        old_logps=windowed("old_logps", 0.0),
        ref_logps=windowed("ref_logps", 0.0),
        sampler_logps=windowed("sampler_logps", 0.0),
        tokens=tokens,
    )


def masked_sequence(pad_id: int) -> TokenSequence:
    """Return the row of an empty microbatch: two tokens, none of which counts."""
    token = torch.tensor([pad_id])
    return TokenSequence(prompt_ids=token, completion_ids=token, mask=torch.zeros(1))
