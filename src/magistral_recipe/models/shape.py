"""A model's shape, without its weights: from its folder, its GGUF header, the hub's cache, or the shapes shipped here.

`shapes/` holds the published `config.json` of models that recipes name, cut to what decides their shape, each with its
source: a plan can be made where the hub is out of reach, and without waiting for it. Importing this is light.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, NamedTuple

from magistral_recipe.errors import DataError
from magistral_recipe.models.architecture import auto_class, require_harmless
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import ModelSource, find_model, readable_errors, weights_of


class ModelShape(NamedTuple):
    """What a model is made of.

    Attributes:
        config: its transformers config.
        origin: where that was read, in words.
    """

    config: Any
    origin: str


def find_shape(config: ModelConfig) -> ModelShape | None:
    """Find a model's transformers config; the hub is asked last.

    Args:
        config: names the model.

    Returns:
        The shape, or ``None`` where there is no such model or the hub can't tell.
    """
    try:
        return read_shape(config)
    except (ImportError, DataError):
        return None


def read_shape(config: ModelConfig) -> ModelShape:
    """Read a model's transformers config; the hub is asked last.

    Args:
        config: names the model.

    Raises:
        DataError: there is no such model, its config can't be read, or transformers doesn't know it.
        ImportError: a package that its format needs is missing.
    """
    source = weights_of(find_model(config.path))
    with readable_errors("model", source.location):
        shape = _read_shape(config, source)
    require_harmless(shape.config, config.path, config.trust_remote_code)
    return shape


def _read_shape(config: ModelConfig, source: ModelSource) -> ModelShape:
    from pathlib import Path

    from transformers import AutoConfig

    options: dict[str, Any] = {"trust_remote_code": config.trust_remote_code}
    if source.gguf_file is not None:
        options["gguf_file"] = source.gguf_file
    if Path(source.location).exists():
        origin = "the GGUF file's header" if source.gguf_file else "its config.json"
        return ModelShape(AutoConfig.from_pretrained(source.location, **options), origin)
    options["revision"] = config.revision or "main"
    try:
        return ModelShape(
            AutoConfig.from_pretrained(source.location, local_files_only=True, **options), "the hub's cache"
        )
    except (OSError, ValueError):
        shipped = shipped_shapes().get(source.location.lower())
        if shipped is not None and source.gguf_file is None:
            return ModelShape(config_of(shipped), "the shapes shipped with this package")
    return ModelShape(AutoConfig.from_pretrained(source.location, **options), "the hub")


@functools.cache
def shipped_shapes() -> Mapping[str, Mapping[str, Any]]:
    """Read the shapes in this package: what decides a shape in a published `config.json`, by hub id in lower case."""
    found: dict[str, Mapping[str, Any]] = {}
    for file in files("magistral_recipe.models").joinpath("shapes").iterdir():
        if file.name.endswith(".json"):
            row = json.loads(file.read_text("utf-8"))
            found |= {str(name).lower(): row["config"] for name in row["models"]}
    return found


def config_of(fields: Mapping[str, Any]) -> Any:
    """Make a transformers config of a `config.json`'s fields, `model_type` among them."""
    from transformers import AutoConfig

    options = dict(fields)
    return AutoConfig.for_model(options.pop("model_type"), **options)


def empty_model(shape: Any, dtype: str = "float32", **options: Any) -> Any:
    """Build a model without its weights, on torch's meta device.

    Args:
        shape: a transformers config.
        dtype: of the weights that it does not have.
        **options: for the class, `attn_implementation` and `trust_remote_code` among them.

    Returns:
        The model.
    """
    import torch

    with torch.device("meta"):
        return auto_class(shape).from_config(shape, dtype=getattr(torch, dtype), **options)
