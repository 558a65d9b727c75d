"""What rewards log, so that every process of a training logs the same names in every step.

Trainers gather logs across processes, and TRL 1.0 to 1.13 gather one name after another: a name that one process leaves
out leaves the others waiting for ever. So each is logged by every call, whatever its rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from magistral_recipe.rewards.batch import Batch, Hooks
from magistral_recipe.rewards.facts import reason_column
from magistral_recipe.rewards.reasons import CUTTABLE, Grade, Reason


class Means:
    """The means that one reward logs, and the last of each.

    A call in which no row applies has no mean of its own. It logs the last one that this process saw: leaving it out
    would hang other processes, a 0 would pull the curve down, and NaN would wipe out what the others saw. Before any
    was seen it is NaN, as TRL's own means are.
    """

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def log(self, hooks: Hooks, name: str, values: Sequence[float | None]) -> None:
        """Log the mean of the values that apply.

        Args:
            hooks: the trainer's.
            name: of the metric.
            values: one a completion.
        """
        applicable = [value for value in values if value is not None]
        if applicable:
            self._last[name] = sum(applicable) / len(applicable)
        if hooks.log_metric is not None:
            hooks.log_metric(name, self._last.get(name, math.nan))


def log_values(hooks: Hooks, name: str, values: Sequence[float | None]) -> None:
    """Log one number a completion as a column, NaN where it does not apply."""
    if hooks.log_extra is not None:
        hooks.log_extra(name, [math.nan if value is None else float(value) for value in values])


def log_reasons(hooks: Hooks, name: str, reasons: Sequence[Reason | str]) -> None:
    """Log one reason a completion as the column ``NAME/reason``."""
    if hooks.log_extra is not None:
        hooks.log_extra(reason_column(name), [str(reason) for reason in reasons])


def mark_cut(batch: Batch, grades: Sequence[Grade]) -> list[Reason]:
    """Return the reasons, `Reason.CUT` where the column ``truncated`` explains what is missing."""
    truncated: list[Any] = batch.optional_column("truncated") or [False] * len(batch)
    return [
        Reason.CUT if cut and grade.reason in CUTTABLE else grade.reason
        for cut, grade in zip(truncated, grades, strict=True)
    ]
