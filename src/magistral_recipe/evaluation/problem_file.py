"""The problems of an evaluation beside its samples, so that they can be graded again without the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from magistral_recipe.files import write_atomically
from magistral_recipe.jsonlines import Damage, lines_text, read_lines

if TYPE_CHECKING:
    from magistral_recipe.data.problems import Problem


MOST_CHARACTERS = 64 * 2**20
"""Sets that are longer (LiveCodeBench's tests) are not copied: they are loaded again by their name."""


def write_problems(path: Path, problems: Sequence[Problem]) -> bool:
    """Write problems, one JSON object a line.

    Args:
        path: the file.
        problems: what to write.

    Returns:
        Whether they were written; not if they are too long.
    """
    lines, length = [], 0
    for problem in problems:
        lines.append(lines_text([problem.model_dump(mode="json", exclude_none=True)]))
        length += len(lines[-1])
        if length > MOST_CHARACTERS:
            return False
    write_atomically(path, "".join(lines))
    return True


def read_problems(path: Path) -> list[Problem] | None:
    """Read what `write_problems` wrote; ``None`` where there is no such file or it is broken."""
    from magistral_recipe.data.benchmarks.loaders import BenchmarkProblem
    from magistral_recipe.data.problems import Problem as Plain

    problems: list[Problem] = []
    damage = Damage()
    try:
        for _, row in read_lines(path, damage):
            known = set(row) <= set(Plain.model_fields)
            problems.append((Plain if known else BenchmarkProblem).model_validate(row))
    except ValidationError:
        return None
    return problems if problems and not damage else None  # some of the problems would be others' scores
