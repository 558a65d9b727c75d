"""From kept groups to minibatches: normalised advantages, what the loss is divided by, who trains which row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from accelerate.utils import gather_object

from magistral_recipe.training.batching import Row, Share, deal_groups, padded_tokens, share_out
from magistral_recipe.training.metrics import spread
from magistral_recipe.training.objective import normalize_advantages
from magistral_recipe.training.rounds import Group, Round

_TRL_STD_FLOOR = 1e-4  # TRL adds this to a group's std; the ablation `group` is meant to equal stock GRPO


class Plan(NamedTuple):
    """How minibatches are made.

    Attributes:
        minibatches: optimizer steps a generation batch.
        ranks: processes that train.
        budget: most tokens of a microbatch.
        normalization: `minibatch`, `group` or `none`.
        loss_normalizer: `minibatch` or `group`.
    """

    minibatches: int
    ranks: int
    budget: int
    normalization: str
    loss_normalizer: str


@dataclass
class Minibatch:
    """The completions of one optimizer step; B rows over all ranks.

    Attributes:
        sources: the round and global index that each row comes from.
        advantages: Â of each row.
        normalizers: what each row's token sum is divided by, over all ranks.
        tokens: tokens that count, over all ranks.
        lengths: tokens of prompt and completion of each row.
        shares: one a rank.
        spread_before: population std of the advantages before normalisation, what `minibatch` divides by.
        rows: this rank's rows, by their place in the minibatch.
    """

    sources: list[tuple[Round, int]]
    advantages: list[float]
    normalizers: list[float]
    tokens: int
    lengths: list[int]
    shares: list[Share]
    spread_before: float
    rows: dict[int, Row]

    @property
    def padding_share(self) -> float:
        """Share of the computed tokens that are padding, over all ranks."""
        computed = sum(padded_tokens(self.lengths, share.bins) for share in self.shares)
        return 1 - sum(self.lengths) / computed if computed else 0.0

    def padding_share_in_one_piece(self) -> float:
        """Share of padding if every row were padded to the minibatch's longest, as TRL does."""
        computed = len(self.lengths) * max(self.lengths, default=0)
        return 1 - sum(self.lengths) / computed if computed else 0.0


def build_minibatches(groups: Sequence[Group], plan: Plan) -> list[Minibatch]:
    """Deal groups to minibatches, whole, and prepare each (Magistral §2.1).

    Args:
        groups: what trains.
        plan: how.

    Returns:
        One minibatch an optimizer step, without rows from other ranks yet; one may be empty.
    """
    return [_build([groups[i] for i in chosen], plan) for chosen in deal_groups(len(groups), plan.minibatches)]


def exchange(minibatches: Sequence[Minibatch], rank: int, ranks: int) -> None:
    """Move every row to the rank that trains it.

    Args:
        minibatches: as `build_minibatches` made them, the same on every rank; filled in place.
        rank: this process.
        ranks: all of them.
    """
    wanted: dict[int, list[tuple[int, int]]] = {r: [] for r in range(ranks)}
    leaving: list[tuple[tuple[int, int], Row]] = []
    for number, minibatch in enumerate(minibatches):
        for target, share in enumerate(minibatch.shares):
            for place in share.rows:
                round_, row = minibatch.sources[place]
                held = round_.local.get(row)
                if held is not None and target == rank:
                    minibatch.rows[place] = held
                elif held is not None:
                    leaving.append(((number, place), held))
                if target == rank and held is None:
                    wanted[rank].append((number, place))
    if ranks == 1:
        return
    arrived = dict(gather_object(leaving))
    for number, place in wanted[rank]:
        minibatches[number].rows[place] = arrived[number, place]


def _build(groups: Sequence[Group], plan: Plan) -> Minibatch:
    members = [[row for row in group.rows if group.trains(row)] for group in groups]
    pairs = [(group, row) for group, rows in zip(groups, members, strict=True) for row in rows]
    raw = [group.advantages[row - group.rows.start] for group, row in pairs]
    counted = [group.round.counted[row] for group, row in pairs]
    lengths = [group.round.lengths[row] for group, row in pairs]
    tokens = sum(counted)
    if plan.loss_normalizer == "group":
        own = {
            id(group): sum(group.round.counted[r] for r in rows) for group, rows in zip(groups, members, strict=True)
        }
        trained = sum(size > 0 for size in own.values())
        normalizers = [float(trained * own[id(group)]) for group, _ in pairs]
    else:
        normalizers = [float(tokens)] * len(pairs)
    return Minibatch(
        sources=[(group.round, row) for group, row in pairs],
        advantages=_normalized(pairs, raw, plan.normalization),
        normalizers=normalizers,
        tokens=tokens,
        lengths=lengths,
        shares=share_out(lengths, plan.ranks, plan.budget),
        spread_before=float(torch.tensor(raw).std(correction=0)) if raw else 0.0,
        rows={},
    )


def _normalized(pairs: Sequence[tuple[Group, int]], raw: Sequence[float], kind: str) -> list[float]:
    if kind == "minibatch":
        return normalize_advantages(torch.tensor(list(raw))).tolist() if raw else []
    if kind == "group":
        return [
            value / (spread(group.round.totals[group.rows.start : group.rows.stop].tolist()) + _TRL_STD_FLOOR)
            for (group, _), value in zip(pairs, raw, strict=True)
        ]
    return list(raw)


def minibatch_records(minibatch: Minibatch) -> list[dict[str, Any]]:
    """Write a minibatch's rows out, for the file that a broken step leaves behind."""
    return [
        {
            "prompt": source.problems[row // source.group_size].get("prompt"),
            "completion": source.texts[row],
            "reward": float(source.totals[row]),
            "advantage": advantage,
            "tokens": source.completion_lengths[row],
        }
        for (source, row), advantage in zip(minibatch.sources, minibatch.advantages, strict=True)
    ]
