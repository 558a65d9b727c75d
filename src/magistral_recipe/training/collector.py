"""Filling a generation batch: draw prompts, generate, drop groups without signal, draw again (Magistral §2.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe.errors import DataError, RunError
from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.evidence import what_it_showed
from magistral_recipe.training.prompt_stream import PromptStream
from magistral_recipe.training.rollouts import Group
from magistral_recipe.training.rounds import Kept, Round, batch_figures, select
from magistral_recipe.training.schedule import Schedule, Settings

logger = logging.getLogger(__name__)


class GenerationBatch(NamedTuple):
    """A filled generation batch: the groups that train and those that don't, figures over all, and its tokens."""

    groups: list[Group]
    dropped: list[Group]
    figures: dict[str, float]
    tokens: int


class Collector:
    """Fills batches, and owns what decides which prompts come next.

    Args:
        config: the trainer's settings.
        stream: the prompts.
        schedule: what changes while training.
        processes: ranks; every round must divide over them.
        top: the most that the signal reaches: what a perfect completion earns.
        evidence: the file to which the rollouts of a batch without signal are written, for messages.

    Attributes:
        showed: what the last batch without signal showed; empty where there was none.
    """

    def __init__(
        self,
        config: MagistralGRPOConfig,
        stream: PromptStream,
        schedule: Schedule,
        processes: int,
        top: float,
        evidence: Path | None = None,
    ) -> None:
        self._config = config
        self._stream = stream
        self._schedule = schedule
        self._processes = processes
        self._top = top
        self._evidence = evidence
        self.showed = ""
        self._empty_in_a_row = 0
        self._first_reward: float | None = None
        self._batches_with_signal = 0
        self.rounds_allowed = config.max_refill_rounds

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        return self._stream.epoch

    @property
    def entries_in_force(self) -> int:
        """How many entries of the schedule have been applied."""
        return self._schedule.applied

    def check_schedule(self) -> int:
        """Check that every difficulty band of the schedule holds rows, before anything is generated.

        Returns:
            The longest completion that will ever be asked for, in tokens.

        Raises:
            DataError: naming the first entry that leaves no row.
        """
        stages = self._schedule.stages
        for number, settings in enumerate(stages):
            try:
                self._stream.check_band((settings.min_difficulty, settings.max_difficulty))
            except DataError as error:
                raise DataError(f"schedule[{number - 1}]: {error}") from None
        return max(settings.max_completion_length for settings in stages)

    def advance(self, step: int) -> Settings:
        """Apply what the schedule says for this step, and return what is in force."""
        settings = self._schedule.advance(step)
        band = (settings.min_difficulty, settings.max_difficulty)
        if band != self._stream.band:
            self._stream.set_band(band)
        return settings

    def fill(
        self,
        settings: Settings,
        generate: Callable[[list[dict[str, Any]]], Round],
        keep: Callable[[GenerationBatch], None] = lambda batch: None,
    ) -> GenerationBatch:
        """Generate until the batch is full or the rounds are used up.

        Args:
            settings: what is in force.
            generate: from problems to a scored round.
            keep: is handed the batch before it is judged, so that one that ends the run leaves something behind.

        Returns:
            The batch; smaller, or empty, when too few groups had a signal.

        Raises:
            RunError: after too many empty batches in a row.
        """
        config = self._config
        rounds: list[Round] = []
        kept: list[Kept] = []
        groups: list[Group] = []
        while True:
            problems = self._stream.take(settings.prompts_per_batch - len(groups))
            rounds.append(generate(self._filled_up(problems)).first(len(problems)))
            kept.append(select(rounds[-1], config.signal, config.keep_uninformative_groups, self._top))
            groups += kept[-1].groups
            if len(groups) >= settings.prompts_per_batch or config.keep_uninformative_groups:
                break
            if len(rounds) > self.rounds_allowed:
                break
        figures = batch_figures(rounds, kept, len(groups))
        dropped = [group for each in kept for group in each.dropped]
        batch = GenerationBatch(groups, dropped, figures, sum(round_.completion_tokens for round_ in rounds))
        keep(batch)
        if not groups:
            self.showed = what_it_showed([rollout for group in dropped for rollout in group])
        self._note(figures, bool(groups))
        return batch

    def samples(self) -> str:
        """Say where the rollouts of batches without signal are."""
        return f". Its samples are in {self._evidence}" if self._evidence is not None else ""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep."""
        return {
            "stream": self._stream.state_dict(),
            "schedule": self._schedule.state_dict(),
            "empty_in_a_row": self._empty_in_a_row,
            "first_reward": self._first_reward,
            "batches_with_signal": self._batches_with_signal,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where `state_dict` was taken."""
        self._stream.load_state_dict(state["stream"])
        self._schedule.load_state_dict(state["schedule"])
        self._empty_in_a_row = state["empty_in_a_row"]
        self._first_reward = state.get("first_reward")  # a checkpoint of an earlier version has neither
        self._batches_with_signal = state.get("batches_with_signal", 0)

    def _filled_up(self, problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Repeat the last problem until the completions divide over the ranks; the repetitions are dropped."""
        filled = list(problems)
        while len(filled) * self._config.num_generations % self._processes:
            filled.append(problems[-1])
        return filled

    def _note(self, figures: dict[str, float], useful: bool) -> None:
        self._schedule.observe(
            {
                "completion_length_p95": figures["completions/p95_length"],
                "completion_length_mean": figures["completions/mean_length"],
                "truncated": figures["completions/clipped_ratio"],
                "reward": figures["reward"],
                "uninformative": figures["groups/uninformative"],
            }
        )
        if self._first_reward is None:
            self._first_reward = figures["reward"]
        self._batches_with_signal += useful
        self._empty_in_a_row = 0 if useful else self._empty_in_a_row + 1
        if self._empty_in_a_row >= self._config.max_empty_batches:
            raise RunError(
                f"{self._empty_in_a_row} generation batches in a row had no group with two different rewards "
                f"(all right {figures['groups/all_right']:.0%}, all wrong {figures['groups/all_wrong']:.0%}, "
                f"other {figures['groups/other_flat']:.0%}): {self._why_nothing(figures)}{self.samples()}"
            )
        if not useful:
            logger.warning("no group of this generation batch had two different rewards: nothing is trained on it")
            logger.info("it showed: %s", self.showed)

    def _why_nothing(self, figures: dict[str, float]) -> str:
        """Tell apart what never had a signal, what has learnt all there is, and what training has destroyed."""
        reward, first = figures["reward"], self._first_reward
        right, wrong = figures["groups/all_right"], figures["groups/all_wrong"]
        if self._batches_with_signal and first is not None and right < 0.5 and reward < first:
            return (
                f"the policy has collapsed. The first batch earned {first:.2f} a completion, this one {reward:.2f}, "
                f"after {self._batches_with_signal} batches that trained: lower learning_rate "
                f"({self._config.learning_rate:g}), warm up longer (warmup_steps) or clip gradients harder "
                f"(max_grad_norm: {self._config.max_grad_norm:g}); neither rewards nor problems are the cause"
            )
        if self._batches_with_signal and right > wrong:
            return "these problems are learnt. Choose harder ones, or end the training here"
        return f"in the last one {self.showed}"
