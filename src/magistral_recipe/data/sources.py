"""Where problems and traces come from, as a recipe says it, and how they are loaded.

A source is checked without loading it (`ProblemsSource.check`), so that a recipe's mistakes are all known
before a model is loaded; then `load_problems` and `load_traces` read it, set aside what cannot be used,
and say how much that was. Importing this module imports neither torch, trl nor datasets.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field

from magistral_recipe.data import gym, peek, readers
from magistral_recipe.data.benchmarks import catalogue
from magistral_recipe.data.conversation import NAMES
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.problems import (
    MAX_CHARACTERS,
    PROBLEM_FIELDS,
    TRACE_FIELDS,
    AnswerIn,
    Kind,
    Problem,
    Trace,
    content_hash,
    parse_problem,
    parse_trace,
)
from magistral_recipe.data.quarantine import Quarantine
from magistral_recipe.data.readers import BadRow, Place, RawRow
from magistral_recipe.data.tags import retagged
from magistral_recipe.errors import DataError
from magistral_recipe.schema import StrictModel
from magistral_recipe.writing.thinking import Thinking

Mistake = tuple[str, str]
"""A key of the source, dotted, and what is wrong with it."""

_Item = TypeVar("_Item", Problem, Trace)
_Source = TypeVar("_Source", bound="_FileSource")


class _FileSource(StrictModel):
    """What every source has that reads a file, a folder or the hub."""

    path: str | None = None
    """A .jsonl, .json, .csv, .tsv or .parquet file or a folder of them (relative to the recipe), a folder saved by
    `datasets`, or a hub id ``owner/name``."""
    subset: str | None = None
    """Configuration of a hub dataset that has several."""
    split: str | None = None
    """Split of a hub dataset or a folder; of a .json file with several lists, the name of one."""
    revision: str | None = None
    """Commit, tag or branch of a hub dataset."""
    columns: dict[str, str | None] = Field(default_factory=dict)
    """Where fields are found that are not under their own names, as field: column; a column may be a dotted path;
    null leaves the field empty."""
    count: int | None = Field(None, ge=1)
    """How many to take; all of them unless told. Generated problems need it."""
    skip: int = Field(0, ge=0)
    """How many good rows to pass over before the first is taken, so that one file can serve two sources."""
    seed: int | None = None
    """Without it rows keep the file's order; with it they are drawn at random, the same ones for one seed."""
    kind: Kind | None = None
    """Kind of the rows that don't say."""
    language: str | None = Field(None, pattern="^[a-z]{2}$")
    """Language of the rows that don't say, ISO 639-1."""
    answer_in: AnswerIn = "whole"
    """Where in the answer column the answer is: `whole`, `boxed` (its last `\\boxed{}`: MATH's solutions) or `hashes`
    (behind its last `####`: GSM8K)."""
    max_characters: int = Field(MAX_CHARACTERS, ge=1)
    """Longest text of a field, in characters; rows that are longer are set aside."""

    def inputs(self, base: Path) -> list[Path]:
        """List the local files that the rows come from, for a manifest's hashes."""
        path = self.local(base)
        if path is None or not path.exists():
            return []
        return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]

    def local(self, base: Path) -> Path | None:
        """Resolve the path; None if there is none, or it names a dataset of the hub."""
        if self.path is None:
            return None
        path = base / Path(self.path).expanduser()
        return None if not path.exists() and readers.is_hub_id(self.path) else path

    def parsing(self) -> dict[str, Any]:
        """Give the options of `parse_problem` and `parse_trace`."""
        defaults = {key: value for key in ("kind", "language") if (value := getattr(self, key)) is not None}
        return {
            "columns": self.columns,
            "defaults": defaults,
            "answer_in": self.answer_in,
            "max_characters": self.max_characters,
        }

    def _rows(self, base: Path) -> Iterable[RawRow | BadRow]:
        if self.path is None:
            raise DataError("a source without a path")
        path = self.local(base)
        if path is None:
            few = self.count is not None and self.seed is None
            return readers.read_hub(
                self.path, subset=self.subset, split=self.split, revision=self.revision, first_rows_only=few
            )
        if not path.exists():
            raise DataError(f"{self.path}: {peek.missing_file(path)}")
        return readers.read_rows(path, self.path, self.split)

    def _check_file(self, base: Path, fields: tuple[str, ...], sought: Sequence[tuple[str, ...]]) -> list[Mistake]:
        """Find the mistakes in path and columns; of each group in ``sought`` one field must have a column."""
        mistakes = [("columns." + key, peek.unknown_field(key, fields)) for key in self.columns if key not in fields]
        path = self.local(base)
        if path is None:
            return mistakes
        if not path.exists():
            return [*mistakes, ("path", peek.missing_file(path))]
        if not readers.can_peek(path):
            return mistakes
        try:
            there = peek.first_columns(readers.read_rows(path, str(self.path), self.split))
        except DataError as error:
            return [*mistakes, ("path", str(error))]
        if not there:
            return mistakes
        for key, column in self.columns.items():
            if column is not None and column not in there:
                mistakes.append((f"columns.{key}", peek.unknown_column(column, there)))
        for group in sought:
            if not any(self.columns.get(key, key in there) for key in group):
                wanted = " or ".join(f"'{key}'" for key in group if key not in NAMES[1:])
                mistakes.append(("columns", f"no column {wanted}, and none is mapped to it; {peek.listed(there)}"))
        return mistakes


class ProblemsSource(_FileSource):
    """Problems to train on or to be tested by: from data, from a benchmark, the embedded set, or reasoning-gym."""

    benchmark: str | None = None
    """A published benchmark by its name (`magistral-recipe evaluate --list`); with `path`, read from that file, which
    has the benchmark's published columns."""
    tiny: Literal["train", "heldout"] | None = None
    """A split of the embedded worded arithmetic."""
    gym: str | None = None
    """A task of reasoning-gym."""
    gym_config: dict[str, object] = Field(default_factory=dict)
    """The task's own settings."""

    def inputs(self, base: Path) -> list[Path]:
        """List the local files that the rows come from, for a manifest's hashes."""
        if self.benchmark is None or self.path is not None:
            return super().inputs(base)
        file = base / Path(self.benchmark).expanduser()
        return [file] if file.is_file() else []

    def check(self, base: Path) -> list[Mistake]:
        """Find the mistakes that are visible without loading.

        Args:
            base: the folder that relative paths start from.

        Returns:
            (key, message) for every mistake.
        """
        if self.benchmark is not None:
            return self._check_benchmark(base)
        mistakes = _one_of(self, ("path", "tiny", "gym", "benchmark"))
        if self.path is None:
            mistakes += _no_file_keys(self)
            if (self.tiny or self.gym) and self.count is None:
                mistakes.append(("count", "missing: generated problems are endless, say how many"))
        else:
            sought: list[tuple[str, ...]] = [("problem",)]
            if self.kind != "text":
                sought.append(("answer", "tests"))
            mistakes += self._check_file(base, PROBLEM_FIELDS, sought)
        if self.gym is not None:
            mistakes += gym.mistakes(self.gym, self.gym_config)
        elif self.gym_config:
            mistakes.append(("gym_config", "goes with 'gym' only"))
        return mistakes

    def _check_benchmark(self, base: Path) -> list[Mistake]:
        mistakes = [(key, "doesn't go with 'benchmark'") for key in ("tiny", "gym", "gym_config") if getattr(self, key)]
        mistakes += [
            (key, "doesn't go with 'benchmark', whose columns are known")
            for key in ("columns", "subset", "split", "revision", "kind", "language")
            if getattr(self, key)
        ]
        try:
            chosen = catalogue.find(str(self.benchmark), base)
        except DataError as error:
            return [*mistakes, *(("benchmark", line) for line in error.problems)]
        task = chosen.row.data.gym
        mistakes += [("benchmark", message) for _, message in (gym.mistakes(task, {}) if task else [])]
        if self.path is not None and not (base / Path(self.path).expanduser()).exists():
            mistakes.append(("path", peek.missing_file(base / Path(self.path).expanduser())))
        return mistakes

    def describe(self) -> str:
        """Name the source in a few words."""
        if self.benchmark is not None:
            return self.benchmark + (f" ({self.path})" if self.path else "")
        return self.path or (f"tiny ({self.tiny})" if self.tiny else f"reasoning-gym {self.gym}")


class TracesSource(_FileSource):
    """Worked problems to imitate: from data or from the embedded set."""

    tiny: bool = False
    """The embedded cold-start traces."""
    malformed: Literal["set_aside", "keep"] = "set_aside"
    """What to do with traces of a file that don't have exactly one pair of the recipe's thinking tags, in front."""

    def check(self, base: Path) -> list[Mistake]:
        """Find the mistakes that are visible without loading, as `ProblemsSource.check` does."""
        mistakes = _one_of(self, ("path", "tiny"))
        if self.path is not None:
            return mistakes + self._check_file(
                base, TRACE_FIELDS, [("problem", *NAMES), ("completion", "response", *NAMES)]
            )
        mistakes += _no_file_keys(self)
        if self.tiny and self.count is None:
            mistakes.append(("count", "missing: generated traces are endless, say how many"))
        return mistakes

    def describe(self) -> str:
        """Name the source in a few words."""
        return self.path or "tiny traces"


@dataclass(frozen=True)
class LoadResult(Generic[_Item]):
    """What a source gave.

    Attributes:
        rows: the rows that were chosen, in a fixed order.
        read: how many rows were looked at.
        set_aside: how many of them could not be used.
        reasons: how many were set aside, by reason.
        quarantine: the file that they are in, if there is one.
        source: the source in a few words.
    """

    rows: list[_Item]
    read: int
    set_aside: int
    reasons: Counter[str] = field(default_factory=Counter)
    quarantine: Path | None = None
    source: str = ""

    def summary(self) -> str:
        """Say in one line what was loaded, e.g. ``data.jsonl: 93 rows; 7 of 100 set aside (3 bad JSON, …)``."""
        text = f"{self.source}: {len(self.rows):,} rows"
        if not self.set_aside:
            return text
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.most_common())
        return f"{text}; {self.set_aside:,} of {self.read:,} set aside ({reasons})" + (
            f": {self.quarantine}" if self.quarantine else ""
        )


def first_rows(source: _Source, count: int) -> _Source:
    """Return a source without its draw and with few rows: quick to load, and enough for a proof.

    Args:
        source: problems or traces.
        count: rows at most.
    """
    few = min(source.count or count, count)
    return source.model_copy(update={"count": few, "seed": None if source.path else source.seed})


def load_problems(source: ProblemsSource, base: Path, quarantine: Path | None) -> LoadResult[Problem]:
    """Load the problems of a source.

    Two rows with the same id, or without ids and with the same contents, are a duplicate: the first counts.

    Args:
        source: what to load, checked before.
        base: the folder that relative paths start from, a recipe's own.
        quarantine: the JSONL file for rows that cannot be used; None only counts them.

    Returns:
        The problems and what was set aside.

    Raises:
        DataError: if the source cannot be read, or nothing is left of it.
    """

    if source.benchmark is not None:
        return _load_benchmark(source, base, quarantine)
    options = source.parsing()

    def parse(row: object) -> Problem | Rejection:
        return parse_problem(row, **options)

    rows: Iterable[RawRow | BadRow]
    if source.path is not None:
        rows = source._rows(base)
        return _load(source, rows, parse, lambda problem: problem.id, quarantine, made=False)
    wanted = source.skip + (source.count or 1)
    if source.tiny is not None:
        from magistral_recipe.data import tiny

        made: Iterable[object] = tiny.problems(source.tiny, wanted, seed=source.seed or 0)
    elif source.gym is not None:
        made = gym.rows(source.gym, source.gym_config, wanted, source.seed or 0)
    else:
        raise DataError("a source of problems without path, benchmark, tiny or gym")
    made_rows = _numbered(made, source.describe())
    return _load(source, made_rows, parse, lambda problem: problem.id, quarantine, made=True)


def _load_benchmark(source: ProblemsSource, base: Path, quarantine: Path | None) -> LoadResult[Problem]:
    from magistral_recipe.data.benchmarks import loaders

    chosen = catalogue.find(str(source.benchmark), base)
    wanted = None if source.count is None else source.skip + source.count
    rows = loaders.rows(chosen, base, source.path, wanted, source.seed or 0)

    def parse(row: object) -> Problem | Rejection:
        return loaders.parse(row, source.max_characters)

    made = source.path is None and bool(chosen.row.data.tiny or chosen.row.data.gym)
    return _load(source, rows, parse, lambda problem: problem.id, quarantine, made)


def load_traces(
    source: TracesSource, base: Path, quarantine: Path | None, thinking: Thinking | None = None
) -> LoadResult[Trace]:
    """Load the traces of a source.

    Several traces of one problem are welcome; the same trace twice is a duplicate.

    Args:
        source: what to load, checked before.
        base: the folder that relative paths start from, a recipe's own.
        quarantine: the JSONL file for rows that cannot be used; None only counts them.
        thinking: the recipe's tags; with them, traces of a file are held against the tags.

    Returns:
        The traces and what was set aside.

    Raises:
        DataError: if the source cannot be read, or nothing is left of it.
    """
    tags = thinking or Thinking()
    options = source.parsing()

    def parse(row: object) -> Trace | Rejection:
        trace = parse_trace(row, **options)
        if thinking is None or isinstance(trace, Rejection) or source.tiny or source.malformed == "keep":
            return trace
        return _held_against(retagged(trace, thinking), thinking)

    def key(trace: Trace) -> str:
        return content_hash(trace.problem, trace.text(tags))

    if source.path is not None:
        return _load(source, source._rows(base), parse, key, quarantine, made=False)
    from magistral_recipe.data import tiny

    made = tiny.traces(source.skip + (source.count or 1), seed=source.seed or 0, thinking=tags)
    # Made ones repeat by chance, as the generator means them to.
    return _load(source, _numbered(made, source.describe()), parse, None, quarantine, made=True)


def _held_against(trace: Trace, thinking: Thinking) -> Trace | Rejection:
    split = thinking.split(trace.text(thinking))
    if split.answer is None:
        expected = f"exactly one '{thinking.open}' in front and one '{thinking.close}'"
        if thinking.opened_by_prompt:
            expected = f"no '{thinking.open}' (the prompt opens it) and exactly one '{thinking.close}'"
        return Rejection(Code.BAD_TAGS, f"expected {expected}")
    if not split.thoughts.strip():
        return Rejection(Code.BAD_TAGS, "no thoughts between the tags")
    if not split.answer.strip():
        return Rejection(Code.BAD_TAGS, f"no answer after '{thinking.close}'")
    return trace


def _numbered(made: Iterable[object], label: str) -> Iterator[RawRow]:
    for number, row in enumerate(made, start=1):
        yield RawRow(Place(label, "row", number), row)


def _load(
    source: ProblemsSource | TracesSource,
    rows: Iterable[RawRow | BadRow],
    parse: Callable[[object], _Item | Rejection],
    key: Callable[[_Item], str] | None,
    quarantine: Path | None,
    made: bool,
) -> LoadResult[_Item]:
    """Parse rows one at a time, set the bad ones aside, and hold on to the chosen ones alone."""
    accepted = 0
    aside = Quarantine(quarantine)

    def good() -> Iterator[_Item]:
        nonlocal accepted
        first: dict[str, Place] = {}
        for row in rows:
            if isinstance(row, BadRow):
                aside.add(row.place, row.code, row.reason, row.text)
                continue
            item = parse(row.value)
            if isinstance(item, Rejection):
                aside.add(row.place, item.code, item.reason, row.value)
                continue
            if key is not None and (earlier := first.setdefault(key(item), row.place)) is not row.place:
                aside.add(row.place, Code.DUPLICATE, f"repeats {earlier} (id '{item.id}')", row.value)
                continue
            accepted += 1
            yield item

    with aside:
        chosen = _chosen(good(), source, made)
    read = accepted + aside.count
    if not chosen:
        raise DataError(_nothing_left(source, read, accepted, aside))
    where = quarantine if aside.count else None
    return LoadResult(chosen, read, aside.count, aside.reasons, where, source.describe())


def _chosen(items: Iterator[_Item], source: ProblemsSource | TracesSource, made: bool) -> list[_Item]:
    """Take the rows that skip, count and seed ask for; a seed draws by hash, so that memory holds them alone.

    Rows that were made have been drawn by the seed already.
    """
    stop = None if source.count is None else source.skip + source.count
    if made or source.seed is None:
        return list(islice(items, source.skip, stop))

    def lot(item: _Item) -> str:
        return content_hash(source.seed, item.model_dump_json())

    drawn = sorted(items, key=lot) if stop is None else heapq.nsmallest(stop, items, key=lot)
    return drawn[source.skip :]


def _nothing_left(source: ProblemsSource | TracesSource, read: int, accepted: int, aside: Quarantine) -> list[str]:
    if accepted:
        return [f"{source.describe()}: only {accepted:,} good rows, and skip passes over {source.skip:,}"]
    if not read:
        return [f"{source.describe()}: no rows"]
    where = f"; all are set aside in {aside.path}" if aside.path else ", for example:"
    lines = [f"{source.describe()}: none of {read:,} rows can be used{where}"]
    return lines + [f"  {example}" for example in aside.examples]


def _one_of(source: StrictModel, keys: tuple[str, ...]) -> list[Mistake]:
    given = [key for key in keys if getattr(source, key)]
    if len(given) == 1:
        return []
    allowed = ", ".join(keys[:-1]) + f" or {keys[-1]}"
    got = " and ".join(given) if given else "none of them"
    return [(given[1] if given else "", f"give exactly one of {allowed}; got {got}")]


def _no_file_keys(source: ProblemsSource | TracesSource) -> list[Mistake]:
    return [
        (key, "goes with 'path' only") for key in ("columns", "subset", "split", "revision") if getattr(source, key)
    ]
