"""Conditions in the words in which problems are compared, where signs may stand for them: n < 500, x ∈ ℤ, n ≡ 2.

Only what stands between words is put in words; within a formula signs stay.
"""

from __future__ import annotations

import re

SETS = dict(zip("ZNQRC", "\ue000\ue001\ue002\ue003\ue004", strict=True))
"""Letter of a set of numbers → the character that stands for it while its text is read."""

MATRIX = "\ue005"
"""What stands in front of a matrix while its text is read."""

_SET_NAMES = dict(
    zip(
        SETS.values(),
        ("integers", "natural", "rational", "real", "complex"),
        strict=True,
    )
)
_LETTER_OF = {character: letter for letter, character in SETS.items()}
_SET = "[\ue000-\ue004]"
_SIGNED_SET = re.compile(rf"({_SET})\s?(?:\^\s?\(?\s?\+\s?\)?|_\s?\(?\s?(?:\+|>\s?0)\s?\)?)")
_MAP = re.compile(rf"(?<![^\W_])([a-zA-Z])\s?:\s?({_SET})\s?→\s?({_SET})")
_MEMBERS = re.compile(rf"((?:(?<![^\W_])[a-zA-Z]\s?,\s?){{0,5}}(?<![^\W_])[a-zA-Z])\s?∈\s?(positive )?({_SET})")
_ALSO_NAMED = re.compile(
    rf"\s?∈\s?{_SET}(?=\s?,?\s(?:be|is|are|denote|a|an)\s(?:[a-z]+\s){{0,3}}(?:complex|real|integers?|rational|natural)\b)"
)
_NOUN = (
    r"(?:integers?|numbers?|primes?|reals?|multiples?|divisors?|factors?|squares?|cubes?|powers?|values?|solutions?|terms?|"
    r"палиндромов|чисел|числа|entiers?|nombres?|enteros?|números?|numeri|interi|inteiros?|zahlen)"
)
_BOUND = re.compile(
    rf"(?<![^\W_])({_NOUN})(\s[a-zA-Z])?\s?([<>≤≥])\s?(?=\d[\d,.]*(?![\d\w^!(]|\s?[-+*/^×<>≤≥=(]|\s?[a-z]\s))",
    re.IGNORECASE,
)
_BOUND_WORDS = {"<": "less than", ">": "greater than", "≤": "at most", "≥": "at least"}
_AT_MOST = re.compile(
    r"\b(?:(?:less|smaller) than or equal to|no (?:more|greater|larger) than|not (?:exceeding|greater than|more than|"
    r"larger than))(?= )",
    re.IGNORECASE,
)
_AT_LEAST = re.compile(
    r"\b(?:(?:greater|larger|bigger|more) than or equal to|no (?:less|smaller|fewer) than|not (?:less|smaller|"
    r"fewer) than)(?= )",
    re.IGNORECASE,
)
_IS_LESS = re.compile(
    rf"\b((?:{_NOUN})(?:\s[a-z])?(?: that (?:is|are))?) (smaller|larger|bigger) than (?=\d)", re.IGNORECASE
)
_POSITIVE = re.compile(
    r"((?:\b[a-z]\s?,\s?){0,5}\b[a-z])\s?>\s?0(?:\s(?:be|are)\s|\s)(?=(?:real numbers?|reals|integers?)\b)"
)
_CONGRUENT = re.compile(
    r"(?<![^\W_])([a-zA-Z])\s?≡\s?(\d+)\s*,?\s*\(?\s*mod(?:ulo)?\s*\(?\s*(\d+)\s*\)*(?!\s*[-+*^/×])"
)
_BEFORE_COUNT = re.compile(r"(?<=[a-z]{2}) ([<>≤≥]) ?(?=\d+ [a-z]{3})")
_KIND = re.compile(r"\b(real|rational|complex|natural|prime)s? numbers?\b", re.IGNORECASE)
_WHOLE = re.compile(r"\b(positive|nonnegative|non-negative|negative) whole number(s?)\b", re.IGNORECASE)
_RATIO = re.compile(
    r"(?<![\w.:/])(?<!\bfrom )(?<!\bvon )(?<!\bde )(\d+)[- ](?:to|zu|à|a|к)[- ](\d+)(?:[- ](?:to|zu|à|a|"
    r"к)[- ](\d+))?(?![\w:%])"
)
_SAYS_RATIO = re.compile(
    r"\b(?:ratio|odds|verhältnis|rapporto?|raz[óo]n|proporci[óo]n|razão|"
    r"отношени[еия])\b",
    re.IGNORECASE,
)
_CHOICE = re.compile(r"(?<![\w.])(?:C|nCr)\((\d+), ?(\d+)\)")
_HAS_POINTS = re.compile(r"[ABD-Z]\s?\(\s?-?\d|\b(?:points?|circle|cent(?:er|re)|plane|vert\w+)\b")
_RIGHT = re.compile(r"(?<![^\W_])angle ([A-Z]|[A-Z] ?[A-Z] ?[A-Z]) ?= ?90 degrees(?: ?\.)?")
_REDUCED = re.compile(r"(?<![\w≡.,)^])(\d+(?: ?\^ ?\(?\d+\)?|!)?) \(?mod (\d+)\)?(?![\w^])")
_DIFFERENTIAL = re.compile(r"(?<![^\W_])d([a-z])(?![^\W_])")
_POINT = re.compile(r"(?<![^\W_])([A-Z])\s?=\s?(?=\(\s?-?\s?[\d./]+\s?(?:,\s?-?\s?[\d./]+\s?){1,2}\))")
_DETERMINANT = re.compile(r"\|\s?([A-Z](?:\s?\^\s?\(?\s?-?\s?\w\s?\)?)?)\s?\|(?:\s?\((?:the )?determinant\))?")
_MATRICES = re.compile(r"\b(?:matrix|matrices|det|determinant)\b|matrix\}|\ue005")
_DET_WORDS = re.compile(r"\bthe determinant of (?=[A-Z]\b)|\bdeterminant of (?=[A-Z]\b)")


def in_words(text: str) -> str:
    """Put conditions in words.

    Args:
        text: its mathematics in plain signs, sets of numbers as `SETS` has them.

    Returns:
        "integers n less than 500" for "integers n < 500", "for all integers x, y" for "for all x, y ∈ ℤ".
    """
    if not text.isascii():
        text = _sets(text)
        text = _CONGRUENT.sub(r"\1 leaves a remainder of \2 when divided by \3", text)
    if "<" in text or ">" in text or "≤" in text or "≥" in text:
        text = _POSITIVE.sub(r"\1 be positive ", text)
        text = _BOUND.sub(lambda found: f"{found[1]}{found[2] or ''} {_BOUND_WORDS[found[3]]} ", text)
        text = _BEFORE_COUNT.sub(lambda found: f" {_BOUND_WORDS[found[1]]} ", text)
    if "than" in text or "not exceeding" in text:
        text = _AT_LEAST.sub("at least", _AT_MOST.sub("at most", text))
        text = (
            text
            if "er than" not in text
            else _IS_LESS.sub(lambda found: f"{found[1]} {'less' if found[2] == 'smaller' else 'greater'} than ", text)
        )
    if _SAYS_RATIO.search(text):
        text = _RATIO.sub(lambda found: ":".join(filter(None, found.groups())), text)
    if "C(" in text and not _HAS_POINTS.search(text):
        text = _CHOICE.sub(r"binom((\1),(\2))", text)
    if "umber" in text:
        text = _WHOLE.sub(r"\1 integer\2", _KIND.sub(r"\1", text))
    if "90" in text:
        text = _RIGHT.sub(r"a right angle at \1", text)
    if "mod" in text and "≡" not in text:
        text = _REDUCED.sub(r"the remainder when \1 is divided by \2", text)
    text = _POINT.sub(r"\1", text)
    if "|" in text and _MATRICES.search(text):
        text = _DETERMINANT.sub(r" det(\1)", text)
    text = text.replace(MATRIX, "")
    return _DET_WORDS.sub("det ", text) if "determinant of" in text else text


def differentials(text: str) -> tuple[str, frozenset[str]]:
    """Write dx as two letters behind an integral, or in dy/dx.

    Args:
        text: its mathematics in plain signs.

    Returns:
        The text, and these letters.
    """
    if "∫" not in text and "/dx" not in text:
        return text, frozenset()
    letters = frozenset(found[1] for found in _DIFFERENTIAL.finditer(text))
    return _DIFFERENTIAL.sub(r"d \1", text), letters | {"d"} if letters else letters


def _sets(text: str) -> str:
    if not any(character in text for character in _SET_NAMES):
        return text
    text = _SIGNED_SET.sub(r"positive \1", _ALSO_NAMED.sub("", text))
    text = _MAP.sub(lambda found: f"{found[1]} from the {_name(found[2])} to the {_name(found[3])}", text)
    text = _MEMBERS.sub(lambda found: f"{found[2] or ''}{_name(found[3])} {found[1]}", text)
    for character, letter in _LETTER_OF.items():
        text = text.replace(character, f" {letter} ")
    return text


def _name(character: str) -> str:
    return _SET_NAMES[character]
