"""One generation batch as every rank sees it: rounds of generation, which groups are kept, what they were like.

Everything here is decided from gathered figures alone, so all ranks decide alike. Rollouts stand in global
order: those of rank 0 first, groups contiguous.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from magistral_recipe.errors import RunError
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.training.metrics import mean, quantile, spread
from magistral_recipe.training.objective import group_advantages, informative_groups
from magistral_recipe.training.rollouts import ALL_RIGHT, ALL_WRONG, FLAT, Group, Rollout


@dataclass
class Round:
    """One call of the generator, scored; N rollouts over all ranks.

    Attributes:
        rollouts: N of them, groups contiguous.
        group_size: completions a group.
        figures: what TRL and the rewards logged, by name.
    """

    rollouts: list[Rollout]
    group_size: int
    figures: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def groups(self) -> list[Group]:
        """The rollouts of each prompt."""
        starts = range(0, len(self.rollouts), self.group_size)
        return [self.rollouts[start : start + self.group_size] for start in starts]

    @property
    def rewards(self) -> Tensor:
        """The rollouts' rewards, `[N]`; NaN where no reward applies."""
        return _column(rollout.reward for rollout in self.rollouts)

    @property
    def completion_tokens(self) -> int:
        """Tokens of all completions."""
        return sum(rollout.completion_length for rollout in self.rollouts)

    def first(self, groups: int) -> Round:
        """Return the round without the groups after the first ones, which only filled up the ranks."""
        return replace(self, rollouts=self.rollouts[: groups * self.group_size])

    def signal(self, name: str) -> Tensor:
        """Return what decides whether a group is informative.

        Args:
            name: `total`, a reward's name, or a logged column.

        Returns:
            `[N]`, NaN where there is no number.

        Raises:
            RunError: if nothing has that name.
        """
        if name == "total":
            return self.rewards
        one = self.rollouts[0]  # all were scored by the same rewards
        if name in one.rewards:
            return _column(rollout.rewards[name] for rollout in self.rollouts)
        if name in one.parts:
            return _column(_number(rollout.parts[name]) for rollout in self.rollouts)
        known = ["total", *one.rewards, *one.parts]
        raise RunError(f"signal: no reward and no logged column is called '{name}'.{did_you_mean(name, known)}")


class Kept(NamedTuple):
    """What a round's groups were: those with signal, those without that don't train, and how many were flat how."""

    groups: list[Group]
    dropped: list[Group]
    all_right: int
    all_wrong: int
    other: int


def select(round_: Round, signal: str, keep_all: bool, top: float = 1.0) -> Kept:
    """Keep the groups with more than one distinct reward (Magistral §2.1).

    Args:
        round_: the scored round.
        signal: what must differ, see `Round.signal`.
        keep_all: keep flat ones too; they are counted all the same.
        top: the most that the signal reaches. A flat group at three quarters of it and above counts as all right,
            at one quarter and below as all wrong.

    Returns:
        Kept groups and dropped ones in order, and the flat ones by kind. Every rollout's `centred` is filled in, and
        `dropped` of those that don't train.
    """
    size = round_.group_size
    values = round_.signal(signal)
    informative = informative_groups(values, size).tolist()
    for rollout, centred in zip(round_.rollouts, group_advantages(round_.rewards, size).tolist(), strict=True):
        rollout.centred = centred
    levels = values.reshape(-1, size).nanmean(dim=1).tolist()
    groups, dropped, kinds = [], [], Counter[str]()
    for group, level, good in zip(round_.groups, levels, informative, strict=True):
        kind = "" if good else ALL_RIGHT if level >= 0.75 * top else ALL_WRONG if level <= 0.25 * top else FLAT
        kinds[kind] += 1
        if good or keep_all:
            groups.append(group)
            continue
        dropped.append(group)
        for rollout in group:
            rollout.dropped = kind
    return Kept(groups, dropped, kinds[ALL_RIGHT], kinds[ALL_WRONG], kinds[FLAT])


def batch_figures(rounds: Sequence[Round], kept: Sequence[Kept], used: int) -> dict[str, float]:
    """Sum up a generation batch over all its rounds, each rollout counting once.

    Args:
        rounds: what was generated.
        kept: what `select` said of each.
        used: how many groups train.

    Returns:
        Figures by name: TRL's names where it has one.
    """
    rollouts = [rollout for round_ in rounds for rollout in round_.rollouts]
    rewards = [rollout.reward for rollout in rollouts]
    lengths = [rollout.completion_length for rollout in rollouts]
    ended = [rollout.completion_length for rollout in rollouts if not rollout.truncated] or [0]
    groups = sum(len(round_.groups) for round_ in rounds)
    right, wrong, other = (sum(getattr(k, name) for k in kept) for name in ("all_right", "all_wrong", "other"))
    flat = right + wrong + other
    figures = {
        "reward": mean(rewards),
        "reward_std": spread(rewards),
        "frac_reward_zero_std": flat / groups,
        "completions/mean_length": mean(lengths),
        "completions/min_length": float(min(lengths)),
        "completions/max_length": float(max(lengths)),
        "completions/p95_length": quantile(lengths, 0.95),
        "completions/clipped_ratio": sum(rollout.truncated for rollout in rollouts) / len(rollouts),
        "completions/mean_terminated_length": mean(ended),
        "completions/min_terminated_length": float(min(ended)),
        "completions/max_terminated_length": float(max(ended)),
        "groups/generated": float(groups),
        "groups/trained": float(used),
        "groups/uninformative": flat / groups,
        "groups/all_right": right / groups,
        "groups/all_wrong": wrong / groups,
        "groups/other_flat": other / groups,
        "groups/refill_rounds": float(len(rounds) - 1),
        "groups/extra_tokens": float(sum(round_.completion_tokens for round_ in rounds[1:])),
        "groups/unscored_rows": float(sum(math.isnan(reward) for reward in rewards)),
    }
    for name in rollouts[0].rewards:
        values = [rollout.rewards[name] for rollout in rollouts]
        figures[f"rewards/{name}/mean"] = mean(values)
        figures[f"rewards/{name}/std"] = spread(values)
    figures.update(_others(rounds, figures))
    return figures


def _others(rounds: Sequence[Round], known: Mapping[str, float]) -> dict[str, float]:
    """Merge what else was logged, weighing rounds by their rollouts."""
    merged: dict[str, float] = {}
    for name in sorted({name for r in rounds for name in r.figures} - set(known)):
        weighted = [(len(r.rollouts), mean(r.figures[name])) for r in rounds if r.figures.get(name)]
        weighted = [(count, value) for count, value in weighted if not math.isnan(value)]
        if weighted:
            merged[name] = sum(count * value for count, value in weighted) / sum(count for count, _ in weighted)
    return merged


def _column(values: Iterable[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float32)


def _number(value: Any) -> float:
    """Return a logged value as a number, whichever library's it is; NaN for text, ``None`` and all else."""
    if value is None or isinstance(value, (str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        return math.nan
