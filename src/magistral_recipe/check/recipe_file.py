"""The recipe: its schema, and loading one with every mistake found at once.

Loading imports neither torch nor TRL. Each mistake is one line that names the file and line, the key, what
is allowed and the nearest name. What needs TRL to know (the fields inside `trainer:`) is checked by
`trainer_fields.py` beside it, which `check` and `run` call.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError, create_model

from magistral_recipe.check.launch_file import backend_mistake, launch_file_mistakes, launch_settings, sync_mistake
from magistral_recipe.confidential import masked_data, secrets_in, way_out
from magistral_recipe.data.declared import with_held_out
from magistral_recipe.data.sources import ProblemsSource
from magistral_recipe.errors import RecipeError
from magistral_recipe.models.adapters import start_mistakes
from magistral_recipe.models.paths import lasting_path, missing_model
from magistral_recipe.recipe.document import Document, KeyPath, apply_override, key_text, read_document
from magistral_recipe.recipe.sections import (
    BASE,
    LaunchConfig,
    LoadedRecipe,
    Recipe,
)
from magistral_recipe.schema import StrictModel
from magistral_recipe.stages import STAGES, stage_class
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import chat_format
from magistral_recipe.suggest import did_you_mean
from magistral_recipe.writing.template import NAMED_TEMPLATES


def load_recipe(file: Path | str, overrides: list[str] | None = None, *, folder: Path | None = None) -> LoadedRecipe:
    """Load and validate a recipe without importing torch.

    Args:
        file: the recipe's YAML file.
        overrides: ``key.path=value`` strings, as `--set` takes them.
        folder: where relative paths start; by default the file's folder. A run's resolved recipe needs it.

    Returns:
        The recipe and where its keys stand.

    Raises:
        RecipeError: with every mistake found, one line each.
    """
    document = read_document(Path(file), overrides)
    document.folder = folder or document.folder
    return _validated(document)


def recipe_of(data: dict[str, Any], folder: Path, overrides: list[str] | None = None) -> LoadedRecipe:
    """Validate a recipe that is in memory.

    Args:
        data: what would stand in its file.
        folder: where relative paths start.
        overrides: as `load_recipe` takes them.

    Returns:
        The recipe.

    Raises:
        RecipeError: with every mistake found, one line each.
    """
    document = Document(data, Path("recipe"), folder=folder)
    for override in overrides or []:
        apply_override(document, override)
    return _validated(document)


def _validated(document: Document) -> LoadedRecipe:
    mistakes = list(_withheld(document))  # first: no other message may repeat what stood there
    mistakes += _schema_mistakes(document)
    # What did validate is held against the rest all the same, so that every mistake is told at once.
    loaded = LoadedRecipe(_build_what_holds(document) if mistakes else _build(document), document)
    mistakes += _reference_mistakes(loaded)
    if mistakes:
        raise RecipeError(sorted(mistakes, key=line_of), partial=loaded)
    return loaded


def launched_with(loaded: LoadedRecipe, processes: int) -> LoadedRecipe:
    """Return a recipe that asks for a number of processes, as if it said so itself."""
    launch = loaded.document.data.get("launch") or {}
    data = {**loaded.document.data, "launch": {**launch, "num_processes": processes}}
    document = replace(loaded.document, data=data)
    return LoadedRecipe(_build(document), document)


def _withheld(document: Document) -> Iterator[str]:
    """Take the secrets out of a document, and name where they stood."""
    for path in sorted(secrets_in(document.data), key=key_text):
        yield f"{document.place(path)}: {key_text(path)}: {way_out(str(path[-1]))}"
    document.data = masked_data(document.data)


def line_of(mistake: str) -> tuple[bool, str, int]:
    """Order for mistakes: by file and line, those of `--set` last."""
    place = re.match(r"(?P<file>.*?):(?P<line>\d+): ", mistake)
    return (False, place["file"], int(place["line"])) if place else (True, mistake, 0)


# ---------------------------------------------------------------------------------------------- schema


def _head_model() -> type[BaseModel]:
    """The recipe without its stages, which are validated one by one, each against its own model."""
    fields: dict[str, Any] = {
        name: (info.annotation, info) for name, info in Recipe.model_fields.items() if name != "stages"
    }
    return create_model("Recipe", __base__=StrictModel, **fields)


def _schema_mistakes(document: Document) -> Iterator[str]:
    data = dict(document.data)
    stages = data.pop("stages", None)
    yield from _validate(_head_model(), data, (), document, also_allowed=["stages", "extends"])
    if stages is None:
        yield f"{document.file}:1: stages: missing: a recipe needs a list of stages ({', '.join(STAGES)})"
    elif not isinstance(stages, list) or not stages:
        yield f"{document.place(('stages',))}: stages: expected a list of stages ({', '.join(STAGES)})"
    else:
        for index, stage in enumerate(stages):
            yield from _stage_mistakes(index, stage, document)


def _stage_mistakes(index: int, stage: Any, document: Document) -> Iterator[str]:
    path: KeyPath = ("stages", index)
    place = f"{document.place(path)}: {key_text(path)}"
    split = _split_stage(stage)
    if split is None:
        yield f"{place}: expected one stage, such as `- sft: {{...}}`; found {stage!r:.80}"
        return
    kind, config = split
    if kind not in STAGES:
        yield f"{place}.{kind}: unknown kind of stage.{did_you_mean(kind, STAGES)}"
        return
    if not isinstance(config, dict):
        yield f"{place}.{kind}: expected a mapping of the stage's keys, found {config!r:.80}"
        return
    yield from _validate(stage_class(kind), config, (*path, kind), document)


def _split_stage(stage: Any) -> tuple[str, Any] | None:
    if isinstance(stage, str):
        return stage, {}
    if isinstance(stage, dict) and len(stage) == 1:
        kind, config = next(iter(stage.items()))
        return str(kind), {} if config is None else config
    return None


def _validate(
    model: type[BaseModel],
    data: dict[str, Any],
    path: KeyPath,
    document: Document,
    also_allowed: list[str] | None = None,
) -> Iterator[str]:
    try:
        model.model_validate(data)
    except ValidationError as error:
        seen: set[str] = set()
        for item in error.errors():
            location = _real_location(item["loc"], data)
            where = (*path, *location)
            line = f"{document.place(where)}: {key_text(where)}: {_explain(item, model, location, also_allowed)}"
            if line not in seen:
                seen.add(line)
                yield line


def _real_location(loc: tuple[str | int, ...], data: Any) -> KeyPath:
    """A pydantic location without the names of union branches and validators that it mixes in."""
    real: list[str | int] = []
    for index, part in enumerate(loc):
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            real.append(part)
            data = data[part]
        elif index == len(loc) - 1 and isinstance(data, dict) and isinstance(part, str) and part.isidentifier():
            real.append(part)  # a missing key
    return tuple(real)


def _explain(item: Any, model: type[BaseModel], location: KeyPath, also_allowed: list[str] | None) -> str:
    found = item.get("input")
    match item["type"]:
        case "extra_forbidden":
            allowed = [*_fields_at(model, location[:-1]), *((also_allowed or []) if len(location) == 1 else [])]
            return f"unknown key.{did_you_mean(str(location[-1]), allowed)}"
        case "missing":
            return "missing"
        case "literal_error" | "enum":
            expected = item["ctx"]["expected"]
            names = [name.strip(" '") for name in expected.replace(" or ", ", ").split(",")]
            hint = did_you_mean(str(found), names, list_all_below=0)
            return f"expected {expected}, found {found!r:.80}.{hint}"
        case "value_error":
            return str(item["ctx"]["error"])
        case _:
            message = item["msg"][0].lower() + item["msg"][1:]
            message = message.replace("input should be", "expected").replace("string should", "should")
            return f"{message}, found {found!r:.80}"


def _fields_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that a nested mapping of a model takes."""
    models = [model]
    for part in path:
        named = [candidate.model_fields[part] for candidate in models if part in candidate.model_fields]
        if named:  # else a key of a free mapping or an index: the models of its values are already there
            models = [inner for info in named for inner in _models_in(info.annotation)]
    return sorted({name for candidate in models for name in candidate.model_fields})


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif typing.get_origin(annotation) in (typing.Union, types.UnionType, list, dict, tuple, typing.Annotated):
        for argument in typing.get_args(annotation):
            yield from _models_in(argument)


def _build(document: Document) -> Recipe:
    data = dict(document.data)
    stages = []
    for stage in data.pop("stages"):
        kind, keys = _split_stage(stage)  # type: ignore[misc]
        stages.append(stage_class(kind).model_validate(keys))
    head = _head_model().model_validate(data)
    recipe = Recipe(**{name: getattr(head, name) for name in type(head).model_fields}, stages=stages)
    return recipe.model_copy(update={"stages": [stage.settled(recipe) for stage in stages]})


def _build_what_holds(document: Document) -> Recipe:
    """The recipe with everything that doesn't validate left out (`None`), for finding further mistakes alone."""
    data = document.data
    values: dict[str, Any] = {}
    for name, info in Recipe.model_fields.items():
        if name not in {"problems", "stages"}:
            default = info.get_default(call_default_factory=True)
            values[name] = _salvage(info.annotation, data[name]) if name in data else default
    problems = data.get("problems")
    named = problems.items() if isinstance(problems, dict) else ()
    values["problems"] = with_held_out({str(name): _salvage(ProblemsSource, value) for name, value in named})
    parted = [name for name, value in named if isinstance(value, dict) and isinstance(value.get("split"), dict)]
    values["problems"] = {f"{name}_heldout": None for name in parted} | values["problems"]
    values["stages"] = [
        _salvage(stage_class(kind), keys) if kind in STAGES else None for kind, keys in _written_stages(document)
    ]
    return Recipe.model_construct(**values)


def _written_stages(document: Document) -> Iterator[tuple[str, Any]]:
    """Each stage as (kind, keys); one that is no stage has no kind."""
    stages = document.data.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        yield _split_stage(stage) or ("", {})


def _salvage(annotation: Any, value: Any) -> Any:
    """Validate a section without its unknown keys; ``None`` if that is not all that is wrong with it."""
    adapter: TypeAdapter[Any] = TypeAdapter(annotation)
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        unknown = {
            item["loc"][0] for item in error.errors() if item["type"] == "extra_forbidden" and len(item["loc"]) == 1
        }
    if not unknown:
        return None
    return _salvage(annotation, {key: kept for key, kept in value.items() if key not in unknown})


def _reference_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    """Mistakes that no single section can see: names, files, order. Sections that are `None` are passed over."""
    yield from _model_mistakes(loaded)
    yield from _thinking_mistakes(loaded)
    for name in loaded.document.data.get("problems") or {}:  # what they hold out has the same mistakes
        source = loaded.recipe.problems.get(str(name))
        for key, message in source.check(loaded.folder) if source else ():
            yield loaded.mistake(("problems", name, *key.split(".")) if key else ("problems", name), message)
    yield from _launch_mistakes(loaded)
    yield from _chain_mistakes(loaded)


def _model_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    """What can be said of a model that lies, or should lie, on this machine."""
    model = loaded.recipe.model
    if model is None:
        return
    if missing := missing_model(model.path, loaded.folder, model.revision):
        yield loaded.mistake(("model", "path"), missing)
        return
    found = model.model_copy(update={"path": lasting_path(model.path, loaded.folder)})
    for key, message in start_mistakes(found):
        yield loaded.mistake(("model", key), message)


def _thinking_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    section = loaded.recipe.thinking
    if section is None:
        return
    try:
        chat_format(loaded.recipe, loaded.folder)
    except ValueError as error:
        yield loaded.mistake(("thinking",), str(error))
    if section.template not in NAMED_TEMPLATES and not (loaded.folder / section.template).is_file():
        file = loaded.folder / section.template
        yield loaded.mistake(
            ("thinking", "template"), f"expected 'auto', 'magistral', 'tokenizer' or a Jinja file; no {file}"
        )


def _chain_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    """Stages against one another: names that must differ, models that must exist before they are used."""
    recipe = loaded.recipe
    links = [_Link.of(kind, keys) for kind, keys in _written_stages(loaded.document)]
    models, names = [BASE], {BASE}
    for index, (link, stage) in enumerate(zip(links, recipe.stages, strict=True)):
        path: KeyPath = ("stages", index, link.kind)
        if link.name in names:
            remedy = "`base` is the base model's name" if link.name == BASE else "give one of them a `name:`"
            yield loaded.mistake(path, f"a second stage named '{link.name}': {remedy}")
        names.add(link.name)
        start = stage.asks_for_model if stage else None
        if start is not None and start not in models:
            later = start in [other.name for other in links[index:] if other.makes_model]
            order = " (it makes its model only later)" if later else ""
            hint = did_you_mean(start, models)
            yield loaded.mistake((*path, "model"), f"no model '{start}' before this stage{order}.{hint}")
        for key, message in stage.mistakes(recipe, models, loaded.folder) if stage else ():
            yield loaded.mistake((*path, *key), message)
        if link.makes_model:
            models.append(link.name)
        if link.makes_problems and link.name in recipe.problems:
            yield loaded.mistake(path, f"makes a set named '{link.name}', and there is one: give the stage a `name:`")
        for name in stage.inputs(BASE).problems if stage else ():
            if name in [other.name for other in links[index:] if other.makes_problems] and name not in recipe.problems:
                yield loaded.mistake(path, f"'{name}' is a set that only a later stage makes")


@dataclass(frozen=True)
class _Link:
    """What the rest of a chain needs to know of a stage, whether or not its keys hold."""

    kind: str
    name: str
    makes_model: bool
    makes_problems: bool

    @classmethod
    def of(cls, kind: str, keys: Any) -> _Link:
        name = keys.get("name") if isinstance(keys, dict) else None
        made = stage_class(kind) if kind in STAGES else None
        return cls(kind, str(name or kind), bool(made and made.makes_model), bool(made and made.makes_problems))


def _launch_mistakes(loaded: LoadedRecipe) -> Iterator[str]:
    launches: list[tuple[KeyPath, LaunchConfig | None]] = [(("launch",), loaded.recipe.launch)]
    settings_of = cache(launch_settings)  # stages mostly share one file
    for index, stage in enumerate(loaded.recipe.stages):
        if stage is None:
            continue
        launches.append((("stages", index, stage.kind, "launch"), stage.launch))
        config = (stage.launch or loaded.recipe.launch or LaunchConfig()).config_file
        if isinstance(stage, GrpoStage) and config:
            settings, rollouts = settings_of(loaded.folder / config), stage.rollouts
            for key, message in {
                "backend": backend_mistake(settings, rollouts.backend),
                "sync": sync_mistake(settings, rollouts.sync),
            }.items():
                if message is not None:
                    yield loaded.mistake(("stages", index, "grpo", "rollouts", key), message)
    for path, launch in launches:
        if not launch or not launch.config_file:
            continue
        place, file = (*path, "config_file"), loaded.folder / launch.config_file
        if not file.is_file():
            yield loaded.mistake(place, f"no such file: {file}")
        for message in launch_file_mistakes(settings_of(file), loaded.recipe.model):
            yield loaded.mistake(place, message)
