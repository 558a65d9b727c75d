"""Problems from the tasks of reasoning-gym, made on demand from a seed.

Only tasks whose answer is decided by the text alone fit: the answer becomes a `Problem`'s reference and
is graded by the ordinary rewards, not by the task's own scorer (a Sudoku or a plan has many right answers).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from magistral_recipe.data.problems import content_hash
from magistral_recipe.errors import DataError
from magistral_recipe.suggest import did_you_mean

_TRIES = 20
"""Items drawn per problem wanted before a task is said to have no more different ones."""


def mistakes(task: str, config: Mapping[str, object]) -> list[tuple[str, str]]:
    """Find what is wrong with a task's name and settings.

    Args:
        task: a task's name, e.g. ``basic_arithmetic``.
        config: settings of the task beside size and seed.

    Returns:
        (key, message) for every mistake.
    """
    try:
        from reasoning_gym.factory import DATASETS
    except ImportError:
        return [("gym", "reasoning-gym is not installed; run: pip install 'magistral-recipe[gym]'")]
    if task not in DATASETS:
        return [("gym", f"no reasoning-gym task '{task}'.{did_you_mean(task, DATASETS)}")]
    allowed = [name for name in inspect.signature(DATASETS[task][1]).parameters if name not in ("seed", "size")]
    found = []
    for key in config:
        if key in ("seed", "size"):
            found.append((f"gym_config.{key}", f"set '{'seed' if key == 'seed' else 'count'}' of the source instead"))
        elif key not in allowed:
            hint = did_you_mean(key, allowed, list_all_below=len(allowed))
            found.append((f"gym_config.{key}", f"no setting of the task '{task}'.{hint}"))
    return found or _refusal(task, config)


def _refusal(task: str, config: Mapping[str, object]) -> list[tuple[str, str]]:
    """Make one problem: a task checks its settings only then, and shows only then whether it knows an answer."""
    import reasoning_gym

    try:
        item = reasoning_gym.create_dataset(task, size=1, seed=0, **config)[0]
    except (AssertionError, TypeError, ValueError) as error:  # the tasks validate with assert
        return [("gym_config", f"the task '{task}' refuses these settings: {error}")]
    if item["answer"] is None:
        return [("gym", f"the task '{task}' knows no answer, its own scorer decides; no reward here can grade it")]
    return []


def rows(task: str, config: Mapping[str, object], count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Make different problems of a task; the first n are the same for every count.

    Args:
        task: a task's name.
        config: settings of the task beside size and seed.
        count: how many.
        seed: where the task's randomness starts.

    Yields:
        Rows with a `Problem`'s columns.

    Raises:
        DataError: if the task has fewer different problems than asked for.
    """
    import reasoning_gym

    # The size bounds the indices only: an item depends on seed and index.
    dataset = reasoning_gym.create_dataset(task, size=count * _TRIES, seed=seed, **config)
    seen: set[str] = set()
    for index in range(count * _TRIES):
        item = dataset[index]
        question = item["question"]
        if question in seen:
            continue
        seen.add(question)
        yield {
            "id": f"{task}-{content_hash(question)}",
            "problem": question,
            "answer": item["answer"],
            "language": "en",
            "source": "reasoning-gym",
            "category": task,
        }
        if len(seen) == count:
            return
    raise DataError(
        f"the reasoning-gym task '{task}' gave only {len(seen)} different problems of the {count} asked for"
    )
