"""From kept groups to minibatches: normalised advantages, what the loss is divided by, who trains what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from accelerate.utils import gather_object

from magistral_recipe.training.batching import Share, TokenSequence, deal_groups, padded_tokens, share_out
from magistral_recipe.training.metrics import spread
from magistral_recipe.training.objective import normalize_advantages
from magistral_recipe.training.rollouts import Group, Rollout

_TRL_STD_FLOOR = 1e-4  # TRL adds this to a group's std; the ablation `group` is meant to equal stock GRPO


class Plan(NamedTuple):
    """How minibatches are made.

    Attributes:
        minibatches: optimizer steps a generation batch.
        ranks: processes that train.
        budget: most tokens of a microbatch.
        normalization: `minibatch`, `group` or `none`.
        loss_normalization: `minibatch` or `group`.
    """

    minibatches: int
    ranks: int
    budget: int
    normalization: str
    loss_normalization: str


@dataclass
class Minibatch:
    """The completions of one optimizer step; B of them over all ranks.

    Attributes:
        rollouts: B of them, with their advantages.
        normalizers: what each one's token sum is divided by, over all ranks.
        tokens: tokens that count, over all ranks.
        shares: one a rank.
        spread_before: population std of the advantages before normalisation, what `minibatch` divides by.
    """

    rollouts: list[Rollout]
    normalizers: list[float]
    tokens: int
    shares: list[Share]
    spread_before: float

    @property
    def advantages(self) -> list[float]:
        """The advantage of each rollout."""
        return [rollout.advantage for rollout in self.rollouts]

    @property
    def lengths(self) -> list[int]:
        """Tokens of prompt and completion of each rollout."""
        return [rollout.length for rollout in self.rollouts]

    def sequences(self, chosen: Sequence[int]) -> list[TokenSequence]:
        """Return the tokens of some of the rollouts.

        Args:
            chosen: places of rollouts that this rank trains.

        Returns:
            The sequences themselves, in that order.

        Raises:
            LookupError: if this rank does not hold one of them.
        """
        found = []
        for place in chosen:
            sequence = self.rollouts[place].sequence
            if sequence is None:
                raise LookupError(f"rollout {place} of the minibatch is not on this rank")
            found.append(sequence)
        return found

    @property
    def padding_share(self) -> float:
        """Share of the computed tokens that are padding, over all ranks."""
        lengths = self.lengths
        computed = sum(padded_tokens(lengths, share.bins) for share in self.shares)
        return 1 - sum(lengths) / computed if computed else 0.0

    def padding_share_in_one_piece(self) -> float:
        """Share of padding if every row were padded to the minibatch's longest, as TRL does."""
        lengths = self.lengths
        computed = len(lengths) * max(lengths, default=0)
        return 1 - sum(lengths) / computed if computed else 0.0


def build_minibatches(groups: Sequence[Group], plan: Plan) -> list[Minibatch]:
    """Deal groups to minibatches, whole, and prepare each (Magistral §2.1).

    Args:
        groups: what trains.
        plan: how.

    Returns:
        One minibatch an optimizer step, without sequences from other ranks yet; one may be empty. Every rollout's
        `advantage` is filled in.
    """
    return [_build([groups[i] for i in chosen], plan) for chosen in deal_groups(len(groups), plan.minibatches)]


def exchange(minibatches: Sequence[Minibatch], rank: int, ranks: int) -> None:
    """Hand every sequence to the rank that trains it.

    Args:
        minibatches: as `build_minibatches` made them, the same on every rank; filled in place.
        rank: this process.
        ranks: all of them.
    """
    if ranks == 1:
        return
    leaving: list[tuple[int, int, TokenSequence]] = []
    for number, minibatch in enumerate(minibatches):
        for target, share in enumerate(minibatch.shares):
            for place in share.rows:
                held = minibatch.rollouts[place].sequence
                if held is not None and target != rank:
                    leaving.append((number, place, held))
    wanted = [set(minibatch.shares[rank].rows) for minibatch in minibatches]
    for number, place, sequence in gather_object(leaving):
        if place in wanted[number]:
            minibatches[number].rollouts[place].sequence = sequence


def _build(groups: Sequence[Group], plan: Plan) -> Minibatch:
    trained = [[rollout for rollout in group if rollout.trains] for group in groups]
    rollouts = [rollout for members in trained for rollout in members]
    centred = [rollout.centred for rollout in rollouts]
    for rollout, advantage in zip(rollouts, _advantages(groups, trained, plan.normalization), strict=True):
        rollout.advantage = advantage
    counted = [sum(rollout.counted for rollout in members) for members in trained]
    if plan.loss_normalization == "group":
        filled = sum(own > 0 for own in counted)
        normalizers = [float(filled * own) for own, members in zip(counted, trained, strict=True) for _ in members]
    else:
        normalizers = [float(sum(counted))] * len(rollouts)
    return Minibatch(
        rollouts=rollouts,
        normalizers=normalizers,
        tokens=sum(counted),
        shares=share_out([rollout.length for rollout in rollouts], plan.ranks, plan.budget),
        spread_before=float(torch.tensor(centred).std(correction=0)) if centred else 0.0,
    )


def _advantages(groups: Sequence[Group], trained: Sequence[Group], kind: str) -> list[float]:
    centred = [rollout.centred for members in trained for rollout in members]
    if kind == "minibatch":
        return normalize_advantages(torch.tensor(centred)).tolist() if centred else []
    if kind == "group":
        # A group's spread is that of all its rewards, also of completions that don't train.
        spreads = [spread([rollout.reward for rollout in group]) for group in groups]
        divisors = [each + _TRL_STD_FLOOR for each, members in zip(spreads, trained, strict=True) for _ in members]
        return [value / divisor for value, divisor in zip(centred, divisors, strict=True)]
    return centred
