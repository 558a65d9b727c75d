r"""Whether an answer speaks against a reference, or may be the same in words, digits or a letter of its own.

A reward is strict: 0.333 is not 1/3, "on Tuesday" not "Tuesday", the value of an option not its letter. Samples that
all answer so do not show that the reference is wrong, though none of them is paid. What is asked here is only whether a
person should look at the reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

from magistral_recipe.curation.choices import find_choices, letter_of
from magistral_recipe.data.problems import Problem
from magistral_recipe.verifiers.answers import Rules, compare, read, references_of
from magistral_recipe.verifiers.answers.denials import TAKEN_BACK
from magistral_recipe.verifiers.answers.effort import SECONDS, OutOfTimeError, limited_effort
from magistral_recipe.verifiers.answers.shapes import Clock, Congruence, Listing, Quantity, Shape, Words
from magistral_recipe.verifiers.answers.text import word_set
from magistral_recipe.verifiers.pool import Outcome, shared_pool

_LENIENT = Rules(unsimplified="accept", rounding=2)
_ROUNDED = re.compile(r"\bround|\bnearest\b|\bapproximat|\bestimate|\bwhole number|\bdecimal|≈|\\approx", re.IGNORECASE)
_EMPTY_WORDS = word_set(
    "a an the it is are in on at of to he she they le la les un une des l el los las il lo gli der die das ein eine"
)
_SAYINGS = (
    word_set("yes true correct right oui sí si ja да sì 是 对 vrai verdadero vero wahr"),
    word_set("no false incorrect non nein нет 否 不是 faux falso falsch"),
    {"none", "no solution", "no solutions", "no real solution", "no real solutions", "empty set", "dne"},
    {"dne", "does not exist", "undefined", "impossible"},
)
"""Whole answers that say the same."""
_BASE = re.compile(r"_\{?\(?(?:\d{1,2}|\\text\{[a-z]+\})\)?\}?$")
_PERCENT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*\\?%")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def contradicts(problem: Problem, answer: str) -> bool:
    """Say whether an answer is another one than a problem's reference, in whatever form.

    Args:
        problem: of kind `math`.
        answer: what stands in a box.

    Returns:
        False also where nobody could decide it: that is no evidence against a reference.
    """
    listed = problem.answer if isinstance(problem.answer, list) else [problem.answer]
    references = references_of(listed)
    try:
        with limited_effort(SECONDS):
            return bool(references) and all(_contradicts(problem.problem, each, answer) for each in references)
    except OutOfTimeError:
        return False


def _contradicts(question: str, reference: str, answer: str) -> bool:
    verdict = compare(reference, answer)
    if verdict.right or (verdict.right is False and verdict.reason != "wrong"):
        return False  # the problem restated, several answers at once, nothing readable: no word against it
    if (
        _rounds(question, reference, answer)
        or _worded_alike(reference, answer)
        or _of_one_option(question, reference, answer)
    ):
        return False
    if verdict.right is None:
        return shared_pool().compare([(reference, answer)])[0] is Outcome.DIFFERENT
    return True


def _rounds(question: str, one: str, other: str) -> bool:
    """Whether one is the other rounded, or with a decimal comma, or left to be computed."""
    for exact, rounded in ((one, other), (other, one)):
        for other_spelling in _other_spellings(rounded.strip()):
            if compare(exact, other_spelling, _LENIENT).right:
                return True
        if not compare(exact, rounded, _LENIENT).right:
            continue
        shape = read(rounded)
        whole = isinstance(shape, Quantity) and shape.places is not None and shape.places <= 0
        if not whole or compare(exact, rounded, Rules(unsimplified="accept")).right or _ROUNDED.search(question):
            return True
    return False


def _other_spellings(number: str) -> Iterator[str]:
    if _DECIMAL_COMMA.fullmatch(number):
        yield number.replace(",", ".")
    if match := _PERCENT.fullmatch(number):
        yield f"{Decimal(match[1]) / 100:f}"


def _worded_alike(one: str, other: str) -> bool:
    """Whether both say the same in words, one perhaps with more, or without a base, modulus or half of the day."""
    if _BASE.sub("", one.strip()) == _BASE.sub("", other.strip()):
        return True
    first, second = read(one), read(other)
    for this, that in ((first, second), (second, first)):
        if isinstance(this, Congruence) and isinstance(that, Quantity):
            return that.value in this.residues
        if isinstance(this, Clock) and isinstance(that, Clock) and not this.half:
            return (this.minutes - that.minutes) % 720 == 0
    sayings = [_saying(shape) for shape in (first, second)]
    if any({*sayings} <= group for group in _SAYINGS):
        return True
    if not all(isinstance(shape, Words) for shape in (first, second)):
        return False
    words = [set(re.findall(r"[^\W_]+", text)) - _EMPTY_WORDS for text in sayings]
    more = words[0] ^ words[1]
    return bool(words[0] and words[1]) and (words[0] <= words[1] or words[1] <= words[0]) and not more & TAKEN_BACK


def _saying(shape: Shape) -> str:
    if isinstance(shape, Listing) and not shape.items:
        return "empty set"
    return (f"{shape.words} {shape.rest}" if isinstance(shape, Words) else shape.text).strip().casefold()


def _of_one_option(question: str, one: str, other: str) -> bool:
    """Whether one is the letter of an option and the other one what stands there."""
    found = find_choices(question)
    for letter, value in ((letter_of(one), other), (letter_of(other), one)):
        option = found.options.get(letter) if found and letter else None
        if option is not None and compare(option, value, _LENIENT).right:
            return True
    return False
