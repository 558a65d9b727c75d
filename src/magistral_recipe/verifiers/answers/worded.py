"""Answers in prose: the letter of a choice, letters, times of day, words."""

from __future__ import annotations

import re

from magistral_recipe.verifiers.answers.shapes import Listing, Shape, Words
from magistral_recipe.verifiers.answers.text import is_word, words_of

_CHOICE = re.compile(r"\(?([A-Z])\)?[.):]?")
_CHOICE_WITH_VALUE = re.compile(r"\(([A-Z])\)[.:]?\s*(\S.*)", re.DOTALL)
_LETTERS = re.compile(r"(?:[A-Z]|\([A-Z]\))(?:(?:\s*,\s*|\s*,?\s+and\s+)(?:[A-Z]|\([A-Z]\)))+")
_TIME = re.compile(r"\d{1,2}:\d\d(?!\d)")


def read_prose(text: str, compact: str) -> Shape | None:
    """Read words alone, or the letter of a choice.

    Args:
        text: an answer in clean notation.
        compact: the same without spaces.

    Returns:
        Words, a list of letters, or ``None`` for what is no prose.
    """
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1", text).strip()
    if (match := _CHOICE.fullmatch(plain)) and (plain != match[1] or match[1] in "ABCDE"):
        return Words(compact, match[1])
    if _LETTERS.fullmatch(plain):
        return Listing(compact, "", tuple(Words(letter, letter) for letter in re.findall("[A-Z]", plain)))
    if match := _CHOICE_WITH_VALUE.fullmatch(plain):
        return Words(compact, match[1], match[2])
    if _TIME.match(plain) and re.search(r"[^\W\d_]", plain) and "\\" not in plain:
        return Words(compact, words_of(re.sub(r"(?<=\d)(?=[^\W\d_])", " ", plain)))
    if re.search(r"[\\{}^_=<>+*/|¤€£¥%]", plain) or not re.search(r"[^\W\d_]{2}", plain):
        return None
    runs = re.findall(r"[^\W\d_]+", plain)
    whole = re.fullmatch(r"[^\W\d_]{3,}", plain) or (len(plain) == 2 and plain.isupper())
    if whole and plain.lower() not in ("sin", "cos", "tan"):
        return Words(compact, words_of(plain) if len(plain) > 2 else plain)
    if re.match(r"[-+(\[]*[\d.]", plain):
        return None  # a number, and what follows it
    if any(run.lower() in ("or", "and") for run in runs) and _separable(text):
        return None
    if all(is_word(run) or len(run) > 1 for run in runs) or "\\text" in text:
        return Words(compact, words_of(plain))
    return None


def _separable(text: str) -> bool:
    """Whether ``and`` or ``or`` stands between mathematics rather than in a sentence."""
    parts = re.split(r"\\text\{\s*(?:and|or)\s*\}|\b(?:and|or)\b", text)
    return all(not re.search(r"[^\W\d_]{4}", re.sub(r"\\[a-zA-Z]+", "", part)) for part in parts)
