"""Problems that stand in a set twice, word for word or nearly; the first stays.

Nearly is: the same numbers, signs and deciding words, a large share of all words the same, and the same answer. What
differs in a number, a sign or the answer is another problem (see `likeness`).
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from magistral_recipe.curation.comparing import built_otherwise, held
from magistral_recipe.curation.defaults import MIN_LIKENESS
from magistral_recipe.curation.likeness import Likeness, likeness
from magistral_recipe.curation.near import bands_of, candidates
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.curation.workers import each_in
from magistral_recipe.data.decontaminate import problem_words
from magistral_recipe.data.problems import Problem, content_hash

EXACT, NEAR, CONTRADICTION = "the same words", "nearly the same", "the same words, another answer"


def deduplicate(
    rows: Sequence[Row], *, min_likeness: float = MIN_LIKENESS, folder: Path | None = None, workers: int = 1
) -> Iterator[Outcome]:
    """Drop what repeats an earlier row.

    A row of the same words with another answer goes too, for a reason of its own: one of the two answers is wrong.

    Args:
        rows: read twice; a `RowFile` is never held whole.
        min_likeness: share of the shingles of two texts that must be common, above 0 to 1.
        folder: for signatures, 256 bytes a row; a temporary one by default.
        workers: processes that share the hashing.

    Yields:
        Every row, in order, kept or dropped with what it repeats.
    """
    if not 0 < min_likeness <= 1:
        raise ValueError(f"min_likeness must be above 0 and at most 1, got {min_likeness}")
    keys = array("Q")
    with tempfile.TemporaryDirectory(prefix="signatures-", dir=folder) as place:
        near = candidates(_hashed(rows, keys, workers), Path(place))
    first: dict[int, int] = {}
    gone: set[int] = set()
    wanted = {earlier for group in near.values() for earlier in group}
    texts: dict[int, Likeness] = {}
    for number, row in enumerate(rows):
        earlier, reason = first.setdefault(keys[number], number), EXACT
        equal = earlier != number and _same_task(rows[earlier].problem, row.problem)
        equal = equal and not built_otherwise(*(likeness(each.problem.problem) for each in (rows[earlier], row)))
        twin = earlier if equal else None
        text = likeness(row.problem.problem) if twin is None and (number in near or number in wanted) else None
        if twin is None and text is not None:
            twin, reason = _near(rows, row, text, near.get(number, ()), gone, texts, min_likeness), NEAR
        if twin is None:
            if text is not None and number in wanted:
                texts[number] = text
            yield row
            continue
        gone.add(number)
        other = rows[twin].problem
        if reason == EXACT and _answer(other.answer) != _answer(row.problem.answer):
            reason = CONTRADICTION
        yield Dropped(row, reason, {"repeats": other.id, "there": other.problem, "answer_there": other.answer})


def _hashed(rows: Iterable[Row], keys: array[int], workers: int) -> Iterator[NDArray[np.uint64]]:
    """Hash each row: its bands are yielded, and what equals of the same words are known by goes to `keys`."""
    asked = ((row.problem.problem, row.problem.kind, row.problem.programming_language) for row in rows)
    for key, bands in each_in(workers, _hash, asked):
        keys.append(key)
        yield bands


def _hash(asked: tuple[str, str, str | None]) -> tuple[int, NDArray[np.uint64]]:
    """Of a text, its kind and its language: the key of its words (instructions, case and marks aside), its bands."""
    text, kind, programming_language = asked
    key = int(content_hash(kind, programming_language, problem_words(text) or text), 16)
    return key, bands_of(likeness(text))


def _near(
    rows: Sequence[Row],
    row: Row,
    text: Likeness,
    near: Sequence[int],
    gone: set[int],
    texts: dict[int, Likeness],
    least: float,
) -> int | None:
    for earlier in near:
        if earlier in gone:
            continue
        there = texts.get(earlier)
        if there is None or max(held(text, there), held(there, text)) < least:
            continue
        other = rows[earlier].problem
        if _same_task(other, row.problem) and _answer(other.answer) == _answer(row.problem.answer):
            return earlier
    return None


def _same_task(first: Problem, second: Problem) -> bool:
    """A program in Python and one in C++ are two tasks of the same words; so is a formula in two languages."""
    languages = {first.language, second.language} - {None}
    same = (first.kind, first.programming_language) == (second.kind, second.programming_language)
    return same and len(languages) < 2


def _answer(answer: str | list[str] | None) -> str:
    return "|".join(sorted("".join(each.split()) for each in ([answer] if isinstance(answer, str) else answer or [])))
