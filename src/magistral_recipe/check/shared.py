"""Whether what a recipe evaluates on is held out of what it trains on, as far as rows are at hand before a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magistral_recipe.check.data import ROWS, LookedAt
from magistral_recipe.data.sources import ProblemsSource, TracesSource, load_problems
from magistral_recipe.errors import DataError
from magistral_recipe.recipe.document import KeyPath
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.stages.held_out import TrainingSet, evaluated_sets, training_sets

if TYPE_CHECKING:
    from magistral_recipe.data.partition import Named
    from magistral_recipe.data.problems import Problem

_WHOLE = 64 * 2**20
"""Bytes of local files up to which a set is read as a whole; of larger ones, and of the hub's, the first rows."""


def shared_sets(loaded: LoadedRecipe, looked: LookedAt) -> list[tuple[KeyPath, str]]:
    """Compare every set that a recipe evaluates on with every one that it trains on before.

    Args:
        loaded: the recipe.
        looked: the first rows of its data.

    Returns:
        (key path, message) for each pair of sets that share problems.
    """
    recipe = loaded.recipe
    trained = {
        each.stage: (each, rows) for each in training_sets(recipe) if (rows := _training_rows(each, loaded, looked))
    }
    found: list[tuple[KeyPath, str]] = []
    for name in evaluated_sets(recipe):
        source = recipe.problems[name]
        load = partial(load_problems, source, loaded.folder, None)
        problems: Sequence[Problem] = looked.whole.get(name) or _whole(
            source, loaded.folder, looked.problems.get(name, ()), load
        )
        for each, rows in trained.values() if problems else ():
            shared = each.shared_with(rows, source, problems)
            if shared.shared:
                line = f"not held out: {shared.line(repr(name))}. {_way_out(each.source, source)}"
                found.append((("problems", name), line))
    return found


def _way_out(trained: ProblemsSource | TracesSource | None, evaluated: ProblemsSource) -> str:
    if evaluated.parted is None:
        return "`split: {heldout: 0.2, seed: 0}` parts a source in two"
    if trained is not None and trained.parted is None:
        return f"What is trained on wants the same `split: {{heldout: {evaluated.parted.heldout:g}, …}}`"
    return "A `curate` stage before training leaves such problems out"


def _training_rows(each: TrainingSet, loaded: LoadedRecipe, looked: LookedAt) -> Sequence[Named]:
    source = each.source
    if source is None:
        return ()
    if isinstance(source, TracesSource):
        index = next(i for i, stage in enumerate(loaded.recipe.stages) if stage.name == each.stage)
        place: str | int = index
        first: Sequence[Named] = looked.traces.get(index, ())
    else:
        place = next(name for name, other in loaded.recipe.problems.items() if other is source)
        first = looked.problems.get(place, ())
    return looked.whole.get(place) or _whole(source, loaded.folder, first, lambda: each.rows(loaded.folder))


def _whole(
    source: ProblemsSource | TracesSource, base: Path, first: Sequence[Any], load: Callable[[], Any]
) -> Sequence[Any]:
    """All rows of a set that is small and at hand, else the first ones."""
    if len(first) < ROWS and source.seed is None:
        return first  # these are all, or it could not be looked at
    path = source.local(base)
    if source.path is not None and (path is None or sum(file.stat().st_size for file in source.inputs(base)) > _WHOLE):
        return first
    if isinstance(source, ProblemsSource) and source.benchmark is not None:
        return first
    try:
        rows = load()
    except DataError:
        return first
    return getattr(rows, "rows", rows)
