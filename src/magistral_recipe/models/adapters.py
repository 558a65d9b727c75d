"""A LoRA adapter that somebody brings as a recipe's model: its base, its shape, and whether one can start from it.

An adapter's folder holds `adapter_config.json`, which names the base that it stands on, and its weights. Training goes
on in it (`model.adapter: attach`), or it is folded into its base first (`merge`). Nothing is loaded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from magistral_recipe.errors import DataError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.paths import ModelSource, adapter_settings, find_model, weights_of

_SHAPE = ("r", "alpha", "dropout", "target_modules")
"""Keys of `lora` that an adapter decides itself."""


def with_own_lora(config: ModelConfig) -> ModelConfig:
    """A model section whose `lora` is that of the adapter in its path, where training goes on in that one.

    Args:
        config: the section, its path as it is found from here.

    Returns:
        The section; the same one where its path is no adapter, or the adapter is merged.

    Raises:
        DataError: if the adapter can't be read, or is none of LoRA's.
    """
    source = _found(config)
    if source is None or source.adapter is None or config.adapter == "merge":
        return config
    told = adapter_settings(source.adapter)
    targets = told.get("target_modules")
    fields = {
        "r": told.get("r"),
        "alpha": told.get("lora_alpha"),
        "dropout": told.get("lora_dropout", 0.0),
        "target_modules": sorted(targets) if isinstance(targets, list) else targets,
        "handover": config.lora.handover if config.lora else "merge",
    }
    try:
        return config.model_copy(update={"lora": LoraSettings.model_validate(fields)})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise DataError(
            f"adapter {str(source.adapter)!r}: {key}: {first['msg'][0].lower()}{first['msg'][1:]}"
        ) from None


def start_mistakes(config: ModelConfig) -> Iterator[tuple[str, str]]:
    """Find what makes a model that is an adapter unfit to start from.

    Args:
        config: the recipe's section, its path as it is found from here.

    Returns:
        (key, message) pairs; nothing where the path is no adapter of this machine.
    """
    source = _found(config)
    if source is None:
        return
    if source.adapter is None:
        if "adapter" in config.model_fields_set:
            yield "adapter", f"goes with the folder of an adapter; {config.path} is a model of its own"
        return
    try:
        weights_of(source)
        with_own_lora(config)
    except DataError as error:
        yield from (("path", line) for line in error.problems)
        return
    if (kind := _kind(adapter_settings(source.adapter))) != "LORA":
        yield "path", f"the adapter is PEFT's {kind}, and LoRA alone can be gone on from; merge it with PEFT first"
    given = [key for key in _SHAPE if config.lora is not None and key in config.lora.model_fields_set]
    if config.adapter == "attach" and given:
        yield (
            "lora",
            f"the adapter in {config.path} brings its own {', '.join(given)}: leave them out to go on training it, or "
            "set adapter: merge to fold it into its base and train a new one",
        )
    if config.adapter == "merge" and config.quantization != "none":
        yield (
            "adapter",
            f"merge does not go with quantization: {config.quantization}: an adapter is folded into whole weights. "
            "attach it, or merge it first (`export` with quantization: none) and start from that folder",
        )


def _kind(settings: Mapping[str, Any]) -> str:
    return str(settings.get("peft_type", "LORA")).upper()


def _found(config: ModelConfig) -> ModelSource | None:
    """The model, where it lies on this machine."""
    try:
        source = find_model(config.path)
    except DataError:  # told where paths are
        return None
    return source if Path(source.location).exists() else None
