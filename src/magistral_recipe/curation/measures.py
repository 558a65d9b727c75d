"""Measures, clock times, parts and conditions in the words in which problems are compared: 14/hour, 10¢, 8.20 a.m."""

from __future__ import annotations

import re

from magistral_recipe.curation.number_words import NUMBER_WORDS, NUMBER_WORDS_IN

_TWICE = re.compile(r"\b([^\W\d_]{2,12})\s?\(\s?(\d{1,3})\s?\)")
_CENTS = re.compile(r"(?<![\w.,])(\d{1,3})\s?¢")
_PLUS = re.compile(r"(?<=[^\W\d_]{2})(?<!\bnumber)\s+(?:\+|plus\b)\s*(?=\d+(?:\.\d+)?\s[^\W\d_]{2})")
_RATE = re.compile(
    r"(?<=\d)((?:\s(?:dollars|cents|euros|pounds|miles|kilometers|km|meters|pages|words|gallons|liters))?)\san?\s"
    r"(?=(?:second|minute|hour|day|night|week|month|year|kilogram|kilo|pound|mile|gallon|liter|litre|dozen)\b)"
)
_GALLONS = re.compile(r"(?<![^\W\d_])gal\b\.?(?!\s*[=+^(])")
_MINUTES = re.compile(r"(?<![^\W\d_])min\.(?!\s?\()")
_HOURLY = re.compile(r"\bkm (?:all'|à l'|all’|à l’)(?:ora|heure)\b|\bkm por hora\b|\bkm pro Stunde\b|км в час\b")
_CLOCK = re.compile(
    r"(?<=\balle )(?:ore )?(\d{1,2})[.:](\d\d)(?!\d)|(?<=\bat )(\d{1,2})\.(\d\d)(?= ?[ap]\.?m\b)|"
    r"(?<=\bum )(\d{1,2})\.(\d\d)(?= Uhr)|(?<=\ba las )(\d{1,2})\.(\d\d)(?!\d)|"
    r"(?<![\d.,:])(\d{1,2}) ?h ?(\d\d)(?!\d)|(?<=\bв )(\d{1,2})\.(\d\d)(?= (?:утра|часов|вечера))"
)
_POSITIVE = re.compile(
    r"((?:\b[a-z]\s?,\s?){0,5}\b[a-z])\s?>\s?0(?:\s(?:be|are)\s|\s)(?=(?:real numbers?|reals|integers?)\b)"
)
_DENOMINATORS = {
    "media": 2, "medias": 2, "tercio": 3, "tercios": 3, "tercera": 3, "terceras": 3, "cuarto": 4, "cuartos": 4,
    "cuarta": 4, "cuartas": 4, "quinto": 5, "quintos": 5, "quinta": 5, "quintas": 5, "sexto": 6, "sextos": 6,
    "sexta": 6, "sextas": 6, "séptimas": 7, "octavo": 8, "octavos": 8, "octava": 8, "octavas": 8, "novenas": 9,
    "décimas": 10, "décimos": 10,
    "terzo": 3, "terzi": 3, "quarto": 4, "quarti": 4, "quinti": 5, "sesto": 6, "sesti": 6, "settimi": 7,
    "ottavo": 8, "ottavi": 8, "noni": 9, "decimi": 10,
    "tiers": 3, "quart": 4, "quarts": 4, "cinquième": 5, "cinquièmes": 5, "sixième": 6, "sixièmes": 6,
    "septième": 7, "septièmes": 7, "huitième": 8, "huitièmes": 8, "neuvièmes": 9, "dixième": 10, "dixièmes": 10,
    "drittel": 3, "viertel": 4, "fünftel": 5, "sechstel": 6, "siebtel": 7, "achtel": 8, "neuntel": 9, "zehntel": 10,
    "треть": 3, "трети": 3, "четверть": 4, "четверти": 4, "пятая": 5, "пятую": 5, "пятых": 5, "шестых": 6,
    "седьмых": 7, "восьмых": 8, "девятых": 9, "десятых": 10,
}  # fmt: skip
_ABOVE = {
    word: number
    for language in ("fr", "es", "it", "de", "ru")
    for word, number in NUMBER_WORDS_IN[language].items()
    if len(number) == 1
} | {"un": "1", "una": "1", "ein": "1", "eine": "1", "одна": "1", "одну": "1"}
_PART = re.compile(
    rf"(?<![^\W_])({'|'.join(_ABOVE)})\s({'|'.join(_DENOMINATORS)})(?![^\W_])(?:\s(?:partes?|parti|части)(?![^\W_])|"
    r"(?=\s(?:d[eiu]s?|del|della|delle|dell'|der|des|von|que|so|seiner|ihrer|его|её|от|всех|[а-я]+)))",
    re.IGNORECASE,
)
_QUOTIENT = re.compile(r"(?<=\d/\d)\s(?:partes|parti|части)\b|(?<=\d / \d)\s(?:partes|parti|части)\b")
_LOOK = dict(zip("асхуеркоАВСЕКМОРТХ", "acxyepkoABCEKMOPTX", strict=True))
_CYRILLIC = re.compile(rf"(?<![^\W_])([{''.join(_LOOK)}])(?=\s?(?:[,.;=<>≤≥+*/^)?|-]|$)|_)", re.MULTILINE)
_SIGNED = re.compile(rf"(?<=[=+*/^(|≤≥<>-])(\s?)([{''.join(_LOOK)}])(?![^\W_])")


def in_words(text: str, variables: frozenset[str]) -> str:
    """Write out what measures, clocks, parts and conditions are short for.

    Args:
        text: a problem whose mathematics is in plain signs.
        variables: letters that its formulas are known to have.

    Returns:
        The text; "two (2)" as 2, 10¢ as 0.1, "14 an hour" as 14 per hour, two fifths in other languages as 2/5.
    """
    text = _TWICE.sub(_once, text)
    text = _PLUS.sub(" and ", _CENTS.sub(lambda found: f"{int(found[1]) / 100:g}", text))
    text = _RATE.sub(r"\1 per ", _HOURLY.sub("km/h", text))
    text = _GALLONS.sub("gallons", _MINUTES.sub("minutes", text))
    text = _CLOCK.sub(lambda found: ":".join(part for part in found.groups() if part), text)
    text = _POSITIVE.sub(r"\1 be positive ", text)
    if not text.isascii():
        text = _CYRILLIC.sub(lambda found: _latin(found[1], found[0], variables), text)
        text = _SIGNED.sub(lambda found: f"{found[1]}{_LOOK[found[2]]}", text)
    text = _PART.sub(lambda found: f"{_ABOVE[found[1].lower()]} / {_DENOMINATORS[found[2].lower()]}", text)
    return _QUOTIENT.sub("", text)


def _once(found: re.Match[str]) -> str:
    """A number in a word and in digits behind it."""
    return found[2] if NUMBER_WORDS.get(found[1].casefold()) == found[2] else found[0]


def _latin(letter: str, whole: str, variables: frozenset[str]) -> str:
    """The Latin letter that a Cyrillic one stands for, where the problem has it."""
    return _LOOK[letter] if _LOOK[letter] in variables else whole
