"""What flows through curation: problems with notes, and what was dropped; a file of them that is never held whole.

A file has one JSON object a line, the problem's fields and the notes side by side, so that it is a data set by itself:
whoever reads problems reads it, and passes over the notes.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, overload

from magistral_recipe.data.problems import PROBLEM_FIELDS, Problem
from magistral_recipe.errors import DataError

_FIELDS = frozenset(PROBLEM_FIELDS)


@dataclass(frozen=True)
class Row:
    """A problem on its way, and what was found out about it.

    Attributes:
        problem: the problem.
        notes: what is no field of a problem: the source's own difficulty, its pass rate, what it was translated from.
    """

    problem: Problem
    notes: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, **fields: Any) -> Row:
        """Return it with other values in some of the problem's fields; they are held to the schema again."""
        values = {**self.problem.model_dump(), "solutions": self.problem.solutions, **fields}
        return replace(self, problem=Problem.model_validate(values))

    def noted(self, **notes: Any) -> Row:
        """Return it with further notes."""
        return replace(self, notes={**self.notes, **notes})

    def as_json(self) -> dict[str, Any]:
        """The line that it is in a file."""
        solutions = self.problem.solutions
        carried = {"solutions": [program.model_dump() for program in solutions]} if solutions else {}
        return {**self.problem.model_dump(mode="json", exclude_none=True), **carried, **self.notes}


@dataclass(frozen=True)
class Dropped:
    """A problem that goes, and why.

    Attributes:
        row: the problem.
        reason: in a few words, the same for all that go for it: it is counted.
        detail: what a person needs to judge it: what it repeats, the votes, a line of an error.
    """

    row: Row
    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The line that it is in a file of dropped rows."""
        return {**self.row.as_json(), "dropped": {"reason": self.reason, **self.detail}}


Outcome = Row | Dropped
"""What a step makes of a row."""

Step = Callable[[Iterable[Row]], Iterator[Outcome]]
"""A step that looks at one row after the other."""


def parse_row(line: bytes | str) -> Row:
    """Read a line that `Row.as_json` made.

    Raises:
        ValueError: if it is none.
    """
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("not an object")
    fields = {name: value for name, value in values.items() if name in _FIELDS}
    return Row(Problem.model_validate(fields), {name: value for name, value in values.items() if name not in _FIELDS})


class RowFile(Sequence[Row]):
    """A file of rows, read where it is asked: once a row is asked for by its place, memory holds where each begins.

    Args:
        path: the file.

    Raises:
        DataError: on reading a row that is none: the file was changed by others.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _starts(self) -> array[int]:
        """Where each line begins: 8 bytes a row."""
        starts, place = array("q"), 0
        with self.path.open("rb") as stream:
            for line in stream:
                starts.append(place)
                place += len(line)
        return starts

    @cached_property
    def _stream(self) -> BinaryIO:
        return self.path.open("rb")

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        self._stream.seek(self._starts[index])
        return self._parsed(self._stream.readline(), index)

    def __iter__(self) -> Iterator[Row]:
        with self.path.open("rb") as stream:
            for index, line in enumerate(stream):
                yield self._parsed(line, index)

    def _parsed(self, line: bytes, index: int) -> Row:
        try:
            return parse_row(line)
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{self.path}:{index + 1}: not a row of curation: {reason}") from error
