"""Saying while a run trains that it is getting worse, once for each trouble, instead of in its report alone."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from magistral_recipe.training.health import troubles

logger = logging.getLogger(__name__)


class HealthWatch(TrainerCallback):
    """Judges an RL training's curves whenever it logs; fits any trainer that logs TRL's names.

    Args:
        parts: metrics that are parts of the reward, and what a person calls them; see `reward_metrics`.
        tell: takes one line a trouble, on the main process alone; by default it is logged as a warning.

    Attributes:
        tell: may be set.
    """

    def __init__(self, parts: Mapping[str, str], tell: Callable[[str], None] = logger.warning) -> None:
        self._parts = dict(parts)
        self.tell = tell
        self._told: set[tuple[str, str]] = set()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Look at all curves, those before a resume too: transformers keeps them in its state."""
        if not state.is_world_process_zero:
            return
        curves: dict[str, list[tuple[float, float]]] = {}
        for record in state.log_history:
            for key, value in record.items():
                if key != "step" and isinstance(value, int | float) and math.isfinite(value):
                    curves.setdefault(key, []).append((record["step"], value))
        for trouble in troubles(curves, self._parts):
            if (trouble.id, trouble.title) not in self._told:
                self._told.add((trouble.id, trouble.title))
                self.tell(trouble.line())


def reward_metrics(rewards: Sequence[Any], names: Sequence[str]) -> dict[str, str]:
    """Find the metrics that tell how each axis of the reward is paid.

    Args:
        rewards: a trainer's; functions of one's own tell nothing of themselves.
        names: under which the trainer logs each.

    Returns:
        Metric to axis (`format`, `correctness`, `length`, `language`).
    """
    found: dict[str, str] = {}
    for reward, name in zip(rewards, names, strict=True):
        if not callable(facts_of := getattr(reward, "facts", None)):
            continue
        facts = facts_of()
        found |= {column: part for part in facts.parts if (column := facts.column(part))}
        if facts.part:
            found[f"rewards/{name}/mean"] = facts.part
    return found
