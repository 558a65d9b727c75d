r"""Units: what may follow a number, in one spelling each, so that ``5 km`` is not ``5 m``.

Prose after a number is a unit if it is known, or one or two plain words that don't negate, bound, judge or scale.
A missing one is forgiven, since a problem often names it; two different ones agree where one is an exact multiple
of the other, as ``5 km`` is ``5000 m``. Scale words (``million``, ``lakh``) are part of the number.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction
from functools import lru_cache

from magistral_recipe.verifiers.answers.numerals import SCALES, number_of
from magistral_recipe.verifiers.answers.text import Token, word_set

_BASES = {  # size in SI units, and the dimensions: length, mass, time, current, temperature, amount
    "m": ("1", "L"), "g": ("1/1000", "M"), "s": ("1", "T"), "A": ("1", "I"), "K": ("1", "K"), "mol": ("1", "N"),
    "Hz": ("1", "T-1"), "N": ("1", "M L T-2"), "J": ("1", "M L2 T-2"), "W": ("1", "M L2 T-3"),
    "Pa": ("1", "M L-1 T-2"), "V": ("1", "M L2 T-3 I-1"), "Ω": ("1", "M L2 T-3 I-2"), "C": ("1", "T I"),
    "F": ("1", "M-1 L-2 T4 I2"), "T": ("1", "M T-2 I-1"), "H": ("1", "M L2 T-2 I-2"), "Wb": ("1", "M L2 T-2 I-1"),
    "L": ("1/1000", "L3"), "eV": ("1", "eV"), "cal": ("1", "cal"), "B": ("1", "B"), "erg": ("1/10000000", "M L2 T-2"),
    "bar": ("100000", "M L-1 T-2"), "lm": ("1", "lm"), "cd": ("1", "cd"), "Bq": ("1", "Bq"),
}  # fmt: skip
_OTHERS = {
    "in": ("0.0254", "L"), "ft": ("0.3048", "L"), "yd": ("0.9144", "L"), "mi": ("1609.344", "L"),
    "oz": ("1/16", "lb"), "lb": ("1", "lb"), "t": ("1000", "M"), "min": ("60", "T"), "h": ("3600", "T"),
    "day": ("86400", "T"), "week": ("604800", "T"), "month": ("1", "months"), "year": ("12", "months"),
    "cent": ("1/100", "usd"), "usd": ("1", "usd"), "deg": ("1", "deg"), "ha": ("10000", "L2"), "atm": ("1", "atm"),
}  # fmt: skip
_PREFIXES: dict[str, int | Fraction] = {
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "h": 10**2, "d": Fraction(1, 10), "c": Fraction(1, 100),
    "m": Fraction(1, 10**3), "µ": Fraction(1, 10**6), "n": Fraction(1, 10**9), "p": Fraction(1, 10**12),
}  # fmt: skip
_PREFIX_NAMES = {"kilo": "k", "mega": "M", "giga": "G", "deci": "d", "centi": "c", "milli": "m", "micro": "µ",
                 "nano": "n", "pico": "p"}  # fmt: skip
_NAMES = {
    "m": "meter metre mètre metro метр 米", "g": "gram gramme gramm грамм 克",
    "s": "second sec seconde sekunde segundo secondo секунда секунды секунд 秒", "A": "ampere amp ampère",
    "K": "kelvin", "mol": "mole", "Hz": "hertz", "N": "newton", "J": "joule", "W": "watt",
    "Pa": "pascal", "V": "volt", "Ω": "ohm", "F": "farad", "C": "coulomb", "T": "tesla", "H": "henry",
    "L": "liter litre l litro литр 升", "eV": "ev", "cal": "calorie", "Wb": "weber",
    "in": "inch inche zoll", "ft": "foot feet", "yd": "yard", "mi": "mile", "oz": "ounce",
    "lb": "pound lbs", "t": "tonne ton", "min": "minute mins minuto минута минуты минут 分钟",
    "h": "hour hr hrs heure hora ora stunde stunden час часа часов 小时",
    "day": "tag tage jour día giorno день дня дней 天", "week": "wk woche wochen semaine semana",
    "month": "monat mois mes", "year": "yr yrs jahr jahre an año год года лет 年", "deg": "degree ° grad",
    "rad": "radian", "percent": "% pct percentage", "usd": "dollar $ buck us$", "eur": "euro €",
    "gbp": "£ quid", "jpy": "yen ¥", "inr": "₹ rupee rs", "cent": "¢ penny pennie", "kg": "kilo",
    "person": "people", "child": "children", "man": "men", "woman": "women", "km": "километр 公里 千米",
    "cm": "сантиметр 厘米", "kW": "kw", "kWh": "kwh", "mL": "ml cc", "MHz": "mhz",
    "degC": "celsius centigrade", "degF": "fahrenheit", "kg ": "килограмм 公斤 千克", "mm": "毫米",
    "ha": "hectare", "unit": "",
}  # fmt: skip
_SPELLINGS = {spelling: unit.strip() for unit, names in _NAMES.items() for spelling in (unit.strip(), *names.split())}
_REFUSED = word_set(
    # What negates, judges, bounds, counts or combines is no unit, in whatever company.
    "or and not no none if is are was were be than then where when for with to from out of about maybe "
    "approximately roughly half halves quarter third thirds fourths fifths two three four five six seven eight nine "
    "ten twenty plus minus times over under divided multiplied squared cubed square cube root wrong false true yes "
    "each off left more less fewer most least at below above beyond incorrect correct right wrongly except but "
    "without repeating recurring periodic factorial pi e mod modulo negative positive any other another all some "
    "many few several too approx nearly almost around perhaps probably possibly likely twice double triple exactly "
    "only just short too up down base power points lost instead rather like ish answer zero one nothing error "
    "reciprocal conjugate inverse doubled halved tripled quartered transposed opposite complement additive "
    "multiplicative rounded truncated prime derivative integral logarithm sine cosine tangent sixths sevenths "
    "eighths ninths elevenths twelfths choose factorials exponent absolute modulus remainder invalid undefined "
    "infinite infinity by per oder ou und et y ni nicht pas нет не или и 或 和 不 و أو ist est es sqrt log ln sin cos "
    "tan exp i x mille score gross"
) - {"per", "square"}
_CURRENCIES = frozenset({"¤", "€", "£", "¥", "₹", "¢"})
_SPEEDS = {"per cent": "percent", "mph": "mi/h", "kph": "km/h", "kmh": "km/h", "km/hr": "km/h", "mpg": "mi/gal"}
CURRENCY_WORDS = word_set("usd eur gbp jpy inr dollars euros us$ chf cny rmb")


def known(text: str) -> bool:
    """Whether a text with digits is a unit all the same: ``cm^2``, ``m2``."""
    return canonical(text) is not None


@lru_cache(maxsize=4096)
def canonical(text: str) -> str | None:
    """Return one spelling of a unit, ``None`` where the text is none."""
    text = text.replace("²", "^2").replace("³", "^3").replace("μ", "µ").replace("{", "").replace("}", "").strip(" .,")
    text = _SPEEDS.get(text.lower(), text)
    if (
        not text
        or len(text) > 60
        or not re.fullmatch(r"[^\W\d_%$€£¥¢₹°][\w\s/·.^\-'()°]*|[%$€£¥¢₹]|°[\w\s/·^-]*", text)
    ):
        return None
    if (symbols := _symbols(text)) is not None:
        return symbols
    pieces = [_phrase(part) for part in re.split(r"\s*/\s*|\bper\b", text.lower())]
    return None if None in pieces else "/".join(piece for piece in pieces if piece is not None)


def _symbols(text: str) -> str | None:
    """``kg·m/s^2``, ``m s^-1``, ``N·m``, ``µF`` in one order; ``None`` where a part is no known symbol or name."""
    exponents: Counter[str] = Counter()
    sign = 1
    parts = re.findall(r"[^\s/·.*()]+|/", re.sub(r"\bper\b", "/", text))
    if not parts or parts[0] == "/":
        return None
    for part in parts:
        if part == "/":
            if sign < 0:
                return None
            sign = -1
            continue
        match = re.fullmatch(r"([^\d^]+?)(?:\^?(-?\d))?", part)
        name = None if match is None else _unit(match[1])
        if match is None or name is None:
            return None
        exponents[name] += sign * int(match[2] or 1)
    if len(exponents) > 1 and not all(
        _size(name) or name in ("deg", "degC", "rad", "mol", "usd") for name in exponents
    ):
        return None
    shown = sorted(exponents.items(), key=lambda item: (item[1] < 0, item[0]))
    return "·".join(name + (f"^{power}" if power != 1 else "") for name, power in shown if power) or None


def _unit(word: str) -> str | None:
    """A known unit in its one spelling: a symbol, which has a case, or a name in any."""
    if word in ("°", "deg"):
        return "deg"
    if re.fullmatch(r"(?:°|deg) ?[CF]", word):
        return f"deg{word[-1]}"
    if _size(word) or word in ("percent", "rad"):
        return word
    lower = word.lower().strip(".'")
    for form in (lower, *_singulars(lower)):
        if form in _SPELLINGS:
            return _SPELLINGS[form]
        for name, prefix in _PREFIX_NAMES.items():
            if form.startswith(name) and (rest := form[len(name) :]) in _SPELLINGS:
                return prefix + _SPELLINGS[rest]
    return lower if len(lower) > 1 and _size(lower) else None


def _singulars(word: str) -> list[str]:
    return [word[: -len(end)] + new for end, new in (("ies", "y"), ("es", "e"), ("es", ""), ("s", ""), ("n", ""))
            if len(word) > len(end) + 1 and word.endswith(end)]  # fmt: skip


def _phrase(text: str) -> str | None:
    """Words that are a unit: a known one, perhaps square, or a plain noun with at most one word before it."""
    words = re.sub(r"[{}()]", "", text).split()
    exponent = ""
    if words and words[0] in ("square", "sq", "cubic", "cu"):
        exponent = "^2" if words[0] in ("square", "sq") else "^3"
        words = words[1:]
    if words and (match := re.fullmatch(r"([^\W\d_.'-]+)\^?([23])", words[-1])):
        words[-1], exponent = match[1], f"^{match[2]}"
    if not all(re.fullmatch(r"[^\W\d_]+(?:[-'][^\W\d_]+)*['.]?", word) for word in words):
        return None
    if not 1 <= len(words) <= 3 or any(_refused(word) for word in words):
        return None
    if len(words) > 1 and _unit(words[-1]) is None and not words[-1].endswith("s"):
        return None  # several words that are no noun with its adjective: "any text"
    if len(words) == 1 and len(words[0]) < 2 and words[0].isascii() and _unit(words[0]) is None:
        return None
    return " ".join(_singular(word) for word in words) + exponent


def _refused(word: str) -> bool:
    word = word.strip(".'")
    if word in _REFUSED or word in SCALES or re.search(r"\d", word):
        return True
    return number_of(word) is not None and _unit(word) is None


def _singular(word: str) -> str:
    word = word.strip(".'")
    if (unit := _unit(word)) is not None:
        return unit
    for ending, replacement in (("ies", "y"), ("es", "e"), ("s", "")):
        if len(word) > len(ending) + 1 and word.endswith(ending):
            return word[: -len(ending)] + replacement
    return word


@lru_cache(maxsize=512)
def _size(name: str) -> tuple[Fraction, tuple[tuple[str, int], ...]] | None:
    """The size of a unit and its dimensions; ``None`` for what is none, or has none."""
    if name in _OTHERS:
        size, dimensions = _OTHERS[name]
        return Fraction(size), _dimensions(dimensions)
    prefixes: list[tuple[str, int | Fraction]] = [("", 1), *_PREFIXES.items()]
    for prefix, factor in prefixes:
        base = name[len(prefix) :]
        rare = prefix not in ("", "k") and base in ("Bq", "bar", "erg", "cal")
        if name.startswith(prefix) and base in _BASES and not rare:
            size, dimensions = _BASES[base]
            return Fraction(size) * factor, _dimensions(dimensions)
    return None


def _dimensions(text: str) -> tuple[tuple[str, int], ...]:
    matches = [re.fullmatch(r"([A-Za-z]+?)(-?\d*)", part) for part in text.split()]
    return tuple((match[1], int(match[2] or 1)) for match in matches if match is not None)


@lru_cache(maxsize=1024)
def ratio(unit: str, other: str) -> Fraction | None:
    """Return how many of one unit another is.

    Args:
        unit: the unit to convert from, in the spelling of `canonical`: ``km/h``.
        other: the unit to convert to: ``m/s``.

    Returns:
        The exact factor, ``5/18`` for those; ``None`` where they measure different things or are not known.
    """
    measures = [measure(each) for each in (unit, other)]
    if measures[0] is None or measures[1] is None or measures[0][0] != measures[1][0]:
        return None
    return measures[0][1] / measures[1][1]


def measure(unit: str) -> tuple[dict[str, int], Fraction] | None:
    """Return the dimensions of a unit with their exponents, and its size; ``None`` where it is not known."""
    dimensions: Counter[str] = Counter()
    size = Fraction(1)
    for part in unit.split("·"):
        name, _, power = part.partition("^")
        if (known_size := _size(name)) is None:
            return None
        exponent = int(power or 1)
        size *= known_size[0] ** exponent
        for dimension, each in known_size[1]:
            dimensions[dimension] += each * exponent
    return {name: exponent for name, exponent in dimensions.items() if exponent}, size


def take(raw: list[Token]) -> tuple[list[Token], str | None, Fraction]:
    """Take currency, unit and scale words off an answer.

    Args:
        raw: its tokens.

    Returns:
        The tokens of the number, the unit in one spelling or ``None``, and the factor of its scale words; the
        tokens as they were where what follows the number is no unit.
    """
    rest, unit = _currency(raw)
    earliest = _earliest(rest)
    for start in range(earliest, len(rest)):
        if not _may_start(rest, start):
            continue
        words = _spelled(rest[start:])
        scale, words = _scaled(words)
        if not words and start:
            return rest[:start], unit, scale
        found = canonical(words)
        if rest[start].value in ("^", "circ") and found not in ("deg", "degC", "degF"):
            found = None
        if found is not None and start and (unit is None or found in (unit, "cent")):
            return rest[:start], found, scale
        if rest[start].kind in ("text", "word"):
            return raw, None, Fraction(1)  # the prose as a whole is no unit; less of it would be a guess
    return rest, unit, Fraction(1)


def _scaled(text: str) -> tuple[Fraction, str]:
    scale, words = Fraction(1), text.split()
    while words and (factor := SCALES.get(words[0].lower().strip("."))):
        scale, words = scale * factor, words[1:]
    return scale, " ".join(words)


def _currency(raw: list[Token]) -> tuple[list[Token], str | None]:
    """Take one sign of currency off either end, also behind a minus."""
    if raw and raw[0].kind == "var" and len(raw) > 3 and (raw[0].value + raw[1].value, raw[2].value) == ("US", "¤"):
        raw = raw[2:]
    for index in (0, 1, len(raw) - 1):
        if index >= len(raw) or raw[index].kind != "op" or raw[index].value not in _CURRENCIES:
            continue
        if 1 == index < len(raw) - 1 and raw[0].value not in ("-", "+"):
            continue
        sign, width = raw[index].value, 1
        if sign == "¤":
            width = 2  # the word behind the mark names it
            sign = "$"
        return raw[:index] + raw[index + width :], _SPELLINGS[sign]
    if len(raw) > 2 and raw[-2] == ("op", "¤"):
        return raw[:-2], "usd"
    return raw, None


_WITHIN = frozenset(
    {"/", "^", "{", "}", "-", "cdot", "times", "*", "circ", "Omega", "mu", "frac", "%", "deg", "¢", "€"}
)


def _earliest(raw: list[Token]) -> int:
    """The first token from which everything could be part of a unit."""
    position = len(raw)
    while position and _within(raw[position - 1]):
        position -= 1
    return position


def _within(token: Token) -> bool:
    if token.kind in ("text", "word"):
        return True
    if token.kind == "num":
        return token.value in "123456"
    return token.value in _WITHIN or (token.kind == "var" and token.value in "CFmshgLKNJW")


def _may_start(raw: list[Token], index: int) -> bool:
    r"""Prose, ``%``, ``\Omega``, ``\mu`` with a unit behind it, a degree sign, a fraction of units."""
    token, behind = raw[index], raw[index + 1 :]
    if token.kind in ("text", "word") or token.value in ("%", "Omega"):
        return True
    if token == ("cmd", "mu"):
        return bool(behind) and behind[0].kind in ("text", "word")
    if token == ("cmd", "frac"):
        return len(behind) > 1 and behind[1].kind in ("text", "word")
    if token == ("op", "^"):  # a degree alone belongs to the expression: \\tan 60^\\circ
        wide = [each.value for each in behind[:3]] == ["{", "circ", "}"] and len(behind) > 3
        return wide or (behind[:1] == [Token("cmd", "circ")] and len(behind) > 1)
    return token == ("cmd", "circ") and bool(behind) and raw[index - 1].value not in ("^", "{")


def _spelled(tail: list[Token]) -> str:
    r"""The text of a unit: ``\frac{\text{m}}{\text{s}^2}`` as ``m/s^2``."""
    pieces: list[str] = []
    fraction = bool(tail) and tail[0] == ("cmd", "frac")
    for index, token in enumerate(tail):
        value = token.value
        if token.kind == "cmd":
            value = {"circ": "deg ", "Omega": "Ω", "mu": "µ", "cdot": "·", "times": "·", "frac": ""}.get(value, value)
        if fraction and value == "{" and index > 1 and tail[index - 1] == ("op", "}"):
            value = "/"
        pieces.append({"{": "", "}": "", "*": "·"}.get(value, value) + (" " if token.kind in ("text", "word") else ""))
    spelled = re.sub(r"\s*([/^·])\s*", r"\1", "".join(pieces))
    spelled = re.sub(r"\^?deg ", "deg", spelled) if "deg" in spelled else spelled
    return re.sub(r"(?<=µ) ", "", spelled).strip()
