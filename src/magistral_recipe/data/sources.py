"""How the problems and traces that a recipe names are loaded.

A source is read row by row: what cannot be used is set aside and counted, and the rows that the recipe wants are kept.
What a source is, and its mistakes that are visible without loading, is `declared`'s business. Importing this module
imports neither torch, trl nor datasets.
"""

from __future__ import annotations

import heapq
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

from magistral_recipe.data import gym, readers
from magistral_recipe.data.benchmarks import catalogue
from magistral_recipe.data.declared import ProblemsSource, TracesSource
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.partition import Partition
from magistral_recipe.data.preview import Preview
from magistral_recipe.data.problems import Problem, Trace, content_hash
from magistral_recipe.data.quarantine import Quarantine
from magistral_recipe.data.readers import BadRow, Place, RawRow
from magistral_recipe.data.reading import Mistake, Reading, opened
from magistral_recipe.errors import DataError
from magistral_recipe.writing.thinking import Thinking

__all__ = [
    "LoadResult",
    "Loading",
    "Mistake",
    "Preview",
    "ProblemsSource",
    "TracesSource",
    "first_rows",
    "load_problems",
    "load_traces",
    "problems_of",
    "stream_problems",
    "traces_of",
]

_Item = TypeVar("_Item", Problem, Trace)
_Source = TypeVar("_Source", ProblemsSource, TracesSource)


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
        layout: the published layout that the rows have; None where they are read by our own columns.
        passed_over: how many weren't wanted, by `where` or by the layout; they are not among those read.
        shape: how columns of common names are read, in words; empty where our own names and the recipe's say all.
        unused: columns of which nothing is used, of a source without a published layout.
    """

    rows: list[_Item]
    read: int
    set_aside: int
    reasons: Counter[str] = field(default_factory=Counter)
    quarantine: Path | None = None
    source: str = ""
    layout: str | None = None
    passed_over: int = 0
    shape: str = ""
    unused: tuple[str, ...] = ()

    def warnings(self) -> Iterator[str]:
        """Say of which of the source's columns nothing is used, and which rows bring a system turn of their own."""
        if self.unused:
            yield f"{self.source}: nothing is used of the column{'s' * (len(self.unused) > 1)} {', '.join(self.unused)}"
        if own := sum(row.system is not None for row in self.rows):
            yield (
                f"{self.source}: {own:,} of {len(self.rows):,} rows have a system turn of their own, which stands in "
                "the place of the recipe's; `columns: {system: null}` takes the recipe's"
            )

    def summary(self) -> str:
        """Say in one line what was loaded, e.g. ``data.jsonl: 93 rows; 7 of 100 set aside (3 bad JSON, …)``."""
        layout = f" (layout {self.layout})" if self.layout else ""
        text = f"{self.source}{layout}: {len(self.rows):,} rows"
        if self.passed_over:
            text += f"; {self.passed_over:,} passed over"
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


def load_problems(
    source: ProblemsSource, base: Path, quarantine: Path | None, *, raw: Iterable[RawRow | BadRow] | None = None
) -> LoadResult[Problem]:
    """Load the problems of a source.

    Two rows with the same id, or without ids and with the same contents, are a duplicate: the first counts.

    Args:
        source: what to load, checked before.
        base: the folder that relative paths start from, a recipe's own.
        quarantine: the JSONL file for rows that cannot be used; None only counts them.
        raw: the rows of its `path`, where somebody is reading them already.

    Returns:
        The problems and what was set aside.

    Raises:
        DataError: if the source cannot be read, or nothing is left of it.
    """
    return stream_problems(source, base, quarantine, raw=raw).whole()


def stream_problems(
    source: ProblemsSource,
    base: Path,
    quarantine: Path | None,
    *,
    raw: Iterable[RawRow | BadRow] | None = None,
    solutions: bool = False,
) -> Loading[Problem]:
    """Load the problems of a source one after the other, so that a million of them needn't be held.

    Args:
        source: as in `load_problems`.
        base: as in `load_problems`.
        quarantine: as in `load_problems`.
        raw: as in `load_problems`.
        solutions: whether the programs that come with problems are read, too.

    Returns:
        The problems, to be gone through once.
    """
    if source.benchmark is not None:
        return _benchmark(source, base, quarantine)
    wish = replace(source.wish("problems", base), solutions=solutions)

    def key(problem: Problem) -> str:
        return problem.id

    if source.path is not None:
        reading, rows = opened(source.rows(base) if raw is None else raw, wish, source.describe())
        partition = _partition(source, base, reading)
        return Loading(source, rows, reading.problem, key, quarantine, False, reading, partition)
    wanted = source.skip + (source.count or 1)
    if source.tiny is not None:
        from magistral_recipe.data import tiny

        seed = source.seed or 0
        made: Iterable[object] = (
            tiny.flawed(wanted, seed) if source.tiny == "flawed" else tiny.problems(source.tiny, wanted, seed)
        )
    elif source.sums is not None:
        from magistral_recipe.data import sums

        made = sums.problems(source.sums, wanted, source.seed or 0, source.terms or sums.TERMS)
    elif source.gym is not None:
        made = gym.rows(source.gym, source.gym_config, wanted, source.seed or 0)
    else:
        raise DataError("a source of problems without path, benchmark, tiny, sums or gym")
    made_rows = _numbered(made, source.describe())
    return Loading(source, made_rows, Reading(wish).problem, key, quarantine, made=True)


def problems_of(data: object, **keys: Any) -> LoadResult[Problem]:
    """Make problems of rows that are in memory, as a recipe makes them of a file's.

    Args:
        data: a pandas frame, a `datasets.Dataset`, or mappings.
        **keys: those of a set of problems in a recipe, such as `columns`, `answer_in` or `where`.

    Returns:
        The problems and what was set aside.

    Raises:
        DataError: if nothing is left of them, or a key needs a file.
    """
    source = ProblemsSource(path="data", **keys)
    _require_as_they_are(source)
    return load_problems(source, Path(), None, raw=readers.rows_of(data, "data"))


def traces_of(data: object, thinking: Thinking | None = None, **keys: Any) -> LoadResult[Trace]:
    """Make traces of rows that are in memory, as a recipe makes them of a file's.

    Args:
        data: as in `problems_of`.
        thinking: the tags that they are to have; with them, traces are held against the tags.
        **keys: those of a stage's traces in a recipe.

    Returns:
        The traces and what was set aside.

    Raises:
        DataError: if nothing is left of them, or a key needs a file.
    """
    source = TracesSource(path="data", **keys)
    _require_as_they_are(source)
    return load_traces(source, Path(), None, thinking, raw=readers.rows_of(data, "data"))


def _require_as_they_are(source: ProblemsSource | TracesSource) -> None:
    """Refuse what needs a file, or whose rows are in Python's hands anyway."""
    for key in ("transform", "split"):
        if getattr(source, key) is not None:
            raise DataError(f"{key}: goes with a file or a data set of the hub, not with rows that are in memory")


def _benchmark(source: ProblemsSource, base: Path, quarantine: Path | None) -> Loading[Problem]:
    from magistral_recipe.data.benchmarks import loaders

    chosen = catalogue.find(str(source.benchmark), base)
    wanted = None if source.count is None else source.skip + source.count
    rows = loaders.rows(chosen, base, source.path, wanted, source.seed or 0)

    def parse(row: object) -> Problem | Rejection:
        return loaders.parse(row, source.max_characters)

    made = source.path is None and bool(chosen.row.data.tiny or chosen.row.data.gym)
    return Loading(source, rows, parse, lambda problem: problem.id, quarantine, made)


def load_traces(
    source: TracesSource,
    base: Path,
    quarantine: Path | None,
    thinking: Thinking | None = None,
    *,
    raw: Iterable[RawRow | BadRow] | None = None,
) -> LoadResult[Trace]:
    """Load the traces of a source.

    Several traces of one problem are welcome; the same trace twice is a duplicate.

    Args:
        source: what to load, checked before.
        base: the folder that relative paths start from, a recipe's own.
        quarantine: the JSONL file for rows that cannot be used; None only counts them.
        thinking: the recipe's tags; with them, traces of a file are held against the tags.
        raw: the rows of its `path`, where somebody is reading them already.

    Returns:
        The traces and what was set aside.

    Raises:
        DataError: if the source cannot be read, or nothing is left of it.
    """
    tags = thinking or Thinking()
    wish = source.wish("traces", base)

    def key(trace: Trace) -> str:
        return content_hash(trace.problem, trace.text(tags))

    if source.path is not None:
        reading, rows = opened(source.rows(base) if raw is None else raw, wish, source.describe(), thinking)
        unique = key if source.repeats == "set_aside" else None
        partition = _partition(source, base, reading)
        return Loading(source, rows, reading.trace, unique, quarantine, False, reading, partition).whole()
    wanted = source.skip + (source.count or 1)
    if source.sums is not None:
        from magistral_recipe.data import sums

        made_sums = sums.traces(wanted, source.seed or 0, source.terms or sums.TERMS, source.forget)
        worked = _numbered(made_sums, source.describe())
        return Loading(source, worked, Reading(wish).trace, key, quarantine, made=True).whole()
    from magistral_recipe.data import tiny

    made = tiny.traces(wanted, seed=source.seed or 0, thinking=tags)
    # Made ones repeat by chance, as the generator means them to.
    numbered = _numbered(made, source.describe())
    return Loading(source, numbered, Reading(wish).trace, None, quarantine, made=True).whole()


def _partition(source: ProblemsSource | TracesSource, base: Path, reading: Reading) -> Partition | None:
    """Part a source by all of its problems, whatever it filters; a data set of the hub by each one's words alone."""
    parted = source.parted
    if parted is None:
        return None
    known: Iterable[Problem | Trace] = ()
    if source.local(base) is not None:
        unfiltered = replace(reading.wish, where={}, max_characters=sys.maxsize, keep_malformed=True)
        of_all = replace(reading, wish=unfiltered)
        items = (of_all(row.value) for row in source.rows(base) if isinstance(row, RawRow))
        known = (item for item in items if not isinstance(item, Rejection))
    return Partition(parted.heldout, parted.seed, known)


def _numbered(made: Iterable[object], label: str) -> Iterator[RawRow]:
    for number, row in enumerate(made, start=1):
        yield RawRow(Place(label, "row", number), row)


class Loading(Generic[_Item]):
    """A source that is being read: rows are parsed one at a time, the bad ones set aside, the chosen ones given out.

    Args:
        source: what it reads.
        rows: its raw rows.
        parse: makes a problem or a trace of a raw row, or says why it is none.
        key: what two rows must not share; ``None`` where they may repeat.
        quarantine: the file for rows that cannot be used; ``None`` only counts them.
        made: the rows were made, and the seed has drawn them already.
        reading: what decides which rows are wanted at all.
        partition: parts them into what is held out and what is not.
    """

    def __init__(
        self,
        source: ProblemsSource | TracesSource,
        rows: Iterable[RawRow | BadRow],
        parse: Callable[[object], _Item | Rejection],
        key: Callable[[_Item], str] | None,
        quarantine: Path | None,
        made: bool,
        reading: Reading | None = None,
        partition: Partition | None = None,
    ) -> None:
        self.source, self.made, self.reading = source, made, reading
        self.aside = Quarantine(quarantine)
        self._rows = rows
        self._parse: Callable[[object], _Item | Rejection] = parse
        self._key: Callable[[_Item], str] | None = key
        self._accepted = self._passed_over = 0
        self._partition = partition
        self._held_out = source.parted is not None and source.parted.part == "heldout"

    def __iter__(self) -> Iterator[_Item]:
        with self.aside:
            yield from _chosen(self._good(), self.source, self.made)

    def whole(self) -> LoadResult[_Item]:
        """Go through it, and say what the source gave.

        Raises:
            DataError: if nothing came.
        """
        rows = list(self)
        read = self._accepted + self.aside.count
        if not rows:
            raise DataError(_nothing_left(self.source, read, self._accepted, self._passed_over, self.aside))
        return LoadResult(
            rows,
            read,
            self.aside.count,
            self.aside.reasons,
            self.aside.path if self.aside.count else None,
            self.source.describe(),
            self.reading.layout_name if self.reading else None,
            self._passed_over,
            self.reading.shape.told() if self.reading else "",
            self.reading.unused if self.reading else (),
        )

    def _good(self) -> Iterator[_Item]:
        aside, first = self.aside, dict[str, Place]()
        for row in self._rows:
            if isinstance(row, BadRow):
                aside.add(row.place, row.code, row.reason, row.text)
                continue
            if self.reading is not None and self.reading.passes_over(row.value):
                self._passed_over += 1
                continue
            item = self._parse(row.value)
            if isinstance(item, Rejection):
                aside.add(row.place, item.code, item.reason, row.value)
                continue
            if self._partition is not None and self._partition.holds_out(item) != self._held_out:
                continue
            if self._key is not None and (earlier := first.setdefault(self._key(item), row.place)) is not row.place:
                aside.add(row.place, Code.DUPLICATE, f"repeats {earlier} (id '{item.id}')", row.value)
                continue
            self._accepted += 1
            yield item


def _chosen(items: Iterator[_Item], source: ProblemsSource | TracesSource, made: bool) -> Iterator[_Item]:
    """Take the rows that skip, count and seed ask for; a seed draws by hash, so that memory holds them alone.

    Rows that were made have been drawn by the seed already.
    """
    stop = None if source.count is None else source.skip + source.count
    if made or source.seed is None:
        return islice(items, source.skip, stop)

    def lot(item: _Item) -> str:
        said = item.model_dump_json(exclude={"system"} if item.system is None else None)  # as before it was a field
        return content_hash(source.seed, said)

    drawn = sorted(items, key=lot) if stop is None else heapq.nsmallest(stop, items, key=lot)
    return iter(drawn[source.skip :])


def _nothing_left(
    source: ProblemsSource | TracesSource, read: int, accepted: int, passed_over: int, aside: Quarantine
) -> list[str]:
    if accepted:
        return [f"{source.describe()}: only {accepted:,} good rows, and skip passes over {source.skip:,}"]
    if not read:
        over = f"; all {passed_over:,} are passed over (see `where`)" if passed_over else ""
        return [f"{source.describe()}: no rows{over}"]
    where = f"; all are set aside in {aside.path}" if aside.path else ", for example:"
    lines = [f"{source.describe()}: none of {read:,} rows can be used{where}"]
    return lines + [f"  {example}" for example in aside.examples]
