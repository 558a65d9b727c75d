"""What somebody's file holds, for a draft: problems or traces, which columns, where the answers stand.

What loading recognises by itself is left to it; here are the names and the contents that only a person who reads the
draft can confirm.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from magistral_recipe.data import conversation, peek, preview, readers
from magistral_recipe.data.declared import ProblemsSource, TracesSource
from magistral_recipe.data.decontaminate import problem_words
from magistral_recipe.data.layouts.catalogue import Use
from magistral_recipe.data.problems import PROBLEM_FIELDS, TRACE_FIELDS, AnswerIn, Problem, lookup
from magistral_recipe.data.readers import BadRow, RawRow
from magistral_recipe.data.reading import Reading, reading_of
from magistral_recipe.errors import DataError
from magistral_recipe.writing.thinking import Thinking

_LOOKED_AT = 300  # rows
_PARTED = 20  # rows below which none is held out
_SPLIT = {"heldout": 0.2, "seed": 0}
_USUAL: dict[str, tuple[str, ...]] = {
    "problem": ("problem", "question", "prompt", "instruction", "query", "input", "task", "exercise", "text", "q"),
    "answer": (
        *("answer", "final_answer", "expected_answer", "ground_truth", "gold", "solution", "target", "output", "label"),
        *("response", "result", "completion", "a"),
    ),
    "tests": ("tests", "test_cases", "input_output"),
    "thoughts": ("thoughts", "reasoning", "thinking", "reasoning_content", "chain_of_thought", "cot", "rationale"),
    "response": ("response", "reply", "answer", "output", "solution"),
    "completion": ("completion", "generation", "trace", "text"),
    "id": ("id", "nr", "uid", "idx", "problem_id"),
    "language": ("language", "lang", "locale"),
    "difficulty": ("difficulty", "level"),
    "category": ("category", "topic", "subject"),
}
"""Names that people give to what a field holds, the likeliest first."""

_EXTRAS = ("id", "language", "difficulty", "category")
_MARKS: tuple[tuple[AnswerIn, str, str], ...] = (
    ("hashes", r"####", "behind the last ####"),
    ("boxed", r"\\boxed\s*\{", r"in the last \boxed{}"),
)


@dataclass
class Seen:
    """What a file turned out to be.

    Attributes:
        use: problems or traces; a file may be both.
        keys: of a source in a recipe.
        note: what was seen, in a line.
        words: of the problems that were looked at, to know two files of the same ones.
        test: keys of a set to be tested by, where a folder has one.
    """

    use: Use
    keys: dict[str, Any]
    note: str
    words: set[tuple[str, ...]] = field(default_factory=set)
    test: dict[str, Any] | None = None


def look(
    file: Path, folder: Path, thinking: Thinking, use: Use | None = None, columns: Mapping[str, str] | None = None
) -> list[Seen]:
    """Find out what a file holds, and the keys that a source of it needs.

    Args:
        file: a file or a folder.
        folder: where the recipe will lie.
        thinking: its tags.
        use: what a person says it is; by default traces where its rows have thoughts, and problems where answers
            stand apart.
        columns: field to column, where a person says so.

    Returns:
        What it can be used as, one or both.

    Raises:
        DataError: if there is no such file, or nothing in it can be used.
    """
    if not file.exists():
        hub = (
            ". A data set of the hub is named in the recipe: `path: owner/name`" if readers.is_hub_id(str(file)) else ""
        )
        raise DataError(f"{file}: {peek.missing_file(file)}{hub}")
    given = dict(columns or {})
    if wrong := [name for name in given if name not in (*PROBLEM_FIELDS, *TRACE_FIELDS)]:
        fields = tuple(dict.fromkeys((*PROBLEM_FIELDS, *TRACE_FIELDS)))
        raise DataError(f"--columns: '{wrong[0]}': {peek.unknown_field(wrong[0], fields)}")
    written = Path(os.path.relpath(file.absolute(), folder.absolute())).as_posix()
    splits = readers.splits_of(file) if file.is_dir() else []
    split = splits[0] if len(splits) > 1 else None  # the one to train on, where there is one
    first = list(islice(readers.read_rows(file, str(file), split), _LOOKED_AT))
    there = peek.first_columns(first)
    if not there:
        bad = next((row for row in first if isinstance(row, BadRow)), None)
        raise DataError(f"{file}: no row with columns" + (f"; {bad.place}: {bad.reason}" if bad else ""))
    looked = _File(written, folder, thinking, first, there, given, split)
    traces, problems, why = None, None, list[str]()
    if use != "problems":
        try:
            traces = looked.as_traces()
        except DataError as error:
            why = error.problems
    if use == "traces" and traces is None:
        raise DataError(why)
    if traces is None or (use is None and looked.answers_apart(traces)):
        try:
            problems = looked.as_problems()
        except DataError as error:
            if traces is None:
                raise DataError([*error.problems, *(line for line in why if looked.talks)]) from None
    if split is not None and problems is not None:
        problems.test = {**problems.keys, "split": splits[1]}
    elif len(first) >= _PARTED and problems is not None:  # traces alone are all learnt from
        for each in filter(None, (problems, traces)):
            each.keys["split"] = dict(_SPLIT)
    return [each for each in (problems, traces) if each is not None]


@dataclass(frozen=True)
class _File:
    """A file's first rows, and what a person says of them."""

    written: str
    folder: Path
    thinking: Thinking
    first: Sequence[RawRow | BadRow]
    there: Sequence[str]
    given: Mapping[str, str]
    split: str | None = None

    @property
    def talks(self) -> bool:
        """Whether its rows are conversations, or completions beside what asked for them."""
        return bool({*conversation.NAMES, "completion", "thoughts"} & {*self.there, *self.given})

    def as_traces(self) -> Seen:
        """The keys of a source of traces.

        Raises:
            DataError: if its rows are none.
        """
        given: dict[str, str | None] = {name: col for name, col in self.given.items() if name in TRACE_FIELDS}
        source = TracesSource(path=self.written, split=self.split, columns=given)
        mistakes = source.check(self.folder, self.thinking)
        if mistakes:
            named = given | _mapped(("problem", "completion"), self.there, given, given.values())
            named |= _mapped(("problem", "thoughts", "response"), self.there, given, given.values())
            if {"thoughts", "response"} <= {*named, *self.there}:
                wanted = {key: named[key] for key in (*given, "problem", "thoughts", "response") if key in named}
                wanted |= _mapped(_EXTRAS, self.there, wanted, wanted.values())
                source = source.model_copy(update={"columns": wanted})
                mistakes = source.check(self.folder, self.thinking)
        if mistakes:
            raise DataError([f"{self.written}: as traces: {line}" for _, line in mistakes])
        return self._seen("traces", source)

    def answers_apart(self, traces: Seen) -> bool:
        """Whether the rows of traces have answers of their own, beside what was written."""
        named = self.given.get("answer") or next((name for name in _USUAL["answer"][:5] if name in self.there), None)
        return named is not None and named not in traces.keys.get("columns", {}).values()

    def as_problems(self) -> Seen:
        """The keys of a source of problems.

        Raises:
            DataError: if no column can be a problem's or an answer's.
        """
        source, guessed = self._named()
        further = _mapped(_EXTRAS, self.there, source.columns, source.columns.values())
        further = {name: column for name, column in further.items() if name != "id" or self._names_rows(column)}
        source = source.model_copy(update={"columns": {**source.columns, **further}})
        if (where := self._answer_in(self._reading(source))) is not None:
            source = source.model_copy(update={"answer_in": where})
        useless = preview.useless(self.first, source.wish("problems", self.folder))
        useless += ["id"] if "id" in self.there and "id" not in source.columns and not self._names_rows("id") else []
        source = source.model_copy(update={"columns": {**source.columns, **dict.fromkeys(useless)}})
        if mistakes := source.check(self.folder):
            raise DataError([f"{self.written}: {line}" for _, line in mistakes])
        seen, reading = self._seen("problems", source, guessed, useless), self._reading(source)
        kinds = {item.kind for item in self._items(reading) if isinstance(item, Problem)}
        if len(kinds) == 1 and reading.column_of("kind") not in self.there:
            seen.keys["kind"] = kinds.pop()
        return seen

    def _named(self) -> tuple[ProblemsSource, list[str]]:
        """A source with what names and contents say of problem, answer and tests; and what was guessed by contents.

        Raises:
            DataError: if no column can be a problem's or an answer's.
        """
        given: dict[str, str | None] = {name: col for name, col in self.given.items() if name in PROBLEM_FIELDS}
        source = ProblemsSource(path=self.written, split=self.split, columns=given)
        if not any(key.startswith("columns") for key, _ in source.check(self.folder)):
            return source, []
        named = _mapped(("problem", "tests"), self.there, given, given.values())
        named |= _mapped(("answer",), self.there, given, {*given.values(), *named.values()})
        if "tests" in {*self.there, *named}:
            named.pop("answer", None)
        guessed = self._by_contents({**given, **named})
        source = source.model_copy(update={"columns": {**given, **named, **guessed}})
        if wrong := [line for key, line in source.check(self.folder) if key.startswith("columns")]:
            raise DataError(f"{self.written}: {wrong[0]}. {self._which()}")
        return source, list(guessed)

    def _by_contents(self, named: Mapping[str, str | None]) -> dict[str, str]:
        """Problem and answer where only their columns are left: the longer texts are the problems."""
        shape = self._reading(ProblemsSource(path=self.written, columns=dict(named))).shape.columns
        known = {*self.there, *shape, *named}
        missing = [
            name for name in ("problem", "answer") if name not in known and not (name == "answer" and "tests" in known)
        ]
        taken = {*named.values(), *shape.values(), *PROBLEM_FIELDS}
        texts = {
            name: [str(value) for row in self._values() if isinstance(value := row.get(name), str | int | float | list)]
            for name in self.there
            if "." not in name and name not in taken
        }
        left = sorted((name for name in texts if texts[name]), key=lambda name: -sum(map(len, texts[name])))
        if len(missing) != len(left) or self._headerless():
            return {}
        worded = [" " in text.strip() for text in texts[left[0]]] if missing[:1] == ["problem"] else [True]
        return dict(zip(missing, left, strict=True)) if 2 * sum(worded) > len(worded) else {}

    def _headerless(self) -> bool:
        """Whether the first row, which names the columns of a table, seems to be a row like any other."""
        return any(name.replace(".", "").isdigit() for name in self.there)

    def _which(self) -> str:
        """How a person says which columns are meant."""
        if self._headerless():
            return "Its first line is taken for the columns' names: put `problem,answer` above it"
        return "`--columns problem=COLUMN,answer=COLUMN` says which"

    def _answer_in(self, reading: Reading) -> AnswerIn | None:
        """Where the answers stand, where most of them say so; ``None`` for the whole."""
        if reading.layout is not None:
            return None if reading.layout.answer_in == "whole" else reading.layout.answer_in
        column = reading.column_of("answer")
        texts = [str(value) for row in self._values() if (value := lookup(row, column)[1]) not in (None, "")]
        for where, pattern, _ in _MARKS:
            if 2 * sum(bool(re.search(pattern, text)) for text in texts) > len(texts):
                return where
        return None

    def _names_rows(self, column: str) -> bool:
        """Whether a column tells rows apart, but for a few that are there twice."""
        values = [str(row.get(column)) for row in self._values()]
        return len(set(values)) > 0.9 * len(values)

    def _seen(
        self,
        use: Use,
        source: ProblemsSource | TracesSource,
        guessed: Sequence[str] = (),
        useless: Sequence[str] = (),
    ) -> Seen:
        reading = self._reading(source)
        words = {tuple(problem_words(item.problem)) for item in self._items(reading)}
        columns = {name: column for name, column in source.columns.items() if column is not None}
        told = [f"{name} from '{column}'" for name, column in columns.items()]
        told += [reading.shape.told()] if reading.shape else []
        told += [f"as '{reading.layout_name}' is published"] if reading.layout_name else []
        parts = [f"{self.written}: {use}, {', '.join(told) or 'read as they are'}"]
        parts += [f"the answer stands {where}" for key, _, where in _MARKS if key == source.answer_in]
        parts += [f"{' and '.join(guessed)} guessed from what the columns hold"] if guessed else []
        parts += [f"'{name}' can't be read as what it is elsewhere, and is left out" for name in useless]
        keys = source.model_dump(exclude_unset=True, include={"path"})
        keys |= {"split": self.split} if self.split else {}
        keys |= {"columns": dict(source.columns)} if source.columns else {}
        keys |= {"answer_in": source.answer_in} if source.answer_in else {}
        return Seen(use, keys, "; ".join(parts), words)

    def _reading(self, source: ProblemsSource | TracesSource) -> Reading:
        use: Use = "problems" if isinstance(source, ProblemsSource) else "traces"
        return reading_of(self.first, source.wish(use, self.folder), self.thinking)[0]

    def _items(self, reading: Reading) -> list[Any]:
        found = (reading(row.value) for row in self.first if isinstance(row, RawRow))
        return [item for item in found if hasattr(item, "problem")]

    def _values(self) -> Iterable[Mapping[str, Any]]:
        return (row.value for row in self.first if isinstance(row, RawRow) and isinstance(row.value, Mapping))


def _mapped(
    fields: Sequence[str], columns: Sequence[str], known: Iterable[str] = (), taken: Iterable[str | None] = ()
) -> dict[str, str]:
    """Fields that stand under another name, by the first usual one that is there."""
    used, found = set(taken), dict[str, str]()
    there = {column.rpartition(".")[2].lower(): column for column in reversed(columns)}
    there |= {column.lower(): column for column in reversed(columns) if "." not in column}
    for each in fields:
        if each in known:
            continue
        name = next((there[usual] for usual in _USUAL[each] if usual in there and there[usual] not in used), None)
        if name is not None:
            used.add(name)
            if name != each:
                found[each] = name
    return found
