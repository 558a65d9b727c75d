"""Which numbers a translation has lost or added, digits and words alike; formulas are looked at elsewhere.

A number may change its spelling: "1,250" to "1 250" or "1.250", "2.5 million" to "250万", "3:30 p.m." to "15.30 Uhr",
"seventy-five" to "soixante-quinze", a word to digits and back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from magistral_recipe.curation.spoken import spoken_numbers


class Numbers(NamedTuple):
    """What a translation did to the numbers.

    Attributes:
        lost: those of the original that it has not.
        added: those that it has and the original has not.
    """

    lost: list[str]
    added: list[str]


_HINTS = {
    2: "twice double doubled both pair couple half second",
    3: "thrice triple tripled third thirds",
    4: "quarter quarters quadruple fourth fourths",
    5: "fifth fifths quintuple",
    6: "sixth sixths",
    7: "seventh sevenths week weeks",
    8: "eighth eighths",
    9: "ninth ninths",
    10: "tenth tenths tens decade decades",
    11: "eleventh",
    12: "twelfth twelfths dozen dozens year",
    14: "fortnight",
    15: "fifteenth",
    20: "twentieth score",
    100: "hundredth hundredths hundreds century centuries",
    1000: "thousandth thousandths thousands",
}
_ALSO = {word: number for number, words in _HINTS.items() for word in words.split()}
"""English words of which another language may make a number."""
_MONTHS = {
    month: str(number)
    for number, month in enumerate(
        (
            *("January", "February", "March", "April", "May", "June"),
            *("July", "August", "September", "October", "November", "December"),
        ),
        start=1,
    )
}
"""Numbers in Chinese and Japanese: 12月."""
_UNDECIDED = frozenset({"0", "1", "2"})
"""Numbers that another language says where English doesn't: "les deux", "uno", 零."""
_MISLEADING = {"fr": "9", "it": "6"}
"""What "neuf" and "sei" say, which are other words, too."""
_WORD = re.compile(r"[^\W\d_]+")
# Blanks part thousands in French and Russian; a comma or a point parts thousands or decimals.
_NUMBER = re.compile(r"(?<![\w.])\.\d+|\d+(?:[.,'\u2019\u00a0\u202f]\d+)*|\d{1,3}(?: \d{3})+(?!\d)")
_SPACED = re.compile(r"(?<![\d.,])\d{1,3}(?:[ \u00a0\u202f]\d{3})+(?![\d])")
_COMPOUND = re.compile(r"(?<![^\W\d_])([^\W\d_]+)-([^\W\d_]+)")


def numbers_lost(before: str, after: str, language: str) -> Numbers:
    """Hold the numbers of a translation against the original's.

    Args:
        before: the original's prose, in English, in compatible Unicode.
        after: the translation's.
        language: its own, ISO 639-1.

    Returns:
        What was lost, what was added; nothing of both where all survive.
    """
    before, after = _with_times(before, after)
    if language == "zh":
        after = _with_percents(before, after)
    before, after = _scaled(before, "en"), _scaled(after, language)
    wanted = Counter(_plain(match[0]) for match in _NUMBER.finditer(before))
    words = Counter(str(number) for number in spoken_numbers(before, "en"))
    loose = _loose(before)
    if language in ("zh", "ja"):
        loose |= {_MONTHS[word] for word in _WORD.findall(before) if word in _MONTHS}
    said = Counter(str(number) for number in spoken_numbers(after, language))
    added: list[str] = []
    for readings in _readings(after, wanted):
        for there in (wanted, words):
            if (found := next((each for each in readings if there[each] > 0), None)) is not None:
                there[found] -= 1
                break
        else:
            if not loose.intersection(readings):
                added.append(readings[0])
    lost = [number for number in wanted.elements() if not _take(said, number)]
    if lost or added:
        return Numbers(lost, added)
    # A numeral in words that the original has neither in words nor in digits, or not as often.
    passed = loose | _UNDECIDED | {_MISLEADING.get(language, "")}
    digits = {_plain(match[0]) for match in _NUMBER.finditer(before)}
    strange = [number for number, times in said.items() if number not in passed | digits and times > words[number]]
    return Numbers([], strange)


def _take(counted: Counter[str], number: str) -> bool:
    if counted[number] <= 0:
        return False
    counted[number] -= 1
    return True


def _loose(english: str) -> set[str]:
    """Numbers that the English text only hints at: "a third", "three-digit"."""
    found = {str(_ALSO[word]) for word in _WORD.findall(english.casefold()) if word in _ALSO}
    halves = _COMPOUND.findall(english.casefold())
    firsts = [first for first, second in halves if not any(spoken_numbers(second, "en"))]
    return found | {str(number) for word in firsts for number in spoken_numbers(word, "en")}


# ------------------------------------------------------------------------------------------------- digits


def _readings(prose: str, wanted: Counter[str]) -> Iterator[list[str]]:
    """The numbers of a text, each with all that it may be: "1.000" is a thousand or one."""
    spans = []
    for match in _SPACED.finditer(prose):
        joined = re.sub(r"\D", "", match[0])
        if wanted[joined] > 0:
            spans.append(match.span())
            yield [joined]
    for match in _NUMBER.finditer(prose):
        if not any(start <= match.start() < end for start, end in spans):
            yield list(dict.fromkeys((_plain(match[0]), _swapped(match[0]))))


def _plain(number: str) -> str:
    """A number as English writes it: commas part thousands, points decimals."""
    number = re.sub(r"['\u2019\u00a0\u202f ]", "", number)
    return _trimmed(re.sub(r",(?=\d{3}(?!\d))", "", number).replace(",", "."))


def _swapped(number: str) -> str:
    """A number as most others write it: points part thousands, commas decimals."""
    number = re.sub(r"['\u2019\u00a0\u202f ]", "", number)
    return _trimmed(re.sub(r"\.(?=\d{3}(?!\d))", "", number).replace(",", "."))


def _trimmed(number: str) -> str:
    number = number.rstrip("0").rstrip(".") if number.count(".") == 1 else number
    number = number.lstrip("0") or "0"
    return f"0{number}" if number.startswith(".") else number


# --------------------------------------------------------------------------------------- scales and times

_SCALES = {
    "en": {3: "thousand", 6: "millions?", 9: "billions?"},
    "fr": {3: "mille", 6: "millions?", 9: "milliards?"},
    "es": {3: "mil", 6: "millón|millones", 9: "mil millones"},
    "it": {3: "mila", 6: "milion[ei]", 9: "miliard[oi]"},
    "de": {3: "tausend", 6: r"millionen|million|mio\b\.?", 9: r"milliarden?|mrd\b\.?"},
    "ru": {3: r"тысяч[аиу]?|тыс\b\.?", 6: r"миллион(?:ов|а)?|млн\b\.?", 9: r"миллиард(?:ов|а)?|млрд\b\.?"},
    "zh": {3: "千(?!米|克|瓦|卡)", 4: "万", 6: "百万", 8: "亿"},
}
_SCALED = {
    language: {
        power: re.compile(rf"(\d[\d.,]*)\s*(?:{name})" + ("" if language == "zh" else r"(?![^\W\d_])"), re.IGNORECASE)
        for power, name in reversed(names.items())
    }
    for language, names in _SCALES.items()
}
_TIME = re.compile(
    r"(?<![\d.])(\d{1,2})(?::(\d{2}))?(?=\s*(?:(?:to|and|until|till|[-–])\s*\d{1,2}(?::\d{2})?\s*)?p\.?\s?m\b)", re.I
)
_CLOCK = re.compile(r"(?<!\d)(\d{1,2}):(\d{2})(?!\d)")
_FULL_HOUR = re.compile(r"(?<![\d:])(\d{1,2}):00(?![\d:])")
_DISCOUNT = re.compile("([一二三四五六七八九])([一二三四五六七八九]?)折|([1-9])(?:\\.?([1-9]))? ?折")
_CHINESE_DIGITS = "零一二三四五六七八九"


def _scaled(prose: str, language: str) -> str:
    """Write "2.5 million" as 2500000."""
    read = _plain if language in ("en", "zh") else _swapped

    def written(match: re.Match[str], power: int) -> str:
        parts = read(match[1].rstrip(".,")).split(".")
        if len(parts) > 2 or len(parts[-1]) > power:
            return match[0]
        decimals = parts[1] if len(parts) == 2 else ""
        return f"{int(parts[0] + decimals.ljust(power, '0'))} "

    for power, pattern in _SCALED.get(language, {}).items():
        prose = pattern.sub(lambda match, power=power: written(match, power), prose)  # type: ignore[misc]
    return prose


def _with_times(before: str, after: str) -> tuple[str, str]:
    """Write the times of day of both as the translation has them: with 24 hours, and a colon; full hours without it."""

    def hour_of_24(match: re.Match[str]) -> str:
        later = int(match[1]) % 12 + 12
        if int(match[1]) > 12 or not re.search(rf"(?<!\d){later}(?!\d)", after):
            return match[0]
        return f"{later}:{match[2]}" if match[2] else str(later)

    before = _TIME.sub(hour_of_24, before)
    for hour, minute in _CLOCK.findall(before):
        after = re.sub(rf"(?<![\d.,]){hour}[.](?={minute}(?![\d.,]\d))", f"{hour}:", after)
    return _FULL_HOUR.sub(r"\1", before), _FULL_HOUR.sub(r"\1", after)


def _with_percents(before: str, after: str) -> str:
    """Write "七五折", three quarters of a price, as the percents of which the original speaks: 75 or 25 off."""

    def percents(match: re.Match[str]) -> str:
        first, second = match[1] or match[3], match[2] or match[4] or "0"
        left = int(
            "".join(str(_CHINESE_DIGITS.find(each)) if each in _CHINESE_DIGITS else each for each in first + second)
        )
        off = 100 - left
        return f"{off}%" if re.search(rf"(?<![\d.]){off} ?%", before) else f"{left}%"

    return _DISCOUNT.sub(percents, after)
