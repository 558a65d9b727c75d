"""What an Accelerate config asks for that does not go with a recipe, or was never run here. The plan reads it too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from magistral_recipe.errors import DataError
from magistral_recipe.files import read_text_within
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.yamltext import parse_yaml


def launch_settings(config: Path | None) -> Mapping[str, Any]:
    """Read an Accelerate config.

    Args:
        config: its file.

    Returns:
        What it says; nothing where there is none, or it can't be read.
    """
    if config is None:
        return {}
    try:
        settings = parse_yaml(read_text_within(config, 2**20))
    except (OSError, ValueError, DataError):
        return {}
    return settings if isinstance(settings, Mapping) else {}


def launch_kind(settings: Mapping[str, Any]) -> str:
    """How the processes share a model: Accelerate's word, `FSDP`, `MULTI_GPU`, `DEEPSPEED`, …; empty where none."""
    return str(settings.get("distributed_type", "")).upper()


def fsdp_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section of a config on FSDP."""
    section = settings.get("fsdp_config")
    return section if isinstance(section, Mapping) else {}


def backend_mistake(settings: Mapping[str, Any], backend: str) -> str | None:
    """Say why a backend can't sample rollouts from weights that a config shares out.

    Args:
        settings: the config's.
        backend: of `rollouts:`.

    Returns:
        Cause and remedy; ``None`` where it can.
    """
    if launch_kind(settings) != "FSDP" or backend not in ("compiled", "continuous"):
        return None
    return f"{backend} samples from whole weights, and launch.config_file shares them out (FSDP): use generate or vllm"


def sync_mistake(settings: Mapping[str, Any], sync: str | None) -> str | None:
    """Say why vLLM can't be handed what a recipe says of weights that a config shares out.

    Args:
        settings: the config's.
        sync: of `rollouts:`.

    Returns:
        Cause and remedy; ``None`` where it can.
    """
    if launch_kind(settings) != "FSDP" or sync != "adapter":
        return None
    return (
        "adapter: launch.config_file shares the adapter out (FSDP), and vLLM is handed merged weights then: leave sync "
        "out; or leave config_file out, and each process holds the whole adapter (DDP)"
    )


def launch_file_mistakes(settings: Mapping[str, Any], model: ModelConfig | None) -> Iterator[str]:
    """Say what of a config can't train the recipe's model.

    Args:
        settings: the config's.
        model: the recipe's model section, where it holds.
    """
    kind = launch_kind(settings)
    if kind == "DEEPSPEED":
        yield "DeepSpeed is not available: its engine steps at every backward pass. Use FSDP2 (accelerate/fsdp2_*.yaml)"
    if kind != "FSDP":
        return
    version = fsdp_settings(settings).get("fsdp_version", 1)  # Accelerate's default
    if str(version) != "2":
        yield f"fsdp_version: {version} shares weights out flat, which was never run here: set fsdp_version: 2"
    if model is not None and model.quantization != "none":
        yield (
            f"FSDP does not go with model.quantization: {model.quantization}: parts of quantized weights were never run"
            " here (they need bnb_4bit_quant_storage: bfloat16). Leave config_file out, and each card holds the whole "
            "model, which is small in 4 bits; or leave the quantization out"
        )
