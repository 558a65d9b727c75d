"""Every key of a recipe: its type, its default, a line of sense. A page for people, a JSON Schema for editors.

Read off the schema itself, so that neither can say anything else than what loading a recipe holds to. Of `trainer:`
sections only this project's own fields stand here; the others are TRL's.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.json_schema import models_json_schema

from magistral_recipe.check.trainer_fields import RESERVED
from magistral_recipe.recipe.sections import Recipe
from magistral_recipe.stages import STAGES, stage_class
from magistral_recipe.stages.training import TrainingStage

Json = Mapping[str, Any]

_NOT_SHOWN = ("Derived", "Fixed", "Older name")  # what a recipe has no use for
_ELSEWHERE = {"schedule", "rollouts_every", "rollouts_file"}  # what a stage has keys of its own for

_HEAD = """# Every key of a recipe

Generated from the schema by `magistral-recipe keys --page`, and held to it by a test. `magistral-recipe keys WORD`
searches these and the fields of TRL's that `trainer:` sections take. With `magistral-recipe keys --json-schema >
recipe.schema.json` and `# yaml-language-server: $schema=recipe.schema.json` in a recipe's first line, editors complete
and check it.
"""


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        path: as in a recipe, dotted; `NAME` for a name that the user gives, `[]` for the items of a list.
        type: in words.
        default: as YAML; empty where it must be given.
        meaning: a line of sense.
    """

    path: str
    type: str
    default: str
    meaning: str


def recipe_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a recipe file."""
    stages = {kind: stage_class(kind) for kind in STAGES}
    found, shared = models_json_schema(
        [(Recipe, "validation"), *((model, "validation") for model in stages.values())],
        by_alias=True,
        ref_template="#/$defs/{model}",
    )
    definitions: dict[str, Any] = shared["$defs"]
    recipe = definitions.pop("Recipe")
    one_of = [_one_stage(kind, found[model, "validation"]) for kind, model in stages.items()]
    recipe["properties"]["stages"]["items"] = {"anyOf": [{"enum": list(stages)}, *one_of]}
    recipe["properties"]["stages"]["minItems"] = 1
    recipe["properties"]["extends"] = {"type": "string", "description": "Another recipe, which this one changes."}
    for kind, own in _own_trainer_fields().items():
        trainer = definitions[stages[kind].__name__]["properties"]["trainer"]
        trainer["properties"] = {name: {"description": meaning} for name, _, _, meaning in own}
    used = {name: definitions[name] for name in sorted(definitions) if name != "Stage"}
    # What a recipe does not say, the one that it extends may.
    recipe["anyOf"] = [{"required": recipe.pop("required")}, {"required": ["extends"]}]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **recipe, "title": "Recipe", "$defs": used}


def all_keys() -> Iterator[Key]:
    """Walk through every key, in the order of the sections."""
    schema = recipe_schema()
    definitions = schema["$defs"]
    head = {name: field for name, field in schema["properties"].items() if name != "stages"}
    top = {"properties": head, "required": schema["anyOf"][0]["required"]}
    yield from _keys(top, "", definitions)
    for kind in STAGES:
        yield from _keys(definitions[stage_class(kind).__name__], kind, definitions)
        for name, type_, default, meaning in _own_trainer_fields().get(kind, []):
            yield Key(f"{kind}.trainer.{name}", type_, default, meaning)


def trainer_keys() -> Iterator[Key]:
    """Walk through the fields of TRL's that `trainer:` sections take beside those of `all_keys`."""
    own = {key.path for key in all_keys()}
    for kind in STAGES:
        stage = stage_class(kind)
        if not issubclass(stage, TrainingStage):
            continue
        config = stage.model_construct().trainer_class()
        for field in dataclasses.fields(config):
            path, meaning = f"{kind}.trainer.{field.name}", field.metadata.get("help", "").split(". ")[0]
            if path not in own and field.init and field.name not in RESERVED and not meaning.startswith(_NOT_SHOWN):
                default = None if field.default is dataclasses.MISSING else field.default
                yield Key(path, _in_words(str(field.type)), _yaml(default), " ".join(meaning.split()))


def keys_page() -> str:
    """Return the page of all keys, Markdown."""
    sections: dict[str, list[Key]] = {}
    for key in all_keys():
        head = key.path.split(".")[0] if "." in key.path else "the recipe itself"
        sections.setdefault(head, []).append(key)
    parts = [_HEAD]
    for name, keys in sections.items():
        kind = "stage `" if name in STAGES else "`"
        title = name if name.startswith("the ") else f"{kind}{name}`"
        parts.append(f"## {title[0].upper()}{title[1:]}\n\n| key | type | default | |\n| --- | --- | --- | --- |")
        for key in keys:
            default = f"`{key.default}`" if key.default else "required"
            parts.append(f"| `{key.path}` | {_cell(key.type)} | {_cell(default)} | {_cell(key.meaning)} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _one_stage(kind: str, reference: Json) -> dict[str, Any]:
    body = {"anyOf": [dict(reference), {"type": "null"}]}
    return {"type": "object", "properties": {kind: body}, "required": [kind], "additionalProperties": False}


def _keys(section: Json, path: str, definitions: Json) -> Iterator[Key]:
    for name, field in section.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        default = _yaml(_default(field)) or "its kind"  # only a stage's name is empty by default
        given = name in section.get("required", [])
        yield Key(here, _type(field, definitions), "" if given else default, _sense(field))
        for suffix, model in _sections(field, definitions):
            yield from _keys(model, here + suffix, definitions)


def _sections(field: Json, definitions: Json) -> Iterator[tuple[str, Json]]:
    """The sections that a field holds, with what stands between its path and theirs."""
    for arm in _arms(field):
        if "$ref" in arm:
            yield "", _resolved(arm, definitions)
        elif arm.get("type") == "array" and "$ref" in arm.get("items", {}):
            yield "[]", _resolved(arm["items"], definitions)
        elif isinstance(values := arm.get("additionalProperties"), dict) and "$ref" in values:
            yield ".NAME", _resolved(values, definitions)


def _arms(field: Json) -> list[Json]:
    """The alternatives that a field has, those of an alternative among them; itself where it has none."""
    several = field.get("anyOf") or field.get("oneOf")
    return [each for arm in several for each in _arms(arm)] if several else [field]


def _resolved(reference: Json, definitions: Json) -> Json:
    found: Json = definitions[reference["$ref"].rpartition("/")[2]]
    return found


def _type(field: Json, definitions: Json) -> str:
    """A JSON Schema type in words."""
    if len(several := _arms(field)) > 1:
        arms = [_type(arm, definitions) for arm in several if arm.get("type") != "null"]
        return " or ".join(dict.fromkeys(arms))
    if "$ref" in field:
        found = _resolved(field, definitions)
        return _type(found, definitions) if "enum" in found else "section"
    if "enum" in field or "const" in field:
        return " or ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    kind = field.get("type")
    if kind == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    if kind == "object":
        return "section"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    return " ".join([words.get(str(kind), "anything"), *_bounds(field)])


def _bounds(field: Json) -> Iterator[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    yield from (f"{sign} {field[name]:.10g}" for name, sign in signs.items() if name in field)


def _sense(field: Json) -> str:
    return " ".join(str(field.get("description", "")).split())


def _default(field: Json) -> Any:
    if "default" in field:
        return {} if isinstance(field["default"], dict) else field["default"]  # a section's own keys say their defaults
    return {"object": {}, "array": []}.get(field.get("type", ""))


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    return "{}" if value == {} else str(value)


def _own_trainer_fields() -> dict[str, list[tuple[str, str, str, str]]]:
    """The fields that this project adds to TRL's trainers or gives another default, by kind of stage.

    (name, type, default, meaning) each.
    """
    from magistral_recipe.training.config import MagistralGRPOConfig

    own, hints = [], typing.get_type_hints(MagistralGRPOConfig)
    for field in dataclasses.fields(MagistralGRPOConfig):
        meaning = field.metadata.get("help", "")
        if field.name not in vars(MagistralGRPOConfig)["__annotations__"] or meaning.startswith(_NOT_SHOWN):
            continue
        if field.name in _ELSEWHERE:
            continue
        named = str(hints[field.name])  # choices may be written by the name that they have elsewhere
        type_ = _in_words(named if "Literal" in named else str(field.type))
        own.append((field.name, type_, _yaml(field.default), meaning))
    return {"grpo": own}


def _in_words(annotation: str) -> str:
    """A type as Python writes it, in words."""
    words = {"int": "whole number", "float": "number", "bool": "true or false", "str": "text"}
    choices = re.findall(r"['\"](\w+)['\"]", annotation) if "Literal" in annotation else []
    arms = [arm.strip() for arm in annotation.removeprefix("<class '").removesuffix("'>").split("|")]
    return " or ".join([f"`{choice}`" for choice in choices] or [words.get(arm, arm) for arm in arms if arm != "None"])
