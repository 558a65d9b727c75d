"""What will run: the mistakes only TRL can see, the wiring proof, and the plan that `check` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console
from rich.table import Table

from magistral_recipe.check.baseline import probe_baseline
from magistral_recipe.check.data import ROWS, LookedAt, hub_data, look_at_data
from magistral_recipe.check.hub import HubLooks, NotLooked
from magistral_recipe.check.outcome import Outcome
from magistral_recipe.check.recipe_file import line_of, load_recipe
from magistral_recipe.check.shared import shared_sets
from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.check.wiring_report import WiringReport
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.foreign import only_names
from magistral_recipe.machine import GIB, describe_device, versions
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import hub_id
from magistral_recipe.models.shape import shape_of
from magistral_recipe.recipe.sections import BASE, LoadedRecipe, Recipe
from magistral_recipe.rewards.registry import module_of
from magistral_recipe.stages.training import TrainingStage, base_model_config, chat_format, run_arguments
from magistral_recipe.terminal.screen import Screen, plain
from magistral_recipe.verifiers.sandbox.terms import SandboxError
from magistral_recipe.writing.template import ChatTemplateError

if TYPE_CHECKING:
    from magistral_recipe.check.memory.devices import Device
    from magistral_recipe.check.memory.plan import RecipePlan
    from magistral_recipe.data.problems import Trace


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
        with looks.as_reached():
            check_trainers(loaded)
            proven = _prove(loaded, console, looks, outcome, probe)
            plan = memory_of(loaded, card, look_at_data=proven, probe=probe)
    except RecipeError as error:
        outcome.mistakes += error.problems
        return _told(outcome, looks, console)
    outcome.stages = list(_stages(loaded))
    outcome.warnings += [
        loaded.mistake(("stages", index, stage.kind, *key), text)
        for index, stage in enumerate(loaded.recipe.stages)
        for key, text in stage.warnings()
    ]
    if only_names() and (named := sorted({name for _, stage in _training(loaded) for name in code_named(stage)})):
        looks.left_out.append(NotLooked(", ".join(named), "left out by --no-code", "leave it out to try them"))
    console.print(plan_table(loaded))
    console.print(f"device: {describe_device()}")
    if plan is not None:
        from magistral_recipe.check.memory.table import render

        console.print(render(plan))
        outcome.memory = plan.as_dict()
        if device is not None:  # on a card that was named; a machine without one is told, and is no mistake
            outcome.mistakes += _too_large(loaded, plan)
    else:
        looks.note("the memory plan", "the model's shape is neither on this machine nor known", "fetch the model first")
    return _told(outcome, looks, console)


def _prove(loaded: LoadedRecipe, console: Console, looks: HubLooks, outcome: Outcome, probe: bool) -> bool:
    """Look at the model's tokenizer and the data, and run the wiring proof where both are there; sample, if asked."""
    from magistral_recipe.models.load import generation_stop_ids, load_tokenizer

    config, name = base_model_config(loaded.recipe, loaded.folder), _hub_model(loaded)

    def words() -> tuple[Any, list[int]]:
        tokenizer = load_tokenizer(config.path, None, config)
        return tokenizer, generation_stop_ids(config.path, tokenizer, config)

    data = look_at_data(loaded, chat_format(loaded.recipe, loaded.folder).thinking, looks)
    outcome.mistakes += [loaded.mistake(path, message) for path, message in data.mistakes]
    outcome.warnings += [loaded.mistake(path, message) for path, message in shared_sets(loaded, data)]
    if not _training(loaded):
        return False
    try:
        found = looks.look(f"model {name}", name, "model", words) if name else words()
    except DataError as error:
        outcome.mistakes += [loaded.mistake(("model", "path"), line) for line in error.problems]
        return False
    if found is None or outcome.mistakes:
        return False
    try:
        whole = prove_wiring_of(loaded, console, Words(*found), data, outcome.wiring)
    except SandboxError as error:  # its line names the remedy
        looks.not_looked.append(NotLooked("programs", "they can't be run here", str(error)))
        return False
    if probe:
        probe_baseline(loaded, data.problems, console, outcome)
    return whole


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
    from magistral_recipe.check.memory.verdict import Fit

    places = {stage.name: ("stages", index, stage.kind) for index, stage in enumerate(loaded.recipe.stages)}
    for stage in plan.stages:
        if stage.verdict is not None and stage.verdict.fit is Fit.DOES_NOT_FIT:
            needed, room = stage.verdict.needed / GIB, stage.verdict.available / GIB
            message = f"does not fit {plan.device.name}: it needs {needed:.1f} GiB, {room:.1f} are free"
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


def code_named(stage: TrainingStage) -> list[str]:
    """The rewards of a stage that are code of the user's, or of an installed package."""
    return [name for name in stage.inputs(BASE).rewards if module_of(name)]


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


class Words(NamedTuple):
    """What the wiring proof needs of a model: its tokenizer, and the tokens on which its generation stops."""

    tokenizer: Any
    stops: list[int]


def prove_wiring_of(
    loaded: LoadedRecipe,
    console: Console,
    words: Words | None = None,
    data: LookedAt | None = None,
    told: list[str] | None = None,
) -> bool:
    """Run the wiring proof on the base model's own tokenizer and the first rows of the recipe's data.

    Args:
        loaded: the recipe.
        console: shows each RL stage's proof, or the SFT stage's where there is no RL.
        words: the model's, where they are loaded already.
        data: the first rows, where they are loaded already; a stage whose rows are not among them is passed over.
        told: takes what was shown, a line a finding.

    Returns:
        Whether all of it could be proven.

    Raises:
        RecipeError: the wiring is broken.
        DataError: the model's tokenizer or the data cannot be loaded.
    """
    from magistral_recipe.check.wiring import prove_wiring
    from magistral_recipe.models.load import generation_stop_ids, load_tokenizer
    from magistral_recipe.stages.grpo import GrpoStage, require_sandboxes
    from magistral_recipe.stages.sft import SftStage

    recipe, base = loaded.recipe, loaded.folder
    stages = _training(loaded)
    if not stages:
        return True
    config = base_model_config(recipe, base)
    if words is None:
        tokenizer = load_tokenizer(config.path, None, config)
        words = Words(tokenizer, generation_stop_ids(config.path, tokenizer, config))
    try:
        chat = chat_format(recipe, base).install(words.tokenizer)
    except ChatTemplateError as error:
        raise RecipeError([loaded.mistake(("thinking", error.key), text) for text in error.problems]) from error
    whole = True
    traces: Sequence[Trace] = ()
    for index, stage in stages:
        if data is None or not isinstance(stage, SftStage):
            rows: Sequence[Trace] | None = stage.proof_traces(base, chat.thinking, ROWS)
        else:
            rows = data.traces.get(index)
        whole = whole and rows is not None
        traces = traces or rows or ()
    proofs = []
    for _, stage in stages:
        if data is None or not isinstance(stage, GrpoStage):
            problems = stage.proof_problems(recipe, base, ROWS)
        else:
            problems = data.problems.get(stage.problems)
            whole = whole and problems is not None
        if problems is None:
            continue
        rewards = stage.build_rewards(chat.thinking)
        require_sandboxes(rewards, problems)
        proofs.append(prove_wiring(words.tokenizer, chat, rewards, problems, traces, words.stops))
        _show(proofs[-1], console, told)
    if not proofs and traces:
        _show(prove_wiring(words.tokenizer, chat, [], [], traces, words.stops), console, told)
    return whole


def _show(report: WiringReport, console: Console, told: list[str] | None) -> None:
    console.print(report.render())
    if told is not None:
        told += report.lines()
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
