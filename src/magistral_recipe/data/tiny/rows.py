"""Problems and cold-start traces as rows, generated from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count as integers
from random import Random
from typing import Any
from zlib import crc32

from magistral_recipe.data.tiny.arithmetic import OPERATIONS, Exercise, Operation, Split, draw, work
from magistral_recipe.data.tiny.language import (
    LANGUAGES,
    choose_wording,
    word_answer,
    word_problem,
    word_working,
)
from magistral_recipe.writing.thinking import Thinking

NEW_WORDING_SHARE = 0.25
"""Share of the held-out problems in a wording that no training stage shows."""

_ATTEMPTS = 400


def _problem(operation: Operation, language: str, split: Split, rng: Random) -> tuple[Exercise, dict[str, Any]]:
    exercise = draw(operation, split, rng)
    new = split == "heldout" and rng.random() < NEW_WORDING_SHARE
    wording = choose_wording(language, operation, rng, new=new)
    numbers = "-".join(map(str, exercise.operands))
    return exercise, {
        "id": f"tiny/{language}/{operation}/{numbers}/{crc32(wording.encode()):08x}",
        "problem": word_problem(exercise, wording),
        "answer": str(exercise.answer),
        "kind": "math",
        "language": language,
        "source": "tiny/new-wording" if new else "tiny",
        "difficulty": exercise.difficulty,
        "category": operation,
    }


def problems(split: Split, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Generate different problems, languages and operations in equal shares.

    Args:
        split: ``train``, or ``heldout`` whose numbers no training stage shows in any language; about
            25% of the latter are worded anew, too (``source`` is ``tiny/new-wording``).
        count: how many, at most some thousands.
        seed: equal seeds give equal problems; a longer list begins with the shorter one.

    Returns:
        `Problem` rows.

    Raises:
        ValueError: for an unknown split, a negative count, or more problems than there are.
    """
    if split not in ("train", "heldout"):
        raise ValueError(f"split must be 'train' or 'heldout', not {split!r}")
    if count < 0:
        raise ValueError(f"count must not be negative: {count}")
    rng = Random(f"problems:{split}:{seed}")
    seen: set[str] = set()
    rows: list[dict[str, Any]] = []
    cells: list[tuple[Operation, str]] = []
    while len(rows) < count:
        if not cells:
            cells = [(operation, language) for operation in OPERATIONS for language in LANGUAGES]
            rng.shuffle(cells)
        operation, language = cells.pop()
        for attempt in integers():
            _, row = _problem(operation, language, split, rng)
            if row["id"] not in seen:
                break
            if attempt == _ATTEMPTS:
                raise ValueError(f"there are no {count} different {split} problems; {len(rows)} were found")
        seen.add(row["id"])
        rows.append(row)
    return rows


@dataclass(frozen=True)
class Flaws:
    """How often a cold-start trace is flawed, and how.

    The flaws are habits rather than noise: a carry is forgotten more often than not, and German and Italian
    problems are mostly thought through in English. So greedy decoding shows them as well, and there is
    something to learn beyond a lower temperature.
    """

    forget: float = 0.7
    """A carry or borrow is forgotten, of the problems that have one."""
    slip: float = 0.0
    """A sum of digits is off by one."""
    malformed: float = 0.06
    """A tag or the box is missing, or a tag is doubled."""
    foreign: tuple[tuple[str, float], ...] = (("en", 0.05), ("fr", 0.25), ("es", 0.25), ("de", 0.55), ("it", 0.55))
    """The thoughts are in another language than the problem, by the problem's language; mostly English."""
    foreign_answer: float = 0.0
    """The answer is in the foreign language too, of the traces whose thoughts are."""


_FOREIGN_ENGLISH = 0.8


def _foreign_language(language: str, rng: Random) -> str:
    others = [other for other in LANGUAGES if other not in (language, "en")]
    return "en" if language != "en" and rng.random() < _FOREIGN_ENGLISH else rng.choice(others)


def _malform(completion: str, thinking: Thinking, rng: Random) -> str:
    kind = rng.randrange(4)
    if kind == 0:
        return completion.replace(thinking.close + "\n", "")
    if kind == 1:
        return completion.replace("\\boxed{", "").replace("}", "")
    if kind == 2 and not thinking.opened_by_prompt:
        return completion.removeprefix(thinking.open).lstrip()
    return completion.replace(thinking.close, f"{thinking.close}\n{thinking.close}")


def traces(
    count: int, seed: int = 0, thinking: Thinking | None = None, flaws: Flaws | None = None
) -> list[dict[str, Any]]:
    """Generate cold-start traces: they teach the format, and bad habits for RL to break.

    Args:
        count: how many.
        seed: equal seeds give equal traces.
        thinking: the tags to write; ``<think>`` by default.
        flaws: how often which habit shows.

    Returns:
        `Trace` rows: training problems (``answer`` is always right), and ``completion`` with the tags.
    """
    thinking = thinking or Thinking()
    flaws = flaws or Flaws()
    foreign = dict(flaws.foreign)
    rng = Random(f"traces:{seed}")
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        own = rng.choice(LANGUAGES)
        exercise, row = _problem(rng.choice(OPERATIONS), own, "train", rng)
        slips = rng.choice(((1, 0), (-1, 0), (0, 1), (0, -1))) if rng.random() < flaws.slip else (0, 0)
        working = work(exercise, forget=rng.random() < flaws.forget, units_slip=slips[0], tens_slip=slips[1])
        language = _foreign_language(own, rng) if rng.random() < foreign[own] else own
        thoughts = word_working(exercise, working, language, rng)
        follows = flaws.foreign_answer > 0 and rng.random() < flaws.foreign_answer
        answer = word_answer(working.result, language if follows else own, rng)
        completion = thinking.join(thoughts, answer)
        if rng.random() < flaws.malformed:
            completion = _malform(completion, thinking, rng)
        rows.append({**row, "completion": completion})
    return rows
