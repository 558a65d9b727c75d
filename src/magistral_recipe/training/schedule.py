"""What changes while training: length, penalty zone, batch and difficulty, by step or by a measured condition.

Magistral's stages (§5.2) in one list: harder problems later, a longer limit once completions have grown against
the old one, smaller batches as sequences get longer. No entry knows a wall-clock time, so a recipe does the same
on a slow machine, later.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from magistral_recipe.schema import StrictModel

Metric = Literal["completion_length_p95", "completion_length_mean", "truncated", "reward", "uninformative"]


class Condition(StrictModel):
    """A measured condition, held against every generation batch."""

    metric: Metric
    """What is measured over the batch's completions."""
    above: float
    """The bound; for a length, the share of the limit in force."""
    for_: int = Field(1, alias="for", ge=1)
    """How many generation batches in a row must be above it."""


class ScheduleEntry(StrictModel):
    """One change; a setting that it does not name stays as it was."""

    from_step: int | None = Field(None, ge=0)
    """The optimizer step from which it holds."""
    when: Condition | None = None
    """The condition after which it holds, watched once the entry before it is in force."""
    max_completion_length: int | None = Field(None, ge=1)
    """Limit on a completion, in tokens."""
    overlong_cache: int | None = Field(None, ge=0)
    """Width of the soft penalty zone below the limit, in tokens."""
    prompts_per_batch: int | None = Field(None, ge=1)
    """Prompts of a generation batch."""
    min_difficulty: float | None = None
    """Lowest difficulty drawn."""
    max_difficulty: float | None = None
    """Highest difficulty drawn."""

    @model_validator(mode="after")
    def _one_trigger(self) -> ScheduleEntry:
        if (self.from_step is None) == (self.when is None):
            raise ValueError("needs exactly one of from_step and when")
        return self


class Settings(NamedTuple):
    """What is in force for a generation batch."""

    max_completion_length: int
    overlong_cache: int | None
    prompts_per_batch: int
    min_difficulty: float | None = None
    max_difficulty: float | None = None


class Schedule:
    """Entries, applied in order, and how far they have come.

    Args:
        entries: mappings with the keys of `ScheduleEntry`.
        base: what holds before the first.

    Raises:
        ValueError: for an entry that is none.
    """

    def __init__(self, entries: Sequence[Mapping[str, Any]], base: Settings) -> None:
        self._entries = [ScheduleEntry.model_validate(entry) for entry in entries]
        self._base = base
        self._applied = 0
        self._streak = 0

    @property
    def applied(self) -> int:
        """How many entries are in force."""
        return self._applied

    @property
    def settings(self) -> Settings:
        """What is in force now."""
        return self.stages[self._applied]

    @property
    def stages(self) -> list[Settings]:
        """What is in force before the first entry, and after each."""
        return list(itertools.accumulate(self._entries, _changed, initial=self._base))

    def advance(self, step: int) -> Settings:
        """Apply the entries that are due by step; called before a generation batch.

        Args:
            step: optimizer steps done.

        Returns:
            What is in force for the batch.
        """
        while (entry := self._next) and entry.from_step is not None and step >= entry.from_step:
            self._apply()
        return self.settings

    def observe(self, metrics: Mapping[str, float]) -> None:
        """Take note of a finished generation batch; may apply the next entry.

        Args:
            metrics: the batch's figures, by the names of `Metric`; lengths in tokens.
        """
        entry = self._next
        if entry is None or entry.when is None:
            return
        value = metrics[entry.when.metric]
        if entry.when.metric.startswith("completion_length"):
            value /= self.settings.max_completion_length
        self._streak = self._streak + 1 if value > entry.when.above else 0
        if self._streak >= entry.when.for_:
            self._apply()

    def state_dict(self) -> dict[str, int]:
        """Return what a checkpoint must keep."""
        return {"applied": self._applied, "streak": self._streak}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue where `state_dict` was taken."""
        self._applied, self._streak = min(state["applied"], len(self._entries)), state["streak"]

    @staticmethod
    def mistakes(entries: Sequence[Any], max_completion_length: int, overlong_cache: int | None) -> list[str]:
        """Find what is wrong with a schedule before anything runs.

        Args:
            entries: as given by the user.
            max_completion_length: the limit before the first entry, in tokens.
            overlong_cache: the penalty zone before the first entry, in tokens.

        Returns:
            One line a mistake.
        """
        lines: list[str] = []
        settings = Settings(max_completion_length, overlong_cache, 1)
        last_step = -1
        for index, raw in enumerate(entries):
            try:
                entry = ScheduleEntry.model_validate(raw)
            except ValidationError as error:
                for detail in error.errors():
                    where = ".".join(str(part) for part in detail["loc"])
                    lines.append(f"schedule[{index}]{'.' if where else ''}{where}: {detail['msg']}")
                continue
            if entry.from_step is not None:
                if entry.from_step <= last_step:
                    lines.append(f"schedule[{index}]: from_step={entry.from_step} does not come after {last_step}")
                last_step = entry.from_step
            settings = _changed(settings, entry)
            if settings.overlong_cache is not None and settings.overlong_cache >= settings.max_completion_length:
                lines.append(
                    f"schedule[{index}]: overlong_cache={settings.overlong_cache} must be below "
                    f"max_completion_length={settings.max_completion_length}"
                )
            low, high = settings.min_difficulty, settings.max_difficulty
            if low is not None and high is not None and low > high:
                lines.append(f"schedule[{index}]: min_difficulty={low} is above max_difficulty={high}")
        return lines

    @property
    def _next(self) -> ScheduleEntry | None:
        return self._entries[self._applied] if self._applied < len(self._entries) else None

    def _apply(self) -> None:
        self._applied += 1
        self._streak = 0


def _changed(settings: Settings, entry: ScheduleEntry) -> Settings:
    changes = {name: getattr(entry, name) for name in Settings._fields if getattr(entry, name) is not None}
    return settings._replace(**changes)
