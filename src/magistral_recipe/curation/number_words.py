"""Numbers written as words, in the languages of the paper's data (Magistral §2.2.4): "three" and "3" are one number.

Words that are articles too (un, ein, один …) are left out. Chinese numerals are characters that count by themselves.
"""

from __future__ import annotations

from magistral_recipe.verifiers.answers.numerals import TENS, UNITS

_FROM_TWO = {
    **{language: [*words.split()[2:20], TENS[language].split()[0]] for language, words in UNITS.items()},
    "zh": ["二", "三", "四", "五", "六", "七", "八", "九", "十"],
}
_FURTHER = {
    "en": {
        "one": 1,
        "thirty": 30,
        "forty": 40,
        "fifty": 50,
        "sixty": 60,
        "seventy": 70,
        "eighty": 80,
        "ninety": 90,
        "hundred": 100,
        "thousand": 1000,
        "million": 1_000_000,
        "dozen": 12,
        "zero": 0,
    },
    "fr": {"vingt": 20, "trente": 30, "quarante": 40, "cinquante": 50, "soixante": 60, "cent": 100, "mille": 1000},
    "es": {"treinta": 30, "cuarenta": 40, "cincuenta": 50, "cien": 100, "ciento": 100, "mil": 1000},
    "it": {"trenta": 30, "quaranta": 40, "cinquanta": 50, "cento": 100},
    "de": {"dreißig": 30, "vierzig": 40, "fünfzig": 50, "hundert": 100, "tausend": 1000},
    "ru": {
        "одному": 1,
        "одного": 1,
        "одной": 1,
        "одну": 1,
        "двух": 2,
        "две": 2,
        "трех": 3,
        "трёх": 3,
        "тридцать": 30,
        "сорок": 40,
        "пятьдесят": 50,
        "сто": 100,
        "тысяча": 1000,
    },
    "zh": {"百": 100, "千": 1000, "两": 2},
}


def _fused() -> dict[str, dict[str, int]]:
    """Twenty-one to ninety-nine where they are written as one word."""
    found: dict[str, dict[str, int]] = {"de": {}, "es": {}, "it": {}}
    ones = {language: words[:8] for language, words in _FROM_TWO.items()}
    for language, first in (("de", "ein"), ("it", "uno")):
        tens = {**_FURTHER[language], **({"zwanzig": 20} if language == "de" else {"venti": 20})}
        for ten, number in tens.items():
            for one, word in enumerate((first, *ones[language]), start=1):
                if number >= 100:
                    continue
                if language == "de":
                    found["de"][f"{word}und{ten}"] = number + one
                else:
                    stem = ten[:-1] if word[0] in "uo" else ten
                    found["it"][stem + ("tré" if word == "tre" else word)] = number + one
                    found["it"][stem + word] = number + one
    for one, word in enumerate(("uno", "dós", "trés", "cuatro", "cinco", "séis", "siete", "ocho", "nueve"), start=1):
        found["es"][f"veinti{word}"] = 20 + one
        found["es"][f"veinti{word.translate(_PLAIN)}"] = 20 + one
    return found


_PLAIN = str.maketrans("óé", "oe")
for _language, _words in _fused().items():
    _FURTHER[_language].update(_words)

NUMBER_WORDS_IN: dict[str, dict[str, str]] = {
    language: {
        **{word: str(number) for number, word in enumerate(words, start=2)},
        **{word: str(number) for word, number in _FURTHER[language].items()},
    }
    for language, words in _FROM_TWO.items()
}
"""Language → word → its number in digits."""

NUMBER_WORDS: dict[str, str] = {word: number for words in NUMBER_WORDS_IN.values() for word, number in words.items()}
"""Word of any of the languages → its number in digits."""

NUMBER_WORDS_OF: dict[str, dict[str, str]] = {
    "en": NUMBER_WORDS_IN["en"] | NUMBER_WORDS_IN["zh"],
    "de": NUMBER_WORDS_IN["de"],
    "": NUMBER_WORDS,
}
"""Those of a text in English, in German and in any other language: "once" is eleven in Spanish alone."""
