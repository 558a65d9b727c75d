"""Numbers written as words, in the languages of the paper's data (Magistral §2.2.4): "three" and "3" are one number.

Words that are articles too (un, ein, один …) are left out. Chinese numerals are characters that count by themselves.
"""

from __future__ import annotations

from magistral_recipe.curation.spoken import WORDS
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


def _numbered(first: int, words: str, step: int = 1) -> dict[str, int]:
    """Words, several of one number parted by strokes, and the numbers from the first on."""
    return {form: first + step * place for place, forms in enumerate(words.split()) for form in forms.split("/")}


_PORTUGUESE = {
    **_numbered(
        2,
        "dois/duas três/tres quatro cinco seis sete oito nove dez onze doze treze quatorze/catorze quinze "
        "dezesseis/dezasseis dezessete/dezassete dezoito dezenove/dezanove",
    ),
    **_numbered(20, "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa", 10),
    **_numbered(200, "duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos", 100),
    "cem": 100,
    "cento": 100,
    "mil": 1000,
    "milhão": 10**6,
    "milhões": 10**6,
}
_ARTICLES = {
    "en": {},
    "de": {},
    "": dict.fromkeys(
        [
            "un",
            "une",
            "uno",
            "una",
            "um",
            "uma",
            "один",
            "одна",
            "одно",
            "одну",
            "одного",
            "одной",
            "одному",
            "одним",
            "одном",
        ],
        1,
    )
    | {"cents": 100, "vingts": 20},
}
ONES: dict[str, dict[str, int]] = _ARTICLES
"""What is a number within one of several words alone, by itself an article: "vingt et un". By `stems.language_of`."""

_WITHOUT_MARKS = str.maketrans({**dict(zip("äöüáéíóúâêôãõ", "aouaeiouaeoao", strict=True)), "ß": "ss"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_NO_NUMBERS = frozenset(["ein", "eine", "einen", "einem", "einer", "eines", "beide", "beiden", "zwo", "et", "null"])


def _values(language: str) -> dict[str, int]:
    own = [language] if language else ["fr", "es", "it", "ru"]
    found = {word: int(number) for each in own for word, number in NUMBER_WORDS_IN[each].items() if word != "dozen"}
    for each in own:
        found.update(WORDS[each])
    if not language:
        found.update(_PORTUGUESE)
        found.update({"dixsept": 17, "dixhuit": 18, "dixneuf": 19})
    for marks in (_WITHOUT_MARKS, _UMLAUTS):
        found.update({word.translate(marks): number for word, number in found.items()})
    return {word: number for word, number in found.items() if word not in ONES[language] and word not in _NO_NUMBERS}


VALUES: dict[str, dict[str, int]] = {language: _values(language) for language in ("en", "de", "")}
"""Word of a number that may be of several words → its own, for each `stems.language_of`."""


def _german_ordinals() -> dict[str, int]:
    stems = _numbered(3, "dritt viert fünft/fuenft sechst siebt/siebent acht neunt zehnt elft zwölft/zwoelft")
    return {
        stem + ending: number
        for stem, number in stems.items()
        for ending in ["e", "en", "er", "es", "em"]
        if stem != "acht"
    }


_RUSSIAN_ORDINALS = (
    {
        stem + ending: number
        for stem, number in _numbered(4, "четверт/четвёрт пят шест седьм восьм девят десят").items()
        for ending in ["ый", "ая", "ое", "ого", "ой", "ом", "ому", "ую", "ые", "ым"]
        if stem + ending not in ("шестой",)
    }
    | dict.fromkeys(["третий", "третья", "третье", "третьего", "третьей", "третьем", "третью", "третьему"], 3)
    | {"шестой": 6}
)
ORDINALS: dict[str, dict[str, int]] = {
    "en": _numbered(
        3,
        "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
        "sixteenth "
        "seventeenth eighteenth nineteenth twentieth",
    )
    | {"thirtieth": 30, "fortieth": 40, "fiftieth": 50, "hundredth": 100},
    "de": _german_ordinals(),
    "": _numbered(3, "troisième quatrième cinquième sixième septième huitième neuvième dixième")
    | _numbered(3, "tercer/tercero/tercera cuarta quinto/quinta sexto/sexta séptimo/séptima octavo/octava "
                   "noveno/novena")
    | _numbered(3, "terza quarta quinto/quinta sesto/sesta settimo/settima ottavo/ottava nono/nona decimo/decima")
    | _numbered(3, "terceiro/terceira quarta quinto/quinta sexto/sexta sétimo/sétima oitavo/oitava nono/nona décimo")
    | _RUSSIAN_ORDINALS,
}  # fmt: skip
"""Words that number things from the third on, for each `stems.language_of`."""

FIRST_ORDINALS = {
    "en": {"1": "first", "2": "second"},
    "de": {"1": "erste", "2": "zweite"},
    "fr": {"1": "premier", "2": "deuxième"},
    "ru": {"1": "первый", "2": "второй"},
}
"""Language → what stands for 1st and 2nd."""

PARTS: dict[str, dict[str, int]] = {
    "de": _numbered(
        3, "drittel/dritteln viertel/vierteln fünftel/fünfteln sechstel siebtel achtel neuntel zehntel/zehnteln"
    ),
    "": _numbered(3, "tiers quart/quarts cinquième/cinquièmes sixième/sixièmes septième/septièmes huitième/huitièmes "
                     "neuvième/neuvièmes dixième/dixièmes")
    | _numbered(3, "tercio/tercios/tercera/terceras cuarto/cuartos/cuarta/cuartas quinto/quintos/quinta/quintas "
                   "sexto/sextos/sexta/sextas séptimo/séptimos/séptima/séptimas octavo/octavos/octava/octavas "
                   "noveno/novenos/novena/novenas décimo/décimos/décima/décimas")
    | _numbered(3, "terzo/terzi/terza quarto/quarti/quarta quinto/quinti sesto/sesti settimo/settimi/settima "
                   "ottavo/ottavi/ottava nono/noni/nona decimo/decimi/decima")
    | _numbered(3, "terço/terços quarto/quartos quinto/quintos sexto/sextos sétimo/sétimos oitavo/oitavos nono/nonos "
                   "décimo/décimos")
    | _numbered(3, "треть/трети/третью/третьих четверть/четверти/четвертью/четвертых/четвёртых пятая/пятую/пятых/пятой "
                   "шестая/шестую/шестых седьмая/седьмую/седьмых восьмая/восьмую/восьмых девятая/девятую/девятых "
                   "десятая/десятую/десятых"),
}  # fmt: skip
"""Words of the parts that a whole is divided into, for each `stems.language_of` but English."""
