"""The words around the numbers, in five languages; the phrases themselves are ``wordings/*.json``."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from random import Random
from typing import Any

from magistral_recipe.data.tiny.arithmetic import Exercise, Operation, Working

LANGUAGES: tuple[str, ...] = ("en", "fr", "es", "de", "it")

_ALTERNATIVES = re.compile(r"\[([^\]]*)\]")


@cache
def phrases(language: str) -> dict[str, Any]:
    """Read the phrases of one language.

    Args:
        language: ISO 639-1 code, one of `LANGUAGES`.

    Returns:
        Problem wordings (known and new), pieces of a working, answer sentences, layouts of plain documents.
    """
    text = files("magistral_recipe.data.tiny").joinpath("wordings", f"{language}.json").read_text(encoding="utf-8")
    return json.loads(text)


def _fill(phrase: str, **values: object) -> str:
    # not str.format: the phrases hold \boxed{...}
    for name, value in values.items():
        phrase = phrase.replace("{" + name + "}", str(value))
    return phrase


def wordings(language: str, operation: Operation, *, new: bool) -> list[str]:
    """List the ways to put a problem: the known ones, or those that no training stage shows.

    Args:
        language: ISO 639-1 code.
        operation: what is asked.
        new: the held-out wordings.

    Returns:
        Patterns; ``[a|b]`` in one stands for either.
    """
    return phrases(language)["problems"][operation]["new" if new else "known"]


def choose_wording(language: str, operation: Operation, rng: Random, *, new: bool) -> str:
    """Draw a pattern, and one of each of its alternatives."""
    pattern = rng.choice(wordings(language, operation, new=new))
    return _ALTERNATIVES.sub(lambda found: rng.choice(found[1].split("|")), pattern)


def word_problem(exercise: Exercise, wording: str) -> str:
    """Put an exercise into words."""
    return _fill(wording, **dict(zip("abc", exercise.operands, strict=False)))


def ramble(problem: str, language: str, rng: Random) -> str:
    """Scatter filler words through a problem, so that a reader has to find the numbers wherever they stand.

    Args:
        problem: the problem in words.
        language: of the filler words, ISO 639-1.
        rng: chooses words and places.

    Returns:
        The problem, half the time with one to five words more.
    """
    words = problem.split(" ")
    for _ in range(rng.choice((0, 0, 0, 0, 0, 1, 2, 3, 4, 5))):
        words.insert(rng.randrange(len(words)), rng.choice(phrases(language)["filler"]))
    return " ".join(words)


def word_working(exercise: Exercise, working: Working, language: str, rng: Random) -> str:
    """Tell a working as an inner monologue of two or three sentences.

    Args:
        exercise: what is worked.
        working: the steps, right or not; a forgotten carry or borrow is not mentioned again.
        language: ISO 639-1 code.
        rng: chooses between phrases.

    Returns:
        The monologue, without tags.
    """
    book = phrases(language)
    units = _fill(book["borrow"], x=working.units) if working.moved < 0 else working.units
    text = _fill(rng.choice(book["units"][exercise.operation]), x=units)
    if working.moved > 0:
        text += _fill(book["write"], digit=working.digit)
        if working.remembered:
            text += _fill(book["carry"], carry=working.moved)
    text += _fill(rng.choice(book["tens"]), x=working.tens)
    return text + _fill(rng.choice(book["end"][exercise.operation]), n=working.result)


def word_answer(result: int, language: str, rng: Random) -> str:
    r"""Say the result in a sentence with ``\boxed{}``."""
    return _fill(rng.choice(phrases(language)["answers"]), n=result)


def lay_out(problem: str, thoughts: str, result: int, language: str, rng: Random) -> str:
    """Lay a worked problem out as plain text, in one of many ways.

    Separators, prefixes and spacing vary, because a base that always sees one layout copies the operands
    from fixed distances and fails as soon as a chat template moves them.

    Args:
        problem: the problem in words.
        thoughts: its working in words.
        result: the number for the closing line.
        language: ISO 639-1 code.
        rng: chooses the layout.

    Returns:
        One document.
    """
    book = phrases(language)
    before, between = (_fill(part, k=rng.randint(1, 99)) for part in rng.choice(book["layouts"]))
    if rng.random() < 0.3:
        between = between.rstrip(" ") + "\n" * rng.randint(1, 3) + rng.choice(("", "- ", "> ", "* ", "# "))
    if rng.random() < 0.3:
        before = rng.choice(("- ", "* ", "# ", "> ", "\n", "... ", '"', "**")) + before
    return before + problem + between + thoughts + _fill(rng.choice(book["closings"]), n=result)
