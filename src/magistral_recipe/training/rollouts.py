"""A rollout: one completion with its scores, as every rank knows it, and as a person reads it in a file.

Only the rank that trains a rollout, and the one that generated it, hold its tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from magistral_recipe.training.batching import TokenSequence

ALL_RIGHT, ALL_WRONG, FLAT = "all right", "all wrong", "flat"
"""How a group without signal was: at the top of the reward, at its bottom, or between (or without any reward)."""

_SHOWN = ("id", "problem", "language", "category", "answer")  # the data set's columns that a rollout repeats


@dataclass(eq=False, slots=True)
class Completion:
    """What the rank that generated a completion tells the others of it.

    Attributes:
        text: the completion as rewards saw it.
        length: tokens of prompt and completion.
        completion_length: tokens of the completion.
        counted: tokens that would train.
        truncated: whether the completion was cut off.
        parts: what rewards logged of it, by column.
    """

    text: str
    length: int
    completion_length: int
    counted: int
    truncated: bool
    parts: dict[str, Any]


@dataclass(eq=False, slots=True)
class Rollout(Completion):
    """One completion of a prompt, scored.

    Attributes:
        problem: the data set's row; the rollouts of a group share it.
        rewards: by the reward's name, NaN where one does not apply.
        reward: their weighted sum; NaN where none applies.
        centred: the reward minus its group's mean, in float32; `select` fills it in.
        advantage: what it trains with; 0 where it doesn't train. `build_minibatches` fills it in.
        dropped: why its group doesn't train (`ALL_RIGHT`, `ALL_WRONG`, `FLAT`); empty where it does. `select` fills it
            in.
        sequence: its tokens, on the ranks that hold them.
    """

    problem: dict[str, Any]
    rewards: dict[str, float]
    reward: float
    centred: float = 0.0
    advantage: float = 0.0
    dropped: str = ""
    sequence: TokenSequence | None = None

    @property
    def trains(self) -> bool:
        """Whether it counts: a completion without reward or without a token that counts does not."""
        return self.counted > 0 and not math.isnan(self.reward)


Group = list[Rollout]
"""The rollouts of one prompt; advantages are relative to them."""


def rollout_records(groups: Iterable[Group], step: int) -> list[dict[str, Any]]:
    """Write groups out as a person reads them, for `rollouts.jsonl`.

    Args:
        groups: those to write.
        step: optimizer steps done before this batch.

    Returns:
        One record a rollout.
    """
    return [
        {
            "step": step,
            "group": number,
            **{name: rollout.problem[name] for name in _SHOWN if name in rollout.problem},
            "prompt": rollout.problem["prompt"],
            "completion": rollout.text,
            "tokens": rollout.completion_length,
            "truncated": rollout.truncated,
            "reward": rollout.reward,
            "rewards": rollout.rewards,
            "parts": rollout.parts,
            "advantage": rollout.advantage,
            **({"dropped": rollout.dropped} if rollout.dropped else {}),
        }
        for number, group in enumerate(groups)
        for rollout in group
    ]


def broken_step_records(rollouts: Iterable[Rollout]) -> list[dict[str, Any]]:
    """Write a minibatch's rollouts out, for the file that a broken step leaves behind."""
    return [
        {
            "prompt": rollout.problem.get("prompt"),
            "completion": rollout.text,
            "reward": rollout.reward,
            "advantage": rollout.advantage,
            "tokens": rollout.completion_length,
        }
        for rollout in rollouts
    ]
