"""From the published schema of a benchmark to problems: one small function a schema.

Each takes one row as published and gives a row with a problem's fields (`BenchmarkProblem`'s). Where the rows come
from, and what happens to those that don't fit, is `sources`' business.
"""

from __future__ import annotations

import ast
import json
import random
from collections.abc import Callable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from magistral_recipe.data import gym, readers
from magistral_recipe.data.benchmarks.catalogue import Benchmark, Chosen, DataSet, Variant
from magistral_recipe.data.benchmarks.livecodebench import tests_of
from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.problems import PROBLEM_FIELDS, Problem, lookup, parse_problem
from magistral_recipe.data.readers import BadRow, Place, RawRow
from magistral_recipe.errors import DataError
from magistral_recipe.excerpt import excerpt
from magistral_recipe.verifiers.instructions import Instruction, unknown_instructions

PublishedRow = Mapping[str, Any]

LETTERS = "ABCDEFGHIJ"
SHUFFLE_SEED = 0
"""With a problem's id it decides the order of its options: the same on every machine and in every run."""


class BenchmarkProblem(Problem):
    """A problem with what only published benchmarks have."""

    option_order: list[int] | None = None
    """Of a multiple choice: which option of the source, 0 being the right one, stands at A, at B, …"""
    before: str | None = None
    """Python statements that run before the program: what the task defines and a solution needn't repeat."""
    asserts: str | None = None
    """Python statements that run after the program and raise where it is wrong."""
    instructions: list[Instruction] | None = None
    """What a response must keep to."""


_EXTRA = tuple(name for name in BenchmarkProblem.model_fields if name not in PROBLEM_FIELDS)


def rows(chosen: Chosen, base: Path, data: str | None, wanted: int | None, seed: int) -> Iterator[RawRow | BadRow]:
    """Read a benchmark's rows, each turned into a problem's fields.

    Args:
        chosen: the benchmark.
        base: the folder that relative paths start from.
        data: a file or folder brought by hand, in the published schema, in place of the benchmark's own data.
        wanted: how many rows to make, of generated problems.
        seed: of generated problems.

    Yields:
        Rows, and what can't be used; of several languages one after the other in turn.

    Raises:
        DataError: if the data can't be reached or don't have the published columns.
    """
    row, languages = chosen.row, chosen.languages or ("",)
    if data is not None and len(languages) > 1 and not all(row.languages[code].column for code in languages):
        some = ", ".join(f"{chosen.name}_{code}" for code in languages[:3])
        raise DataError(f"benchmark '{chosen.name}': a file brought by hand holds one language; name it: {some}, …")
    several = len(languages) > 1
    each = [_rows_in(language, chosen, base, data, wanted, seed, several) for language in languages]
    # In turn, so that the first few rows are of all languages.
    for of_all in zip_longest(*each):
        yield from (raw for raw in of_all if raw is not None)


def _rows_in(
    language: str, chosen: Chosen, base: Path, data: str | None, wanted: int | None, seed: int, several: bool
) -> Iterator[RawRow | BadRow]:
    row = chosen.row
    variant = row.languages.get(language, Variant())
    source = row.data if data is None else DataSet(path=data)
    if variant.subset and data is None:
        source = source.model_copy(update={"subset": variant.subset})
    checked = False
    for raw in _raw_rows(source, chosen, base, wanted, seed):
        if isinstance(raw, RawRow) and isinstance(raw.value, Mapping):
            if not checked:
                _require_columns(raw, chosen, variant)
                checked = True
            yield _adapted(raw, row, variant, language, language if several else "")
        else:
            yield raw


def _raw_rows(source: DataSet, chosen: Chosen, base: Path, wanted: int | None, seed: int) -> Iterator[RawRow | BadRow]:
    if source.tiny is not None:
        from magistral_recipe.data import tiny

        try:
            made: Any = tiny.problems(source.tiny, wanted or source.count or 1, seed=seed)
        except ValueError as error:
            raise DataError(f"benchmark '{chosen.name}': {error}") from error
    elif source.gym is not None:
        made = gym.rows(source.gym, {}, wanted or source.count or 1, seed)
    else:
        yield from _stored_rows(source, chosen, base)
        return
    for number, value in enumerate(made, start=1):
        yield RawRow(Place(chosen.name, "row", number), value)


def _stored_rows(source: DataSet, chosen: Chosen, base: Path) -> Iterator[RawRow | BadRow]:
    path = str(source.path)
    place = base / Path(path).expanduser()
    if place.exists():
        yield from readers.read_rows(place, path, source.split, chosen.row.headerless)
        return
    if not readers.is_hub_id(path):
        raise DataError(f"benchmark '{chosen.name}': {path}: no such file or folder")
    try:
        yield from readers.read_hub(
            path, subset=source.subset, split=source.split, revision=source.revision, files=source.files
        )
    except DataError as error:
        columns = ", ".join(chosen.row.columns.values())
        reason = str(error).splitlines()[0]
        raise DataError(
            f"benchmark '{chosen.name}': {reason}. To bring it by hand: fetch {chosen.row.documented_at} where "
            f"there is a network and give its file (JSONL, Parquet or CSV; columns {columns}) with --data FILE"
        ) from error


def _require_columns(raw: RawRow, chosen: Chosen, variant: Variant) -> None:
    """Hold the first row against the published schema, so that a wrong file is one line and not a thousand."""
    assert isinstance(raw.value, Mapping)
    wanted = [*chosen.row.columns.values(), *([variant.column] if variant.column else [])]
    missing = [column for column in wanted if not lookup(raw.value, column)[0]]
    if missing:
        there = ", ".join(excerpt(str(column), 40) for column in list(raw.value)[:12]) or "no columns"
        plural = "s" if len(missing) > 1 else ""
        lacking = ", ".join(f"'{column}'" for column in missing)
        raise DataError(
            f"{raw.place}: missing column{plural} {lacking}; the row has: {there}. The schema of "
            f"'{chosen.name}': {chosen.row.documented_at}"
        )


def _adapted(raw: RawRow, row: Benchmark, variant: Variant, language: str, prefix: str) -> RawRow | BadRow:
    assert isinstance(raw.value, Mapping)
    try:
        values = LOADERS[row.loader](raw.value, row, variant)
    except (ValueError, TypeError, SyntaxError) as error:
        return BadRow(raw.place, Code.BAD_VALUE, str(error), "")
    values.setdefault("language", language or "en")
    if not values["language"]:
        values["language"] = None
    if values.get("id") is not None and prefix:
        values["id"] = f"{prefix}/{values['id']}"
    return RawRow(raw.place, values)


def parse(row: object, max_characters: int) -> Problem | Rejection:
    """Bring an adapted row into the shape of a problem.

    Args:
        row: from `rows`.
        max_characters: longest text of a field that is accepted.

    Returns:
        The problem, or why it is none.
    """
    problem = parse_problem(row, max_characters=max_characters)
    if isinstance(problem, Rejection) or not isinstance(row, Mapping):
        return problem
    extra = {name: row[name] for name in _EXTRA if row.get(name) is not None}
    if not extra:
        return problem
    try:
        return BenchmarkProblem.model_validate({**problem.model_dump(), **extra})
    except ValidationError as error:
        return Rejection(Code.BAD_VALUE, str(error.errors(include_url=False)[0]["msg"]))


# ----------------------------------------------------------------------------------------------- the schemas


def _plain(row: PublishedRow, benchmark: Benchmark, variant: Variant) -> dict[str, Any]:
    """A question and its answer, under whatever names; without any mapping the columns of `Problem`."""
    if not benchmark.columns:
        return {**row, "language": row.get("language") or ""}
    values = {field: lookup(row, column)[1] for field, column in benchmark.columns.items()}
    if benchmark.answer_in == "hashes":
        _, mark, answer = str(values["answer"]).rpartition("####")
        if not mark:
            raise ValueError(f"{benchmark.columns['answer']}: no '####' in it")
        values["answer"] = answer.strip().replace(",", "")
    return values


def _by_language(row: PublishedRow, benchmark: Benchmark, variant: Variant) -> dict[str, Any]:
    """One row a problem, one column a language, one answer for all of them."""
    values = {field: row[column] for field, column in benchmark.columns.items()}
    return {**values, "problem": row[str(variant.column)]}


def _choices(row: PublishedRow, benchmark: Benchmark, variant: Variant) -> dict[str, Any]:
    """A question with a right and several wrong answers, put in an order that the problem's id alone decides."""
    columns = benchmark.columns
    options = [row[columns["answer"]], *(row[column] for field, column in columns.items() if field.startswith("wrong"))]
    texts = [str(option).strip() for option in options]
    name = str(row[columns["id"]])
    order = list(range(len(texts)))
    random.Random(f"options:{SHUFFLE_SEED}:{name}").shuffle(order)
    listed = "\n".join(f"({letter}) {texts[at]}" for letter, at in zip(LETTERS, order, strict=False))
    return {
        "id": name,
        "problem": f"{str(row[columns['problem']]).strip()}\n\n{listed}",
        "answer": LETTERS[order.index(0)],
        "category": row.get(columns.get("category", "")),
        "option_order": order,
    }


def _livecodebench(row: PublishedRow, benchmark: Benchmark, variant: Variant) -> dict[str, Any]:
    """A contest problem with public and private tests."""
    columns = benchmark.columns
    given = {field: row[column] for field, column in columns.items()}
    try:
        tests = tests_of(given["public"], given["private"], given["metadata"], given["starter"])
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"tests of {given['id']}: {error}") from error
    starter = str(given["starter"] or "").rstrip()
    how = (
        f"The program starts from this code, and is called through it:\n\n```\n{starter}\n```"
        if starter
        else "The program reads standard input and writes to standard output."
    )
    return {
        "id": str(given["id"]),
        "problem": f"{str(given['problem']).strip()}\n\n{how}",
        "tests": json.dumps(tests, ensure_ascii=False),
        "kind": "code",
        "programming_language": "python",
        "category": given["category"],
    }


def _asserted(values: dict[str, Any], asserts: str) -> dict[str, Any]:
    # The statements run behind the program, which must then print a word that is drawn when it is graded; these
    # tests only keep the place.
    compile(asserts, "the assertions", "exec")
    kept = json.dumps({"type": "stdio", "cases": [{"input": "", "output": "passed"}]})
    return {**values, "kind": "code", "programming_language": "python", "tests": kept, "asserts": asserts}


def _humaneval(row: PublishedRow, benchmark: Benchmark, variant: Variant) -> dict[str, Any]:
    """A function's head with its description, and a function ``check`` that asserts what it must do."""
    given = {field: row[column] for field, column in benchmark.columns.items()}
    function = str(given["function"])
    if not function.isidentifier():
        raise ValueError(f"{benchmark.columns['function']}: not the name of a function: {function!r:.60}")
    values = {
        "id": given["id"],
        "problem": str(given["problem"]).strip("\n"),
        "solution": f"{given['problem']}{given['solution']}",
        "before": _given_code(str(given["problem"]), function),
    }
    return _asserted(values, f"{given['checks']}\ncheck({function})\n")


def _given_code(prompt: str, function: str) -> str | None:
    """What a prompt defines beside the function to complete: imports, and helpers that the assertions call too.

    The published program runs the prompt with the completion behind it, so that they are there; a model that writes
    the whole function seldom repeats them.
    """
    try:
        nodes = ast.parse(prompt).body
    except (SyntaxError, ValueError):
        return None
    others = [node for node in nodes if getattr(node, "name", None) != function]
    return "\n".join(map(ast.unparse, others)) or None


def _mbpp(row: PublishedRow, benchmark: Benchmark, variant: Variant) -> dict[str, Any]:
    """A task in words, and assertions that the solver may see: they alone say what the function is called."""
    given = {field: row[column] for field, column in benchmark.columns.items()}
    checks = given["checks"]
    if not isinstance(checks, list) or not checks:
        raise ValueError(f"{benchmark.columns['checks']}: expected a list of assertions")
    asserts = "\n".join(map(str, checks))
    problem = f"{str(given['problem']).strip()}\n\nIt must pass these assertions:\n\n```\n{asserts}\n```"
    return _asserted({"id": given["id"], "problem": problem}, f"{given['setup'] or ''}\n{asserts}\n")


def _instructions(row: PublishedRow, benchmark: Benchmark, variant: Variant) -> dict[str, Any]:
    """A request, the names of the instructions in it, and the options of each."""
    given = {field: row[column] for field, column in benchmark.columns.items()}
    names, options = given["names"], given["options"]
    if not isinstance(names, list) or not isinstance(options, list) or len(names) != len(options) or not names:
        raise ValueError("instruction_id_list and kwargs must be lists of equal length")
    if unknown := unknown_instructions(names):
        raise ValueError(f"unknown instructions: {', '.join(unknown)}")
    # Arrow fills the options that an instruction doesn't have with None.
    kept = [{key: value for key, value in (each or {}).items() if value is not None} for each in options]
    pairs = [Instruction(name=name, options=each) for name, each in zip(names, kept, strict=True)]
    # A request in English may ask for a response in another language: that is then the right one.
    asked = [each.options.get("language") for each in pairs if each.name == "language:response_language"]
    language = {"language": asked[0]} if asked else {}
    return {"id": given["id"], "problem": given["problem"], "kind": "text", "instructions": pairs, **language}


LOADERS: dict[str, Callable[[PublishedRow, Benchmark, Variant], dict[str, Any]]] = {
    "plain": _plain,
    "by_language": _by_language,
    "choices": _choices,
    "livecodebench": _livecodebench,
    "humaneval": _humaneval,
    "mbpp": _mbpp,
    "instructions": _instructions,
}
"""The schemas by name: keys of `Benchmark.loader`."""
