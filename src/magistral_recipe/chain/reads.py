"""What a stage reads and what it is made of: every file with its hash, every key with its value, by names people know.

A fingerprint says that something changed; this says what. Hashes are taken when the stage begins, and held against the
files once it has loaded them (`confirm`): what stands in the record is what it worked on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magistral_recipe.chain.code_files import code_files
from magistral_recipe.chain.launch import default_config
from magistral_recipe.chain.records import read_record
from magistral_recipe.data.benchmarks import catalogue
from magistral_recipe.data.sources import ProblemsSource
from magistral_recipe.errors import DataError, RunError
from magistral_recipe.files import hash_of
from magistral_recipe.models.paths import find_model, weights_of
from magistral_recipe.recipe.sections import BASE, LoadedRecipe, Stage
from magistral_recipe.rewards import registry
from magistral_recipe.writing.template import NAMED_TEMPLATES

MODEL_OF = "the model of"
"""Begins the label of a model that an earlier stage makes."""


def files_read(loaded: LoadedRecipe, stage: Stage, start: str) -> dict[str, Path]:
    """List the local files and folders that a stage reads, but for what its run writes.

    Args:
        loaded: the recipe.
        stage: the stage.
        start: the name of the model that it starts from.

    Returns:
        Paths by what a person calls them: as the recipe writes them, or relative to it.
    """
    recipe, base = loaded.recipe, loaded.folder
    used = stage.inputs(start)
    found = _Labels(base)
    if BASE in used.models:
        place = _model(recipe.model.path, base)
        found.add(recipe.model.path, place)
        if place is not None and place.is_dir():
            found.add("the adapter's base", _adapted(place))
    for name in used.problems:
        for place in _source(recipe.problems[name], base) if name in recipe.problems else ():
            found.add(None, place)
    for path in used.paths:
        found.add(path, base / Path(path).expanduser())
    if recipe.thinking.template not in NAMED_TEMPLATES:
        found.add(recipe.thinking.template, base / recipe.thinking.template)
    launch = recipe.started_as(stage)
    if launch.config_file is not None:
        found.add(str(launch.config_file), base / launch.config_file)
    else:
        found.add("Accelerate's default config", default_config())
    for path in used.named:
        if Path(path).name != path or Path(path).suffix:  # a word is no path, even where a file has its name
            found.add(path, Path(path).expanduser())
    for name in recipe.code_of(stage):
        module, installed = registry.module_of(name), not registry.is_own(name)
        for code, file in code_files(module, base, installed=installed).items() if module else ():
            found.add(f"{code} (code)", file)
    return found.paths


@dataclass
class _Labels:
    """Paths by label; each path once, and no label twice."""

    base: Path
    paths: dict[str, Path] = field(default_factory=dict)

    def add(self, label: str | None, path: Path | None) -> None:
        if path is None or not path.exists() or path in self.paths.values():
            return
        name = told = label if label and not Path(label).is_absolute() else relative(path, self.base)
        count = 1
        while told in self.paths:
            count += 1
            told = f"{name} ({count})"
        self.paths[told] = path


def relative(path: Path, folder: Path) -> str:
    """A path as a recipe writes it, so that what is told does not tell about its author's folders."""
    try:
        return str(path.relative_to(folder))
    except ValueError:
        return path.name


def _model(path: str, base: Path) -> Path | None:
    local = base / Path(path).expanduser()
    if local.exists():
        return local
    if not path.startswith("package:"):
        return None
    try:
        source = find_model(path)
    except DataError:
        return None
    return Path(source.location) / source.gguf_file if source.gguf_file else Path(source.location)


def _adapted(folder: Path) -> Path | None:
    """The folder of the model that an adapter stands on, where the folder is an adapter's and its base lies here."""
    try:
        source = find_model(folder)
        base = Path(weights_of(source).location)
    except DataError:
        return None
    return base if source.adapter is not None and base.is_dir() else None


def _source(source: ProblemsSource, base: Path) -> Iterator[Path]:
    """A source's file or folder, its layout; of a benchmark of the user's own its row, and the data that it names."""
    for path in (source.path, source.layout):
        if path is not None:
            yield base / Path(path).expanduser()
    if source.benchmark is None:
        return
    yield base / Path(source.benchmark).expanduser()
    try:
        row = catalogue.find(source.benchmark, base).row
    except DataError:
        return
    if row.data.path is not None:
        yield base / Path(row.data.path).expanduser()


# ---------------------------------------------------------------------------------------------------- hashes


def signature(path: Path) -> str:
    """Sizes, times and names of a file or folder: what is equal was not written to."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    parts = []
    for file in files:
        try:
            told = file.stat()
        except OSError:
            continue
        parts.append(f"{file.relative_to(path)}|{told.st_size}|{told.st_mtime_ns}|{told.st_ctime_ns}|{told.st_ino}")
    import xxhash

    return xxhash.xxh3_64_hexdigest("\n".join(parts).encode("utf-8", "surrogateescape"))


class Hashes:
    """Hashes of files and folders, taken again where a file was written to since.

    Args:
        hashed: takes the hash; `files.hash_of`.
    """

    def __init__(self, hashed: Callable[[Path], str] = hash_of) -> None:
        self._hashed = hashed
        self._known: dict[str, tuple[str, str]] = {}

    def of(self, path: Path) -> str:
        """The hash of a file or folder, ``absent`` where there is none."""
        if not path.exists():
            return "absent"
        now = self.signature(path)
        known = self._known.get(str(path))
        if known is None or known[0] != now:
            known = self._known[str(path)] = (now, self._hashed(path))
        return known[1]

    def signature(self, path: Path) -> str:
        """See `signature`."""
        return signature(path)

    def taken(self) -> dict[str, str]:
        """The paths that were hashed, with their hashes."""
        return {path: digest for path, (_, digest) in self._known.items()}


def confirm(record: Path, files: Mapping[str, Path]) -> None:
    """See, once a stage has loaded what it reads, that the record tells of what was loaded.

    Args:
        record: the stage's.
        files: from `files_read`.

    Raises:
        RunError: naming what was written to between the hash and the load.
    """
    told = read_record(record)
    if told is None or told.reads is None:
        return
    changed = [
        label
        for label, path in files.items()
        if label in told.reads and told.seen.get(label) != signature(path) and hash_of(path) != told.reads[label]
    ]
    if changed:
        raise RunError(f"written to while the stage was loading: {', '.join(changed)}; run again")


# ------------------------------------------------------------------------------------------------ keys


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Name the keys that differ, with both values where they are short."""
    told = []
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            old, new = (_short(each[key]) if key in each else "not given" for each in (before, now))
            told.append(f"{key}: {old} -> {new}")
    return told


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
