"""A model that somebody points at, and the format it was trained with: from a run, a stage, a folder or the hub."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from magistral_recipe import layout
from magistral_recipe.errors import DataError
from magistral_recipe.files import read_json, read_text_within, whole_folder
from magistral_recipe.intact import damage
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.paths import find_model
from magistral_recipe.writing.chat_format import NO_SYSTEM_PROMPT, ChatFormat
from magistral_recipe.writing.template import TOKENIZER_TEMPLATE
from magistral_recipe.writing.thinking import Thinking
from magistral_recipe.yamltext import MAX_BYTES, YamlTextError, parse_yaml


@dataclass(frozen=True)
class ChatTarget:
    """A model to talk to, and how it was taught to talk.

    Attributes:
        path: of the model, for `load_model`.
        config: how to load it.
        chat: tags, system prompt and template; the template is the one that was saved with the model.
        damage: what of the model is not as its stage left it.
    """

    path: str
    config: ModelConfig
    chat: ChatFormat
    damage: tuple[str, ...] = ()

    @property
    def weights(self) -> str | None:
        """The path, where it is a model that was made from the config's; ``None`` where it is that one itself."""
        return None if self.path == self.config.path else self.path


def find_target(path: str, trust_remote_code: bool = False) -> ChatTarget:
    """Find the model that a person means, and the format that it was trained with.

    Args:
        path: a run folder (the last stage that left a model), a stage's folder, or anything `find_model` takes. A
            folder inside a run is read with the run's `recipe.yaml`.
        trust_remote_code: a person's word that Python code which comes with the model may run. What a folder says of
            itself never counts.

    Returns:
        The target.

    Raises:
        DataError: if there is no model.
    """
    place = whole_folder(Path(path).expanduser())
    if place.is_dir():
        place = _model_folder(place)
        recipe = _recipe_above(place)
        config = _model_config(place, recipe).believed(trust_remote_code)
        return ChatTarget(str(place), config, _chat_format(recipe), tuple(_damage(place)))
    find_model(path)
    config = ModelConfig(path=path, trust_remote_code=trust_remote_code)
    return ChatTarget(path, config, ChatFormat(template=TOKENIZER_TEMPLATE))


def _damage(model: Path) -> Iterator[str]:
    """What is no longer as the stage left it, of a model inside a run; nothing elsewhere, where nobody noted it."""
    record = read_json(model.parent / layout.STAGE)
    if model.name == layout.MODEL and isinstance(record, dict) and record.get("outputs"):
        yield from damage(model.parent, record["outputs"], record.get("hashes"))


def _model_folder(place: Path) -> Path:
    """The folder itself, a stage's model, or a run's last one."""
    own = whole_folder(place / layout.MODEL)
    if own.is_dir():
        return own
    models = [whole_folder(folder / layout.MODEL) for folder in place.glob(layout.STAGE_FOLDERS)]
    models = [model for model in models if _holds_model(model)]
    if models:
        return max(models, key=lambda folder: int(folder.parent.name.partition("-")[0]))
    if (place / layout.RECIPE).is_file():
        raise DataError(f"{place}: no stage of this run has left a model yet")
    return place


def _holds_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / layout.ADAPTER / "adapter_config.json").is_file()


def _recipe_above(place: Path) -> dict[str, Any]:
    """The recipe of the run that a model folder lies in; empty where it lies in none.

    Read leniently: a run made by another version, or half moved, can still be talked to.
    """
    for folder in (place, *list(place.resolve().parents)[:3]):
        file = folder / layout.RECIPE
        if file.is_file():
            try:
                data = parse_yaml(read_text_within(file, MAX_BYTES))
            except (YamlTextError, OSError, UnicodeDecodeError):
                return {}
            return data if isinstance(data, dict) else {}
    return {}


def _chat_format(recipe: dict[str, Any]) -> ChatFormat:
    """The format of a run's `thinking` section, as far as it goes, with the template that was saved with the model."""
    section = recipe.get("thinking")
    given = section if isinstance(section, dict) else {}
    defaults = Thinking()
    tags = str(given.get("open", defaults.open)), str(given.get("close", defaults.close))
    prompt = given.get("system_prompt", "magistral" if recipe else NO_SYSTEM_PROMPT)
    try:
        return ChatFormat.of_section(*tags, prompt if isinstance(prompt, str) else NO_SYSTEM_PROMPT, TOKENIZER_TEMPLATE)
    except ValueError:  # the name of a prompt that this version does not have
        return ChatFormat.of_section(*tags, NO_SYSTEM_PROMPT, TOKENIZER_TEMPLATE)


def _model_config(place: Path, recipe: dict[str, Any]) -> ModelConfig:
    """How to load it: as the recipe says; an adapter stands on the base that it names itself."""
    section = recipe.get("model")
    try:
        config = ModelConfig.model_validate(section)
    except ValidationError:
        config = ModelConfig(path=str(place))
    adapter = place / layout.ADAPTER if (place / layout.ADAPTER).is_dir() else place
    file = adapter / "adapter_config.json"
    if file.is_file() and not (place / "config.json").is_file():
        adapted = read_json(file)
        base = adapted.get("base_model_name_or_path") if isinstance(adapted, dict) else None
        return config.model_copy(update={"path": str(base or config.path)})
    return config
