"""One spelling for what a problem may be written in: HTML, LaTeX or plain signs, abbreviations, British or American.

For comparing texts alone. What comes out is read by `likeness` and by nobody else.
"""

from __future__ import annotations

import re

from magistral_recipe.curation.measures import in_words
from magistral_recipe.curation.notation import one_notation
from magistral_recipe.curation.number_words import NUMBER_WORDS

_SHOUTED = 0.7
_RANGE = re.compile(r"(?<=[\d)])\s*[–—]\s*(?=[\d(])")
_WIDE_MARKS = str.maketrans(
    {"：": ": ", "；": "; ", "？": "? ", "！": "! ", "，": ", "}
)  # before NFKC makes them narrow
_AS_WORDS = str.maketrans(
    {
        "△": " triangle ", "∠": " angle ", "⁄": "/", "€": " euros ", "£": " pounds ", "⋅": "×", "∙": "×", "·": "×",
        "÷": "/", "−": "-", "‑": "-", "‐": "-", "′": "'", "’": "'", "‘": "'", "`": "'", "“": '"', "”": '"', "«": '"',
        "»": '"', "„": '"',
    }
)  # fmt: skip
_MORNING = re.compile(r"(?<=\d)\s*([ap])\.\s?m\.|(?<=\d)\s*([ap])m\b", re.IGNORECASE)
_PERCENT = re.compile(r"\b(?:per ?cent|pour ?cent|por ciento|prozent|per cento)\b|процент\w*|\\%", re.IGNORECASE)
# A dash between words or clauses; between numbers and letters it is a sign.
_DASH = re.compile(r"(?:—|–|(?<!-)--+)\s*|(?<=[^\W\d_]{2})\s+[-−]\s+(?=[^\W\d_]{2})")
_COMPOUND = re.compile(r"(?<=\d)-(?=[^\W\d_]{2})")
_NON = re.compile(r"(?<![^\W_])non-(?=[^\W\d_])", re.IGNORECASE)
_ORDINAL = re.compile(r"(?<![^\W_])(\d+)(?:st|nd|rd|th)(?![^\W_])")
_FACTOR = re.compile(r"(?<=\d)\s?×(?=\s{0,3}(?!sin|cos|tan|log|sqrt)[^\W\d_]{3})")
_IN_COMPOUNDS = {
    "ein": "1", "zwei": "2", "drei": "3", "vier": "4", "fünf": "5", "sechs": "6", "sieben": "7", "acht": "8",
    "neun": "9", "zehn": "10", "одно": "1", "дву": "2", "двух": "2", "трех": "3", "трёх": "3", "четырех": "4",
    "четырёх": "4", "пяти": "5", "шести": "6", "семи": "7",
}  # fmt: skip
_BEFORE_PART = re.compile(
    rf"\b({'|'.join(sorted(_IN_COMPOUNDS, key=len, reverse=True))})(?=stellig|seitig|eckig|köpfig|fach|mal\b|значн)",
    re.IGNORECASE,
)
_HOW_MANY = re.compile(r"\bwieviel(e?[nr]?)\b", re.IGNORECASE)
_THEREOF = re.compile(
    r"\b(?:of (?:which|whom)|(?:de|entre) l[oa]s cuales|di cui|dont (?=\d)|parmi lesquel(?:le)?s|davon|из которых|"
    r"из них)\b|其中",
    re.IGNORECASE,
)
_ORDINALS = {
    "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7", "eighth": "8", "ninth": "9", "tenth": "10",
    "eleventh": "11", "twelfth": "12",
}  # fmt: skip
_PARTS = {**_ORDINALS, "quarter": "4"}
_PART = re.compile(
    rf"(?<![^\W_])(a|one|two|three|four|five|six|seven|eight|nine|\d)[- ]({'|'.join(_PARTS)})s?"
    r"(?=\s+(?:of|as|the|more|less|full|empty|filled|done|complete|gone)\b)",
    re.IGNORECASE,
)
_ORDINAL_WORD = re.compile(rf"(?<![^\W_])({'|'.join(_ORDINALS)})(?![^\W_])", re.IGNORECASE)
_ABBREVIATED = {
    "mph": "miles per hour",
    "kmh": "kilometers per hour",
    "km/h": "kilometers per hour",
    "kph": "kilometers per hour",
    "km/hr": "kilometers per hour",
    "km": "kilometers",
    "cm": "centimeters",
    "mm": "millimeters",
    "kg": "kilograms",
    "hr": "hours",
    "hrs": "hours",
    "mins": "minutes",
    "sec": "seconds",
    "secs": "seconds",
}
_ABBREVIATION = re.compile(rf"(?<![^\W\d_])(?:{'|'.join(sorted(_ABBREVIATED, key=len, reverse=True))})(?![^\W_]|/h)")
_SHORT = re.compile(r"(?<=[^\W\d_])'(?:s|re|m|ll|ve|d)\b|-t(?=-(?:ils?|elles?|on)\b)", re.IGNORECASE)
_NOT = re.compile(r"(?<=[a-z])n't\b|(?<=\bcan)not\b", re.IGNORECASE)
_ELIDED = re.compile(r"(?<![^\W_])(?:[cdjlmnst]|qu|dell|all|nell|sull|dall|un)'(?=[^\W\d_])", re.IGNORECASE)
_PER = re.compile(r"(?<=[^\W\d_]{2})\s?/\s?(?=[^\W\d_]{2})|(?<=\d)\s?/\s?(?=[^\W\d_]{3})")
_MINUTES = re.compile(r"(?:(?<=\d)\s?|(?<=\bper )|(?<=/)\s?)min\b\.?")
_HOURS = re.compile(r"(?<=\d)\s?h\b(?!\s*[=+^(])|(?<=per )h\b")
_TIMES = re.compile(r"\b(?:twice|(?:double|two times) (?=the|as|that|his|her|its))|\btwo-fold\b", re.IGNORECASE)
_THRICE = re.compile(r"\b(?:thrice|triple (?=the|as|that|his|her|its))", re.IGNORECASE)
_RATIO = re.compile(r"(?<=\d) ?: ?(?=\d)")
_TITLE = re.compile(
    r"(?<=\b(?:Mr|Ms|Dr|Sr|St|No|Mx))\.(?=\s)|(?<=\b(?:Mrs|Sra))\.(?=\s)|(?<=\bProf)\.(?=\s)", re.IGNORECASE
)
_BY = re.compile(r"(?<=\d)\s?[xX]\s?(?=\d)")
_NONE = re.compile("ない|ません|なかった|なし")
_SHARE = re.compile("(?<!\\d)(\\d{1,4}|[二三四五六七八九十])分[之の](\\d+|[一二三四五六七八九])")
_HAN_DIGITS = dict(zip("一二三四五六七八九十", map(str, range(1, 11)), strict=True))
_GREATEST = re.compile(
    r"\b(?:greatest|highest|largest) common (?:divisor|factor)s?\b(?: \(?(?:gcd|gcf|hcf)\)?)?|\b(?:gcf|hcf)\b",
    re.IGNORECASE,
)
_LEAST = re.compile(r"\b(?:least|lowest|smallest) common (?:multiple|denominator)s?\b(?: \(?lcm\)?)?", re.IGNORECASE)
_ORDERS = {
    "thousand": 1000, "million": 10**6, "billion": 10**9, "millionen": 10**6, "millions": 10**6, "millones": 10**6,
    "milioni": 10**6, "tausend": 1000, "mille": 1000, "mil": 1000, "тысяч": 1000, "миллионов": 10**6, "万": 10**4,
    "亿": 10**8,
}  # fmt: skip
_ORDER = re.compile(rf"(?<![\d.,])(\d{{1,6}}(?:[.,]\d{{1,2}})?)\s?({'|'.join(_ORDERS)})(?![^\W\d_])|"
                    r"(?<![\w.,])(\d{1,6}(?:\.\d{1,2})?)[kK](?![\w(])(?!\s*[-+*/^=<>)])", re.IGNORECASE)  # fmt: skip
_SPACED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:[ '\u00a0\u2009\u202f]\d{3})+(?![.,]?\d)")
_DOTTED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3})+(?![.]?\d)")
# British before American; and a plural that is not its singular's spelling.
_SPELLINGS = (
    (re.compile(r"(?<=[aeiou])ll(?=(?:ed|ing|er|ers)\b)", re.IGNORECASE), "l"),
    (re.compile(r"(?<=t)re(?=s?\b)(?<=\wtre)", re.IGNORECASE), "er"),
    (re.compile(r"(?<=[a-z]{2})our(?=s?\b|ed\b|ing\b)", re.IGNORECASE), "or"),
    (re.compile(r"(?<=[a-z]{3})is(?=(?:e|ed|es|ing|ation)\b)", re.IGNORECASE), "iz"),
)
_TENS = {word: number for word, number in NUMBER_WORDS.items() if number in {str(ten) for ten in range(20, 100, 10)}}
_ONES = {word: number for word, number in NUMBER_WORDS.items() if len(number) == 1 and number != "0"} | {"one": "1"}
_TENS_AND_ONES = re.compile(
    rf"(?<![^\W_])({'|'.join(_TENS)})[-‐ ](?:(?:et|y)[- ])?({'|'.join(_ONES)})(?![^\W_])", re.IGNORECASE
)
_ENGLISH_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ENGLISH_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_HUNDREDS = re.compile(
    rf"(?<![^\W_])({_ENGLISH_ONES}|a)[ -]hundred(?:(?: and)?[ -](?:({_ENGLISH_TENS})(?:[ -]({_ENGLISH_ONES}))?|"
    rf"({_ENGLISH_ONES}|{_TEENS})))?(?![^\W_])",
    re.IGNORECASE,
)


def one_spelling(text: str, *, points: bool = True) -> tuple[str, frozenset[str]]:
    """Write a problem in the one way in which problems are compared.

    Args:
        text: as a data set has it.
        points: a point parts decimals, as in English; else the thousands of a number, as in 1.200.

    Returns:
        Plain text: no tags, LaTeX's fractions as quotients, powers behind `^`, units and contractions written out,
        "forty-eight" as 48; and the letters that stand in its formulas.
    """
    if (letters := sum(map(str.isalpha, text))) and sum(map(str.isupper, text)) > _SHOUTED * letters:
        text = text.lower()  # else every word would be a name
    text, variables = one_notation(text.translate(_WIDE_MARKS))
    text = in_words(text, variables)
    text = text.translate(_AS_WORDS).replace(" & ", " and ").replace("...", " … ")
    text = _RATIO.sub(":", _TITLE.sub("", text))
    text = _SPACED.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    if not points:
        text = _DOTTED.sub(lambda found: found[0].replace(".", ""), text)
    if not text.isascii():
        text = _NONE.sub("不", text)
    text = _SHARE.sub(
        lambda found: f"({_HAN_DIGITS.get(found[2], found[2])}/{_HAN_DIGITS.get(found[1], found[1])})", text
    )
    text = _NOT.sub(" not", _MORNING.sub(lambda found: f" {(found[1] or found[2]).lower()}m", text))
    text = _COMPOUND.sub(" ", _DASH.sub(", ", _PERCENT.sub("%", _NON.sub("non", _RANGE.sub(" - ", text)))))
    text = _BEFORE_PART.sub(lambda found: f"{_IN_COMPOUNDS[found[1].lower()]} ", _FACTOR.sub(" times ", text))
    text = _THEREOF.sub(" thereof ", _HOW_MANY.sub(r"wie viel\1", text))
    text = _in_digits(_ELIDED.sub(" ", text))
    text = _BY.sub(
        "×", _ORDER.sub(lambda found: _whole(found, variables), _HOURS.sub(" hours", _MINUTES.sub(" minutes", text)))
    )
    text = _ABBREVIATION.sub(lambda found: _ABBREVIATED[found[0]], _PER.sub(" per ", _SHORT.sub("", text)))
    text = _LEAST.sub("lcm", _GREATEST.sub("gcd", _THRICE.sub("3 times ", _TIMES.sub("2 times ", text))))
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    return text, variables


def _whole(found: re.Match[str], variables: frozenset[str]) -> str:
    """ "2.5 million" and "80k" in digits."""
    if found[3] and "k" in variables:
        return found[0]
    number, order = (found[1], _ORDERS[found[2].lower()]) if found[1] else (found[3], 1000)
    return f"{float(number.replace(',', '.')) * order:.0f}"


def _in_digits(text: str) -> str:
    """Numbers of several words, parts and ordinals in digits; what is one word is a number by itself."""
    text = _HUNDREDS.sub(lambda found: str(_hundreds(found)), text)
    text = _TENS_AND_ONES.sub(lambda found: str(int(_TENS[found[1].lower()]) + int(_ONES[found[2].lower()])), text)
    text = _PART.sub(lambda found: f"{_ONES.get(found[1].lower(), '1')} / {_PARTS[found[2].lower()]}", text)
    text = _ORDINAL_WORD.sub(lambda found: f"#{_ORDINALS[found[1].lower()]}", text)
    return _ORDINAL.sub(r"#\1", text)


def _hundreds(found: re.Match[str]) -> int:
    """ "Three hundred and sixty-five" is 365; English alone, whose words stand apart."""
    count, tens, ones, one = found.groups()
    rest = sum(int(NUMBER_WORDS.get(word.lower(), "1")) for word in (tens, ones, one) if word)
    return 100 * int(_ONES.get(count.lower(), "1")) + rest
