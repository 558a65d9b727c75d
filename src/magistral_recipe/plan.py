"""What will run: the mistakes only TRL can see, the wiring proof, and the plan that `check` prints."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from magistral_recipe.errors import RecipeError
from magistral_recipe.recipe import LoadedRecipe
from magistral_recipe.stages.base import stage_module
from magistral_recipe.trainer_fields import trainer_mistakes


def check_trainers(loaded: LoadedRecipe) -> None:
    """Hold every `trainer:` section against the class it goes to (imports TRL).

    Args:
        loaded: the recipe.

    Raises:
        RecipeError: with every mistake found.
    """
    mistakes = list(loaded_trainer_mistakes(loaded))
    for key, message in loaded.recipe.model.training_mistakes() if _trains(loaded) else []:
        mistakes.append(loaded.mistake(("model", key), message))
    if mistakes:
        raise RecipeError(mistakes)


def _trains(loaded: LoadedRecipe) -> bool:
    return any(stage.makes_model for stage in loaded.recipe.stages)


def loaded_trainer_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    """Yield one line for each mistake in a `trainer:` section."""
    for index, stage in enumerate(loaded.recipe.stages):
        module = stage_module(stage.kind)
        if not stage.makes_model:
            continue
        path = ("stages", index, stage.kind, "trainer")
        trainer = stage.config.trainer  # type: ignore[attr-defined]
        given = module.arguments(stage.config.model_copy(update={"trainer": {}}), _trial_arguments(loaded))
        for key, message in trainer_mistakes(module.trainer_class(), trainer, given, sft=stage.kind == "sft"):
            yield loaded.mistake((*path, key) if key else path, message)


def _trial_arguments(loaded: LoadedRecipe) -> dict[str, Any]:
    """Arguments for constructing a config that is thrown away: as the run's, on whatever machine this is."""
    from tempfile import gettempdir

    from magistral_recipe.stages.training import run_arguments

    return run_arguments(Path(gettempdir()) / "magistral-recipe-check", loaded.recipe)
