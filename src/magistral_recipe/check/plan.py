"""What will run: the mistakes only TRL can see, the wiring proof, and the plan that `check` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from rich.console import Console
from rich.table import Table

from magistral_recipe.chain.launch import describe_device
from magistral_recipe.check.memory_plan import GIB, plan_memory
from magistral_recipe.check.recipe_file import BASE, LoadedRecipe, Recipe, StageEntry, line_of, load_recipe
from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.data.sources import load_problems, load_traces
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.models.load import ModelConfig
from magistral_recipe.stages.base import stage_module
from magistral_recipe.stages.training import base_model_config, chat_format, run_arguments

PROOF_ROWS = 256
"""Problems and traces that the wiring proof looks at: enough for every kind and language, quick to load."""


def load_telling_all(file: Path, overrides: list[str]) -> LoadedRecipe:
    """Load a recipe; where its schema has mistakes, look for those that only TRL can see as well.

    Args:
        file: the recipe's YAML file.
        overrides: ``key.path=value`` strings.

    Returns:
        The recipe, its trainer sections not checked yet.

    Raises:
        RecipeError: with every mistake found, one line each.
    """
    try:
        return load_recipe(file, overrides)
    except RecipeError as error:
        partial: LoadedRecipe | None = error.partial
        if partial is None:
            raise
        # What does not hold itself gets a stand-in, so that the trainer sections can be held against their classes.
        known = {name: value for name, value in vars(partial.recipe).items() if value is not None}
        stand_in = Recipe.model_construct(**{"seed": 0, "model": ModelConfig(path="tiny"), **known})
        mistakes = [*error.problems, *_trainer_mistakes(replace(partial, recipe=stand_in))]
        raise RecipeError(sorted(mistakes, key=line_of)) from None


def check_recipe(loaded: LoadedRecipe, console: Console | None = None) -> None:
    """Do all that can be done before a model is loaded, and print the plan.

    Args:
        loaded: the recipe.
        console: where to print.

    Raises:
        RecipeError: with every mistake found, or with what the wiring proof found.
    """
    console = console or Console(highlight=False)
    check_trainers(loaded)
    try:
        prove_wiring_of(loaded, console)
    except DataError as error:  # data or a model of the hub that this machine does not have: no mistake of the recipe
        for line in error.problems:
            console.print(f"wiring NOT proven: {line}", style="yellow", markup=False)
    console.print(plan_table(loaded))
    for note in plan_notes(loaded):
        console.print(note, markup=False)


def prove_recipe(loaded: LoadedRecipe, console: Console) -> None:
    """Check the trainer sections, and prove that a perfect answer earns what the rewards promise.

    Args:
        loaded: the recipe.
        console: shows the proof.

    Raises:
        RecipeError: a trainer section is wrong, or the wiring: the message says which part was lost where.
        DataError: the model's tokenizer or the data cannot be loaded.
    """
    check_trainers(loaded)
    prove_wiring_of(loaded, console)


# ---------------------------------------------------------------------------------------------- trainers


def check_trainers(loaded: LoadedRecipe) -> None:
    """Hold every `trainer:` section against the class it goes to (imports TRL).

    Args:
        loaded: the recipe.

    Raises:
        RecipeError: with every mistake found.
    """
    mistakes = list(_trainer_mistakes(loaded))
    if _training(loaded):
        mistakes += [loaded.mistake(("model", key), text) for key, text in loaded.recipe.model.training_mistakes()]
    if mistakes:
        raise RecipeError(mistakes)


def _trainer_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    given = run_arguments(Path(gettempdir()) / "magistral-recipe-check", loaded.recipe)
    for index, stage in _training(loaded):
        module = stage_module(stage.kind)
        path = ("stages", index, stage.kind, "trainer")
        without = module.arguments(stage.config.model_copy(update={"trainer": {}}), given)
        trainer = stage.config.trainer  # type: ignore[attr-defined]
        for key, message in trainer_mistakes(module.trainer_class(), trainer, without, sft=stage.kind == "sft"):
            yield loaded.mistake((*path, key) if key else path, message)


def _training(loaded: LoadedRecipe) -> list[tuple[int, StageEntry]]:
    stages = enumerate(loaded.recipe.stages)
    # A section without a config is one that does not hold, in the remains of a recipe with other mistakes.
    return [(index, stage) for index, stage in stages if stage.config is not None and stage.makes_model]


# ------------------------------------------------------------------------------------------------ wiring


def prove_wiring_of(loaded: LoadedRecipe, console: Console) -> None:
    """Run the wiring proof on the base model's own tokenizer and the first rows of the recipe's data.

    Args:
        loaded: the recipe.
        console: shows each RL stage's proof, or the SFT stage's where there is no RL.

    Raises:
        RecipeError: the wiring is broken.
        DataError: the model's tokenizer or the data cannot be loaded.
    """
    from magistral_recipe.check.wiring import prove_wiring
    from magistral_recipe.models.load import generation_stop_ids, load_tokenizer

    recipe, base = loaded.recipe, loaded.folder
    sft: list[Any] = [stage.config for stage in recipe.stages if stage.kind == "sft"]
    grpo: list[Any] = [stage.config for stage in recipe.stages if stage.kind == "grpo"]
    if not sft and not grpo:
        return
    config = base_model_config(recipe, base)
    tokenizer = load_tokenizer(config.path, None, config)
    chat = chat_format(recipe, base).install(tokenizer)
    stops = generation_stop_ids(config.path, tokenizer, config)
    # Rows that cannot be used are counted and kept by the stage that trains on them.
    traces = load_traces(_first_rows(sft[0].traces), base, None, chat.thinking).rows if sft else []
    for stage in grpo or [None]:
        rewards = stage_module("grpo").build_rewards(stage, chat.thinking) if stage else []
        source = recipe.problems[stage.problems] if stage else None
        problems = load_problems(_first_rows(source), base, None).rows if source else []
        stage_module("grpo").require_sandboxes(rewards, problems)
        report = prove_wiring(tokenizer, chat, rewards, problems, traces, stops)
        console.print(report.render())
        report.require()


def _first_rows(source: Any) -> Any:
    """A source without its draw and with few rows: quick to load, and enough for a proof."""
    count = min(source.count or PROOF_ROWS, PROOF_ROWS)
    return source.model_copy(update={"count": count, "seed": None if source.path else source.seed})


# -------------------------------------------------------------------------------------------------- plan


def plan_table(loaded: LoadedRecipe) -> Table:
    """The chain as a table: what each stage starts from, does, and how much of it."""
    table = Table(title=f"{loaded.recipe.name}: {len(loaded.recipe.stages)} stages", title_justify="left")
    for column in ("", "stage", "starts from", "what", "processes"):
        table.add_column(column)
    last = BASE
    for index, stage in enumerate(loaded.recipe.stages):
        start = getattr(stage.config, "model", None) or last
        launch = stage.config.launch or loaded.recipe.launch
        what = stage_module(stage.kind).describe(stage.config, loaded.recipe)
        processes = launch.num_processes if stage.makes_model or stage.config.launch else 1
        table.add_row(str(index + 1), stage.name, start, what, str(processes))
        if stage.makes_model:
            last = stage.name
    return table


def plan_notes(loaded: LoadedRecipe) -> Iterator[str]:
    """Lines below the plan: the device, the memory, what will not act."""
    yield f"device: {describe_device()}"
    if not _training(loaded):
        return
    memory = plan_memory(base_model_config(loaded.recipe, loaded.folder))
    if memory is None:
        yield "memory: the model's shape is not known before it is loaded"
        return
    yield (
        f"memory: {memory.parameters / 1e6:,.1f}M weights, {memory.trained / 1e6:,.1f}M trained: "
        f"{memory.weights / GIB:.2f} GiB weights + {memory.gradients / GIB:.2f} gradients + "
        f"{memory.optimizer / GIB:.2f} optimizer = {memory.total / GIB:.2f} GiB a process, without activations and "
        "KV cache"
    )
