r"""Units: what may follow a number, in one spelling each, so that ``5 km`` is not ``5 m``.

Prose after a number is a unit if it is short, has no digits and does not hedge. A missing one is forgiven,
since a problem often names it; two different ones agree where one is an exact multiple of the other, as
``5 km`` is ``5000 m``. Scale words (``million``) are part of the number.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache

from magistral_recipe.verifiers.answers.text import Token, word_set

_NAMES = {
    "mm": "millimeter millimetre", "cm": "centimeter centimetre", "dm": "decimeter decimetre", "m": "meter metre",
    "km": "kilometer kilometre", "in": "inch inche", "ft": "foot feet", "yd": "yard", "mi": "mile",
    "mg": "milligram", "g": "gram gramme", "kg": "kilogram kilo", "lb": "pound lbs", "oz": "ounce",
    "ml": "milliliter millilitre", "l": "liter litre", "s": "second sec", "min": "minute", "h": "hour hr hrs",
    "day": "", "week": "", "month": "", "year": "yr",
    "deg": "degree", "rad": "radian", "n": "newton", "j": "joule", "w": "watt",
    "v": "volt", "a": "ampere amp", "pa": "pascal", "hz": "hertz", "k": "kelvin", "mol": "mole", "percent": "%",
    "usd": "dollar $ buck", "eur": "euro €", "gbp": "£ quid", "jpy": "yen ¥", "inr": "₹ rupee",
    "cent": "¢ penny pennie",
    "person": "people", "child": "children", "man": "men", "woman": "women",
}  # fmt: skip
_SIZES: dict[str, dict[str, str]] = {
    "length": {"mm": "1/1000", "cm": "1/100", "dm": "1/10", "m": "1", "km": "1000",
               "in": "0.0254", "ft": "0.3048", "yd": "0.9144", "mi": "1609.344"},
    "mass": {"mg": "1/1000", "g": "1", "kg": "1000"},
    "weight": {"oz": "1", "lb": "16"},
    "volume": {"ml": "1/1000", "l": "1"},
    "time": {"s": "1", "min": "60", "h": "3600", "day": "86400", "week": "604800"},
    "calendar": {"month": "1", "year": "12"},
    "dollars": {"cent": "1/100", "usd": "1"},
}  # fmt: skip
_MEASURES = {unit: (what, Fraction(size)) for what, sizes in _SIZES.items() for unit, size in sizes.items()}
"""What each unit measures, and how much of it. Only ratios that are exact; no temperatures, which have offsets."""
_SPELLINGS = {spelling: unit for unit, names in _NAMES.items() for spelling in (unit, *names.split())}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12, "hundred": 100}
_NOT_UNITS = word_set(
    "or and not if is are was than then where when for with to from out of about maybe approximately roughly half "
    "quarter third two three four five six seven eight nine ten twenty plus minus times over divided squared "
    "cubed wrong false true yes no each off left more less"
)
_CURRENCIES = frozenset({"¤", "€", "£", "¥", "₹", "¢"})


def known(text: str) -> bool:
    """Whether a text with digits is a unit all the same: ``cm^2``, ``m2``."""
    return canonical(text) is not None


def canonical(text: str) -> str | None:
    """Return one spelling of a unit, ``None`` where the text is none."""
    text = text.lower().replace("²", "^2").replace("³", "^3").replace("{", "").replace("}", "").strip(" .")
    text = {"mph": "mi/h", "kph": "km/h", "kmh": "km/h"}.get(text, text)
    if not text or not re.fullmatch(r"[^\W\d_%$€£¥¢₹][\w\s/·.^\-'%$€£¥¢₹{}()°]*|[%$€£¥¢₹]", text) or len(text) > 40:
        return None
    pieces = [_canonical_part(part) for part in re.split(r"\s*/\s*|\bper\b", text)]
    return None if None in pieces else "/".join(piece for piece in pieces if piece is not None)


def _canonical_part(text: str) -> str | None:
    words = re.sub(r"[{}()]", "", text).split()
    exponent = ""
    if words and words[0] in ("square", "sq", "cubic", "cu"):
        exponent = "^2" if words[0] in ("square", "sq") else "^3"
        words = words[1:]
    if words and (match := re.fullmatch(r"(.+?)\^?([23])", words[-1])):
        words[-1], exponent = match[1], f"^{match[2]}"
    if not 1 <= len(words) <= 4 or any(
        word in _NOT_UNITS or word in SCALES or re.search(r"\d", word) for word in words
    ):
        return None
    return " ".join(_singular(word) for word in words) + exponent


def _singular(word: str) -> str:
    word = word.strip(".'")
    if word in _SPELLINGS:
        return _SPELLINGS[word]
    for ending, replacement in (("ies", "y"), ("es", "e"), ("s", "")):
        if len(word) > len(ending) + 1 and word.endswith(ending):
            singular = word[: -len(ending)] + replacement
            return _SPELLINGS.get(singular, _SPELLINGS.get(word[:-2], singular) if ending == "es" else singular)
    return word


@lru_cache(maxsize=1024)
def ratio(unit: str, other: str) -> Fraction | None:
    """Return how many of one unit another is.

    Args:
        unit: the unit to convert from, in the spelling of `canonical`: ``km/h``.
        other: the unit to convert to: ``m/s``.

    Returns:
        The exact factor, ``5/18`` for those; ``None`` where they measure different things or are not known.
    """
    measures = [_measure(each) for each in (unit, other)]
    if measures[0] is None or measures[1] is None or measures[0][0] != measures[1][0]:
        return None
    return measures[0][1] / measures[1][1]


def _measure(unit: str) -> tuple[dict[str, int], Fraction] | None:
    """The dimensions of a unit with their exponents, and its size."""
    dimensions: Counter[str] = Counter()
    size = Fraction(1)
    for index, part in enumerate(unit.split("/")):
        name, _, power = part.partition("^")
        if name not in _MEASURES:
            return None
        dimension, factor = _MEASURES[name]
        exponent = int(power or 1) * (-1 if index else 1)
        dimensions[dimension] += exponent
        size *= factor**exponent
    return {name: exponent for name, exponent in dimensions.items() if exponent}, size


def take(raw: list[Token]) -> tuple[list[Token], str | None, int]:
    """Take currency, unit and scale words off an answer.

    Args:
        raw: its tokens.

    Returns:
        The tokens of the number, the unit in one spelling or ``None``, and the factor of its scale words; the
        tokens as they were where what follows the number is no unit.
    """
    rest, unit = _currency(raw)
    trailing = _trailing(rest)
    if trailing == len(rest):
        return rest, unit, 1
    words: list[str] = []
    scale = 1
    tail = rest[trailing:]
    if tail[0] == ("cmd", "frac"):  # \\frac{\\text{m}}{\\text{s}}
        tail = [tail[2], Token("op", "/"), tail[5]]
    for token in tail:
        for word in _spelled(token).split() or [""]:
            if not words and word.lower() in SCALES:
                scale *= SCALES[word.lower()]
            else:
                words.append(word)
    spelled = re.sub(r"\s*([/^])\s*", r"\1", " ".join(word for word in words if word)).replace("^deg", "deg")
    if not spelled:
        return (rest[:trailing], unit, scale) if trailing else (raw, None, 1)
    found = canonical(spelled)
    if found is None or (unit is not None and found != unit) or not trailing:
        return raw, None, 1
    return rest[:trailing], found, scale


def _currency(raw: list[Token]) -> tuple[list[Token], str | None]:
    """Take one sign of currency off either end, also behind a minus."""
    for index in (0, 1, len(raw) - 1):
        if index >= len(raw) or raw[index].kind != "op" or raw[index].value not in _CURRENCIES:
            continue
        if index == 1 and raw[0].value not in ("-", "+"):
            continue
        sign, width = raw[index].value, 1
        if sign == "¤":
            width = 2  # the word behind the mark names it
            sign = "$"
        return raw[:index] + raw[index + width :], _SPELLINGS[sign]
    if len(raw) > 2 and raw[-2] == ("op", "¤"):
        return raw[:-2], "usd"
    return raw, None


def _trailing(raw: list[Token]) -> int:
    r"""Where the prose at the end begins: words, texts, ``\circ C``, ``cm^2``, ``%``, ``m/s`` of texts."""
    position = len(raw)
    while position > 0:
        token = raw[position - 1]
        if token.kind in ("text", "word") or token.value == "%":
            position -= 1
            continue
        if step := _suffix(raw, position):
            position -= step
            continue
        break
    return position


def _suffix(raw: list[Token], position: int) -> int:
    """How many tokens before a position belong to a unit: an exponent, a slash, a fraction of units, a degree sign."""
    values = [token.value for token in raw[:position]]
    kinds = [token.kind for token in raw[:position]]

    def unit_at(index: int) -> bool:
        return 0 <= index < position and kinds[index] in ("text", "word")

    if position < len(raw) and values[-1:] == ["/"] and unit_at(position - 2):
        return 2
    if values[-2:-1] == ["^"] and values[-1] in ("2", "3") and unit_at(position - 3):
        return 3
    if values[-4:-2] == ["^", "{"] and values[-2] in ("2", "3") and values[-1] == "}" and unit_at(position - 5):
        return 5
    if values[-4:] == ["^", "{", "circ", "}"] and position < len(raw):
        return 4
    if values[-2:] == ["^", "circ"] and position < len(raw):
        return 2
    if (
        len(values) > 6
        and raw[position - 7] == ("cmd", "frac")
        and values[-1] == "}"
        and unit_at(position - 2)
        and unit_at(position - 5)
    ):
        return 7
    if values[-2:-1] == ["/"] and kinds[-1] == "var" and unit_at(position - 3):
        return 3
    return 0


def _spelled(token: Token) -> str:
    if token.kind in ("text", "word"):
        return token.value
    if token.value == "circ":
        return "deg"
    return {"{": "", "}": " "}.get(token.value, token.value)
