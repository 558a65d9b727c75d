r"""What a translation must keep: every number, every formula, every sign; in the language asked for, and no more.

Held against the original by reading both, without a model. Numbers may change their spelling ("1,000" to "1.000", "3"
to "drei"), formulas the words inside `\text{}`, a sign may become its word ("+" to "plus"). What only the sense tells,
such as two numbers that change places, is not seen here: a model that solves the original and not the translation
tells that.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from magistral_recipe.curation.numbers_kept import numbers_lost
from magistral_recipe.curation.opposites import opposites
from magistral_recipe.verifiers.language.detect import ENOUGH_LETTERS, detect

EMPTY, CUT, SAME = "no translation", "a translation cut at the limit", "the original as it was"
NUMBERS, FORMULAS, SIGNS = "a number lost or added", "a formula changed", "a sign lost or added"
LANGUAGE, LENGTH = "not in the language asked for", "much shorter or longer than the original"
LEFT, QUESTION = "a sentence left as it was", "the question lost"
TALK, SHORTER = "an answer or talk beside the problem", "a sentence lost"
OPPOSITE = "the opposite of what the original says"

SHORTEST, LONGEST = 0.5, 2.0
"""How many letters a translation may have for each of the original's, where that has `ENOUGH` of them."""
ENOUGH = 40
_USUAL_LENGTH = {"fr": 1.1, "es": 1.05, "it": 1.05, "de": 1.1, "zh": 1.4, "ja": 1.6}
"""How many letters `detect` counts there, as a rule, for each that would be written in English."""


class Loss(NamedTuple):
    """Why a text is no translation.

    Attributes:
        reason: in a few words, the same for all that go for it.
        detail: what exactly, for a person.
    """

    reason: str
    detail: str = ""


def find_loss(original: str, translated: str, language: str) -> Loss | None:
    """Say what a translation has lost or gained.

    Args:
        original: the problem, in English.
        translated: what is said to be the same problem.
        language: the one that it should be in, ISO 639-1.

    Returns:
        The first thing found; ``None`` where everything that can be read survives.
    """
    if not any(character.isalnum() for character in translated):
        return Loss(EMPTY)
    if _squeezed(original) == _squeezed(translated):
        return Loss(SAME)
    before, after = _taken_apart(original), _taken_apart(translated)
    found = (
        _formulas_lost(before, after) or _numbers_lost(before, after, language) or _signs_lost(before, after, language)
    )
    return found or _words_lost(original, translated, language)


# ------------------------------------------------------------------------------------------------- formulas


class _Parts(NamedTuple):
    """A text taken apart.

    Attributes:
        prose: the text outside formulas, Unicode's compatible forms in one spelling.
        formulas: those that say more than one number.
    """

    prose: str
    formulas: list[str]


_DISPLAYED = re.compile(
    r"```.*?```|\[asy\].*?\[/asy\]|\$\$.+?\$\$|\\\[.+?\\\]|\\\(.+?\\\)|"
    r"\\begin\{([a-z]{1,20}\*?)\}.*?\\end\{\1\}",
    re.DOTALL,
)
_INLINE = re.compile(r"(?<![\\$])\$(?!\s)((?:[^$\\\n]|\\.|\n(?!\n)){1,2000}?)(?<![\s\\])\$(?!\d)", re.DOTALL)
_COMMAND = re.compile(r"\\(?:boxed|frac|sqrt|sum|int|prod)(?![A-Za-z])")
_WORDS_INSIDE = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt)?|mbox|mathrm|operatorname)\s*\{[^{}]*\}")
_TWO_WORDS = re.compile(r"(?<![\\\w{])[^\W\d_]{2,}\s+[^\W\d_]{2,}(?![\w}])")
_LAYOUT = re.compile(
    r"\\(?:left|right|big|Big|bigg|Bigg|displaystyle|textstyle|limits|nolimits|quad|qquad)(?![A-Za-z])|\\[,;:!> ]|[\s~]"
)
_SPELLINGS = {
    r"\dfrac": r"\frac",
    r"\tfrac": r"\frac",
    r"\le": r"\leq",
    r"\ge": r"\geq",
    r"\ne": r"\neq",
    r"\cdot": "*",
    r"\times": "*",
    "×": "*",
    "·": "*",
    "−": "-",
    "≤": r"\leq",
    "≥": r"\geq",
}
_SPELLING = re.compile(r"\\[A-Za-z]+|[×·−≤≥]")
_A_NUMBER = re.compile(r"[$\\()\[\]{}\s]*[+-]?\d[\d.,\s{}]*\\?%?[$\\()\[\]{}\s.,]*")


def _taken_apart(text: str) -> _Parts:
    text = unicodedata.normalize("NFKC", text)
    formulas: list[str] = []

    def kept(match: re.Match[str]) -> str:
        if _A_NUMBER.fullmatch(match[0]):  # whether a number stands between dollars is a matter of taste
            return f" {match[0].strip('$()[] ').replace('{,}', ',')} "
        if match[0].startswith("$") and _TWO_WORDS.search(_WORDS_INSIDE.sub("", match[0])):
            return match[0]  # two prices, and words between them
        formulas.append(match[0])
        return " \n "

    prose = _INLINE.sub(kept, _DISPLAYED.sub(kept, text))
    return _Parts(prose, formulas)


def _formulas_lost(before: _Parts, after: _Parts) -> Loss | None:
    first = Counter(map(_spelled, before.formulas))
    second = Counter(map(_spelled, after.formulas))
    if first != second:  # perhaps only by the comma of other countries
        second = Counter(formula if formula in first else _with_points(formula) for formula in second.elements())
    if first != second:
        return Loss(FORMULAS, _told(first, second))
    loose = [Counter(_COMMAND.findall(parts.prose)) for parts in (before, after)]
    return None if loose[0] == loose[1] else Loss(FORMULAS, _told(*loose))


def _spelled(formula: str) -> str:
    inner = formula.strip("$ \n")
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        inner = inner.removeprefix(opening).removesuffix(closing)
    inner = _LAYOUT.sub("", _WORDS_INSIDE.sub(r"\\text{}", inner))
    inner = _SPELLING.sub(lambda match: _SPELLINGS.get(match[0], match[0]), inner)
    inner = re.sub(r"(?<=\d)\{,\}(?=\d{3}(?!\d))|(?<=\d),(?=\d{3}(?!\d))", "", inner)
    return inner.replace("{,}", ",").rstrip(".,;")


def _with_points(formula: str) -> str:
    return re.sub(r"(?<=\d),(?=\d)", ".", formula)


def _numbers_lost(before: _Parts, after: _Parts, language: str) -> Loss | None:
    lost, added = map(Counter, numbers_lost(before.prose, after.prose, language))
    return Loss(NUMBERS, _told(lost, added)) if lost or added else None


# ---------------------------------------------------------------------------------------------------- signs

_WORD = re.compile(r"[^\W\d_]+")
_SIGN = re.compile(r"(?<![^\W\d_])[-−](?=\s*[\d(])|(?<=[\d)])\s*[-−](?=\s)|[+×÷·*=<>^√≤≥≠]|(?<![^\W\d_])/(?![^\W\d_])")
_SAME_SIGN = {"−": "-", "×": "*", "·": "*", "÷": "/", ":": "/"}
_IN_WORDS = {
    "+": "plus add sum más suma più somma und addiere summe плюс сумма прибавь 加 和",
    "-": "minus subtract less moins menos meno minus минус вычти 减",
    "*": "times multiplied product fois multiplié par por veces volte mal multipliziert умножить раз 乘",
    "/": "divided over divisé sur dividido entre diviso fratto geteilt durch разделить делить 除 "
    "half third thirds quarter quarters fourth fourths fifth fifths sixth eighth tenth demi moitié tiers quart quarts "
    "media mitad tercio tercios cuarto cuartos cuarta mezzo metà terzo terzi quarto quarti halb halbe halben hälfte "
    "drittel viertel fünftel половина половину треть трети четверть четверти пятая 分之 半",
    "=": "equals equal is égale égal est igual es uguale è gleich ist равно равен 等",
}


def _signs_lost(before: _Parts, after: _Parts, language: str) -> Loss | None:
    first, second = (Counter(_signs_of(parts.prose)) for parts in (before, after))
    lost = [sign for sign in first - second if not _says(after.prose, sign)]
    added = [sign for sign in second - first if not _says(before.prose, sign)]
    return Loss(SIGNS, _told(Counter(lost), Counter(added))) if lost or added else None


def _signs_of(prose: str) -> Iterator[str]:
    for match in _SIGN.finditer(prose):
        sign = match[0].strip()
        yield _SAME_SIGN.get(sign, sign)


def _says(prose: str, sign: str) -> bool:
    words = set(_WORD.findall(prose.casefold()))
    return any(word in words or (not word.isascii() and word in prose) for word in _IN_WORDS.get(sign, "").split())


# ---------------------------------------------------------------------------------------------------- words


def _words_lost(original: str, translated: str, language: str) -> Loss | None:
    sentences = set(_sentences(original))
    if left := next((sentence for sentence in _sentences(translated) if sentence in sentences), None):
        return Loss(LEFT, left)
    if english := _english_left(translated):
        return Loss(LEFT, english)
    if _asks(original) and not _QUESTION.search(translated):
        return Loss(QUESTION)
    if talk := _talk(original, translated):
        return Loss(TALK, talk)
    if opposite := next(opposites(original, translated, language), None):
        return Loss(OPPOSITE, opposite)
    first, second = detect(original, ("en",)), detect(translated)
    agreed = second.language == language
    if not agreed and second.language is None:  # too few words to be sure: what speaks for it must do
        agreed = second.favourite == language and not second.rules_out(language)
    if not agreed:
        return Loss(LANGUAGE, f"rather {second.language or second.favourite or 'nothing'}")
    length = second.letters / _USUAL_LENGTH.get(language, 1.0)
    if first.letters >= ENOUGH and not SHORTEST <= length / first.letters <= LONGEST:
        return Loss(LENGTH, f"{second.letters} letters for {first.letters}")
    ends = [len(_FULL_STOP.findall(text)) for text in (original, translated)]
    if ends[1] < ends[0] and length < MERGED * first.letters:
        return Loss(SHORTER, f"{ends[1]} sentences of {second.letters} letters for {ends[0]} of {first.letters}")
    return None


MERGED = 0.85
"""Share of the usual length below which a translation of fewer sentences has lost one, rather than joined two."""
_FULL_STOP = re.compile(r"(?<!\b[DMS]r)(?<!\bMrs)[.?!](?=\s|$)|[。？！]")
_ENGLISH = re.compile(
    r"\b(?:the|of|how|many|what|which|each|there|than|they|does|have|were|with|and|that|for|from|when|find|is|by|if|at|least|not)\b"
)
_FEW_ENGLISH = 3
"""English words of this kind that a text in another language may have: a title, a name."""


def _english_left(translated: str) -> str:
    """English words that stand in a translation; none where they are so few that they may be a name."""
    prose = _WORDS_INSIDE.sub(" ", _taken_apart(translated).prose)
    found = _ENGLISH.findall(prose)
    return " ".join(found[:5]) if len(found) >= _FEW_ENGLISH else ""


_ANSWER = re.compile(
    r"\b(?:(?:the )?answer(?: is|:)|la réponse (?:est|:)|(?:réponse|solution)\s*:|la respuesta es|"
    r"(?:respuesta|solución):|la risposta è|(?:risposta|soluzione):|die antwort (?:ist|lautet)|(?:antwort|lösung):|"
    r"ответ(?: равен|\s?[:—])|"
    r"решение:)|答案(?:是|为|为：|：|:)|答[：:]|解[：:]",
    re.IGNORECASE,
)
_PREFACE = re.compile(
    r"^\W*(?:voici|aquí (?:está|tienes|tiene)|ecco|hier ist|вот|以下是|here(?: is|'s)|sure|bien sûr|claro|certo|"
    r"natürlich|gerne|конечно|当然|好的)(?![^\W\d_])|"
    r"(?:traduction|traducción|traduzione|übersetzung|перевод|翻译|译文|translation)[^.?!。]{0,30}[:：]",
    re.IGNORECASE,
)


def _talk(original: str, translated: str) -> str:
    """What a translation says that is none of the problem's: an answer, a word to whoever asked for it."""
    for pattern, theirs in ((_ANSWER, r"answer|solution"), (_PREFACE, r"translat|^\W*here")):
        found = pattern.search(translated)
        if found and not re.search(theirs, original, re.IGNORECASE):
            return found[0].strip()
    if original.rstrip().endswith("?") and _asks(original) and not _QUESTION.search(translated.rstrip()[-3:]):
        return translated.rstrip()[-60:]
    return ""


_INTERROGATIVE = re.compile(
    r"\b(?:how|what|which|who|whose|when|where|why|is|are|does|do|did|can|will)\b", re.IGNORECASE
)


def _asks(original: str) -> bool:
    """Whether it asks by a question; "calculate …?" is none."""
    questions = [part for part in re.split(r"(?<=[.?!])\s+", original) if part.rstrip().endswith("?")]
    return any(_INTERROGATIVE.search(part) for part in questions)


_QUESTION = re.compile("[?？؟]")
_END = re.compile(r"[.?!。？！]\s+|[.?!。？！]$|\n+")
_LETTERS = 10
"""Letters of a sentence that can't be the same in two languages by chance."""


def _sentences(text: str) -> Iterator[str]:
    """The sentences with words enough to tell their language, letters and digits alone."""
    prose = _taken_apart(text).prose
    for sentence in _END.split(prose):
        if sum(map(str.isalpha, sentence)) >= _LETTERS and len(_WORD.findall(sentence)) > 1:
            yield _squeezed(sentence)


def says_enough(text: str) -> bool:
    """Say whether a problem has words enough for its language to be told, and so for a translation to be worth it."""
    return detect(text, ("en",)).letters >= ENOUGH_LETTERS


def _squeezed(text: str) -> str:
    return "".join(character for character in text.casefold() if character.isalnum())


def _told(first: Counter[str], second: Counter[str]) -> str:
    lost, added = (list((one - other).elements())[:5] for one, other in ((first, second), (second, first)))
    parts = chain((f"lost: {' , '.join(lost)}" for _ in lost[:1]), (f"added: {' , '.join(added)}" for _ in added[:1]))
    return "; ".join(parts)
