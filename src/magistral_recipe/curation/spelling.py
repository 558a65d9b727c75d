"""One spelling for what a problem may be written in: HTML, LaTeX or plain signs, abbreviations, British or American.

For comparing texts alone. What comes out is read by `likeness` and by nobody else.
"""

from __future__ import annotations

import re

from magistral_recipe.curation.clock import on_24_hours
from magistral_recipe.curation.conditions import differentials, in_words
from magistral_recipe.curation.counted import in_digits, marked_ordinals
from magistral_recipe.curation.lettering import corners_apart, latin_letters
from magistral_recipe.curation.money import amounts, currency_behind
from magistral_recipe.curation.notation import one_notation
from magistral_recipe.curation.number_words import NUMBER_WORDS
from magistral_recipe.curation.shorthand import in_plain_marks, without_damage, without_elisions, written_out
from magistral_recipe.curation.units import by_name
from magistral_recipe.data.wrappers import unwrapped

_SHOUTED = 0.7
_PERCENT = re.compile(
    r"\b(?:per ?cent|pour ?cent|por ?cien(?:to)?|por cento|prozent|per cento|pct\.?)(?![^\W_])|процент\w*|\\%",
    re.IGNORECASE,
)
_NON = re.compile(r"(?<![^\W_])non-(?=[^\W\d_])", re.IGNORECASE)
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
_TWICE = re.compile(r"\b([^\W\d_]{2,12})\s?\(\s?(\d{1,3})\s?\)")
_PLUS = re.compile(r"(?<=[^\W\d_]{2})(?<!\bnumber)\s+(?:\+|plus\b)\s*(?=\d+(?:\.\d+)?\s[^\W\d_]{2})")
_TIMES = re.compile(r"\b(?:twice|(?:double|two times) (?=the|as|that|his|her|its))|\btwo-fold\b", re.IGNORECASE)
_THRICE = re.compile(r"\b(?:thrice|triple (?=the|as|that|his|her|its))", re.IGNORECASE)
_RATIO = re.compile(r"(?<=\d) ?: ?(?=\d)")
_BY = re.compile(r"(?<=\d)\s?[xX]\s?(?=\d)")
_NONE = re.compile("ない|ません|なかった|なし")
_KANA_NAMES = (
    ("りんご", "リンゴ"), ("林檎", "リンゴ"), ("みかん", "ミカン"), ("蜜柑", "ミカン"), ("梨", "ナシ"),
    ("いちご", "イチゴ"), ("苺", "イチゴ"), ("ぶどう", "ブドウ"), ("ばなな", "バナナ"), ("スイカ", "西瓜"),
    ("たまご", "卵"), ("玉子", "卵"), ("えんぴつ", "鉛筆"), ("ひよこ", "ヒヨコ"), ("ねこ", "猫"), ("ネコ", "猫"),
    ("いぬ", "犬"), ("イヌ", "犬"), ("バラ", "薔薇"), ("あめ", "飴"), ("アメ", "飴"), ("こども", "子供"),
    ("子ども", "子供"), ("みんな", "皆"),
)  # fmt: skip
"""Things of school problems that are written in either kana or in Han characters."""
_KANA_VERBS = (
    (re.compile("(?<=[をで])(?:ひ|引)(?=[くいき])"), "减"),
    (re.compile("(?<=を)(?:た|足)(?=[すし])"), "加"),
    (re.compile(r"(?<=\dを)(?:か|掛)(?=け)"), "乘"),
    (re.compile("(?<=[をで])(?:わ|割)(?=[るっり])"), "除"),
)
"""What Japanese does to numbers, in the characters that decide in Chinese."""
_PEAR = re.compile(r"(?<![^のと、。\s])なし(?=を|と|は|が|、)")
_SHARE = re.compile("(?<!\\d)(\\d{1,4}|[二三四五六七八九十])分[之の](\\d+|[一二三四五六七八九])")
_HAN_DIGITS = dict(zip("一二三四五六七八九十", map(str, range(1, 11)), strict=True))
_GREATEST = re.compile(
    r"\b(?:greatest|highest|largest) common (?:divisor|factor)s?\b(?: \(?(?:gcd|gcf|hcf)\)?)?|\b(?:gcf|hcf)\b",
    re.IGNORECASE,
)
_LEAST = re.compile(r"\b(?:least|lowest|smallest) common (?:multiple|denominator)s?\b(?: \(?lcm\)?)?", re.IGNORECASE)
_ORDERS = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "millionen": 10**6, "millions": 10**6,
    "millones": 10**6, "milioni": 10**6, "milhões": 10**6, "tausend": 1000, "mille": 1000, "mil": 1000, "тысяч": 1000,
    "миллионов": 10**6, "万": 10**4, "亿": 10**8,
}  # fmt: skip
_ORDER = re.compile(rf"(?<![\d.,])(\d{{1,6}}(?:[.,]\d{{1,2}})?)\s?({'|'.join(_ORDERS)})(?![^\W\d_])|"
                    r"(?<![\w.,])(\d{1,6}(?:\.\d{1,2})?)[kK](?![\w(])(?!\s*[-+*/^=<>)])", re.IGNORECASE)  # fmt: skip
_SPACED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:[ '\u2009]\d{3})+(?![.,]?\d)")
_DOTTED = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3})+(?![.]?\d)")
# British before American; and a plural that is not its singular's spelling.
_SPELLINGS = (
    (re.compile(r"(?<=[aeiou])ll(?=(?:ed|ing|er|ers)\b)", re.IGNORECASE), "l"),
    (re.compile(r"(?<=t)re(?=s?\b)(?<=\wtre)", re.IGNORECASE), "er"),
    (re.compile(r"(?<=[a-z]{2})our(?=s?\b|ed\b|ing\b)", re.IGNORECASE), "or"),
    (re.compile(r"(?<=[a-z]{3})is(?=(?:e|ed|es|ing|ation)\b)", re.IGNORECASE), "iz"),
)
_BLANKS = re.compile(r"  +")


def one_spelling(text: str, language: str = "en") -> tuple[str, frozenset[str]]:
    """Write a problem in the one way in which problems are compared.

    Args:
        text: as a data set has it.
        language: as `stems.language_of` tells it; in English a point parts decimals, elsewhere thousands (1.200).

    Returns:
        Plain text: no tags, LaTeX's fractions as quotients, powers behind `^`, units and contractions written out,
        "forty-eight" as 48; and the letters that stand in its formulas.
    """
    if (spelled := sum(map(str.isalpha, text))) and sum(map(str.isupper, text)) > _SHOUTED * spelled:
        text = text.lower()  # else every word would be a name
    text = currency_behind(without_damage(unwrapped(text)))
    if language != "en":
        text = marked_ordinals(text)
    text, variables = one_notation(text)
    text, corners = corners_apart(_BLANKS.sub(" ", text))
    text, letters = differentials(text)
    variables |= corners | letters
    text = _prose(in_words(text), language, variables)
    return _BLANKS.sub(" ", text), variables


def _prose(text: str, language: str, variables: frozenset[str]) -> str:
    text = _RATIO.sub(":", in_plain_marks(text)) if ":" in text else in_plain_marks(text)
    text = _PERCENT.sub("%", _SPACED.sub(lambda found: re.sub(r"\D", "", found[0]), text))
    if language != "en":
        text = _DOTTED.sub(lambda found: found[0].replace(".", ""), text)
    if not text.isascii():
        text = _unspaced(latin_letters(text, variables))
    text = _NON.sub("non", _TWICE.sub(_once, written_out(text, language)))
    if language != "en":
        text = _BEFORE_PART.sub(lambda found: f"{_IN_COMPOUNDS[found[1].lower()]} ", _HOW_MANY.sub(r"wie viel\1", text))
    text = _THEREOF.sub(" thereof ", _FACTOR.sub(" times ", text))
    text = _ORDER.sub(lambda found: _whole(found, variables), text)
    text = _BY.sub("×", on_24_hours(in_digits(text, language), language))
    text = _PLUS.sub(" and ", by_name(amounts(text, language), language, variables))
    text = _THRICE.sub("3 times ", _TIMES.sub("2 times ", text))
    if "ommon" in text or "cf" in text.lower():
        text = _LEAST.sub("lcm", _GREATEST.sub("gcd", text))
    for pattern, instead in _SPELLINGS:
        text = pattern.sub(instead, text)
    return without_elisions(text)


def _unspaced(text: str) -> str:
    """What Chinese and Japanese write in characters."""
    text = _NONE.sub("不", _PEAR.sub("ナシ", text))
    for kana, name in _KANA_NAMES:
        text = text.replace(kana, name)
    for pattern, han in _KANA_VERBS:
        text = pattern.sub(han, text)
    return _SHARE.sub(
        lambda found: f"({_HAN_DIGITS.get(found[2], found[2])}/{_HAN_DIGITS.get(found[1], found[1])})", text
    )


def _once(found: re.Match[str]) -> str:
    """A number in a word and in digits behind it."""
    return found[2] if NUMBER_WORDS.get(found[1].casefold()) == found[2] else found[0]


def _whole(found: re.Match[str], variables: frozenset[str]) -> str:
    """ "2.5 million" and "80k" in digits."""
    if found[3] and "k" in variables:
        return found[0]
    number, order = (found[1], _ORDERS[found[2].lower()]) if found[1] else (found[3], 1000)
    return f"{float(number.replace(',', '.')) * order:.0f}"
