"""What a recipe's training sections say, held against what they go to: TRL's classes, the model's shape, PEFT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from magistral_recipe.check.launch_file import launch_kind, launch_settings
from magistral_recipe.check.machine_facts import VLLM_REMEDY, vllm_mistake
from magistral_recipe.check.trainer_fields import trainer_mistakes
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.loading import quickly_loaded
from magistral_recipe.machine import version_of, vllm_four_bits_mistake, wanted_by
from magistral_recipe.models.architecture import checkpoint_mistake
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import adapter_settings, find_model, why_not_here
from magistral_recipe.models.shape import ModelShape, empty_model, find_shape, read_shape
from magistral_recipe.models.tied import retied_mistake, tied_mistake
from magistral_recipe.recipe.document import KeyPath
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import TrainingStage, base_model_config, run_arguments


def training_stages(loaded: LoadedRecipe) -> list[tuple[int, TrainingStage]]:
    """The stages that train, each with its place in the chain."""
    # In the remains of a recipe with other mistakes, a stage that does not hold is `None`.
    return [(index, stage) for index, stage in enumerate(loaded.recipe.stages) if isinstance(stage, TrainingStage)]


def check_trainers(loaded: LoadedRecipe) -> None:
    """Hold every `trainer:` section against the class it goes to (imports TRL), and the model against being trained.

    Args:
        loaded: the recipe.

    Raises:
        RecipeError: with every mistake found.
    """
    mistakes = [*section_mistakes(loaded)]
    if training_stages(loaded):
        mistakes += model_mistakes(loaded, find_shape(base_model_config(loaded.recipe, loaded.folder)))
    if mistakes:
        raise RecipeError(mistakes)


def section_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    """Find the mistakes of the `trainer:` sections, and of the model's where it is to be trained.

    Args:
        loaded: the recipe, or what holds of it.

    Yields:
        One line each.
    """
    output = Path(gettempdir()) / "magistral-recipe-check"
    stages = training_stages(loaded)
    with quickly_loaded() if stages else nullcontext():
        classes = [stage.trainer_class() for _, stage in stages]
    for (index, stage), kind in zip(stages, classes, strict=True):
        path = ("stages", index, stage.kind, "trainer")
        given = run_arguments(output, loaded.recipe, stage.trainer)
        without = stage.model_copy(update={"trainer": {}}).arguments(given)
        for key, message in trainer_mistakes(kind, stage.trainer, without, stage.trainer_choices):
            yield loaded.mistake((*path, key) if key else path, message)
    for key, message in loaded.recipe.model.training_mistakes() if stages else ():
        yield loaded.mistake(("model", key), message)


def vllm_keys(loaded: LoadedRecipe) -> list[KeyPath]:
    """Where a recipe asks for vLLM."""
    keys: list[KeyPath] = []
    for index, stage in enumerate(loaded.recipe.stages):
        if isinstance(stage, GrpoStage) and stage.rollouts.backend == "vllm":
            keys.append(("stages", index, stage.kind, "rollouts", "backend"))
        elif stage and stage.draws is not None and stage.draws.backend == "vllm":
            keys.append(("stages", index, stage.kind, *stage.draws.key("backend")))
    return keys


def vllm_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    """Find why the vLLM that a recipe asks for can't serve here: it is missing, or another than TRL or torch go with.

    Args:
        loaded: the recipe.

    Yields:
        One line for each key that asks for it.
    """
    for path in vllm_keys(loaded):
        version = version_of("vllm")
        if version is None:
            yield loaded.mistake(path, f"vLLM is not installed: {VLLM_REMEDY}, or set another backend")
        elif wrong := vllm_mistake(version, wanted_by("trl", "vllm"), version_of("torch"), wanted_by("vllm", "torch")):
            yield loaded.mistake(path, f"{wrong}: {VLLM_REMEDY}, or set another backend")
        elif loaded.recipe.model.quantization == "nf4" and (wrong := vllm_four_bits_mistake()):
            yield loaded.mistake(path, f"{wrong}, or set another backend")


def local_shape(loaded: LoadedRecipe) -> tuple[ModelShape | None, list[str]]:
    """Read the shape of a model that is no repository of the hub, and see that its weights are there.

    Args:
        loaded: the recipe.

    Returns:
        The shape, if it can be read; and what is wrong, one line each.
    """
    config, path = base_model_config(loaded.recipe, loaded.folder), ("model", "path")
    try:
        reason = why_not_here(config.path)
        shape = read_shape(config)
    except DataError as error:
        return None, [loaded.mistake(path, line) for line in error.problems]
    except ImportError:  # the package that reads GGUF: the plan says what it could not look at
        return None, []
    return shape, [loaded.mistake(path, f"model {loaded.recipe.model.path!r}: {reason}")] if reason else []


def model_mistakes(loaded: LoadedRecipe, shape: ModelShape | None) -> Iterator[str]:
    """Find why a model can't be trained as a recipe says: weights of a wrong kind, adapters without a place.

    Args:
        loaded: a recipe that trains.
        shape: the model's; nothing is found without it.

    Yields:
        One line each.
    """
    config = base_model_config(loaded.recipe, loaded.folder)
    if shape is None:
        return
    if not config.is_gguf and (mistake := checkpoint_mistake(shape.config, config.quantization)):
        yield loaded.mistake(("model", "path"), mistake)
        return
    if config.lora is None or config.lora.target_modules == "all-linear":
        return
    from magistral_recipe.models.load import add_lora

    model = empty_model(shape.config, config.dtype, trust_remote_code=config.trust_remote_code)
    path = ("model", "lora", "target_modules")
    if mistake := tied_mistake(model, config.lora):
        yield loaded.mistake(path, mistake)
        return
    yield from _shared_out_mistakes(loaded, config, model)
    try:
        add_lora(model, config.lora)
    except DataError as error:
        yield loaded.mistake(path, str(error).removeprefix("model.lora.target_modules: "))


def _shared_out_mistakes(loaded: LoadedRecipe, config: ModelConfig, model: Any) -> Iterator[str]:
    """Find why a launch can't share out the adapter that a recipe starts from."""
    adapter = find_model(config.path).adapter
    saved = adapter_settings(adapter).get("modules_to_save") if adapter and config.adapter == "attach" else None
    if not saved or (mistake := retied_mistake(model, saved)) is None:
        return
    for path in _fsdp_keys(loaded):
        remedy = "leave config_file out, and each process holds the whole model (DDP); or set model.adapter: merge"
        yield loaded.mistake(path, f"{mistake}: {remedy}")


def _fsdp_keys(loaded: LoadedRecipe) -> list[KeyPath]:
    """Where a recipe has the model that it trains shared out (FSDP)."""
    keys: dict[KeyPath, Path] = {}
    for index, stage in training_stages(loaded):
        path: KeyPath = ("stages", index, stage.kind, "launch") if stage.launch else ("launch",)
        if config := (stage.launch or loaded.recipe.launch).config_file:
            keys[(*path, "config_file")] = loaded.folder / config
    return [key for key, file in keys.items() if launch_kind(launch_settings(file)) == "FSDP"]
