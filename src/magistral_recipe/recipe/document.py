"""Recipe files as plain data that still knows where each key was written.

YAML 1.2 (so `2e-6` is a number and `no` is a word), `extends:` resolved, `--set` applied. Nothing is
validated here but the syntax: `check/recipe_file.py` does that, and asks this module for file and line.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from magistral_recipe.confidential import MASK, is_secret_name, looks_secret, masked_text
from magistral_recipe.errors import RecipeError
from magistral_recipe.files import read_text_within
from magistral_recipe.yamltext import MAX_BYTES, YamlTextError, parse_yaml

KeyPath = tuple[str | int, ...]
_MOST_SHOWN = 200
"""Characters of an override that a message repeats."""


def key_text(path: KeyPath) -> str:
    """Write a key path as people do: ``stages[2].grpo.trainer``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


@dataclass
class Document:
    """A recipe's data, and the place each key came from.

    Attributes:
        data: plain dicts, lists and scalars.
        file: the file that was asked for.
        places: key path to ``"file:line"``, or to the ``--set`` that gave the key.
        folder: where relative paths start; by default the file's folder.
    """

    data: dict[str, Any]
    file: Path
    places: dict[KeyPath, str] = field(default_factory=dict)
    folder: Path | None = None

    def __post_init__(self) -> None:
        if self.folder is None:
            self.folder = self.file.resolve().parent

    def place(self, path: KeyPath) -> str:
        """Where a key stands, or the closest key above it that does."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return f"{self.file}:1"


def read_document(file: Path, overrides: list[str] | None = None) -> Document:
    """Read a recipe file with everything that it extends, and apply overrides.

    Args:
        file: the YAML file.
        overrides: ``key.path=value`` strings, values in YAML.

    Returns:
        The merged document.

    Raises:
        RecipeError: a file that is missing or isn't YAML, a circle of `extends`, an override that fits nowhere.
    """
    document = _read_with_bases(Path(file), seen=())
    for override in overrides or []:
        apply_override(document, override)
    return document


def to_yaml(data: dict[str, Any]) -> str:
    """Write plain data as YAML text."""
    from io import StringIO

    writer = YAML()
    writer.default_flow_style = False
    writer.width = 120
    stream = StringIO()
    writer.dump(data, stream)
    return stream.getvalue()


def _read_with_bases(file: Path, seen: tuple[Path, ...]) -> Document:
    resolved = file.resolve()
    if resolved in seen:
        circle = " -> ".join(str(path.name) for path in (*seen, resolved))
        raise RecipeError(f"{file}:1: extends: goes round in a circle: {circle}")
    document = _read_one(file)
    parent = document.data.pop("extends", None)
    if parent is None:
        return document
    place = document.place(("extends",))
    if not isinstance(parent, str):
        raise RecipeError(f"{place}: extends: expected a path to another recipe, found {parent!r}")
    parent_file = file.parent / parent
    if not parent_file.is_file():
        raise RecipeError(f"{place}: extends: no such file: {parent_file}")
    base = _read_with_bases(parent_file, (*seen, resolved))
    merged = Document(_merge(base.data, document.data), file, dict(base.places))
    _replace_places(merged, document)
    return merged


def _merge(base: Any, over: Any) -> Any:
    """Mappings are merged key by key; everything else, lists too, is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: _merge(base[key], value) if key in base else value for key, value in over.items()}}
    return copy.deepcopy(over)


def _replace_places(merged: Document, over: Document) -> None:
    for path in over.places:
        value = over.data
        for part in path:
            value = value[part] if not isinstance(value, dict) or part in value else None  # type: ignore[call-overload, assignment]
            if value is None:
                break
        if not isinstance(value, dict):  # a replaced list or scalar: nothing of the base's stays below it
            for old in [known for known in merged.places if known[: len(path)] == path]:
                del merged.places[old]
    merged.places.update(over.places)


def _read_one(file: Path) -> Document:
    if file.suffix.lower() in (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet") and file.is_file():
        raise RecipeError(f"{file}: data, not a recipe: `magistral-recipe init --data {file}` writes one")
    try:
        text = read_text_within(file, MAX_BYTES)
    except FileNotFoundError:
        raise RecipeError(f"{file}: no such recipe file{_similar_files(file)}") from None
    except UnicodeDecodeError as error:
        raise RecipeError(f"{file}: is not UTF-8 text: {error}") from None
    except OSError as error:
        if file.is_dir():
            raise RecipeError(f"{file}: is a folder, expected a recipe file (YAML)") from None
        raise RecipeError(f"{file}: {error.strerror}") from None
    try:
        loaded = parse_yaml(text, "rt")
    except YamlTextError as error:
        problem = f"{error.problem}: each key may stand once" if error.duplicate else f"not valid YAML: {error.problem}"
        raise RecipeError(f"{file}:{error.line}: {problem}") from None
    if not isinstance(loaded, CommentedMap):
        raise RecipeError(f"{file}:1: expected a recipe (a mapping with name, model, stages), found {_kind(loaded)}")
    document = Document({}, file)
    document.data = _plain(loaded, (), document, 1)
    return document


def _plain(node: Any, path: KeyPath, document: Document, line: int) -> Any:
    """Turn ruamel's nodes into plain Python values, noting each key's line."""
    if isinstance(node, CommentedMap):
        plain: dict[str, Any] = {}
        for key, value in node.items():
            position = node.lc.data.get(key) if node.lc.data else None  # merged keys have no place of their own
            here = position[0] + 1 if position else line
            document.places[(*path, str(key))] = f"{document.file}:{here}"
            plain[str(key)] = _plain(value, (*path, str(key)), document, here)
        return plain
    if isinstance(node, CommentedSeq):
        items = []
        for index, value in enumerate(node):
            position = node.lc.data.get(index) if node.lc.data else None
            here = position[0] + 1 if position else line
            document.places[(*path, index)] = f"{document.file}:{here}"
            items.append(_plain(value, (*path, index), document, here))
        return items
    return _plain_scalar(node)


def _plain_scalar(node: Any) -> Any:
    if node is None or isinstance(node, bool):
        return node
    if type(node).__name__ == "ScalarBoolean":
        return bool(node)
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return str(node)  # dates: a recipe has none, so they are words


def apply_override(document: Document, override: str) -> None:
    """Change a document's key as `--set` does; raise RecipeError where it fits nowhere."""
    told = masked_text(override)
    place = f"--set {told if len(told) <= _MOST_SHOWN else told[:_MOST_SHOWN] + '…'}"
    name, equals, text = override.partition("=")
    if is_secret_name(re.split(r"[.\[]", name)[-1]) or looks_secret(override):
        place = f"--set {masked_text(name)}={MASK}"
    if not equals or not name.strip():
        raise RecipeError(f"{place}: expected key.path=value")
    try:
        value = _plain(parse_yaml(text, "rt"), (), Document({}, document.file), 1)
    except YamlTextError as error:
        raise RecipeError(f"{place}: the value is not valid YAML: {error.problem}") from None
    parts = name.strip().replace("[", ".").replace("]", "").split(".")
    path = _locate(document, parts, place)
    target: Any = document.data
    for depth, part in enumerate(path[:-1], start=1):
        if isinstance(target, dict) and part not in target:
            target[part] = {}
            document.places[path[:depth]] = place
        target = target[part]
        if not isinstance(target, dict | list):
            raise RecipeError(f"{place}: {key_text(path[:-1])} is {_kind(target)}, it has no keys below it")
    target[path[-1]] = value
    for old in [known for known in document.places if known[: len(path)] == path]:
        del document.places[old]
    document.places[path] = place


def _locate(document: Document, parts: list[str], place: str) -> KeyPath:
    """Resolve an override's parts; a stage is addressed by its index, name or kind, with or without ``stages.``."""
    stages = document.data.get("stages")
    names = {name for stage in stages for name in _stage_names(stage)} if isinstance(stages, list) else set()
    if parts[0] in names and parts[0] not in document.data:
        parts = ["stages", *parts]
    if parts[0] != "stages" or len(parts) == 1:
        return tuple(parts)
    if not isinstance(stages, list):
        raise RecipeError(f"{place}: the recipe has no list of stages")
    label = parts[1]
    found = [index for index, stage in enumerate(stages) if label == str(index) or label in _stage_names(stage)]
    if len(found) != 1:
        known = ", ".join(sorted(names))
        problem = "names several stages, say which by its name" if found else "no such stage"
        raise RecipeError(f"{place}: stages.{label}: {problem} (stages: {known})")
    index = found[0]
    stage = stages[index]
    if isinstance(stage, str):
        stages[index] = stage = {stage: {}}
    kind = next(iter(stage))
    if stage[kind] is None:
        stage[kind] = {}
    rest = parts[2:]
    if rest[:1] == [kind] and label == str(index):
        rest = rest[1:]
    if not rest:
        raise RecipeError(f"{place}: stages.{label}: name a key of the stage, such as stages.{label}.KEY=value")
    return ("stages", index, kind, *rest)


def _stage_names(stage: Any) -> list[str]:
    if isinstance(stage, str):
        return [stage]
    if not isinstance(stage, dict) or not stage:
        return []
    kind, config = next(iter(stage.items()))
    name = config.get("name") if isinstance(config, dict) else None
    return [str(name)] if name else [kind]


def _similar_files(file: Path) -> str:
    from magistral_recipe.recipe.ready import ready_recipes
    from magistral_recipe.suggest import did_you_mean

    if file.stem in {recipe.name for recipe in ready_recipes()}:
        return f"; `magistral-recipe recipes copy {file.stem}` puts the ready one of this name here"
    folder = file.parent
    if not folder.is_dir():
        return f" (there is no folder {folder})"
    return "." + did_you_mean(file.name, [path.name for path in folder.glob("*.y*ml")])


def _kind(value: Any) -> str:
    names = {type(None): "nothing", dict: "a mapping", list: "a list", str: "text", bool: "a truth value"}
    return names.get(type(value), "a mapping" if isinstance(value, dict) else f"{value!r}")
