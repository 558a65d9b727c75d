"""All that `check` does: a recipe's mistakes, a look at its model and data, the wiring proof, and the plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from magistral_recipe.check.baseline import probe_baseline
from magistral_recipe.check.data import hub_data, look_at_data
from magistral_recipe.check.hub import HubLooks, NotLooked
from magistral_recipe.check.machine_facts import VLLM_REMEDY
from magistral_recipe.check.memory.lengths import MEASURED_ROWS, Lengths, measure_lengths
from magistral_recipe.check.outcome import Outcome
from magistral_recipe.check.proof import prove_wiring_of, words_of
from magistral_recipe.check.recipe_file import line_of, load_recipe
from magistral_recipe.check.shared import shared_sets
from magistral_recipe.check.trainers import (
    local_shape,
    model_mistakes,
    section_mistakes,
    training_stages,
    vllm_keys,
    vllm_mistakes,
)
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.foreign import only_names
from magistral_recipe.machine import GIB, describe_device, version_of, versions
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.gguf import header_read_once
from magistral_recipe.models.paths import hub_id
from magistral_recipe.models.shape import ModelShape, find_shape
from magistral_recipe.recipe.sections import BASE, LoadedRecipe, Recipe
from magistral_recipe.stages.training import base_model_config, chat_format
from magistral_recipe.terminal.screen import Screen, plain
from magistral_recipe.verifiers.sandbox.terms import SandboxError

if TYPE_CHECKING:
    from magistral_recipe.check.memory.devices import Device
    from magistral_recipe.check.memory.plan import RecipePlan


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
        held: LoadedRecipe | None = error.partial
        if held is None:
            raise
        # What does not hold itself gets a stand-in, so that the trainer sections can be held against their classes.
        known = {name: value for name, value in vars(held.recipe).items() if value is not None}
        stand_in = Recipe.model_construct(**{"seed": 0, "model": ModelConfig(path="tiny"), **known})
        # Both tell of a secret in a trainer section, in the same words.
        mistakes = dict.fromkeys([*error.problems, *section_mistakes(replace(held, recipe=stand_in))])
        raise RecipeError(sorted(mistakes, key=line_of)) from None


def check_recipe(
    loaded: LoadedRecipe,
    console: Console | None = None,
    device: str | None = None,
    *,
    offline: bool = False,
    probe: bool = False,
    trust_remote_code: bool = False,
) -> Outcome:
    """Do all that can be done before a model is loaded, and print what is found and the plan.

    Args:
        loaded: the recipe.
        console: where to print.
        device: the card to plan for, by name or size; by default what is at hand.
        offline: leave the hub out by intent.
        probe: time this machine for the plan's hours.
        trust_remote_code: a person's word that Python code which comes with the model may run; the recipe's own word
            counts where it is run.

    Returns:
        What was found; its `exit_code` says whether all is proven.
    """
    console = console or Screen()
    loaded = loaded_as_looked_at(loaded, trust_remote_code)
    outcome = Outcome(str(loaded.document.file), versions=versions())
    looks = HubLooks(offline, needed=bool(_hub_model(loaded) or hub_data(loaded)))
    try:
        card = named_device(device)
        if vllm_keys(loaded):
            outcome.mistakes += _vllm(loaded, device, looks)
        with looks.as_reached(), header_read_once(base_model_config(loaded.recipe, loaded.folder).is_gguf):
            shape, lengths = _look(loaded, console, looks, outcome, probe)
    except RecipeError as error:
        outcome.mistakes += error.problems
        return _told(outcome, looks, console)
    outcome.stages = list(_stages(loaded))
    outcome.warnings += [
        loaded.mistake(("stages", index, stage.kind, *key), text)
        for index, stage in enumerate(loaded.recipe.stages)
        for key, text in stage.warnings(loaded.folder)
    ]
    if only_names() and (named := loaded.recipe.code_named()):
        looks.left_out.append(NotLooked(", ".join(named), "left out by --no-code", "leave it out to try them"))
    console.print(plan_table(loaded.recipe.name, outcome.stages))
    if outcome.data:
        console.print(plain(f"data: {', '.join(f'{name} {rows}' for name, rows in outcome.data.items())}"))
    console.print(f"device: {describe_device()}")
    if shape is None:
        looks.note("the memory plan", "the model's shape is neither on this machine nor known", "fetch the model first")
        return _told(outcome, looks, console)
    from magistral_recipe.check.memory.plan import plan_recipe
    from magistral_recipe.check.memory.table import render

    plan = plan_recipe(loaded, card, lengths, shape=shape, probe=probe)
    assert plan is not None
    console.print(render(plan))
    outcome.memory = plan.as_dict()
    if device is not None:  # on a card that was named; a machine without one is told, and is no mistake
        outcome.mistakes += _too_large(loaded, plan)
    return _told(outcome, looks, console)


def _look(
    loaded: LoadedRecipe, console: Console, looks: HubLooks, outcome: Outcome, probe: bool
) -> tuple[ModelShape | None, Lengths | None]:
    """Look at trainers, model and data, and run the wiring proof where all of it is there; sample, if asked.

    Returns:
        The model's shape, and the lengths of prompts and traces, as far as they could be looked at.

    Raises:
        RecipeError: with every mistake found.
    """
    config, name = base_model_config(loaded.recipe, loaded.folder), _hub_model(loaded)
    training = bool(training_stages(loaded))
    mistakes = [*section_mistakes(loaded)]
    wrong: list[str] = []
    if name:
        shape = looks.look(f"model {name}", name, "model", partial(find_shape, config))
    else:
        shape, wrong = local_shape(loaded)
    mistakes += [*wrong, *(model_mistakes(loaded, shape) if training else ())]
    data = look_at_data(loaded, chat_format(loaded.recipe, loaded.folder).thinking, looks)
    mistakes += [loaded.mistake(path, message) for path, message in data.mistakes]
    outcome.data = data.counts
    warnings = [*data.warnings, *shared_sets(loaded, data)]
    outcome.warnings += [loaded.mistake(path, message) for path, message in warnings]
    words, find = None, partial(words_of, loaded)
    try:
        if not wrong:  # else it would be said twice
            words = looks.look(f"model {name}", name, "model", find) if name else find()
    except RecipeError as error:
        mistakes += error.problems
    except DataError as error:
        mistakes += [loaded.mistake(("model", "path"), line) for line in error.problems]
    if mistakes:
        raise RecipeError(mistakes)
    if words is None:
        return shape, None
    try:
        if training:
            prove_wiring_of(loaded, console, words, data, outcome.wiring)
        if probe:
            probe_baseline(loaded, data.problems, console, outcome)
    except SandboxError as error:  # its line names the remedy
        looks.not_looked.append(NotLooked("programs", "they can't be run here", str(error)))
    problems = [row for rows in data.problems.values() for row in rows[:MEASURED_ROWS]]
    traces = [row for rows in data.traces.values() for row in rows[:MEASURED_ROWS]]
    return shape, measure_lengths(words.tokenizer, words.chat, problems, traces, data.rows)


def _vllm(loaded: LoadedRecipe, device: str | None, looks: HubLooks) -> list[str]:
    """Hold the installed vLLM against TRL and torch; where another machine's card is named, its vLLM isn't here."""
    if device is not None and version_of("vllm") is None:
        looks.left_out.append(NotLooked("vllm", "it isn't installed here, and another card is named", "`doctor` there"))
    elif version_of("vllm") is None:
        looks.not_looked.append(NotLooked("vllm", "it is not installed", VLLM_REMEDY))
    else:
        return [*vllm_mistakes(loaded)]
    return []


def _hub_model(loaded: LoadedRecipe) -> str | None:
    return hub_id(base_model_config(loaded.recipe, loaded.folder).path)


def _told(outcome: Outcome, looks: HubLooks, console: Console) -> Outcome:
    """Print what stands beside the plan, what could not be looked at last."""
    outcome.not_looked, outcome.left_out = looks.not_looked, looks.left_out
    for warning in outcome.warnings:
        console.print(plain(f"warning: {warning}", "yellow"))
    for each in outcome.left_out:
        console.print(plain(f"left out: {each}"))
    for each in outcome.not_looked:
        console.print(plain(f"NOT looked at: {each}", "yellow"))
    return outcome


def _too_large(loaded: LoadedRecipe, plan: RecipePlan) -> Iterator[str]:
    """Stages that do not fit the card."""
    from magistral_recipe.check.memory.table import way_out
    from magistral_recipe.check.memory.verdict import Fit

    places = {stage.name: ("stages", index, stage.kind) for index, stage in enumerate(loaded.recipe.stages)}
    for stage in plan.stages:
        if stage.verdict is not None and stage.verdict.fit is Fit.DOES_NOT_FIT:
            needed, room = stage.verdict.needed / GIB, stage.verdict.available / GIB
            message = f"does not fit {plan.device.name}: it needs {needed:.1f} GiB, {room:.1f} are free"
            message = "; ".join([message, *way_out(stage)])
            yield loaded.mistake(places[stage.name], message)


def _stages(loaded: LoadedRecipe) -> Iterator[dict[str, Any]]:
    last = BASE
    for stage in loaded.recipe.stages:
        yield {
            "name": stage.name,
            "kind": stage.kind,
            "starts_from": stage.asks_for_model or last,
            "what": stage.describe(loaded.recipe),
            "processes": loaded.recipe.started_as(stage).num_processes,
        }
        if stage.makes_model:
            last = stage.name


def loaded_as_looked_at(loaded: LoadedRecipe, trust_remote_code: bool) -> LoadedRecipe:
    """A recipe whose own word on the code that comes with its model does not count."""
    model = loaded.recipe.model.believed(trust_remote_code)
    return replace(loaded, recipe=loaded.recipe.model_copy(update={"model": model}))


# -------------------------------------------------------------------------------------------------- plan


def plan_table(name: str, stages: Sequence[Mapping[str, Any]]) -> Table:
    """The chain as a table: what each stage starts from, does, and how much of it.

    Args:
        name: the recipe's.
        stages: as in `Outcome.stages`.
    """
    table = Table(title=plain(f"{name}: {len(stages)} stage{'s' * (len(stages) != 1)}"), title_justify="left")
    for column in ("", "stage", "starts from", "what", "processes"):
        table.add_column(column)
    for number, stage in enumerate(stages, start=1):
        words = (number, *(stage[key] for key in ("name", "starts_from", "what", "processes")))
        table.add_row(*(plain(str(word)) for word in words))
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
