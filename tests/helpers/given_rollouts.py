"""Rollouts made up from rewards and lengths, for tests of what happens to them between scoring and training."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from magistral_recipe.training.batching import TokenSequence
from magistral_recipe.training.rollouts import Rollout
from magistral_recipe.training.rounds import Round

NONE = math.nan
"""A reward that does not apply."""


def rollout(
    problem: dict,
    reward: float,
    *,
    prompt: int = 3,
    completion: int = 5,
    counted: int | None = None,
    truncated: bool = False,
    rewards: dict[str, float] | None = None,
    parts: dict | None = None,
    marker: int = 0,
) -> Rollout:
    """A rollout whose tokens are all its marker, so that its sequence can be told from others."""
    return Rollout(
        problem=problem,
        text=f"completion {marker}",
        length=prompt + completion,
        completion_length=completion,
        counted=completion if counted is None else counted,
        truncated=truncated,
        parts=parts or {},
        rewards={"only": reward} if rewards is None else rewards,
        reward=reward,
        sequence=TokenSequence(
            torch.full((prompt,), marker), torch.full((completion,), marker), torch.ones(completion)
        ),
    )


def round_of(
    rewards: Sequence[Sequence[float]], lengths: Sequence[Sequence[int]] | None = None, **figures: list[float]
) -> Round:
    """A round with a group a list of rewards; problems are called p0, p1, … and rollouts are marked from 0."""
    size = len(rewards[0])
    lengths = lengths or [[5] * size for _ in rewards]
    rollouts = []
    for number, (group, long) in enumerate(zip(rewards, lengths, strict=True)):
        problem = {"id": f"p{number}", "prompt": f"prompt {number}"}
        rollouts += [
            rollout(problem, reward, completion=length, marker=number * size + place)
            for place, (reward, length) in enumerate(zip(group, long, strict=True))
        ]
    return Round(rollouts, size, figures)
