"""Problems that stand in a set twice, word for word or nearly; the first stays.

Nearly is: the same numbers, signs and deciding words, a large share of all words the same, and the same answer. What
differs in a number, a sign or the answer is another problem (see `likeness`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from magistral_recipe.curation.defaults import MIN_LIKENESS
from magistral_recipe.curation.likeness import Likeness, jaccard, likeness
from magistral_recipe.curation.near import candidates
from magistral_recipe.curation.rows import Dropped, Outcome, Row
from magistral_recipe.data.decontaminate import problem_words
from magistral_recipe.data.problems import Problem, content_hash

EXACT, NEAR, CONTRADICTION = "the same words", "nearly the same", "the same words, another answer"


def deduplicate(
    rows: Sequence[Row], *, min_likeness: float = MIN_LIKENESS, folder: Path | None = None
) -> Iterator[Outcome]:
    """Drop what repeats an earlier row.

    A row of the same words with another answer goes too, for a reason of its own: one of the two answers is wrong.

    Args:
        rows: read three times; a `RowFile` is never held whole.
        min_likeness: share of the shingles of two texts that must be common, above 0 to 1.
        folder: for signatures, 256 bytes a row; a temporary one by default.

    Yields:
        Every row, in order, kept or dropped with what it repeats.
    """
    if not 0 < min_likeness <= 1:
        raise ValueError(f"min_likeness must be above 0 and at most 1, got {min_likeness}")
    with tempfile.TemporaryDirectory(prefix="signatures-", dir=folder) as place:
        near = candidates((likeness(row.problem.problem) for row in rows), Path(place))
    first: dict[int, int] = {}
    gone: set[int] = set()
    wanted = {earlier for group in near.values() for earlier in group}
    texts: dict[int, Likeness] = {}
    for number, row in enumerate(rows):
        twin, reason = _exact(row, first, number), EXACT
        if twin is not None and not _same_task(rows[twin].problem, row.problem):
            twin = None
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


def _exact(row: Row, first: dict[int, int], number: int) -> int | None:
    """The earlier row with the same words; instructions, case and punctuation aside."""
    words = problem_words(row.problem.problem)
    key = int(content_hash(row.problem.kind, row.problem.programming_language, words or row.problem.problem), 16)
    earlier = first.setdefault(key, number)
    return None if earlier == number else earlier


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
        if there is None or jaccard(there, text) < least or not there.says_the_same_as(text):
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
