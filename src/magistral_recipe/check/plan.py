"""What will run: the mistakes only TRL can see, the wiring proof, and the plan that `check` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from magistral_recipe.check.recipe_file import line_of, load_recipe
from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.check.wiring_report import WiringReport
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.machine import describe_device
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.shape import shape_of
from magistral_recipe.recipe.sections import BASE, LoadedRecipe, Recipe
from magistral_recipe.stages.training import TrainingStage, base_model_config, chat_format, run_arguments
from magistral_recipe.writing.template import ChatTemplateError

if TYPE_CHECKING:
    from magistral_recipe.check.memory.devices import Device
    from magistral_recipe.check.memory.plan import RecipePlan

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


def check_recipe(
    loaded: LoadedRecipe, console: Console | None = None, device: str | None = None, *, probe: bool = False
) -> None:
    """Do all that can be done before a model is loaded, and print the plan.

    Args:
        loaded: the recipe.
        console: where to print.
        device: the card to plan for, by name or size; by default what is at hand.
        probe: time this machine for the plan's hours.

    Raises:
        RecipeError: with every mistake found, or with what the wiring proof found.
    """
    console = console or Console(highlight=False)
    card = named_device(device)
    check_trainers(loaded)
    proven = False
    try:
        prove_wiring_of(loaded, console)
        proven = True
    except DataError as error:  # data or a model of the hub that this machine does not have: no mistake of the recipe
        for line in error.problems:
            console.print(f"wiring NOT proven: {line}", style="yellow", markup=False)
    console.print(plan_table(loaded))
    show_memory(loaded, console, card, look_at_data=proven, probe=probe)


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
    mistakes = [*_trainer_mistakes(loaded)]
    if _training(loaded):
        mistakes += _adapter_mistakes(loaded)
    if mistakes:
        raise RecipeError(mistakes)


def _trainer_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    output = Path(gettempdir()) / "magistral-recipe-check"
    for index, stage in _training(loaded):
        path = ("stages", index, stage.kind, "trainer")
        given = run_arguments(output, loaded.recipe, stage.trainer)
        without = stage.model_copy(update={"trainer": {}}).arguments(given)
        for key, message in trainer_mistakes(stage.trainer_class(), stage.trainer, without, stage.trainer_choices):
            yield loaded.mistake((*path, key) if key else path, message)
    if _training(loaded):
        for key, message in loaded.recipe.model.training_mistakes():
            yield loaded.mistake(("model", key), message)


def _adapter_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    config = base_model_config(loaded.recipe, loaded.folder)
    if config.lora is None or config.lora.target_modules == "all-linear":
        return
    from magistral_recipe.models.load import add_lora
    from magistral_recipe.models.tied import tied_mistake

    model = shape_of(config)
    if model is None:
        return
    path = ("model", "lora", "target_modules")
    if mistake := tied_mistake(model, config.lora):
        yield loaded.mistake(path, mistake)
        return
    try:
        add_lora(model, config.lora)
    except DataError as error:
        yield loaded.mistake(path, str(error).removeprefix("model.lora.target_modules: "))


def _training(loaded: LoadedRecipe) -> list[tuple[int, TrainingStage]]:
    # In the remains of a recipe with other mistakes, a stage that does not hold is `None`.
    return [(index, stage) for index, stage in enumerate(loaded.recipe.stages) if isinstance(stage, TrainingStage)]


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
    from magistral_recipe.stages.grpo import require_sandboxes

    recipe, base = loaded.recipe, loaded.folder
    stages = [stage for _, stage in _training(loaded)]
    if not stages:
        return
    config = base_model_config(recipe, base)
    tokenizer = load_tokenizer(config.path, None, config)
    try:
        chat = chat_format(recipe, base).install(tokenizer)
    except ChatTemplateError as error:
        raise RecipeError([loaded.mistake(("thinking", error.key), text) for text in error.problems]) from error
    stops = generation_stop_ids(config.path, tokenizer, config)
    imitated = (stage.proof_traces(base, chat.thinking, PROOF_ROWS) for stage in stages)
    traces = next((found for found in imitated if found), ())
    rewarded = False
    for stage in stages:
        problems = stage.proof_problems(recipe, base, PROOF_ROWS)
        if problems is None:
            continue
        rewarded, rewards = True, stage.build_rewards(chat.thinking)
        require_sandboxes(rewards, problems)
        _show(prove_wiring(tokenizer, chat, rewards, problems, traces, stops), console)
    if not rewarded:
        _show(prove_wiring(tokenizer, chat, [], [], traces, stops), console)


def _show(report: WiringReport, console: Console) -> None:
    console.print(report.render())
    report.require()


# -------------------------------------------------------------------------------------------------- plan


def plan_table(loaded: LoadedRecipe) -> Table:
    """The chain as a table: what each stage starts from, does, and how much of it."""
    table = Table(title=f"{loaded.recipe.name}: {len(loaded.recipe.stages)} stages", title_justify="left")
    for column in ("", "stage", "starts from", "what", "processes"):
        table.add_column(column)
    last = BASE
    for index, stage in enumerate(loaded.recipe.stages):
        start = stage.asks_for_model or last
        processes = loaded.recipe.started_as(stage).num_processes
        table.add_row(str(index + 1), stage.name, start, stage.describe(loaded.recipe), str(processes))
        if stage.makes_model:
            last = stage.name
    return table


def named_device(name: str | None) -> Device | None:
    """Find the card that a plan is asked for.

    Args:
        name: by name or size; ``None`` for what is at hand.

    Returns:
        The card, or ``None``.

    Raises:
        RecipeError: if there is none, naming the nearest.
    """
    if name is None:
        return None
    from magistral_recipe.check.memory.devices import find_device

    try:
        return find_device(name)
    except ValueError as error:
        raise RecipeError([f"--device: {error}"]) from None


def memory_of(
    loaded: LoadedRecipe, device: Device | None = None, *, look_at_data: bool = True, probe: bool = False
) -> RecipePlan | None:
    """Plan a recipe's memory, disk and time.

    Args:
        loaded: the recipe.
        device: the card to plan for; by default what is at hand.
        look_at_data: measure the first prompts and traces, which must be readable.
        probe: time this machine for the plan's hours.

    Returns:
        The plan; ``None`` where the model's shape can't be known without loading it.
    """
    from magistral_recipe.check.memory.lengths import measure_lengths
    from magistral_recipe.check.memory.plan import plan_recipe

    return plan_recipe(loaded, device, measure_lengths(loaded) if look_at_data else None, probe=probe)


def show_memory(
    loaded: LoadedRecipe, console: Console, device: Device | None, *, look_at_data: bool, probe: bool = False
) -> None:
    """Print whether a recipe fits; see `memory_of`."""
    from magistral_recipe.check.memory.table import render

    console.print(f"device: {describe_device()}", markup=False)
    try:
        plan = memory_of(loaded, device, look_at_data=look_at_data, probe=probe)
    except DataError as error:
        console.print(f"memory: NOT planned: {error}", style="yellow", markup=False)
        return
    if plan is None:
        console.print("memory: NOT planned: the model's shape is not known before it is loaded", style="yellow")
        return
    console.print(render(plan))
