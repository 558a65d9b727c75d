"""From a source's raw rows to problems and traces, one at a time: which layout they have, and what each becomes.

Which rows are taken, and where the others go, is `sources`' business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

from magistral_recipe.data import conversation, peek
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.layouts import catalogue
from magistral_recipe.data.layouts.adapt import Columns, adapted, columns_of
from magistral_recipe.data.layouts.catalogue import Layout, Use
from magistral_recipe.data.problems import (
    MAX_CHARACTERS,
    PROBLEM_FIELDS,
    TRACE_FIELDS,
    AnswerIn,
    Problem,
    Trace,
    lookup,
    parse_problem,
    parse_trace,
)
from magistral_recipe.data.readers import BadRow, RawRow
from magistral_recipe.data.shapes import Shape, common_shape
from magistral_recipe.data.tags import retagged, tidied
from magistral_recipe.errors import DataError
from magistral_recipe.writing.thinking import Thinking

Mistake = tuple[str, str]
"""A key of the source, dotted, and what is wrong with it."""

Where = Mapping[str, Sequence[Any]]
"""Column to the values that rows must have in it."""

LOOK = 100
"""How many rows are looked at, at most, to know the columns."""


@dataclass(frozen=True)
class Wish:
    """What a source says about how its rows are to be read.

    Attributes:
        use: what they are to be.
        columns: field to column, where the recipe maps them.
        layout: the layout's name, where the recipe names it.
        answer_in: where the answer is, where the recipe says so.
        defaults: values of fields that a row leaves empty.
        max_characters: longest text of a field that is believed.
        where: which rows are wanted.
        path: the data set's name on the hub, for rows that come from there.
        base: the folder that a layout of one's own is relative to.
        keep_malformed: whether traces are left as they are, whatever their tags.
        solutions: whether the programs that come with problems are read, too.
    """

    use: Use
    columns: Columns = field(default_factory=dict)
    layout: str | None = None
    answer_in: AnswerIn | None = None
    defaults: Mapping[str, object] = field(default_factory=dict)
    max_characters: int = MAX_CHARACTERS
    where: Where = field(default_factory=dict)
    path: str | None = None
    base: Path = field(default_factory=Path)
    keep_malformed: bool = False
    solutions: bool = False


@dataclass(frozen=True)
class Reading:
    """How the rows of one source are read.

    Attributes:
        wish: what the source says.
        layout_name: the layout that was named or recognised; None where rows are read by our own columns.
        layout: the layout itself.
        thinking: the recipe's tags, for traces; without them no tags are looked at.
        shape: of rows without a layout, what is found under common names.
        there: the source's columns, dotted where nested.
    """

    wish: Wish
    layout_name: str | None = None
    layout: Layout | None = None
    thinking: Thinking | None = None
    shape: Shape = field(default_factory=Shape)
    there: tuple[str, ...] = ()

    @property
    def unused(self) -> tuple[str, ...]:
        """Columns of which nothing is used; none of a published layout, whose columns are documented."""
        if self.layout is not None:
            return ()
        fields = PROBLEM_FIELDS if self.wish.use == "problems" else (*TRACE_FIELDS, *conversation.NAMES)
        mapped = {*self.wish.columns.values(), *self.wish.where}
        free = {name for name in fields if name not in self.wish.columns}
        used = {column.partition(".")[0] for column in (*self.shape.used(), *mapped, *free) if column}
        return tuple(column for column in self.there if "." not in column and column not in used)

    def column_of(self, name: str) -> str:
        """Say from which column a field is read: one of its own name where nothing says another."""
        return self._columns.get(name) or name

    def passes_over(self, row: object) -> bool:
        """Say whether a row isn't wanted: `where` asks for others, or the layout knows it as no problem of ours."""
        if not isinstance(row, Mapping):
            return False
        unwanted = self.layout.passed_over if self.layout else {}
        return any(not _has(row, column, values) for column, values in self.wish.where.items()) or any(
            _has(row, column, values) for column, values in unwanted.items()
        )

    def problem(self, row: object) -> Problem | Rejection:
        """Read a row as a problem."""
        fields = self._fields(row)
        if isinstance(fields, Rejection):
            return fields
        return parse_problem(fields, **self._options, raw=row, solutions=self.wish.solutions)

    def trace(self, row: object) -> Trace | Rejection:
        """Read a row as a trace, with the recipe's tags around its thoughts."""
        fields = self._fields(row)
        trace = fields if isinstance(fields, Rejection) else parse_trace(fields, **self._options, raw=row)
        if self.thinking is None or isinstance(trace, Rejection) or self.wish.keep_malformed:
            return trace
        worn = self.layout.worn if self.layout else None
        around = tuple(self.layout.answer_tags) if self.layout else ()
        return held_against(retagged(tidied(trace), self.thinking, worn, around), self.thinking)

    def __call__(self, row: object) -> Problem | Trace | Rejection:
        """Read a row as what it is to be."""
        return self.problem(row) if self.wish.use == "problems" else self.trace(row)

    def _fields(self, row: object) -> object:
        if self.layout is None:
            return self.shape.adapted(row, self._columns, self.wish.use) if self.shape else row
        return adapted(row, self.layout, self._columns, self._mapped, self.wish.use, self._answer_in)

    @cached_property
    def _columns(self) -> Columns:
        return columns_of(self.layout, self._mapped) if self.layout else {**self.shape.columns, **self.wish.columns}

    @cached_property
    def _mapped(self) -> Columns:
        """What the recipe maps otherwise than the layout: where both say the same, the layout knows how it is read."""
        own = self.layout.columns if self.layout else {}
        return {field: column for field, column in self.wish.columns.items() if own.get(field) != column}

    @cached_property
    def _answer_in(self) -> AnswerIn:
        unsaid = "whole" if self.layout is None or "answer" in self._mapped else self.layout.answer_in
        return self.wish.answer_in or unsaid

    @cached_property
    def _options(self) -> dict[str, Any]:
        wish, layout = self.wish, self.layout
        options: dict[str, Any] = {"max_characters": wish.max_characters, "answer_in": self._answer_in}
        if wish.use == "traces" and wish.columns.get("system", "system") is None:
            options["keep_system"] = False
        if layout is None and not self.shape:
            return {**options, "columns": wish.columns, "defaults": wish.defaults}
        if layout is None:
            return {**options, "defaults": wish.defaults, "told": self._columns}
        if wish.use == "traces":
            options["answer_in"] = "whole"  # `adapted` has taken it out
            options["keep_system"] = False
        defaults = {**layout.defaults, **wish.defaults}
        return {**options, "defaults": defaults, "told": self._columns}


def _has(row: Mapping[str, Any], column: str, values: Sequence[Any]) -> bool:
    value = lookup(row, column)[1]
    those = value if isinstance(value, list) else [value]
    wanted = {_plain(each) for each in values}
    return any(_plain(each) in wanted for each in those)


def _plain(value: object) -> str:
    """Make one text of what YAML, JSON, CSV and Parquet write each in their way."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def held_against(trace: Trace, thinking: Thinking) -> Trace | Rejection:
    """Hold a trace against the recipe's tags: one pair in front, thoughts between, an answer behind."""
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


def opened(
    rows: Iterable[RawRow | BadRow], wish: Wish, label: str, thinking: Thinking | None = None
) -> tuple[Reading, Iterator[RawRow | BadRow]]:
    """Look at a source's first rows and find how all of them are read.

    Args:
        rows: the source's.
        wish: what the source says.
        label: what to call it in messages.
        thinking: the recipe's tags, for traces.

    Returns:
        The reading, and all of the rows.

    Raises:
        DataError: for a layout that isn't there or doesn't fit, and for unknown columns in `where`.
    """
    there = iter(rows)
    first = list(islice(there, LOOK))
    reading, mistakes = reading_of(first, wish, thinking)
    if mistakes:
        raise DataError([f"{label}: {key}: {message}" for key, message in mistakes])
    return reading, chain(first, there)


def reading_of(
    first: Sequence[RawRow | BadRow], wish: Wish, thinking: Thinking | None = None
) -> tuple[Reading, list[Mistake]]:
    """Find how rows are read, from the first of them.

    Args:
        first: the first rows.
        wish: what the source says.
        thinking: the recipe's tags, for traces.

    Returns:
        The reading, and what is wrong with `layout` and `where`.
    """
    columns = peek.first_columns(first)
    values = [row.value for row in first if isinstance(row, RawRow) and isinstance(row.value, dict)]
    mistakes: list[Mistake] = []
    name, layout = wish.layout, None
    if name is not None:
        try:
            layout = catalogue.find(name, wish.base)
        except DataError as error:
            mistakes += [("layout", line) for line in error.problems]
        if layout and columns and not layout.fits(columns):
            lacking = ", ".join(f"'{column}'" for column in layout.known_by if column not in columns)
            mistakes.append(("layout", f"'{name}' needs the columns {lacking}; {peek.listed(columns)}"))
    elif columns:
        name = catalogue.recognised(columns, values, wish.use, wish.path, wish.columns)
        layout = catalogue.find(name) if name else None
    for column in wish.where if columns else ():
        if column not in columns:
            mistakes.append((f"where.{column}", peek.unknown_column(column, columns)))
    shape = Shape()
    if layout is None and wish.layout is None:
        shape = common_shape(columns, values, wish.use, wish.columns)
    return Reading(wish, name if layout else None, layout, thinking, shape, tuple(columns)), mistakes
