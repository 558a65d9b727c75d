"""The recipes that come with the package: listed with what they need, and copied to where a person works.

Each begins with a comment of facts, `# Card: …`, `# Memory: …`, that says before anything is downloaded which machine
it is for, how long it takes and where it departs from the paper. They lie in `recipes/` of a checkout and in
`ready_recipes/` of an installed package.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from magistral_recipe.errors import DataError
from magistral_recipe.suggest import did_you_mean

HEADINGS = ("Card", "Memory", "Hours", "Data", "Run", "Departs from the paper")
"""The facts that a ready recipe states, in their order."""

_PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class ReadyRecipe:
    """A recipe that comes with the package.

    Attributes:
        name: what it is called, its file's name without the ending.
        file: where it lies.
        description: the recipe's own, one sentence.
        facts: what its header says, by the headings of `HEADINGS`; a fact of several lines is joined.
    """

    name: str
    file: Path
    description: str
    facts: dict[str, str]


def ready_recipes() -> list[ReadyRecipe]:
    """Return the recipes that come with the package, in the order of their names."""
    installed = _PACKAGE / "ready_recipes"
    folder = installed if installed.is_dir() else _PACKAGE.parents[1] / "recipes"
    found = [*folder.glob("*.yaml"), *(folder / "examples").glob("*.yaml")]
    return sorted((_read(file) for file in found), key=lambda recipe: recipe.name)


def find_ready(name: str) -> ReadyRecipe:
    """Find a recipe by its name.

    Args:
        name: with or without `.yaml`.

    Returns:
        The recipe.

    Raises:
        DataError: with the nearest names, if there is none of that name.
    """
    there = {recipe.name: recipe for recipe in ready_recipes()}
    wanted = name.removesuffix(".yaml")
    if wanted not in there:
        raise DataError(f"no ready recipe '{name}'.{did_you_mean(wanted, there, list_all_below=len(there) + 1)}")
    return there[wanted]


def copy_ready(name: str, target: Path) -> list[Path]:
    """Copy a recipe, and the files it names that lie beside it, to where a person works.

    Args:
        name: of the recipe.
        target: a folder, which is made where it is missing, or the new file's path, ending in `.yaml`.

    Returns:
        What was written, the recipe first.

    Raises:
        DataError: if there is no such recipe, or a file would be overwritten; nothing is written then.
    """
    recipe = find_ready(name)
    file = target if target.suffix in {".yaml", ".yml"} else target / recipe.file.name
    wanted = {file: recipe.file}
    for beside in sorted(_files_beside(recipe.file)):
        wanted[file.parent / beside] = recipe.file.parent / beside
    in_the_way = [new for new, old in wanted.items() if new.exists() and not _same(new, old)]
    if in_the_way:
        raise DataError([f"{new}: there is another file of this name; nothing was copied" for new in in_the_way])
    for new, old in wanted.items():
        new.parent.mkdir(parents=True, exist_ok=True)
        if not new.exists():
            shutil.copyfile(old, new)
    return list(wanted)


def _same(new: Path, old: Path) -> bool:
    return new.is_file() and new.read_bytes() == old.read_bytes()


def _read(file: Path) -> ReadyRecipe:
    text = file.read_text("utf-8")
    description = YAML(typ="safe").load(text).get("description", "")
    return ReadyRecipe(file.stem, file, description, dict(_facts(text)))


def _facts(text: str) -> Iterator[tuple[str, str]]:
    """The facts of a leading comment; a line that is indented goes on with the fact above it."""
    heading, words = "", ""
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        fact = re.match(rf"# ({'|'.join(HEADINGS)}): +(.*)", line)
        if fact:
            if heading:
                yield heading, words
            heading, words = fact[1], fact[2]
        elif heading and line.startswith("#   "):
            words += " " + line[1:].strip()
        elif heading:
            yield heading, words
            heading = ""
    if heading:
        yield heading, words


def _files_beside(file: Path) -> Iterator[Path]:
    """Files that a recipe names by paths relative to itself."""
    pending: list[Any] = [YAML(typ="safe").load(file.read_text("utf-8"))]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending += item.values()
        elif isinstance(item, list):
            pending += item
        elif isinstance(item, str) and len(item) < 200 and "\n" not in item and (file.parent / item).is_file():
            yield Path(item)
