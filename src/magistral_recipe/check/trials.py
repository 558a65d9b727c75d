"""What the proofs try: a completion of a problem as it arrives at the rewards, and what a reward gives for it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from magistral_recipe import own_code
from magistral_recipe.data.problems import Problem
from magistral_recipe.errors import DataError, MagistralRecipeError, RunError
from magistral_recipe.foreign import called
from magistral_recipe.rewards.base import Reason, Reward
from magistral_recipe.rewards.facts import reason_column
from magistral_recipe.rewards.registry import RewardFunction
from magistral_recipe.writing.chat_format import ChatFormat

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Decode = Callable[["PreTrainedTokenizerBase", Sequence[int], Sequence[int]], str]

_PATIENCE = 300.0
"""Seconds that a reward may take for a few completions, a judge's first loading included."""


@dataclass(frozen=True)
class Trial:
    """A problem, a completion of it, and what arrives at the rewards."""

    problem: Problem
    completion: str
    ids: list[int]
    text: str

    @property
    def group(self) -> str:
        """Kind and language of the problem."""
        return " ".join(part for part in (self.problem.kind, self.problem.language) if part)


@dataclass(frozen=True)
class Path:
    """What a completion passes through on its way from the model to the rewards."""

    tokenizer: PreTrainedTokenizerBase
    chat: ChatFormat
    stop_ids: Sequence[int]
    decode: Decode
    through_template: bool

    def ids(self, problem: str, completion: str) -> list[int]:
        """The ids of a completion: those that SFT trains on, or, without SFT, its words and a stop token."""
        if self.through_template:
            return self.chat.training_row(self.tokenizer, problem, completion).completion_ids
        return [*self.tokenizer.encode(completion, add_special_tokens=False), *self.stop_ids[:1]]

    def text(self, ids: Sequence[int]) -> str:
        """What the rewards read of a completion's ids."""
        return self.decode(self.tokenizer, ids, self.stop_ids)

    def trial(self, problem: Problem, completion: str) -> Trial:
        """A completion of a problem on its way through."""
        ids = self.ids(problem.problem, completion)
        return Trial(problem, completion, ids, self.text(ids))


@dataclass(frozen=True)
class Given:
    """What a reward gave, one value a trial, with what it logged about each."""

    values: list[float | None]
    extras: dict[str, list[Any]]

    def about(self, index: int, name: str) -> str:
        """Parts and reason of one value, for a person."""
        shown = []
        for key, column in self.extras.items():
            value = column[index]
            text = f"{value:.2f}" if isinstance(value, float) else str(value)
            shown.append(f"{key.removeprefix(name + '/')} {text}")
        return ", ".join(shown)

    def reason(self, index: int, name: str) -> Reason | None:
        """Why a value is what it is; ``None`` where the reward named none that we know."""
        told = self.extras.get(reason_column(name))
        return next((reason for reason in Reason if told and reason == told[index]), None)

    def part(self, index: int, column: str | None) -> float:
        """The value of a part of the sum, 0 where it was not logged or does not apply."""
        logged = self.extras.get(column) if column else None
        value = logged[index] if logged else None
        return 0.0 if value is None or math.isnan(value) else float(value)


def score(reward: RewardFunction, chat: ChatFormat, trials: Sequence[Trial]) -> Given:
    """Call a reward as RL's trainer does: messages, ids, and every column that some row fills."""
    if not trials:
        return Given([], {})
    rows = [trial.problem.model_dump() for trial in trials]
    columns = {key: [row[key] for row in rows] for key in rows[0] if any(row[key] is not None for row in rows)}
    extras: dict[str, list[Any]] = {}
    call = functools.partial(
        reward,
        prompts=[chat.messages(trial.problem.problem, trial.problem.system) for trial in trials],
        completions=[[{"role": "assistant", "content": trial.text}] for trial in trials],
        completion_ids=[trial.ids for trial in trials],
        log_extra=lambda key, column: extras.update({key: list(column)}),
        log_metric=lambda key, value: None,
        trainer_state=None,
        **columns,
    )
    try:
        values = called(f"reward '{name_of(reward)}'", _PATIENCE, call)
    except (MagistralRecipeError, ValueError, TypeError):
        raise
    except Exception as error:
        raise RunError(own_code.reward_failure(name_of(reward), error, reward, len(trials), call.keywords)) from error
    if len(values) != len(trials):
        raise DataError(f"{name_of(reward)} returned {len(values)} values for {len(trials)} completions")
    return Given(list(values), extras)


def name_of(reward: RewardFunction) -> str:
    """The name by which a reward logs and is told of."""
    return str(getattr(reward, "name", None) or getattr(reward, "__name__", type(reward).__name__))


def proves(reward: RewardFunction) -> bool:
    """Whether its maximum must be earned; what other rewards give is shown."""
    return isinstance(reward, Reward) and reward.pays_perfect
