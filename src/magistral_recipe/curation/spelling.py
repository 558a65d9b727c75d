"""One spelling for what a problem may be written in: HTML, LaTeX or plain signs, abbreviations, British or American.

For comparing texts alone. What comes out is read by `likeness` and by nobody else.
"""

from __future__ import annotations

import html
import re
import unicodedata

from magistral_recipe.curation.number_words import NUMBER_WORDS

_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});")
_BREAKS = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\s*/?>", re.IGNORECASE)
_RAISED = re.compile(r"<sup>([^<>]*)</sup>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:p|div|span|b|i|u|em|strong|ul|ol|li|tr|td|th|table|tbody|h[1-6]|font|center|sub|a|img)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴-⁹⁺⁻ⁿ]+")
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac\s*(\d)\s*(\d)")
_FRACTIONS_INSIDE = 8
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|\\,)(?=\d{3}(?!\d))")
_THIN = re.compile(r"\\[,;:! ]|\\q?quad\b|~")
_DEGREES = re.compile(r"\^?\s*\{?\s*\\circ\b\s*\}?|\\degree\b|°")
_COMMAND = re.compile(r"\\(?=(?:triangle|angle|sin|cos|tan|cot|sec|csc|log|ln|max|min|gcd|lcm|lim|det|infty)\b)")
_GREEK = re.compile(r"\\(?=(?:alpha|beta|gamma|delta|epsilon|theta|lambda|mu|pi|rho|sigma|tau|phi|omega)\b)")
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
    "sqrt": "√",
}
_ABBREVIATION = re.compile(rf"(?<![^\W\d_])(?:{'|'.join(sorted(_ABBREVIATED, key=len, reverse=True))})(?![^\W_]|/h)")
_SHORT = re.compile(r"(?<=[^\W\d_])['’](?:s|re|m|ll|ve|d)\b|-t(?=-(?:ils?|elles?|on)\b)", re.IGNORECASE)
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


def one_spelling(text: str) -> str:
    """Write a problem in the one way in which problems are compared.

    Args:
        text: as a data set has it.

    Returns:
        Plain text: no tags, LaTeX's fractions as quotients, powers behind `^`, units and contractions written out,
        "forty-eight" as 48.
    """
    text = _plain(text)
    text = _SUPERSCRIPTS.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    text = _without_latex(unicodedata.normalize("NFKC", text))
    text = _ABBREVIATION.sub(lambda found: _ABBREVIATED[found[0]], _SHORT.sub("", text))
    text = _TENS_AND_ONES.sub(lambda found: str(int(_TENS[found[1].lower()]) + int(_ONES[found[2].lower()])), text)
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    return text


def _plain(text: str) -> str:
    if "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", _RAISED.sub(r"^{\1}", _BREAKS.sub("\n", text)))
    return text


def _without_latex(text: str) -> str:
    if "\\" not in text and "°" not in text:
        return text
    text = _DEGREES.sub(" degrees ", _THIN.sub(" ", _THOUSANDS.sub(",", text)))
    for _ in range(_FRACTIONS_INSIDE):
        text, found = _FRACTION.subn(r" (\1) / (\2) ", text)
        if not found:
            break
    text = _SHORT_FRACTION.sub(r" \1 / \2 ", text)
    return _GREEK.sub("", _COMMAND.sub("", text))
