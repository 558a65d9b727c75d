"""Problems and traces: the one shape that every data source is brought into.

A row of a file becomes a `Problem` or a `Trace`, or a `Rejection` with a reason that a person can act
on; it never raises. Where rows come from is `sources`' business.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from magistral_recipe.data import conversation, fields
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.solutions import Program, read_solutions
from magistral_recipe.writing.boxes import find_boxes
from magistral_recipe.writing.thinking import Thinking

Kind = Literal["math", "code", "text"]
AnswerIn = Literal["whole", "boxed", "hashes"]

MAX_CHARACTERS = 200_000
"""Longest problem, answer, solution or trace that is believed to be one, in characters (about 50k tokens)."""

_Text = Annotated[str, BeforeValidator(fields.text)]
_OptionalText = Annotated[str | None, BeforeValidator(fields.optional_text)]
_Identifier = Annotated[str, BeforeValidator(lambda value: fields.name(value) or "")]
_Name = Annotated[str | None, BeforeValidator(fields.name)]


class _Row(BaseModel):
    """The columns that problems and traces share."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    id: _Identifier = ""
    """Name of the problem, unique in its source; a hash of the contents where the source has none."""
    problem: _Text
    """What is asked, as the user would type it."""
    system: _OptionalText = None
    """A system turn of its own, in place of the recipe's system prompt."""
    answer: Annotated[str | list[str] | None, BeforeValidator(fields.answer)] = None
    """The reference answer; of a list, any one is right."""
    tests: Annotated[str | None, BeforeValidator(fields.tests)] = None
    """Tests of a program, as a JSON string."""
    solution: _OptionalText = None
    """What a perfect answer looks like, if known (for code: the program)."""
    kind: Kind = "math"
    """Which rewards apply."""
    programming_language: _OptionalText = None
    """Language a program must be written in; ``python`` for code that doesn't say."""
    time_limit: Annotated[float | None, BeforeValidator(fields.limit)] = None
    """CPU seconds that a program may take for a test; the reward's own limit where the source has none."""
    memory_mb: Annotated[float | None, BeforeValidator(fields.limit)] = None
    """Memory that a program may take, in MiB."""
    tolerance: Annotated[float | None, BeforeValidator(fields.tolerance)] = None
    """How far a number that a program prints may be off; exact without one."""
    language: Annotated[str | None, BeforeValidator(fields.language)] = None
    """Language of the problem, ISO 639-1."""
    source: _OptionalText = None
    """Where the problem comes from."""
    difficulty: Annotated[float | None, BeforeValidator(fields.number)] = None
    """How hard it is, on the source's own scale, higher is harder."""
    category: _Name = None
    """Group of problems to report apart, e.g. ``addition``."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        row = {**data}
        if row.get("kind") is None:
            row["kind"] = "code" if row.get("tests") else "math"
        if row["kind"] == "code" and not row.get("programming_language"):
            row["programming_language"] = "python"
        if row["kind"] != "code":
            row.pop("solutions", None)  # a mathematician's, perhaps
        return row

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.id:
            object.__setattr__(self, "id", content_hash(self.kind, self.problem, self.answer, self.tests))
        return self


class Problem(_Row):
    """A problem to solve, with what decides whether an answer to it is right."""

    # No part of what is written down or handed on: curation alone asks for it.
    solutions: Annotated[tuple[Program, ...] | None, BeforeValidator(read_solutions)] = Field(None, exclude=True)
    """Programs that come with it, in Python or C++: curation runs them on the tests."""

    @model_validator(mode="after")
    def _decidable(self) -> Self:
        column = _deciding_column(self.kind)
        if column and getattr(self, column) is None:
            raise fields.failure(Code.EMPTY, f"{column}: is empty, and a problem of kind '{self.kind}' needs it")
        return self


class Trace(_Row):
    """A worked problem to imitate: the full completion, or its thoughts and response apart."""

    completion: _OptionalText = None
    """What the model should write, thinking tags included."""
    thoughts: _OptionalText = None
    """The inner monologue, without tags."""
    response: _OptionalText = None
    """What follows the monologue."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.completion is not None:
            if self.thoughts is not None or self.response is not None:
                raise fields.failure(Code.BAD_VALUE, "give either completion or thoughts and response, not both")
            return self
        for column in ("thoughts", "response"):
            if getattr(self, column) is None:
                raise fields.failure(Code.EMPTY, f"{column}: is empty, and there is no completion either")
        return self

    def text(self, thinking: Thinking) -> str:
        """Write the completion as the policy should, with the recipe's thinking tags."""
        if self.completion is not None:
            return self.completion
        return thinking.join(self.thoughts or "", self.response or "")


_Model = TypeVar("_Model", Problem, Trace)

PROBLEM_FIELDS: tuple[str, ...] = tuple(Problem.model_fields)
_WITHOUT_SOLUTIONS = tuple(name for name in PROBLEM_FIELDS if name != "solutions")
TRACE_FIELDS: tuple[str, ...] = (*Trace.model_fields, "messages")


def content_hash(*parts: object) -> str:
    """Hash values into a short stable name: the same on every machine and in every process."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:16]


def parse_problem(
    row: object,
    columns: Mapping[str, str | None] | None = None,
    *,
    defaults: Mapping[str, object] | None = None,
    answer_in: AnswerIn = "whole",
    max_characters: int = MAX_CHARACTERS,
    told: Mapping[str, str | None] | None = None,
    raw: object = None,
    solutions: bool = False,
) -> Problem | Rejection:
    """Bring one raw row into the shape of a problem.

    Args:
        row: the row as a file gave it; columns that no field asks for are dropped.
        columns: where a field is found when not under its own name, as field → column; a column may be a
            dotted path (``reward_model.ground_truth``); None leaves the field empty.
        defaults: values of fields that the row leaves empty.
        answer_in: where in the answer's text the answer is: all of it, the last ``\\boxed{}``, or behind the last
            ``####`` (GSM8K).
        max_characters: longest text of a field that is accepted.
        told: field → column, for messages, where the row's fields were brought under their own names before.
        raw: the row as it was before that, for messages.
        solutions: whether the programs that come with it are wanted.

    Returns:
        The problem, or why it is none.
    """
    told = told or columns or {}
    wanted = PROBLEM_FIELDS if solutions else _WITHOUT_SOLUTIONS
    values = _mapped(row, wanted, columns or {}, defaults or {}, answer_in, max_characters, told)
    if isinstance(values, Rejection):
        return values
    kind = values.get("kind") or ("code" if values.get("tests") else "math")
    required = ["problem"]
    if isinstance(kind, str) and (column := _deciding_column(kind)):
        required.append(column)
    for field in required:
        if field not in values:
            return missing(field, row if raw is None else raw, told)
    problem = _validated(Problem, values, told)
    if isinstance(problem, Problem) and problem.kind == "math" and not _readable(problem.answer):
        reason = f"cannot be read as an answer: {fields.shown(problem.answer)}"
        return Rejection(Code.BAD_VALUE, f"{_where('answer', told)}: {reason}")
    return problem


def parse_trace(
    row: object,
    columns: Mapping[str, str | None] | None = None,
    *,
    defaults: Mapping[str, object] | None = None,
    answer_in: AnswerIn = "whole",
    max_characters: int = MAX_CHARACTERS,
    told: Mapping[str, str | None] | None = None,
    raw: object = None,
    keep_system: bool = True,
) -> Trace | Rejection:
    """Bring one raw row into the shape of a trace.

    Beside a trace's own fields, ``messages`` (a list of chat messages with one user and one assistant turn;
    also ShareGPT's ``conversations`` of ``from``/``value``) stands for the problem and what was answered.

    Args:
        row: as in `parse_problem`.
        columns: as in `parse_problem`.
        defaults: as in `parse_problem`.
        answer_in: as in `parse_problem`.
        max_characters: as in `parse_problem`.
        told: as in `parse_problem`.
        raw: as in `parse_problem`.
        keep_system: whether a system turn of the messages stays, in place of the recipe's.

    Returns:
        The trace, or why it is none.
    """
    told = told or columns or {}
    values = _mapped(row, TRACE_FIELDS, columns or {}, defaults or {}, answer_in, max_characters, told)
    if isinstance(values, Rejection):
        return values
    if values.get("messages") is not None and not any(values.get(key) for key in ("completion", "response")):
        exchange = conversation.exchange(values["messages"])
        if isinstance(exchange, Rejection):
            return exchange
        if any(isinstance(item, str) and len(item) > max_characters for item in exchange.values()):
            return Rejection(Code.TOO_LONG, f"messages: longer than {max_characters:,} characters")
        if not keep_system:
            exchange.pop("system", None)
        values = {**exchange, **{key: value for key, value in values.items() if value is not None}}
    values.pop("messages", None)
    if "problem" not in values:
        return missing("problem", row if raw is None else raw, told)
    if "completion" not in values and "thoughts" not in values and "response" not in values:
        return missing(
            "completion", row if raw is None else raw, told, " (nor 'thoughts' and 'response', nor 'messages')"
        )
    return _validated(Trace, values, told)


_PLAIN_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def _readable(answer: str | list[str] | None) -> bool:
    """Say whether the maths verifier can read a reference: a problem without one teaches nothing."""
    if isinstance(answer, str) and _PLAIN_NUMBER.fullmatch(answer):  # nearly all of them, and reading takes 0.2 ms
        return True
    from magistral_recipe.verifiers.answers import references_of

    return bool(references_of(answer))


def _deciding_column(kind: str) -> str | None:
    return {"math": "answer", "code": "tests"}.get(kind)


def lookup(row: Mapping[str, object], column: str) -> tuple[bool, object]:
    """Find a column, or a dotted path through nested objects, in a row: (found, value)."""
    if column in row:
        return True, row[column]
    head, _, rest = column.partition(".")
    nested = row.get(head)
    return lookup(nested, rest) if rest and isinstance(nested, Mapping) else (False, None)


def _mapped(
    row: object,
    wanted: tuple[str, ...],
    columns: Mapping[str, str | None],
    defaults: Mapping[str, object],
    answer_in: AnswerIn,
    max_characters: int,
    told: Mapping[str, str | None],
) -> dict[str, object] | Rejection:
    if not isinstance(row, Mapping):
        return Rejection(Code.NOT_AN_OBJECT, f"expected an object with named columns, got {type(row).__name__}")
    claimed = set(columns.values())
    values: dict[str, object] = {}
    for field in wanted:
        # A column that a mapping gave to one field is not read a second time under its own name.
        column = columns.get(field, None if field in claimed else field)
        if column is None:
            continue
        for name in conversation.NAMES if (field, column) == ("messages", "messages") else (column,):
            found, value = lookup(row, name)
            if found and name not in claimed - {column}:
                values[field] = value
                break
    if "problem" in values:
        if not values.get("system") and columns.get("system", "system") is not None:
            values["system"] = conversation.system(values["problem"])
        values["problem"] = conversation.question(values["problem"])
    for field, value in values.items():
        length = _length(value)
        if field not in ("tests", "solutions") and length > max_characters:
            return Rejection(Code.TOO_LONG, f"{_where(field, told)}: {length:,} characters, over {max_characters:,}")
    if answer_in != "whole" and isinstance(values.get("answer"), str):
        found_answer = answer_inside(str(values["answer"]), answer_in)
        if found_answer is None:
            sign = "closed \\boxed{}" if answer_in == "boxed" else "'####'"
            return Rejection(Code.BAD_VALUE, f"{_where('answer', told)}: no {sign} in it")
        values["answer"] = found_answer
    for field, value in defaults.items():
        if values.get(field) in (None, ""):
            values[field] = value
    return values


def answer_inside(text: str, answer_in: AnswerIn) -> str | None:
    """Take the answer out of a worked solution; None where it isn't there."""
    if answer_in == "whole":
        return text
    if answer_in == "boxed":
        return _last_box(text)
    _, mark, answer = text.rpartition("####")
    return answer if mark else None


_BARE_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*(?!\s*\{)")
_END_OF_FORMULA = re.compile(r"\$|\\\)|\\\]|\n")


def _last_box(text: str) -> str | None:
    """The last box of a worked solution; MATH's authors also wrote ``\\boxed 5``, where TeX boxes what comes next.

    Only references are read so: in a completion a box has its braces, or the format fails.
    """
    if boxes := find_boxes(text):
        return boxes[-1]
    bare = list(_BARE_BOX.finditer(text))
    if not bare:
        return None
    before, rest = text[: bare[-1].start()].replace("$$", "$"), text[bare[-1].end() :]
    opened = any(before.rfind(start) > before.rfind(end) for start, end in (("\\(", "\\)"), ("\\[", "\\]")))
    end = _END_OF_FORMULA.search(rest) if opened or before.count("$") % 2 else re.search(r"\s|$", rest)
    return (rest[: end.start()] if end else rest).strip().rstrip(".,;") or None


def _length(value: object) -> int:
    if isinstance(value, list):
        return sum(len(item) for item in value if isinstance(item, str))
    return len(value) if isinstance(value, str) else 0


def _where(field: str, columns: Mapping[str, str | None]) -> str:
    column = columns.get(field)
    return f"{field} (column '{column}')" if column and column != field else field


def missing(field: str, row: object, columns: Mapping[str, str | None], more: str = "") -> Rejection:
    """Reject a row that lacks a field's column, and say which columns it has."""
    there = ", ".join(map(str, list(row)[:12])) if isinstance(row, Mapping) else ""
    return Rejection(Code.MISSING, f"{_where(field, columns)}: missing{more}; the row has: {there or 'no columns'}")


def _validated(
    model: type[_Model], values: Mapping[str, object], columns: Mapping[str, str | None]
) -> _Model | Rejection:
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
    try:
        code = Code(first["type"])
    except ValueError:  # one of pydantic's own: the only fields without a check of ours are choices and ids
        code = Code.BAD_VALUE if first["type"] == "literal_error" else Code.WRONG_TYPE
    message = first["msg"].replace("Input should be", "expected")
    field, colon, rest = message.partition(": ")
    if first["loc"]:
        field, rest = str(first["loc"][0]), message
    elif not (colon and field in model.model_fields):
        return Rejection(code, message)
    return Rejection(code, f"{_where(field, columns)}: {rest}")
