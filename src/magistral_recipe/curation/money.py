"""Amounts of money in one form: "$0.40" is "40 cents", "₹18" is "18 Rs", "0,40 €" is "40 centimes".

The smaller coin becomes a part of the larger one, and what stands in front of the number goes behind it.
"""

from __future__ import annotations

import re

from magistral_recipe.curation.alternation import either

_NAMES = {
    "euros": ("€", "eur", "euro", "euros", "евро"),
    "pounds": ("£", "gbp"),
    "rupees": ("₹", "rs", "inr", "rupee", "rupees"),
    "yen": ("¥", "円"),
    "reais": ("R$", "reais"),
    "rubles": ("₽", "руб", "рубль", "рубля", "рублей", "рублю", "рублем", "рублём", "рублях", "ruble", "rubles"),
    "francs": ("chf", "francs", "franken"),
    "yuan": ("rmb", "cny", "元"),
    "dollars": ("US$", "$", "usd", "dollars", "dollar"),
}
_NAME_OF = {form.lower(): name for name, forms in _NAMES.items() for form in forms}
_AMOUNT = r"(\d[\d,.]*\d|\d)"
_IN_FRONT = re.compile(
    rf"(?<![\w$])(US\$|R\$|CHF|EUR|USD|GBP|INR|RMB|Rs\.?|rs\.|[€£₹¥₽])\s?{_AMOUNT}(?![\d$])", re.IGNORECASE
)
_LETTERED = either(form for form in _NAME_OF if form.isalpha() and form < "\u3000")
_LOWER_NEXT = r"(?:\.(?=\s*[,;:)]|\s+[^\W\dA-ZА-Я]))?"
_BEHIND = re.compile(
    rf"(?<=\d)\s?(US\$|R\$|[€£₹¥₽円元]|(?:{_LETTERED})(?![^\W_])){_LOWER_NEXT}",
    re.IGNORECASE,
)
_WORD = re.compile(r"(?<![^\W_])(?:рубл(?:ь|я|ей|ю|ем|ём|ях)|euros?|dollars?|rupees?)(?![^\W_])", re.IGNORECASE)
_COINS = {
    "¢": "dollars", "cent": "dollars", "cents": "dollars", "pence": "pounds", "centime": "euros", "centimes": "euros",
    "céntimo": "euros", "céntimos": "euros", "centesimo": "euros", "centesimi": "euros", "centavo": "reais",
    "centavos": "reais", "копейка": "rubles", "копейки": "rubles", "копеек": "rubles", "копейку": "rubles",
    "коп": "rubles", "cêntimos": "euros", "paise": "rupees",
}  # fmt: skip
_SMALL = re.compile(
    rf"(?<![\w.,/^-])(\d{{1,5}})[\s-]?({either(_COINS)})(?![^\W_]){_LOWER_NEXT}",
    re.IGNORECASE,
)
_BOTH = re.compile(
    r"(?<![\w.,/])(\d+) (euros|dollars|rubles|pounds|reais|rupees)(?:,? (?:and|et|und|y|e|и))? 0\.(\d\d?) \2(?![^\W_])"
)
_BARE_POINT = re.compile(r"(?<![\w.,)\]}])\.(?=\d)")


def currency_behind(text: str) -> str:
    """Put currencies behind their numbers; before dollar signs are taken for those of formulas."""
    if "." in text:
        text = _BARE_POINT.sub("0.", text)
    return _IN_FRONT.sub(lambda found: f"{found[2]} {_NAME_OF[found[1].rstrip('.').lower()]}", text)


def amounts(text: str, language: str) -> str:
    """Write what money is counted in by one name, and small coins as parts of the large one.

    Args:
        text: prose and mathematics in plain signs.
        language: as `stems.language_of` tells it.

    Returns:
        "0.4 dollars" for "40 cents" and "40¢", "18 rubles" for "18 руб."
    """
    text = _BEHIND.sub(lambda found: f" {_NAME_OF[found[1].lower()]}", text)
    if language != "en":
        text = _WORD.sub(lambda found: _NAME_OF[found[0].lower()], text)
    text = _SMALL.sub(lambda found: f"{int(found[1]) / 100:g} {_large(found[2].lower(), language)}", text)
    return _BOTH.sub(lambda found: f"{found[1]}.{found[3]} {found[2]}", text)


def _large(coin: str, language: str) -> str:
    return "euros" if coin.startswith("cent") and language == "de" else _COINS[coin]
