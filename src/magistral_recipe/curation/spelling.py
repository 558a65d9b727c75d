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
    r"</?(?:p|div|span|b|i|u|em|strong|ul|ol|li|tr|td|th|table|tbody|h[1-6]|font|center|sub|a|img|code|pre|var|tt|small|"
    r"big|mark|section|article|blockquote|body|html|label|math|problem|question|hr|dl|dt|dd)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴-⁹⁺⁻ⁿ]+")
_FRACTION = re.compile(r"\\[dtc]?frac\s*\{((?:[^{}]|\{[^{}]*\})*)\}\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_SHORT_FRACTION = re.compile(r"\\[dtc]?frac\s*(\w)\s*(\w)")
_FRACTIONS_INSIDE = 8
_SHOUTED = 0.7
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|\\,)(?=\d{3}(?!\d))")
_ENVIRONMENT = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}|(?<!\\)&|\\(?:overline|bar|vec|hat)\b")
_NEXT_ROW = re.compile(r"[,;]?\\\\(?:\[[^\]]*\])?|(?<=\$),")
_DOTS = re.compile(r"\\[lcd]?dots[bcmio]?\b|…|\.{3}")
_THIN = re.compile(r"\\[,;:! ]|\\q?quad\b|~")
_DEGREES = re.compile(r"(?:\^\s*\{?\s*|\{\s*)?\\circ\b\s*\}?|\\degree\b|°")
_COMMAND = re.compile(
    r"\\(?=(?:triangle|angle|sin|cos|tan|cot|sec|csc|log|ln|max|min|gcd|lcm|lim|det|infty|pi)(?![a-z]))"
)
_WIDE_MARKS = str.maketrans(
    {"：": ": ", "；": "; ", "？": "? ", "！": "! ", "，": ", "}
)  # before NFKC makes them narrow
_AS_WORDS = str.maketrans(
    {"△": " triangle ", "∠": " angle ", "π": " pi ", "∞": " infty ", "⁄": "/", "€": " euros ", "£": " pounds "}
)
_MORNING = re.compile(r"(?<=\d)\s*([ap])\.\s?m\.|(?<=\d)\s*([ap])m\b", re.IGNORECASE)
_PERCENT = re.compile(r"\b(?:per ?cent|pour ?cent|por ciento|prozent|per cento)\b|процент\w*|\\%", re.IGNORECASE)
# A dash between words or clauses; between numbers and letters it is a sign.
_DASH = re.compile(r"(?:—|–|(?<!-)--+)\s*|(?<=[^\W\d_]{2})\s+[-−]\s+(?=[^\W\d_]{2})")
_COMPOUND = re.compile(r"(?<=\d)-(?=[^\W\d_]{2})")
_NON = re.compile(r"(?<![^\W_])non-(?=[^\W\d_])", re.IGNORECASE)
_ORDINAL = re.compile(r"(?<![^\W_])(\d+)(?:st|nd|rd|th)(?![^\W_])")
_ORDINALS = {
    "third": "3", "fourth": "4", "fifth": "5", "sixth": "6", "seventh": "7", "eighth": "8", "ninth": "9", "tenth": "10",
    "eleventh": "11", "twelfth": "12",
}  # fmt: skip
_PARTS = {**_ORDINALS, "quarter": "4"}
_PART = re.compile(
    rf"(?<![^\W_])(a|one|two|three|four|five|six|seven|eight|nine|\d)[- ]({'|'.join(_PARTS)})s?"
    r"(?=\s+(?:of|as|the|more|less)\b)",
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
_ENGLISH_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_ENGLISH_ONES = "one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_HUNDREDS = re.compile(
    rf"(?<![^\W_])({_ENGLISH_ONES}|a)[ -]hundred(?:(?: and)?[ -](?:({_ENGLISH_TENS})(?:[ -]({_ENGLISH_ONES}))?|"
    rf"({_ENGLISH_ONES}|{_TEENS})))?(?![^\W_])",
    re.IGNORECASE,
)


def one_spelling(text: str) -> str:
    """Write a problem in the one way in which problems are compared.

    Args:
        text: as a data set has it.

    Returns:
        Plain text: no tags, LaTeX's fractions as quotients, powers behind `^`, units and contractions written out,
        "forty-eight" as 48.
    """
    if (letters := sum(map(str.isalpha, text))) and sum(map(str.isupper, text)) > _SHOUTED * letters:
        text = text.lower()  # else every word would be a name
    text = _plain(text).translate(_WIDE_MARKS)
    text = _SUPERSCRIPTS.sub(lambda found: "^" + unicodedata.normalize("NFKC", found[0]), text)
    text = _without_latex(_DOTS.sub(" ", unicodedata.normalize("NFKC", text)))
    text = _MORNING.sub(lambda found: f" {(found[1] or found[2]).lower()}m", text.translate(_AS_WORDS))
    text = _COMPOUND.sub(" ", _DASH.sub(", ", _PERCENT.sub("%", _NON.sub("non", text))))
    text = _in_digits(text)
    text = _ABBREVIATION.sub(lambda found: _ABBREVIATED[found[0]], _SHORT.sub("", text))
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    return text


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


def _plain(text: str) -> str:
    if "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
    if "<" in text:
        text = _TAG.sub(" ", _RAISED.sub(r"^{\1}", _BREAKS.sub("\n", text)))
    return text


def _without_latex(text: str) -> str:
    if not any(sign in text for sign in "\\$°"):
        return text
    text = _DEGREES.sub(" degrees ", _ENVIRONMENT.sub(" ", _NEXT_ROW.sub("; ", text)))
    text = _THIN.sub(" ", _THOUSANDS.sub(",", text))
    for _ in range(_FRACTIONS_INSIDE):
        text, found = _FRACTION.subn(r" (\1) / (\2) ", text)
        if not found:
            break
    text = _SHORT_FRACTION.sub(r" \1 / \2 ", text)
    return _COMMAND.sub("", text)
