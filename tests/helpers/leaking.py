"""Whether `curate` would drop a training problem for an evaluation problem."""

from __future__ import annotations

from magistral_recipe.curation.leaks import Heldout, Leaks, drop_leaks
from magistral_recipe.curation.rows import Dropped, Row
from magistral_recipe.data.problems import Problem


def is_leak(evaluation: str, training: str) -> bool:
    """Put a training problem through the step, with one evaluation problem to look for."""
    row = Row(Problem(problem=training, answer="1"))
    return isinstance(next(drop_leaks([row], Leaks([Heldout("1", evaluation, "held")]))), Dropped)
