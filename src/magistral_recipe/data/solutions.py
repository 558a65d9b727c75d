"""Programs that come with a problem: read from the shapes in which sets publish them, few enough to be carried.

They are published as a list of texts (DeepCoder), as the JSON of one (APPS, TACO), as objects with a language, or as
columns of languages and texts (CodeContests). Only what can be run here is kept, Python and C++. They are read where
somebody asks for them alone, for curation runs them and nobody else needs them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from magistral_recipe.writing.fences import canonical_language, read_blocks

RUN = ("python", "cpp")
MOST = 32
"""Programs kept in each language: the first ones. CodeContests has hundreds a problem."""
LONGEST = 65_536
"""Characters of a program that is believed to be one; judges take as many bytes."""


class Program(BaseModel):
    """A program that claims to solve a problem.

    Attributes:
        language: `python` or `cpp`.
        source: its text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    language: str
    source: str


def read_solutions(value: object) -> tuple[Program, ...] | None:
    """Read the programs of a row.

    Args:
        value: as published; programs without a language are Python's, but for what their fence says.

    Returns:
        Those that can be run, equal ones once; ``None`` where there are none, or it is something else.
    """
    found, count = dict[Program, None](), Counter[str]()
    for program in _programs(_parsed(value)):
        if program in found or count[program.language] == MOST:
            continue
        found[program] = None
        count[program.language] += 1
    return tuple(found) or None


def _parsed(value: object) -> object:
    if isinstance(value, str) and value.lstrip().startswith(("[", "{")):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _programs(value: object) -> Iterator[Program]:
    if isinstance(value, Mapping):
        value = list(_of_columns(value))
    if isinstance(value, str) or not isinstance(value, Sequence):
        return
    for each in value:
        if isinstance(each, Program):
            yield each
        elif isinstance(each, str):
            yield from _of_text(each, "python")
        elif isinstance(each, Mapping):
            text = next((each[name] for name in ("source", "solution", "code", "program") if each.get(name)), None)
            language = each.get("language", "python")
            if isinstance(text, str) and isinstance(language, str):
                yield from _of_text(text, canonical_language(language))


def _of_columns(columns: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    texts = next((columns[name] for name in ("source", "solution", "code") if name in columns), None)
    languages = columns.get("language")
    if isinstance(texts, list):
        there = languages if isinstance(languages, list) and len(languages) == len(texts) else ["python"] * len(texts)
        yield from ({"language": language, "source": text} for language, text in zip(there, texts, strict=True))


def _of_text(text: str, language: str) -> Iterator[Program]:
    """A program, taken out of its fence if it stands in one."""
    block = next(read_blocks(text), None) if text.lstrip().startswith("```") else None
    language, text = (block.language, block.code) if block else (language, text)
    if language in RUN and text.strip() and len(text) <= LONGEST:
        yield Program(language=language, source=text)
