"""Numbers said in words, put together: "seventy-five", "soixante-quinze", "fünfundsiebzig" and "七十五" are 75.

For the languages of the paper's data (Magistral §2.2.4). What stands in front of a noun of its own ("three-digit",
"трёхзначный", 三角形) or inside a phrase ("por ciento", 千米) is no number here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from magistral_recipe.verifiers.answers.numerals import HAN, HAN_POWERS, TENS, UNITS

_MORE = {
    "en": {100: "hundred", 1000: "thousand", 10**6: "million", 10**9: "billion"},
    "fr": {
        1: "une",
        20: "vingts",
        80: "octante",
        100: "cent cents",
        1000: "mille",
        10**6: "million millions",
        10**9: "milliard milliards",
    },
    "es": {
        1: "un una",
        21: "veintiún veintiuna",
        100: "cien ciento",
        200: "doscientos doscientas",
        300: "trescientos trescientas",
        400: "cuatrocientos cuatrocientas",
        500: "quinientos quinientas",
        600: "seiscientos seiscientas",
        700: "setecientos setecientas",
        800: "ochocientos ochocientas",
        900: "novecientos novecientas",
        1000: "mil",
        10**6: "millón millones",
    },
    "it": {1: "un una", 10**6: "milione milioni", 10**9: "miliardo miliardi"},
    "de": {
        1: "ein eine einen einem einer eines",
        2: "zwo beide beiden",
        10**6: "million millionen",
        10**9: "milliarde milliarden",
    },
}
# Every form of a Russian numeral, the nominative first; adjectives made of them are none, and "семью" is a family, too.
_RUSSIAN = {
    0: "ноль нуль нуля",
    1: "один одна одно одну одного одной одному одним одном",
    2: "два две двух двум двумя двое двоих",
    3: "три трёх трех трём трем тремя трое троих",
    4: "четыре четырёх четырех четырём четырем четырьмя четверо четверых",
    5: "пять пяти пятью пятеро",
    6: "шесть шести шестью шестеро",
    7: "семь семи семеро",
    8: "восемь восьми восемью",
    9: "девять девяти девятью",
    10: "десять десяти десятью",
    11: "одиннадцать одиннадцати одиннадцатью",
    12: "двенадцать двенадцати двенадцатью",
    13: "тринадцать тринадцати тринадцатью",
    14: "четырнадцать четырнадцати четырнадцатью",
    15: "пятнадцать пятнадцати пятнадцатью",
    16: "шестнадцать шестнадцати шестнадцатью",
    17: "семнадцать семнадцати семнадцатью",
    18: "восемнадцать восемнадцати восемнадцатью",
    19: "девятнадцать девятнадцати девятнадцатью",
    20: "двадцать двадцати двадцатью",
    30: "тридцать тридцати тридцатью",
    40: "сорок сорока",
    50: "пятьдесят пятидесяти пятьюдесятью",
    60: "шестьдесят шестидесяти шестьюдесятью",
    70: "семьдесят семидесяти семьюдесятью",
    80: "восемьдесят восьмидесяти восемьюдесятью",
    90: "девяносто девяноста",
    100: "сто ста",
    200: "двести двухсот",
    300: "триста трёхсот трехсот",
    400: "четыреста четырёхсот четырехсот",
    500: "пятьсот пятисот",
    600: "шестьсот шестисот",
    700: "семьсот семисот",
    800: "восемьсот восьмисот",
    900: "девятьсот девятисот",
    1000: "тысяча тысячи тысяч тысячу тысячам",
    10**6: "миллион миллиона миллионов миллиону",
    10**9: "миллиард миллиарда миллиардов",
}


def _words_in(language: str) -> dict[str, int]:
    forms = _RUSSIAN if language == "ru" else _MORE[language]
    words = {word: number for number, forms_of_it in forms.items() for word in forms_of_it.split()}
    if language == "ru":
        return words
    tens = {word: 10 * number for number, word in enumerate(TENS[language].split(), start=2)}
    return {word: number for number, word in enumerate(UNITS[language].split())} | tens | words


WORDS = {language: _words_in(language) for language in ("en", "fr", "es", "it", "de", "ru")}
"""Language → word → its number, articles among them."""

_JOINED_BY = {"en": "and", "fr": "et", "es": "y", "it": "e", "de": "und"}
_TOKEN = re.compile(r"[^\W\d_]+")
_PHRASES = {
    "en": re.compile(r"\bone another\b|\beach one\b|\bno one\b", re.IGNORECASE),
    "fr": re.compile(r"\bpour cent\b", re.IGNORECASE),
    "es": re.compile(r"\bpor cien(?:to)?\b", re.IGNORECASE),
    "it": re.compile(r"\bper cento\b", re.IGNORECASE),
}
_COMPOUND_NOUN = re.compile(r"-(?!\s)[^\W\d_]+")


def spoken_numbers(text: str, language: str) -> Iterator[int]:
    """Find the numbers that a text says in words.

    Args:
        text: prose.
        language: its own, ISO 639-1; none are found in languages that are not known here.

    Yields:
        Each as an integer, in order; what is an article, too ("un", "ein"), as a one.
    """
    if language == "zh":
        yield from _chinese(text)
        return
    words = WORDS.get(language)
    if words is None:
        return
    text = text.casefold()
    if language in _PHRASES:
        text = _PHRASES[language].sub(" ; ", text)
    run: list[int] = []
    end, joining = 0, False
    for match in _TOKEN.finditer(text):
        gap, value = text[end : match.start()], _value(match[0], language, words)
        near = gap.strip(" -\u2010\u2011\n") == ""
        if value is not None and _is_adjective(text, match.end(), language, words):
            value = None
        if run and not near:
            yield from composed(run)
            run = []
        if value is not None:
            if joining and run and not _fits(run, value):
                yield from composed(run)
                run = []
            run.append(value)
            joining = False
        elif run and near and not joining and match[0] == _JOINED_BY.get(language):
            joining = True
        else:
            yield from composed(run)
            run, joining = [], False
        end = match.end()
    yield from composed(run)


def _is_adjective(text: str, end: int, language: str, words: Mapping[str, int]) -> bool:
    """Whether it is the first half of a word: "three-digit"."""
    found = _COMPOUND_NOUN.match(text, end)
    return language == "en" and found is not None and found[0][1:] not in words


def _fits(run: Sequence[int], value: int) -> bool:
    """Whether a value behind "and" belongs to the number in front of it: "two hundred and five", not "two and five"."""
    last = run[-1]
    return last >= 20 and last > value and (last >= 100 or (last % 10 == 0 and value < 20))


def _value(word: str, language: str, words: Mapping[str, int]) -> int | None:
    if (value := words.get(word)) is not None:
        return value
    if language == "de":
        return german_number(word)
    return _italian(word) if language == "it" else None


def composed(run: Sequence[int]) -> Iterator[int]:
    """Put the parts of a run together: 2 100 5 is 205, 60 15 is 75, 4 20 11 is 91, 2 3 are two numbers.

    Args:
        run: what each word of it says.

    Yields:
        The numbers.
    """
    whole, now = 0, -1  # what stands in front of thousands, and what is being put together; -1 for nothing
    for value in run:
        if value >= 1000:
            whole, now = whole + max(now, 1) * value, 0
        elif value == 100 and 0 < now < 10:
            now *= 100
        elif (now, value) == (4, 20):
            now = 80
        elif now >= 0 and _follows(now, value, bool(whole)):
            now += value
        else:
            if now >= 0:
                yield whole + now
            whole, now = 0, value
    if now >= 0:
        yield whole + now


def _follows(now: int, value: int, thousands: bool) -> bool:
    if now == 0:
        return thousands
    if now % 100 == 0:
        return value < 100
    tens = now % 100
    return (tens % 10 == 0 and tens >= 20 and value < 10) or (tens in (60, 80) and value < 20)


def german_number(word: str) -> int | None:
    """A German number in one word, units in front of tens; ``None`` for any other word."""
    words = WORDS["de"]
    if word in words:
        return words[word]
    for name, size in (("tausend", 1000), ("hundert", 100)):
        before, found, behind = word.partition(name)
        if found:
            many = german_number(before) if before else 1
            rest = german_number(behind.removeprefix("und")) if behind else 0
            return None if many is None or rest is None else many * size + rest
    unit, found, ten = word.partition("und")
    if found and (unit == "ein" or 1 < words.get(unit, 0) < 10) and 20 <= words.get(ten, 0) < 100:
        return (1 if unit == "ein" else words[unit]) + words[ten]
    return None


def _italian(word: str) -> int | None:
    """An Italian number in one word: tens lose their last letter before uno and otto."""
    words = WORDS["it"]
    if word in words:
        return words[word]
    for name, size in (("mila", 1000), ("mille", 1000), ("cento", 100)):
        before, found, behind = word.partition(name)
        if found:
            many = _italian(before) if before else 1
            rest = _italian(behind) if behind else 0
            return None if many is None or rest is None else many * size + rest
    for number, ten in enumerate(TENS["it"].split(), start=2):
        for start in (ten, ten[:-1]):
            unit = word.removeprefix(start)
            if unit != word and 0 < words.get(unit.replace("tré", "tre"), 0) < 10:
                return 10 * number + words[unit.replace("tré", "tre")]
    return None


_SIZES = {sign: size for sign, size in HAN_POWERS.items() if size < 10**4}
_LARGE = {sign: size for sign, size in HAN_POWERS.items() if size >= 10**4}
_RUN = re.compile("[零〇一二两三四五六七八九十百千万亿]+")
_NO_CHINESE_NUMBER = re.compile(
    "四舍五入|万一|一一|统一|唯一|同一|一样|一起|一共|一定|一些|一般|一直|十字|"
    "[二三四五六七八九十多]+(?:角|边形|边行|面体|棱|维|元(?=[一二三]次|方程)|次方|次函数|次多项式|进制|季)|"
    "(?:星期|周|礼拜)[一二三四五六日天]|[一二三四五六七八九十]{1,2}月|百分之|千(?:米|克|瓦|卡|赫|字节)|平方|立方|正反两面"
)


def _chinese(text: str) -> Iterator[int]:
    for match in _RUN.finditer(_NO_CHINESE_NUMBER.sub(" ", text)):
        if match[0].strip("百千万亿"):  # "成千" and the ten thousand behind digits say no number by themselves
            yield _chinese_value(match[0])


_SIZED = re.compile(
    "[零〇一二两三四五六七八九十百千万亿]*[一二两三四五六七八九十百千][十百千万亿][零〇一二两三四五六七八九十百千万亿]*|十[一二三四五六七八九]"
)


def chinese_digits(text: str) -> str:
    """Write Han numerals of several characters in digits; one alone is a number by itself.

    Args:
        text: any.

    Returns:
        The text with 十五 as 15; what only holds such characters ("三角形", "千米") stays.
    """
    kept = [(found.start(), found.end()) for found in _NO_CHINESE_NUMBER.finditer(text)]

    def written(found: re.Match[str]) -> str:
        if any(start < found.end() and found.start() < end for start, end in kept) or not found[0].strip("百千万亿"):
            return found[0]
        return str(_chinese_value(found[0]))

    return _SIZED.sub(written, text)


def _chinese_value(sign: str) -> int:
    for name, size in reversed(_LARGE.items()):
        before, found, behind = sign.partition(name)
        if found:
            return (_chinese_value(before) if before else 1) * size + (_chinese_value(behind) if behind else 0)
    if not any(each in _SIZES for each in sign):
        return int("".join(str(HAN[each]) for each in sign))
    value, now = 0, 0
    for each in sign:
        if each in _SIZES:
            value, now = value + (now or 1) * _SIZES[each], 0
        else:
            now = HAN[each]
    return value + now
