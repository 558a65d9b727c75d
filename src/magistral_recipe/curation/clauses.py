"""A problem's text as clauses of words: one spelling, no instructions; numbers, variables and names told apart."""

from __future__ import annotations

import re
from collections.abc import Iterator

from magistral_recipe.curation.deciding import (
    DECISIVE,
    ENGLISH,
    GERMAN,
    LAYOUT,
    NEUTRAL,
    PRONOUNS,
    SIGNS,
    STARTERS,
    folded,
)
from magistral_recipe.curation.number_words import NUMBER_WORDS
from magistral_recipe.curation.spelling import one_spelling
from magistral_recipe.data.instructions import problem_parts

NAME, PRONOUN, VARIABLE = "<name>", "<pronoun>", "@"
"""What a word that is a name, or a variable, begins with; and what stands for every pronoun."""

# Kana and Han characters, which are written without spaces.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# In this order: a LaTeX command, a number, one unspaced character, a word, a factorial, a sign that has a meaning.
_TOKEN = re.compile(
    rf"\\[A-Za-z]+|\d+(?:,\d{{3}})+(?:\.\d+)?(?![\d])|(?<!\d[.,])\d+[.,]\d+(?![.,]?\d)|\d+|[{_UNSPACED}]|[^\W\d_{_UNSPACED}]+|"
    r"(?<![^\W\d_][^\W\d_])(?<=[\w)}])!|(?<=[A-Za-z])['’′](?=[(='’′])|"
    r"[+\-−*/=<>^%×÷·±√∑∫≤≥≠|#]"
)
# Of a compound or an elision; between two single letters it is a minus.
_BETWEEN_LETTERS = re.compile(r"(?<=[^\W\d_]{2})[-−'’](?=[^\W\d_])|(?<=[^\W\d_])[-−'’](?=[^\W\d_]{2})")
# Where a clause ends: joined by "and" or a comma, or each a sentence, they say the same. Not between items of a list.
_CLAUSE = re.compile(
    r"[.;:?]\s|!\s(?![-+*/=<>])|,\s*(?=[^\W\d_]{2}|an?\s)|[，。；：？]|(?<![^\W_])"
    r"(?:and|then|if|that|et|puis|si|luego|poi|se|und|dann)(?![^\W_])",
    re.IGNORECASE,
)
# "a" before a word that neither asks nor joins is the article, however much is computed with an a elsewhere.
_ARTICLE = re.compile(r"\s+([^\W\d_]{2,})")
# Behind a name stands what it has or does: "Tom has", "Maya's"; behind what is to be done stands its object.
_NAMED = re.compile(
    r"\s*\Z|(?!\s+(?:the|an?|all|each|every|both|what|how|whether|if|your|this|that|in|as|of|to|from)\b)\s+[^\W\d_]{2,}"
)
_GREEK = frozenset({
    r"\alpha", r"\beta", r"\gamma", r"\delta", r"\epsilon", r"\theta", r"\lambda", r"\mu", r"\rho", r"\sigma", r"\tau",
    r"\phi", r"\omega",
})  # fmt: skip
_JOINS = NEUTRAL | {"nor", "or", "plus", "minus", "times"}
_RANGE = re.compile(r"(?<=[\d)])\s*[–—]\s*(?=[\d(])")
_FORMULA = re.compile(  # bounded: of opening marks that are never closed each would be tried to the end
    r"\$([^$]{1,1000})\$|\\\(((?:(?!\\\)).){1,500})\\\)|\\\[((?:(?!\\\]).){1,500})\\\]", re.DOTALL
)
_LETTER = re.compile(r"(?<![^\W\d_\\])([A-Za-z])(?![^\W\d_])")
# A letter beside a sign, behind a digit (no unit), before its argument or a factorial's mark, or alone in brackets; and
# letters that are no word in any of the languages.
_COMPUTED = re.compile(
    r"(?<=[+*/^=<>_|])\s?([A-Za-z])(?![^\W\d_])|"
    r"(?<![^\W\d_])([A-Za-z])(?=\s*[+*/^=<>_|]|\s*-\s*(?:\d|[A-Za-z](?![^\W\d_]))|[(!])|"
    r"(?<=\d)([a-zA-Z])(?<![mghls])(?![^\W\d_])|(?<=\()([A-Za-z])(?=[,)])|"
    r"(?<![^\W\d_'’])([B-HJ-Zbfgkpqrvwxz])(?![^\W\d_'’])|(?<=[a-z] )(A)(?![^\W\d_'’])"
)

_POINTS = re.compile(r"(?<![^\W_])[A-Z]{2,4}(?![^\W_])")


def clauses_of(text: str) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Take a problem's text apart.

    Args:
        text: as a data set gives it, instructions to the reader included.

    Returns:
        The words of each clause that poses the problem, in order, variables as `@x`, names as `<name>tom`; and how many
        sentences pose it.
    """
    parts = problem_parts(_RANGE.sub(" - ", one_spelling(text)))
    masks_nouns, whole = not _is_german(text), "\n".join(parts)
    variables = _variables_of(whole)
    points = frozenset() if whole.isupper() else frozenset(_POINTS.findall(whole))
    found = []
    for part in parts:
        first = True
        for clause in _CLAUSE.split(part):
            if words := tuple(_merged(_words(clause, masks_nouns, variables, points, first))):
                found.append(words)
                first = False
    return tuple(found), len(parts)


def computes(word: str) -> bool:
    """Whether it is a number or a sign."""
    return not (word[0].isalpha() or word[0] == VARIABLE or word.startswith((NAME, PRONOUN)))


def is_content(word: str) -> bool:
    return word[0].isalpha() and word not in DECISIVE and word not in NEUTRAL


def _is_german(text: str) -> bool:
    words = set(re.findall(r"[^\W\d_]+", folded(text)))
    return len(words & GERMAN) >= 2 and len(words & GERMAN) > len(words & ENGLISH)


def _variables_of(text: str) -> frozenset[str]:
    """Letters that are computed with somewhere in a text; "a" is one where "a + b" stands, and no article then."""
    formulas = " ".join(part for found in _FORMULA.finditer(text) for part in found.groups() if part)
    computed = {letter for found in _COMPUTED.finditer(text) for letter in found.groups() if letter}
    return frozenset((*_LETTER.findall(formulas), *computed))


def _words(
    clause: str, masks_nouns: bool, variables: frozenset[str], points: frozenset[str], begins: bool
) -> Iterator[str]:
    clause = _BETWEEN_LETTERS.sub(" ", clause)
    for position, match in enumerate(_TOKEN.finditer(clause)):
        token = match[0]
        if token in LAYOUT:
            continue
        if token in variables and not (token == "a" and _is_article(clause, match.end())):
            yield VARIABLE + token
        elif token[0].isdigit():
            yield _number(token)
        elif token in _GREEK:
            yield VARIABLE + token[1:]
        elif token in SIGNS or token[0] == "\\" or not token[0].isalpha():
            yield SIGNS.get(token, token)
        elif token in points:
            yield VARIABLE + token
        elif _is_product(token, variables):
            yield from (VARIABLE + letter for letter in token)
        else:
            first = begins and not position
            yield _worded(token, masks_nouns, first and not _NAMED.match(clause, match.end()))


def _worded(token: str, masks_nouns: bool, begins: bool) -> str:
    if number := NUMBER_WORDS.get(token.casefold()):
        return number
    word = folded(token)
    if word in PRONOUNS:
        return PRONOUN
    if word in DECISIVE or word in NEUTRAL:
        return word
    if (
        token[0].isupper()
        and not (begins or word in STARTERS)
        and (masks_nouns or (len(token) > 1 and token.isupper()))
    ):
        return NAME + word
    return stem(word)


def stem(word: str) -> str:
    """A word without its ending, where English adds one; both texts lose the same."""
    for ending, instead in (("ies", "y"), ("ied", "y"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) > len(ending) + 3 and not word.endswith("ss"):
            return word.removesuffix(ending) + instead
    return word[:-1] if word.endswith("e") and len(word) > 4 else word


def _is_product(token: str, variables: frozenset[str]) -> bool:
    return 1 < len(token) <= 3 and variables.issuperset(token) and token not in NEUTRAL | DECISIVE


def _is_article(clause: str, end: int) -> bool:
    after = _ARTICLE.match(clause, end)
    return after is not None and after[1].casefold() not in _JOINS


def _merged(words: Iterator[str]) -> Iterator[str]:
    """A name of several words is one name."""
    before = ""
    for word in words:
        if not (word.startswith(NAME) and before.startswith(NAME)):
            yield word
        before = word


def _number(token: str) -> str:
    plain = token.replace(",", "") if re.fullmatch(r"\d+(?:,\d{3})+(?:\.\d+)?", token) else token.replace(",", ".")
    if re.fullmatch(r"\d+\.\d+", plain):
        plain = plain.rstrip("0").rstrip(".")
    return plain.lstrip("0") or "0"
