"""Numbers in words, and the words that scale a number, in the languages that problems are set in.

Tables first: en fr es it de ru zh, and scale words of a few more. A word is a number only where the whole phrase is.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

UNITS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis "
    "diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis "
    "veintisiete veintiocho veintinueve",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici quattordici quindici sedici "
    "diciassette diciotto diciannove venti ventuno ventidue ventitré ventiquattro venticinque ventisei ventisette "
    "ventotto ventinove",
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn "
    "siebzehn achtzehn neunzehn",
    "ru": "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать двенадцать тринадцать "
    "четырнадцать пятнадцать шестнадцать семнадцать восемнадцать девятнадцать",
}
TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "fr": "vingt trente quarante cinquante soixante septante huitante nonante",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "ru": "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
}
"""Language → its words for 0, 1, 2 … and for 20, 30 …, one after the other."""
_POWERS = {
    "hundred": 100, "cent": 100, "cents": 100, "cien": 100, "ciento": 100, "cento": 100, "hundert": 100, "сто": 100,
    "thousand": 1000, "mille": 1000, "mil": 1000, "mila": 1000, "tausend": 1000, "тысяча": 1000, "тысячи": 1000,
    "тысяч": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12,
}  # fmt: skip
_JOINED = frozenset({"and", "et", "y", "e", "und", "и"})
_NUMBERS = {
    word: value + offset
    for tables, offset, step in ((UNITS, 0, 1), (TENS, 20, 10))
    for words in tables.values()
    for word, value in zip(words.split(), range(0, 10**3, step), strict=False)
} | {"soixante-dix": 70, "quatre-vingt": 80, "quatre-vingts": 80, "quatre-vingt-dix": 90, "dreissig": 30}
HAN = {"零": 0, "〇": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7, "八": 8, "九": 9}
HAN_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10**4, "亿": 10**8}
"""Chinese digits, and what they are multiplied by."""

_SCALE_WORDS = {
    Fraction(1, 10): "tenth tenths",
    Fraction(1, 100): "hundredth hundredths",
    Fraction(1, 1000): "thousandth thousandths",
    Fraction(12): "dozen dozens",
    Fraction(100): "hundred hundreds 百",
    Fraction(1000): "thousand thousands mille mil mila tausend 千 тысяча тысячи тысяч тыс ألف",
    Fraction(10**4): "万 萬 만",
    Fraction(10**5): "lakh lakhs lac",
    Fraction(10**6): "million millions millón millones milione milioni mio 百万 millionen миллион миллиона миллионов "
    "млн مليون",
    Fraction(10**7): "crore crores",
    Fraction(10**8): "亿 億",
    Fraction(10**9): "billion billions milliard milliards milliarde milliarden miliardo miliardi миллиард миллиарда "
    "миллиардов млрд مليار",
    Fraction(10**12): "trillion trillions",
}
SCALES = {word: scale for scale, words in _SCALE_WORDS.items() for word in words.split()}
"""What a word behind a number multiplies it by: half of these are how a country writes its large numbers."""


@lru_cache(maxsize=1024)
def number_of(phrase: str) -> int | None:
    """Return the natural number that a phrase spells out, ``None`` for any other phrase.

    Args:
        phrase: lower-case words: ``one thousand six hundred twenty-five``, ``dix-huit``, ``十二``.
    """
    if len(phrase) > 120:
        return None
    if phrase and all(char in HAN or char in HAN_POWERS for char in phrase):
        return _han(phrase)
    words = phrase.replace("-", " - ").split() if phrase not in _NUMBERS else [phrase]
    whole = [word for word in _rejoined(words) if word not in _JOINED]
    if not whole or whole[0] in ("million", "billion", "trillion") or words[-1] in _JOINED or words[0] in _JOINED:
        return None
    values = [_simple(word) for word in whole]
    if None in values:
        return None
    return _assembled([value for value in values if value is not None], whole)


def _rejoined(words: list[str]) -> list[str]:
    """``quatre - vingt - dix`` as the longest words that the tables know; single hyphens fall away."""
    result: list[str] = []
    position = 0
    while position < len(words):
        for end in (position + 5, position + 3):
            joined = "".join(words[position:end])
            if end <= len(words) and joined in _NUMBERS:
                result.append(joined)
                position = end
                break
        else:
            if words[position] != "-":
                result.append(words[position])
            position += 1
    return result


def _simple(word: str) -> int | None:
    if word in _NUMBERS:
        return _NUMBERS[word]
    if word in _POWERS:
        return _POWERS[word]
    if match := re.fullmatch(r"(ein|\w+)und(\w+ig|\w+ßig)", word):  # einundzwanzig
        unit, tens = 1 if match[1] == "ein" else _NUMBERS.get(match[1]), _NUMBERS.get(match[2])
        return unit + tens if unit is not None and tens is not None and unit < 10 <= tens else None
    return None


def _assembled(values: list[int], words: list[str]) -> int | None:
    """One hundred: times what stands before; then smaller things are added, each smaller than what it follows."""
    total, part, last = 0, 0, 10**15
    for value, word in zip(values, words, strict=True):
        if word in _POWERS and value > 100:
            if value >= last:
                return None
            total, part, last = total + (part or 1) * value, 0, value
        elif word in _POWERS:
            if part > 99:
                return None
            part = (part or 1) * value
        elif part and (part % (100 if value >= 20 else 10 if value < 10 else 100) or part % 100 == 10):
            if not (part % 100 in (60, 80) and 10 <= value < 20):  # soixante-douze
                return None
            part += value
        else:
            part += value
    return total + part


def _han(phrase: str) -> int | None:
    total, section, digit = 0, 0, -1
    for char in phrase:
        if char in HAN:
            if digit > 0:
                return None
            digit = HAN[char]
        elif HAN_POWERS[char] >= 10**4:
            total, section, digit = (total + section + max(digit, 0)) * HAN_POWERS[char], 0, -1
        else:
            section, digit = section + (1 if digit < 0 else digit) * HAN_POWERS[char], -1
    return total + section + max(digit, 0)
