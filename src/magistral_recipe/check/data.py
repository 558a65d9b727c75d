"""A look at the first rows of all data that a recipe names: can they be had, read, and used?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from magistral_recipe.check.hub import HubLooks, NotLooked
from magistral_recipe.data import preview, readers
from magistral_recipe.data.benchmarks import catalogue
from magistral_recipe.data.problems import Problem, Trace
from magistral_recipe.data.sources import (
    LoadResult,
    Mistake,
    ProblemsSource,
    TracesSource,
    first_rows,
    load_problems,
    load_traces,
)
from magistral_recipe.errors import DataError
from magistral_recipe.foreign import only_names
from magistral_recipe.recipe.document import KeyPath
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.stages.sft import SftStage
from magistral_recipe.writing.thinking import Thinking

ROWS = 256
"""Rows that are looked at: enough for every kind and language, quick to load."""


_COUNTED = 16 * 2**20
"""Bytes of local files up to which all rows of a set are read to be counted."""


@dataclass
class LookedAt:
    """The first rows of a recipe's data.

    Attributes:
        problems: by the set's name; a set that could not be looked at is missing.
        traces: by the number of the stage.
        mistakes: what is wrong with them, as (key path, message).
        warnings: what is worth knowing of them, likewise.
        counts: how many rows each has, in words, by what a person calls it.
        rows: how many rows each has that were counted, by the set's or the stage's name.
        whole: all rows of those that were read as a whole, by the set's name or the number of the stage.
    """

    problems: dict[str, Sequence[Problem]] = field(default_factory=dict)
    traces: dict[int, Sequence[Trace]] = field(default_factory=dict)
    mistakes: list[tuple[KeyPath, str]] = field(default_factory=list)
    warnings: list[tuple[KeyPath, str]] = field(default_factory=list)
    counts: dict[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    whole: dict[str | int, Sequence[Any]] = field(default_factory=dict)


def hub_data(loaded: LoadedRecipe) -> list[str]:
    """Name the data sets of the hub that a recipe reads."""
    return [name for _, source, _ in _sources(loaded) if (name := _on_hub(source, loaded.folder))]


def look_at_data(loaded: LoadedRecipe, thinking: Thinking, looks: HubLooks) -> LookedAt:
    """Load the first rows of every set of problems and traces.

    Args:
        loaded: the recipe.
        thinking: its tags.
        looks: bounds what comes from the hub, and notes what could not be looked at.

    Returns:
        The rows, and what is wrong with them.
    """
    found = LookedAt()
    for path, source, place in _sources(loaded):
        if isinstance(source, TracesSource):
            read = partial(_read_traces, source, loaded.folder, thinking)
        else:
            read = partial(_read_problems, source, loaded.folder)
        hub = _on_hub(source, loaded.folder)
        if source.transform is not None and only_names():
            why = f"{source.transform} is left out by --no-code"
            looks.left_out.append(NotLooked(source.describe(), why, "leave it out to look at what the rows become"))
            continue
        try:
            seen = looks.look(f"data set {hub}", hub, "dataset", read) if hub else read()
        except DataError as error:
            if missing := _missing_package(error):
                why = f"the package {missing} is not installed"
                looks.not_looked.append(NotLooked(source.describe(), why, str(error)))
            else:
                found.mistakes += [(path, line) for line in error.problems]
            continue
        if seen is None:
            continue
        mistakes, result = seen
        found.mistakes += [((*path, *key.split(".")) if key else path, message) for key, message in mistakes]
        if result is not None:
            name = loaded.recipe.stages[place].name if isinstance(place, int) else place
            whole = _whole(source, loaded.folder, thinking, result)
            if whole is not None:
                found.rows[name] = len(whole.rows)
                if whole is not result:
                    found.whole[place] = whole.rows
            what = f"traces of '{name}'" if isinstance(place, int) else f"'{name}'"
            found.counts[what] = _counted(source, whole) + (f" ({result.shape})" if result.shape else "")
            found.warnings += [(path, line) for line in result.warnings()]
        if isinstance(place, int):
            found.traces[place] = result.rows if result else ()
        else:
            found.problems[place] = result.rows if result else ()
    return found


_Read = tuple[list[Mistake], LoadResult[Any] | None]
"""What is wrong with a source's first rows, else what they become. They are read once: the hub's come over a line."""


def _read_problems(source: ProblemsSource, base: Path) -> _Read:
    source = first_rows(source, ROWS)
    if source.path is not None and source.benchmark is None:
        rows = iter(source.rows(base))
        first = list(islice(rows, preview.ROWS))
        mistakes = source.check_rows(first, base)
        return mistakes, None if mistakes else load_problems(source, base, None, raw=chain(first, rows))
    made = load_problems(source, base, None)
    mostly = 2 * made.set_aside > made.read
    return [("", f"most rows can't be used: {made.summary()}")] if mostly else [], made


def _read_traces(source: TracesSource, base: Path, thinking: Thinking) -> _Read:
    source = first_rows(source, ROWS)
    if source.path is None:
        return [], load_traces(source, base, None, thinking)
    rows = iter(source.rows(base))
    first = list(islice(rows, preview.ROWS))
    mistakes = source.check_rows(first, base, thinking)
    return mistakes, None if mistakes else load_traces(source, base, None, thinking, raw=chain(first, rows))


def _whole(
    source: ProblemsSource | TracesSource, base: Path, thinking: Thinking, first: LoadResult[Any]
) -> LoadResult[Any] | None:
    """All rows of a set, to be counted: where the first ones are all, or the file is small; else nothing."""
    if len(first.rows) < min(ROWS, source.count or ROWS) or (source.count is not None and source.count <= ROWS):
        return first
    path = source.local(base)
    if path is None or sum(file.stat().st_size for file in source.inputs(base)) >= _COUNTED:
        return None
    if isinstance(source, TracesSource):
        return load_traces(source, base, None, thinking)
    return load_problems(source, base, None)


def _counted(source: ProblemsSource | TracesSource, whole: LoadResult[Any] | None) -> str:
    """How many rows a set has, as far as is known."""
    if whole is not None:
        aside = f" ({whole.set_aside:,} set aside)" if whole.set_aside else ""
        return f"{len(whole.rows):,} rows{aside}"
    return f"{source.count:,} rows asked for" if source.count is not None else f"more than {ROWS} rows"


def _sources(loaded: LoadedRecipe) -> Iterator[tuple[KeyPath, ProblemsSource | TracesSource, str | int]]:
    """Every source: where it stands in the recipe, itself, and the name or the stage it belongs to."""
    for name, problems in loaded.recipe.problems.items():
        yield ("problems", name), problems, name
    for index, stage in enumerate(loaded.recipe.stages):
        if isinstance(stage, SftStage) and stage.traces.stage is None:
            yield ("stages", index, stage.kind, "traces"), stage.traces, index


def _on_hub(source: ProblemsSource | TracesSource, base: Path) -> str | None:
    """The data set of the hub that a source reads; ``None`` for files, and for what is made here."""
    if isinstance(source, ProblemsSource) and source.benchmark is not None and source.path is None:
        data = catalogue.find(source.benchmark, base).row.data
        return data.path if data.path and readers.is_hub_id(data.path) else None
    if source.path is None or source.local(base) is not None:
        return None
    return source.path if readers.is_hub_id(source.path) else None


def _missing_package(error: BaseException) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ImportError):
            return cause.name or "it needs"
        cause = cause.__cause__
    return None
