r"""Answers in prose: words, lists of words, numbers in words, and the words that lead up to a value."""

from __future__ import annotations

import re
from fractions import Fraction

from magistral_recipe.verifiers.answers import units
from magistral_recipe.verifiers.answers.choices import read_choice
from magistral_recipe.verifiers.answers.denials import TAKEN_BACK, TAKES_BACK_A_NAME
from magistral_recipe.verifiers.answers.expressions import Node
from magistral_recipe.verifiers.answers.numerals import SCALES, number_of
from magistral_recipe.verifiers.answers.shapes import Listing, Quantity, Shape, Words
from magistral_recipe.verifiers.answers.text import PLAIN_COMMANDS, SHORT_WORDS, is_word, word_set, words_of

_LEAD_PHRASES = (
    "a total of|answer|answer is|antwort|correct answer|die antwort ist|equals|esattamente|"
    "exactamente|exactement|exactly|final answer|final answer is|genau|hence|in total|is|it is|"
    "just|la respuesta es|la risposta è|la réponse est|namely|only|precisely|respuesta|result|"
    "risposta|réponse|so|solution|solutions|the answer|the answer is|the correct answer is|"
    "the final answer|the final answer is|the result is|the solution is|the solutions are|"
    "the total is|the value is|there are|therefore|thus|we get|ответ|الجواب|答|答案|答案为|答案是"
)
_LEADS = frozenset(_LEAD_PHRASES.split("|"))
_ARTICLES = word_set("a an the le la les un une el los las il lo gli der die das ein eine")
_SENTENCE = re.compile(r"(?:it is|it's|this is|they are|there is|there are|the answer is|answer:) +")
_NONE_AT_ALL = re.compile(r"(?:there (?:is|are) )?no (?:real |integer |such )?solutions?(?: exists?)?")
_ENDLESS = re.compile(r"(?:there are )?infinitely many(?: solutions)?")
_CONJUNCTIONS = re.compile(r"\s*,\s*(?:and\s+)?|\s+(?:and|et|und|y|и)\s+")
_KNOWN_WORDS = word_set(
    "or and not if is to no yes dne the for am pm all any one two six ten on hi he it we us me my so an as at be do "
    "go up oh"
)


def without_lead(text: str) -> str:
    r"""Take off the words that lead up to a value: ``\text{The answer is } 5``; a noun becomes its unit: ``Day 9``.

    Args:
        text: an answer in clean notation.

    Returns:
        The text without them; as it was where they say more than that a value follows.
    """
    if (whole := re.fullmatch(r"\\text\{([^{}\\]*\d)\.?\}", text)) and re.match(r"[^\W\d_]", whole[1]):
        text = whole[1]
    for _ in range(3):
        match = re.match(r"\\text\{([^{}]*)\} ?([:=]?) ?(?=\S)", text) or re.match(
            r"([^\W\d_]+(?:[' ][^\W\d_]+){0,6})(?: ?(:) ?| (?=[\d\\$(\[¤£€.-]))", text
        )
        if match is None or "\\" in match[1]:
            return text
        phrase, rest = words_of(match[1]).rstrip(" :"), text[match.end() :].strip()
        words = phrase.split()
        if not words:
            return text
        if rest[:1] in "=<>^_" or rest.startswith(("\\geq", "\\leq", "\\in", "\\neq", "\\approx", "\\equiv")):
            return text
        if phrase in _LEADS:
            text = rest
            continue
        if phrase in units.CURRENCY_WORDS:
            return rf"{rest}\text{{{phrase}}}"
        named = (
            match[2] == ":"
            or match[1].strip().endswith(":")
            or words[-1] in ("is", "are", "ist", "est", "es", "è", "=")
        )
        refused = TAKES_BACK_A_NAME | {"square", "root", "cube"} if named else TAKEN_BACK
        if any(word in refused or word in SCALES or number_of(word) is not None for word in words):
            return text
        if named and len(phrase) > 1 and phrase not in PLAIN_COMMANDS and not re.match(r"[-+]?\d+ ?:", rest):
            text = rest
            continue
        if (
            len(words) == 1
            and len(phrase) > 2
            and phrase.isalpha()
            and phrase not in PLAIN_COMMANDS
            and re.fullmatch(r"\d+(?: ?th)?", rest)
        ):
            return rf"{rest}\text{{{phrase}}}"
        return text
    return text


def read_prose(text: str, compact: str) -> Shape | None:
    """Read words alone, or the letter of a choice.

    Args:
        text: an answer in clean notation.
        compact: the same without spaces.

    Returns:
        Words, a list of them, a number where they spell one, or ``None`` for what is no prose.
    """
    plain = re.sub(r"\\text\{([^{}]*)\}", r" \1 ", text)
    plain = re.sub(r"\s+", " ", plain).strip().replace("( ", "(").replace(" )", ")")
    if choice := read_choice(plain, compact):
        return choice
    if re.search(r"[\\{}^_=<>+*/|¤€£¥₹¢%]", plain) or not re.search(r"[^\W\d_]{2}|[^\x00-\x7f]", plain):
        return None
    runs = re.findall(r"[^\W\d_]+", plain)
    if any(run in PLAIN_COMMANDS or run.lower() == "diag" for run in runs) or re.match(r"[-+]|[(\[]*[\d.]", plain):
        return None  # mathematics in plain text; a number, and what follows it
    words = words_of(plain)
    if (number := _number_in_words(words)) is not None:
        return number
    name = not is_word(plain) or (plain.lower() in SHORT_WORDS and plain.lower() not in _KNOWN_WORDS)
    if len(runs) == 1 and len(plain) == len(runs[0]) and name and len(plain) < 4:
        return _letters(plain, compact)
    if any(run.lower() in ("or", "and") for run in runs) and _separable(text):
        return None
    runs = [run for run in runs if run.lower() not in _ARTICLES] or runs
    if all(is_word(run) or len(run) > 1 for run in runs) or _speaks(runs, text):
        return _phrase(words, compact)
    return None


def _speaks(runs: list[str], text: str) -> bool:
    """Whether runs of letters are prose all the same: one is a word of its own, as in ``even n``."""
    first = runs[0]
    return (len(first) >= 3 and is_word(first) and units.canonical(runs[-1]) is None) or (
        "\\text" in text and is_word(first)
    )


def _number_in_words(words: str) -> Quantity | None:
    value = number_of(words)
    if value is not None:
        return Quantity(f'"{words}', Node("num", value=Fraction(value)), None, Fraction(value))
    head, _, noun = words.rpartition(" ")
    if head and (value := number_of(head)) is not None and (unit := units.canonical(noun)) is not None:
        return Quantity(f'"{words}', Node("num", value=Fraction(value)), unit, Fraction(value))
    return None


def _letters(run: str, compact: str) -> Shape | None:
    """A run of letters alone: a product where they follow each other in the alphabet (``xyz``), else a name."""
    if not run.isascii():
        return Words(compact, words_of(run))
    if run.islower() and run not in _KNOWN_WORDS:
        codes = [ord(letter) for letter in run]
        if codes == list(range(codes[0], codes[0] + len(codes))):
            return None  # read as an expression
    factors = [Node("const", value=letter) if letter in "ei" else Node("var", value=letter) for letter in run]
    product = factors[0]
    for factor in factors[1:]:
        product = Node("mul", (product, factor))
    return Words(compact, words_of(run) if run.lower() in _KNOWN_WORDS else run, product=product)


def _phrase(words: str, compact: str) -> Shape:
    if _NONE_AT_ALL.fullmatch(words):
        return Words(compact, "no solution")
    if _ENDLESS.fullmatch(words):
        return Words(compact, "infinitely many")
    words = _SENTENCE.sub("", words, count=1) if _SENTENCE.match(words) else words
    parts = [part for part in _CONJUNCTIONS.split(words) if part]
    if len(parts) > 1 and all(
        re.fullmatch(r"[^\W\d_]+(?: [^\W\d_]+)?", part) and part not in TAKEN_BACK for part in parts
    ):
        return Listing(compact, "", tuple(Words(part, _bare(part)) for part in parts))
    return Words(compact, _bare(words))


def _bare(words: str) -> str:
    """Without the article in front."""
    first, _, rest = words.partition(" ")
    return rest if rest and first in _ARTICLES and len(rest) > 2 else words


def _separable(text: str) -> bool:
    """Whether ``and`` or ``or`` stands between mathematics rather than in a sentence."""
    parts = re.split(r"\\text\{\s*(?:and|or)\s*\}|\b(?:and|or)\b", text)
    return all(not re.search(r"[^\W\d_]{3}", re.sub(r"\\[a-zA-Z]+", "", part)) for part in parts)
