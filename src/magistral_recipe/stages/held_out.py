"""Whether what a recipe evaluates on was held out of what it trains on: compared in every run, said where it is not.

A training stage compares its rows with every set that the chain evaluates on, before it trains. An evaluation takes
these comparisons over, and makes those that are missing: of a set that has changed since, or was named later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from magistral_recipe.data.overlap import Shared, shared_problems
from magistral_recipe.data.sources import ProblemsSource, TracesSource, load_problems, load_traces
from magistral_recipe.errors import DataError
from magistral_recipe.machine import World
from magistral_recipe.recipe.sections import Recipe, Stage, StageContext
from magistral_recipe.stages.training import TrainingStage

if TYPE_CHECKING:
    from magistral_recipe.data.partition import Named
    from magistral_recipe.data.problems import Problem

RESULT = "shared"
"""Where a training stage's results say what it shares with the sets of problems, by their names."""

_HASH = "problems_hash"


class TrainingSet(NamedTuple):
    """What one stage learns from.

    Attributes:
        stage: the stage's name.
        label: what messages call the set.
        source: where it comes from; ``None`` for what an earlier stage makes.
    """

    stage: str
    label: str
    source: ProblemsSource | TracesSource | None

    def rows(self, base: Path) -> Sequence[Named]:
        """Load it.

        Raises:
            DataError: if it can't be.
        """
        if self.source is None:
            raise DataError(f"{self.label}: made by an earlier stage")
        if isinstance(self.source, TracesSource):
            return load_traces(self.source, base, None).rows
        return load_problems(self.source, base, None).rows

    def shared_with(self, rows: Sequence[Named], source: ProblemsSource, problems: Sequence[Problem]) -> Shared:
        """Compare its rows with an evaluation's problems."""
        same = self.source is not None and self.source.path is not None and self.source.path == source.path
        return shared_problems(self.label, rows, problems, same_source=same)


def training_sets(recipe: Recipe, before: str | None = None) -> Iterator[TrainingSet]:
    """Name what a chain learns from, in order.

    Args:
        recipe: the recipe.
        before: only what is learnt before the stage of this name.
    """
    for stage in recipe.stages:
        if stage.name == before:
            return
        if isinstance(stage, TrainingStage):
            yield TrainingSet(stage.name, *stage.learns_from(recipe))


def evaluated_sets(recipe: Recipe) -> list[str]:
    """Name the sets of problems that a chain evaluates on."""
    named = (name for stage in recipe.stages for name in _evaluates(stage))
    return [name for name in dict.fromkeys(named) if name in recipe.problems]


def _evaluates(stage: Stage) -> tuple[str, ...]:
    if isinstance(stage, TrainingStage):
        return stage.watched()
    return stage.inputs("").problems if stage.role == "evaluation" else ()


def compare_with_evaluations(stage: TrainingStage, context: StageContext, rows: Sequence[Named]) -> dict[str, Any]:
    """Compare what a stage is about to learn from with every set that the chain evaluates on, and warn.

    Args:
        stage: the stage.
        context: where it runs.
        rows: its training rows.

    Returns:
        For the stage's results: by the set's name what is shared. A set that can't be loaded is left out.
    """
    own = next((each for each in training_sets(context.recipe) if each.stage == stage.name), None)
    if own is None or not World.from_environment().first:
        return {}
    from magistral_recipe.evaluation.evaluate import problems_hash

    found: dict[str, Any] = {}
    for name in evaluated_sets(context.recipe):
        source = context.recipe.problems[name]
        try:
            problems = load_problems(source, context.base, None).rows
        except DataError:  # whoever evaluates on it says so
            continue
        shared = own.shared_with(rows, source, problems)
        if shared.shared:
            context.emit({"type": "warning", "text": f"not held out: {shared.line(repr(name))}"})
        found[name] = {**shared.as_dict(), _HASH: problems_hash(problems)}
    return {RESULT: found}


def shared_with_training(context: StageContext, stage: Stage, name: str, problems: Sequence[Problem]) -> list[Shared]:
    """Say what an evaluation's problems share with all that the chain has learnt from before.

    Args:
        context: the evaluation's.
        stage: the evaluation.
        name: the set's name.
        problems: the set.

    Returns:
        One comparison a training stage. Where one can't be made, those alone that found something: that nothing is
        shared could not be said of all.
    """
    from magistral_recipe.evaluation.evaluate import problems_hash

    now = problems_hash(problems)
    found, unknown = [], False
    for each in training_sets(context.recipe, before=stage.name):
        known = context.results.get(each.stage, {}).get(RESULT, {})
        record = known.get(name) if isinstance(known, Mapping) else None
        if isinstance(record, Mapping) and record.get(_HASH) == now:
            found.append(Shared.of(record))
            continue
        try:
            rows = each.rows(context.base)
        except DataError:
            unknown = True
            continue
        found.append(each.shared_with(rows, context.recipe.problems[name], problems))
    return [each for each in found if each.shared] if unknown else found


def is_clean(results: Mapping[str, Any], name: str) -> bool:
    """Say whether a stage's own comparison found nothing of a set in its rows."""
    record = results.get(RESULT, {}).get(name)
    return isinstance(record, Mapping) and record.get("shared") == 0
