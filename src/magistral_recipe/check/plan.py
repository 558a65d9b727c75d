"""What will run: the mistakes only TRL can see, the wiring proof, and the plan that `check` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

from rich.console import Console
from rich.table import Table

from magistral_recipe.check.memory_plan import plan_memory, shape_of
from magistral_recipe.check.recipe_file import line_of, load_recipe
from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.check.wiring_report import WiringReport
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.machine import GIB, describe_device
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.recipe.sections import BASE, LoadedRecipe, Recipe
from magistral_recipe.stages.training import TrainingStage, base_model_config, chat_format, run_arguments
from magistral_recipe.terminal.screen import Screen, plain
from magistral_recipe.writing.template import ChatTemplateError

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
        # Both tell of a secret in a trainer section, in the same words.
        mistakes = dict.fromkeys([*error.problems, *_trainer_mistakes(replace(partial, recipe=stand_in))])
        raise RecipeError(sorted(mistakes, key=line_of)) from None


def check_recipe(loaded: LoadedRecipe, console: Console | None = None) -> None:
    """Do all that can be done before a model is loaded, and print the plan.

    Args:
        loaded: the recipe.
        console: where to print.

    Raises:
        RecipeError: with every mistake found, or with what the wiring proof found.
    """
    console = console or Screen()
    check_trainers(loaded)
    try:
        prove_wiring_of(loaded, console)
    except DataError as error:  # data or a model of the hub that this machine does not have: no mistake of the recipe
        for line in error.problems:
            console.print(plain(f"wiring NOT proven: {line}", "yellow"))
    console.print(plan_table(loaded))
    for note in plan_notes(loaded):
        console.print(plain(note))


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
    from magistral_recipe.models.tied import tied_mistake

    model = shape_of(config)
    if model is not None and (mistake := tied_mistake(model, config.lora)):
        yield loaded.mistake(("model", "lora", "target_modules"), mistake)


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
    table = Table(title=plain(f"{loaded.recipe.name}: {len(loaded.recipe.stages)} stages"), title_justify="left")
    for column in ("", "stage", "starts from", "what", "processes"):
        table.add_column(column)
    last = BASE
    for index, stage in enumerate(loaded.recipe.stages):
        start = stage.asks_for_model or last
        processes = loaded.recipe.started_as(stage).num_processes
        words = (str(index + 1), stage.name, start, stage.describe(loaded.recipe), str(processes))
        table.add_row(*map(plain, words))
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
