"""One generation batch as every rank sees it: rounds of generation, which groups are kept, what they were like.

Everything here is decided from gathered figures alone, so all ranks decide alike. Rows stand in global order:
those of rank 0 first, groups contiguous.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from magistral_recipe.errors import RunError
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.training.batching import Row
from magistral_recipe.training.metrics import mean, quantile, spread
from magistral_recipe.training.objective import group_advantages, informative_groups

_SHOWN = ("id", "problem", "language", "category", "answer")  # the data set's columns that a rollout repeats


@dataclass
class Round:
    """One call of the generator, scored; N rows over all ranks, F rewards.

    Attributes:
        problems: the data set's rows, one a group.
        names: the rewards' names.
        rewards: `[N, F]`, NaN where a reward does not apply.
        totals: `[N]`, the weighted sum; NaN where no reward applies.
        lengths: tokens of prompt and completion, `[N]`.
        completion_lengths: `[N]`.
        counted: tokens that would train, `[N]`.
        truncated: `[N]`.
        texts: completions as rewards saw them, `[N]`.
        parts: columns that rewards logged, each `[N]`.
        local: this rank's rows, by their global index.
        figures: what TRL and the rewards logged, by name.
    """

    problems: list[dict[str, Any]]
    names: list[str]
    rewards: Tensor
    totals: Tensor
    lengths: list[int]
    completion_lengths: list[int]
    counted: list[int]
    truncated: list[bool]
    texts: list[str]
    parts: dict[str, list[Any]]
    local: dict[int, Row]
    figures: Mapping[str, list[float]] = field(default_factory=dict)

    @property
    def group_size(self) -> int:
        """Completions a group."""
        return len(self.lengths) // len(self.problems)

    def first(self, groups: int) -> Round:
        """Return the round without the groups after the first ones, which only filled up the ranks."""
        rows = groups * self.group_size
        return replace(
            self,
            problems=self.problems[:groups],
            rewards=self.rewards[:rows],
            totals=self.totals[:rows],
            lengths=self.lengths[:rows],
            completion_lengths=self.completion_lengths[:rows],
            counted=self.counted[:rows],
            truncated=self.truncated[:rows],
            texts=self.texts[:rows],
            parts={name: column[:rows] for name, column in self.parts.items()},
        )

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
            return self.totals
        if name in self.names:
            return self.rewards[:, self.names.index(name)]
        if name in self.parts:
            return torch.tensor([_number(value) for value in self.parts[name]])
        known = ["total", *self.names, *self.parts]
        raise RunError(f"signal: no reward and no logged column is called '{name}'.{did_you_mean(name, known)}")


@dataclass(frozen=True, eq=False)
class Group:
    """A kept group: where it stands, and the advantages of its rows before normalisation."""

    round: Round
    index: int
    advantages: list[float]

    @property
    def rows(self) -> range:
        """Global indices of its rows within the round."""
        size = self.round.group_size
        return range(self.index * size, (self.index + 1) * size)

    def trains(self, row: int) -> bool:
        """Whether a row counts: a completion without reward or without a token that counts does not."""
        return self.round.counted[row] > 0 and not math.isnan(float(self.round.totals[row]))


class Kept(NamedTuple):
    """What a round's groups were: those with signal, and how the others were flat."""

    groups: list[Group]
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
        Kept groups in order, and the flat ones by kind.
    """
    size = round_.group_size
    values = round_.signal(signal)
    informative = informative_groups(values, size).tolist()
    advantages = group_advantages(round_.totals, size).reshape(-1, size).tolist()
    levels = values.reshape(-1, size).nanmean(dim=1).tolist()
    flat = [level for level, good in zip(levels, informative, strict=True) if not good]
    right = sum(level >= 0.75 * top for level in flat)
    wrong = sum(level <= 0.25 * top for level in flat)
    groups = [Group(round_, i, advantages[i]) for i, good in enumerate(informative) if good or keep_all]
    return Kept(groups, right, wrong, len(flat) - right - wrong)


def batch_figures(rounds: Sequence[Round], kept: Sequence[Kept], used: int) -> dict[str, float]:
    """Sum up a generation batch over all its rounds, each row counting once.

    Args:
        rounds: what was generated.
        kept: what `select` said of each.
        used: how many groups train.

    Returns:
        Figures by name: TRL's names where it has one.
    """
    totals = [float(v) for r in rounds for v in r.totals.tolist()]
    lengths = [n for r in rounds for n in r.completion_lengths]
    truncated = [t for r in rounds for t in r.truncated]
    ended = [n for n, cut in zip(lengths, truncated, strict=True) if not cut] or [0]
    groups = sum(len(r.problems) for r in rounds)
    right, wrong, other = (sum(getattr(k, name) for k in kept) for name in ("all_right", "all_wrong", "other"))
    flat = right + wrong + other
    figures = {
        "reward": mean(totals),
        "reward_std": spread(totals),
        "frac_reward_zero_std": flat / groups,
        "completions/mean_length": mean(lengths),
        "completions/min_length": float(min(lengths)),
        "completions/max_length": float(max(lengths)),
        "completions/p95_length": float(quantile(lengths, 0.95)),
        "completions/clipped_ratio": sum(truncated) / len(truncated),
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
        "groups/extra_tokens": float(sum(n for r in rounds[1:] for n in r.completion_lengths)),
        "groups/unscored_rows": float(sum(math.isnan(v) for v in totals)),
    }
    for i, name in enumerate(rounds[0].names):
        values = [float(v) for r in rounds for v in r.rewards[:, i].tolist()]
        figures[f"rewards/{name}/mean"] = mean(values)
        figures[f"rewards/{name}/std"] = spread(values)
    figures.update(_others(rounds, figures))
    return figures


def _others(rounds: Sequence[Round], known: Mapping[str, float]) -> dict[str, float]:
    """Merge what else was logged, weighing rounds by their rows."""
    merged: dict[str, float] = {}
    for name in sorted({name for r in rounds for name in r.figures} - set(known)):
        weighted = [(len(r.lengths), mean(r.figures[name])) for r in rounds if r.figures.get(name)]
        weighted = [(rows, value) for rows, value in weighted if not math.isnan(value)]
        if weighted:
            merged[name] = sum(rows * value for rows, value in weighted) / sum(rows for rows, _ in weighted)
    return merged


def _number(value: Any) -> float:
    """Return a logged value as a number, whichever library's it is; NaN for text, ``None`` and all else."""
    if value is None or isinstance(value, (str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        return math.nan


def rollout_records(
    groups: Sequence[Group], normalized: Mapping[tuple[int, int], float], step: int
) -> list[dict[str, Any]]:
    """Write kept groups out as a person reads them.

    Args:
        groups: those to write.
        normalized: the advantage that trained, by identity of the round and row.
        step: optimizer steps done before this batch.

    Returns:
        One record a completion.
    """
    records = []
    for number, group in enumerate(groups):
        problem: dict[str, Any] = group.round.problems[group.index]
        for row in group.rows:
            source = group.round
            records.append(
                {
                    "step": step,
                    "group": number,
                    **{name: problem[name] for name in _SHOWN if name in problem},
                    "prompt": problem["prompt"],
                    "completion": source.texts[row],
                    "tokens": source.completion_lengths[row],
                    "truncated": source.truncated[row],
                    "reward": float(source.totals[row]),
                    "rewards": dict(zip(source.names, source.rewards[row].tolist(), strict=True)),
                    "parts": {name: column[row] for name, column in source.parts.items()},
                    "advantage": normalized.get((id(source), row), 0.0),
                }
            )
    return records
