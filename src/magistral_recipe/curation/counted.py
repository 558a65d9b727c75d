"""Numbers, parts and ordinals in words as digits: "forty-eight" is 48, "two and a half" 2.5, "a third of" 1/3.

An ordinal is no number: "third" and "3rd" are #3, and never 3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

from magistral_recipe.curation.alternation import either
from magistral_recipe.curation.number_words import FIRST_ORDINALS, ONES, ORDINALS, PARTS, VALUES
from magistral_recipe.curation.spoken import chinese_digits, composed, german_number

_NO_WORD, _END = r"(?<![^\W_])", r"(?![^\W_])"


def _run(language: str) -> re.Pattern[str]:
    words, joins = either(VALUES[language]), r"[-\s](?:and|et|y|e)[-\s]"
    further = either({*VALUES[language], *ONES[language]})
    return re.compile(rf"{_NO_WORD}(?:{words})(?:(?:[-\s]|{joins})(?:{further}))*{_END}", re.IGNORECASE)


_RUNS = {language: _run(language) for language in VALUES}
_PORTUGUESE = re.compile(r"\b(?:uma?|não|são|duas|quant[oa]s|ao?s)\b")
_GERMAN_WORD = re.compile(r"(?<![^\W_])[a-zA-ZäöüßÄÖÜ]*(?:hundert|tausend|und[a-zß]+zig|ßig|zig)[a-zäöüß]*(?![^\W_])")
_FRENCH_TEEN = re.compile(r"(dix)-(?=sept|huit|neuf)", re.IGNORECASE)
_HALVES = {"eineinhalb": "1.5", "anderthalb": "1.5", "полтора": "1.5", "полторы": "1.5", "полутора": "1.5",
           "zweieinhalb": "2.5", "dreieinhalb": "3.5", "viereinhalb": "4.5", "fünfeinhalb": "5.5"}  # fmt: skip
_HALF_MORE = re.compile(rf"{_NO_WORD}({either(_HALVES)})(?:e[nrs]?)?{_END}", re.IGNORECASE)

_ENGLISH_PARTS = "half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|twelfths?"
_SIZES = {"hal": 2, "thi": 3, "qua": 4, "fou": 4, "fif": 5, "six": 6, "sev": 7, "eig": 8, "nin": 9, "ten": 10,
          "twe": 12}  # fmt: skip
_MIXED = re.compile(rf"(?<![\w.,/])(\d+)[- ]and[- ](an?|one|\d)[- ]({_ENGLISH_PARTS}){_END}", re.IGNORECASE)
_MIXED_DIGITS = re.compile(r"(?<![\w.,/])(\d+) and (\d{1,2})\s?/\s?(\d{1,2})(?![\w/.])")
_AND_A_HALF = re.compile(
    r"(?<![\w.,/])(an?|one|\d+) ([^\W\d_]{3,}) (?:and a half|et demie?|y medi[ao]|e mezz[ao]|e mei[ao])(?![^\W_])",
    re.IGNORECASE,
)
_OF = r"(?=[-\s](?:of|as|the|an?|more|less|full|empty|filled|done|complete|gone|that|this|his|her|its|their)\b)"
_PART = re.compile(
    rf"{_NO_WORD}(an?|one|\d+)[- ](?:(half|thirds?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|"
    rf"twelfths?|"
    rf"quarters?){_OF}|(halves|thirds|fourths|fifths|sixths|sevenths|eighths|ninths|tenths|twelfths){_END})",
    re.IGNORECASE,
)
_SURE_PART = re.compile(
    rf"{_NO_WORD}(an?|one|\d+)-(quarters|quarter|half|third)(?!-?[^\W_])|"
    rf"{_NO_WORD}(an?|one|1) (half|third|quarter)(?=[.,;:?!)]|$)|"
    r"(?<=\b(?:is|by) )(an?|one|\d+) quarters?(?![^\W_])|(?<=\b(?:are|was|now) )(\d+) quarters?(?![^\W_])",
    re.IGNORECASE,
)
_HALF = re.compile(
    r"(?<!first )(?<!second )(?<!other )(?<!last )(?<!each )(?<!this )(?<![^\W_])(?<!-)half"
    r"(?:(?= (?:of|as|the|his|her|its|their|my|that|full|empty|what)\b)| an?(?= ))",
    re.IGNORECASE,
)
_FIFTY = re.compile(
    r"(?<![\w.,/])50\s?%(?=\s(?:of|der|des|von|de[l]?|des|du|di|dell\w+|do|da|dos|das|от|всех)\b)", re.IGNORECASE
)
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_COMPOUND_ORDINAL = re.compile(
    rf"{_NO_WORD}({_TENS})[- ](first|second|third|fourth|fifth|sixth|seventh|eighth|ninth){_END}", re.IGNORECASE
)
_BELOW = {"first": 1, "second": 2}
_DIGIT_ORDINAL = re.compile(rf"{_NO_WORD}(\d+)\s?(?:st|nd|rd|th){_END}", re.IGNORECASE)
_OTHER_ORDINAL = re.compile(
    rf"{_NO_WORD}(\d+)(?:-?(ère|ere|er|re|ième|ieme|ème|eme|nde?|e(?=\s(?:[a-zé]{{3}}|\d)))|"
    rf"-(й|я|е|го|му|м|ю|ая|ый|ой|ом|ого|ей|ую)){_END}"
)
_GERMAN_ORDINAL = re.compile(
    r"(?<![^\W_])((?i:am|im|zum|vom|de[rsmn]|die|das|jede[rnsm]?)) (\d{1,2})\.(?=\s[A-ZÄÖÜ][a-zäöüß])"
)
_SURE_PLURAL = re.compile(
    r"(?<![\w.,/])(\d+) (terzi|quarti|quinti|sesti|settimi|ottavi|noni|decimi|tiers|quarts|cinquièmes|sixièmes|"
    r"septièmes|"
    r"huitièmes|neuvièmes|dixièmes|tercios|quintos|octavos|décimos|terços|oitavos|drittel|viertel|fünftel|sechstel|achtel|"
    r"zehntel)(?![^\W_])",
    re.IGNORECASE,
)
_NAMED_PART = re.compile(
    r"(?<![^\W_])la (tercera|cuarta|quinta|sexta|séptima|octava|novena|décima|terza|quarta|settima|ottava|nona|"
    r"decima) part[ei]"
    r"(?=\s(?:d[aei]l?|dell[aoe])\b)|(?<![^\W_])(треть|четверть|четверти|трети)(?=\s[а-я])",
    re.IGNORECASE,
)
_ORDINAL = {
    language: re.compile(rf"{_NO_WORD}({either(words)}){_END}", re.IGNORECASE) for language, words in ORDINALS.items()
}
_MARKED_ORDINAL = re.compile(r"(?<![\w.,])(\d{1,3})\.?[ºª]")
_OTHER_PART = {
    language: re.compile(
        rf"{_NO_WORD}(une?|un[oa]?|uma?|eine?[mnr]?|одн[ау]|\d+)\s({either(words)}){_END}"
        r"(?:\s(?:partes?|parti|parties?|част[иьей]+)(?![^\W_])|"
        r"(?=\s(?:d[aeiou]s?|del|della|delle|dei|degli|dell'|d'|der|des|von|vom|que|so|seiner|ihrer|aller|его|её|ее|от|всех|"
        r"à|a|au|aux|al|alla|ai|an|am|im|für|pour|per|para|por|und|et|y|e|и|[а-я]+)(?![^\W_])|\s?d')|(?=[.,;?!)]|$))",
        re.IGNORECASE,
    )
    for language, words in PARTS.items()
}
_OTHER_HALF = re.compile(
    r"(?<![^\W_])(?:la moitié|la mitad|la metà|a metade|(?:die|der) hälfte|половин[аыеу])(?=\s(?:d[aeiou]s?|del|della|"
    r"delle|dei|degli|d'|der|des|von|vom|seiner|ihrer|dieser|всех|à|a|au|aux|al|alla|an|am|"
    r"und|et|y|e|para|pour|por|per|[а-я]+)(?![^\W_])|\s?d'|[.,;?!])",
    re.IGNORECASE,
)
_SAID_TWICE = re.compile(r"(?<=\d/\d)\s(?:partes|parties|parti|части|частей)(?![^\W_])")
_HYPHENED = re.compile(r"(?<=[a-zà-ÿа-я]{3})-(?=\d)")  # base-10


def marked_ordinals(text: str) -> str:
    """Write 3.º and 3ª as ordinals, before Unicode's compatible forms make letters of the marks."""
    return _MARKED_ORDINAL.sub(r"#\1", text)


def in_digits(text: str, language: str) -> str:
    """Write what a text counts in digits.

    Args:
        text: prose and mathematics in plain signs.
        language: as `stems.language_of` tells it.

    Returns:
        Its numbers of one or more words in digits, parts as 1/3, ordinals behind #; articles stay.
    """
    if language == "en":
        text = _COMPOUND_ORDINAL.sub(lambda found: f"#{_compound(found)}", text)
    else:
        text = _HALF_MORE.sub(lambda found: _HALVES[found[1].lower()], text)
    if language == "de":
        text = _GERMAN_WORD.sub(_german, text)
    values: Mapping[str, int] = VALUES[language]
    portuguese = not language and _PORTUGUESE.search(text) is not None
    text = _RUNS[language].sub(lambda found: _digits(found[0], values, language, portuguese), text)
    if not text.isascii():
        text = chinese_digits(text)
    return _HYPHENED.sub(" ", _ordinals(_parts(text, language), language))


def _parts(text: str, language: str) -> str:
    text = _AND_A_HALF.sub(_and_a_half, text)
    if language != "en":
        sizes, below = PARTS[language], _OTHER_PART[language]
        text = _SURE_PLURAL.sub(lambda found: f"{found[1]}/{_plural_size(found[2].lower())}", text)
        text = below.sub(lambda found: f"{_count(found[1])}/{sizes[found[2].lower()]}", text)
        text = _NAMED_PART.sub(lambda found: f"1/{sizes[(found[1] or found[2]).lower()]}", text)
        text = _SAID_TWICE.sub("", text)
        return _FIFTY.sub("1/2", _OTHER_HALF.sub("1/2", text))
    text = _MIXED.sub(lambda found: _written(int(found[1]) + Fraction(int(_count(found[2])), _size(found[3]))), text)
    text = _MIXED_DIGITS.sub(_mixed, text)
    text = _PART.sub(lambda found: f"{_count(found[1])}/{_size(found[2] or found[3])}", text)
    text = _SURE_PART.sub(
        lambda found: (
            f"{_count(found[1] or found[3] or found[5] or found[6])}/{_size(found[2] or found[4] or 'quarter')}"
        ),
        text,
    )
    return _FIFTY.sub("1/2", _HALF.sub("1/2", text))


def _ordinals(text: str, language: str) -> str:
    known = ORDINALS[language]
    text = _ORDINAL[language].sub(lambda found: f"#{known[found[1].lower()]}", text)
    if language == "en":
        return _DIGIT_ORDINAL.sub(lambda found: _ordinal(found[1], "en"), text)
    if language == "de":
        return _GERMAN_ORDINAL.sub(lambda found: f"{found[1]} {_ordinal(found[2], 'de')}", text)
    return _OTHER_ORDINAL.sub(lambda found: _ordinal(found[1], "ru" if found[3] else "fr"), text)


def _ordinal(number: str, language: str) -> str:
    """The first two are words in every text."""
    return FIRST_ORDINALS.get(language, {}).get(number, f"#{number}")


def _compound(found: re.Match[str]) -> int:
    one = found[2].lower()
    return VALUES["en"][found[1].lower()] + (_BELOW.get(one) or ORDINALS["en"][one])


def _german(found: re.Match[str]) -> str:
    value = german_number(found[0].lower())
    return found[0] if value is None else str(value)


def _digits(phrase: str, values: Mapping[str, int], language: str, portuguese: bool) -> str:
    """A run of number words as one number or several: "two hundred and five" is 205, "two and five" 2 and 5."""
    known = {**values, **ONES[language]}
    out: list[str] = []
    run: list[int] = []
    joined = ""
    for word in _FRENCH_TEEN.sub(r"\1", phrase).replace("-", " ").split():
        value = known.get(word.lower())
        if word.lower() == "dos" and portuguese:
            value = None
        if value is None:
            joined = f"{joined} {word}"
            continue
        if run and (_joins(run, value, joined) if joined else len(list(composed([*run, value]))) == 1):
            run.append(value)
        else:
            out += [*map(str, composed(run)), joined]
            run = [value]
        joined = ""
    return " ".join(part.strip() for part in (*out, *map(str, composed(run)), joined) if part.strip())


def _joins(run: list[int], value: int, joined: str) -> bool:
    """Whether "and" stands within a number."""
    word, last, whole = joined.strip().lower(), run[-1], next(composed(run))
    if word == "and":
        return last >= 100 and value < last
    if word == "et":
        return value in (1, 11) and last >= 20
    if word == "y":
        return value < 10 and 30 <= last < 100
    return word == "e" and last >= 20 and value < last and (whole % 100 == 0 or value < 10)


def _plural_size(part: str) -> int:
    return PARTS[""].get(part) or PARTS["de"][part]


def _and_a_half(found: re.Match[str]) -> str:
    return f"{int(_count(found[1])) + 0.5:g} {found[2]}"


def _mixed(found: re.Match[str]) -> str:
    above, below = int(found[2]), int(found[3])
    return _written(int(found[1]) + Fraction(above, below)) if 0 < above < below else found[0]


def _written(value: Fraction) -> str:
    """A decimal where that is short, else a quotient."""
    return f"{float(value):g}" if 1000 % value.denominator == 0 else f"{value.numerator}/{value.denominator}"


def _count(word: str) -> str:
    return word if word.isdigit() else "1"


def _size(part: str) -> int:
    return _SIZES[part[:3].lower()]
