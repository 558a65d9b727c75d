"""A published row becomes a row with our own fields under their own names, as a layout says.

What a field's value must be, and whether the row is set aside, stays `problems`' business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from magistral_recipe.data import conversation, fields
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.layouts.catalogue import OTHER, WRITTEN, Layout, Pick, Use
from magistral_recipe.data.layouts.programs import tests_of
from magistral_recipe.data.layouts.readers import READERS
from magistral_recipe.data.problems import PROBLEM_FIELDS, TRACE_FIELDS, AnswerIn, answer_inside, lookup, missing
from magistral_recipe.data.tags import KNOWN

Columns = Mapping[str, str | None]

_DECIDES = {"answer": "math", "tests": "code"}
"""Which kind of problem a field decides: rows of another kind don't need it, and may have something else there."""


def columns_of(layout: Layout, mapped: Columns) -> dict[str, str | None]:
    """Say where every field stands: a mapping of the user's wins over the layout's.

    Columns that the set was published without and that have our own names were added by somebody who knows them: they
    are read, too.

    Args:
        layout: the source's.
        mapped: the recipe's ``columns``.

    Returns:
        Field to column; without the layout's way to what was written if the mapping has one of its own.
    """
    own = dict(layout.columns)
    if set(WRITTEN) & set(mapped):
        own = {field: column for field, column in own.items() if field not in WRITTEN}
    found: dict[str, str | None] = {**own, **mapped}
    published = {column.partition(".")[0] for column in layout.published}
    written = bool(set(WRITTEN) & set(found))
    claimed = set(found.values())
    for field in (*PROBLEM_FIELDS, *TRACE_FIELDS):
        # A published set's system prompt tells how it was made; the recipe has its own.
        if field not in {*found, *published, *claimed, "system"} and not (written and field in WRITTEN):
            found[field] = field
    return found


def adapted(
    row: object, layout: Layout, columns: Columns, mapped: Columns, use: Use, answer_in: AnswerIn = "whole"
) -> dict[str, object] | Rejection:
    """Bring one row into our own fields.

    Args:
        row: as published.
        layout: the source's.
        columns: where every field stands (`columns_of`).
        mapped: those that the recipe maps: their fields are taken as they stand.
        use: what the row is to be.
        answer_in: where the answer is; taken out of a trace's here, since a trace without one is as good.

    Returns:
        The fields that were found, or why the row can't be used.
    """
    if not isinstance(row, Mapping):
        return Rejection(Code.NOT_AN_OBJECT, f"expected an object with named columns, got {type(row).__name__}")
    wanted = PROBLEM_FIELDS if use == "problems" else TRACE_FIELDS
    values: dict[str, object] = {}
    for field, column in columns.items():
        if field in wanted and column is not None:
            found, value = lookup(row, column)
            if found:
                values[field] = value if field in mapped else _read(layout, field, value)
    if "problem" not in values:
        return missing("problem", row, columns)
    ours = set(layout.columns) - set(mapped)
    _keep_what_the_kind_needs(values, layout, use)
    if use == "traces" and isinstance(answer := values.get("answer"), str):
        values["answer"] = answer_inside(answer, answer_in)
    if "tests" in ours and values.get("tests") is not None:
        starter = lookup(row, layout.starter_code)[1] if layout.starter_code else None
        try:
            beside = [lookup(row, column)[1] for column in layout.tests_beside]
            values["tests"] = tests_of(values["tests"], starter if isinstance(starter, str) else None, beside)
        except ValueError as error:
            return Rejection(Code.BAD_TESTS, f"tests (column '{columns['tests']}'): {error}")
    if "problem" in ours:
        values["problem"] = _bare(conversation.question(values["problem"]), layout, row)
    return _written(values, row, layout, ours) if use == "traces" else values


def _read(layout: Layout, field: str, value: object) -> object:
    if reader := layout.read.get(field):
        value = READERS[reader](value)
    if (called := layout.values.get(field)) and value is not None:
        value = called.get(str(value), called.get(OTHER, value))
    return value


def _keep_what_the_kind_needs(values: dict[str, object], layout: Layout, use: Use) -> None:
    if use == "problems" and not layout.serves("problems"):
        values.pop("kind", None)  # no answers: only the recipe's `kind: text` can make problems of these rows
    if "kind" in layout.values:
        for field, kind in _DECIDES.items():
            if values.get("kind") not in (None, kind):
                values.pop(field, None)


def _bare(problem: object, layout: Layout, row: Mapping[str, object]) -> object:
    """Take the set's instructions off a problem, and put the code that it starts from behind it."""
    if not isinstance(problem, str):
        return problem
    text = problem.strip()
    for pattern in _patterns(tuple(layout.around_problem.before), tuple(layout.around_problem.after)):
        rest = pattern.sub("", text).strip()
        text = rest or text
    starter = lookup(row, layout.starter_code)[1] if layout.starter_code else None
    if isinstance(starter, str) and starter.strip():
        text += f"\n\nStart from this code:\n\n```python\n{starter.strip()}\n```"
    return text


@lru_cache(maxsize=64)
def _patterns(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    """Patterns of texts at the beginning and at the end, in which any white space is as good as another."""
    words = [r"\A\s*" + r"\s+".join(map(re.escape, text.split())) for text in before]
    words += [r"\s+".join(map(re.escape, text.split())) + r"\s*\Z" for text in after]
    return tuple(re.compile(word) for word in words)


def _written(
    values: dict[str, object], row: Mapping[str, object], layout: Layout, ours: set[str]
) -> dict[str, object] | Rejection:
    if layout.pick is not None and "completion" in ours and "completion" in values:
        chosen = _first_verified(values["completion"], row, layout.pick, layout.columns["completion"])
        if isinstance(chosen, Rejection):
            return chosen
        values["completion"] = chosen
    completion = values.get("completion")
    if layout.thoughts_until and "completion" in ours and isinstance(completion, str) and not _tagged(completion):
        parts = _untagged(completion, layout.thoughts_until)
        if parts is None:
            reason = f"neither '{layout.thoughts_until}' nor a last paragraph with a \\boxed{{}} parts it"
            return Rejection(Code.BAD_VALUE, f"completion (column '{layout.columns['completion']}'): {reason}")
        del values["completion"]
        values["thoughts"], values["response"] = parts
    return values


def _first_verified(value: object, row: Mapping[str, object], pick: Pick, column: str) -> object | Rejection:
    if not isinstance(value, list):
        return Rejection(Code.WRONG_TYPE, f"{column}: expected a list of generations, got {fields.shown(value)}")
    verdicts = {name: lookup(row, name)[1] for name in (*pick.all_of, *pick.first_of)}

    def says_yes(name: str, at: int) -> bool:
        found = verdicts[name]
        return isinstance(found, list) and at < len(found) and found[at] is True

    complete = [at for at in range(len(value)) if all(says_yes(name, at) for name in pick.all_of)]
    for name in pick.first_of:
        for at in complete:
            if says_yes(name, at):
                return value[at]
    asked = f"{' and '.join(pick.all_of)}, and {' or '.join(pick.first_of)}"
    return Rejection(Code.BAD_VALUE, f"{column}: none of {len(value)} generations passes ({asked})")


def _tagged(text: str) -> bool:
    return any(pair.close in text for pair in KNOWN)


def _untagged(text: str, until: str) -> tuple[str, str] | None:
    """Part a worked text without tags into thoughts and response: at a sign, else before the paragraph with the box."""
    at = text.rfind(until)
    if at < 0:
        box = text.rfind("\\boxed")
        breaks = [found.end() for found in re.finditer(r"\n\s*\n", text[: max(box, 0)])]
        at = breaks[-1] if breaks else -1
    thoughts, response = text[: max(at, 0)].strip(), text[max(at, 0) :].strip()
    return (thoughts, response) if thoughts and response else None
