"""Failures, sorted by whose they are.

The user's mistakes (a recipe, a file, a column) are `RecipeError` and `DataError`: found before a
model is loaded, all of them at once, exit code 2. What the machine or this package did wrong while
running is a `RunError`, exit code 1. What a *model* writes is never an error: it is data.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import Any

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Numbers of the system's errors for a disk, or one's share of it, that is full."""


class MagistralRecipeError(Exception):
    """Base of every error that this package raises for a person to read."""

    exit_code = 1


class UserError(MagistralRecipeError):
    """One or more mistakes in what the user gave, each a line a person can act on.

    Args:
        problems: the mistakes, one line each.
    """

    exit_code = 2

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class RecipeError(UserError):
    """A recipe that cannot run: each line names file, line, key, what is allowed, the nearest name.

    Args:
        problems: the mistakes, one line each.
        partial: the recipe's parts that hold (a `LoadedRecipe`), in which further mistakes can be looked for.
    """

    def __init__(self, problems: str | Sequence[str], partial: Any = None) -> None:
        super().__init__(problems)
        self.partial = partial


class DataError(UserError):
    """Input data that cannot be used: each line names file, row or column, and what was expected."""


class RunError(MagistralRecipeError):
    """Something failed while running: a stage died, a disk filled, a worker could not start."""


def first_line(error: BaseException) -> str:
    """What somebody else's error says, in one line of at most 300 characters."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
