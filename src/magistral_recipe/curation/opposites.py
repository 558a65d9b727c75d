"""Pairs of opposites in seven languages: a translation that has the one where the original has the other.

Told is only what is plain: the original has one of the two and not the other, the translation the other and not the
one. What neither names by one of these words is not seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# Beginnings of words, "|" between those of one side; a phrase has no end of its own.
_PAIRS: tuple[dict[str, tuple[str, str]], ...] = (
    {
        "en": ("more|greater|larger|older|taller|heavier", "fewer|less|smaller|younger|shorter|lighter"),
        "fr": (
            "plus(?! (?:court|jeune|petit|léger|bas|lent))|davantage|supérieur",
            "moins|inférieur|plus (?:court|jeune|petit|léger|bas|lent)",
        ),
        "es": (
            "más(?! (?:cort|joven|pequeñ|liger|baj|lent))|mayor|superior",
            "menos|menor|inferior|más (?:cort|joven|pequeñ|liger|baj|lent)",
        ),
        "it": (
            "più(?! (?:cort|giovan|piccol|legger|bass|lent))|maggior|superior",
            "meno|minor|inferior|più (?:cort|giovan|piccol|legger|bass|lent)",
        ),
        "de": ("mehr|größer|älter|schwerer|höher|länger", "weniger|kleiner|jünger|leichter|niedriger|kürzer"),
        "ru": ("больше|более|старше|выше|тяжелее", "меньше|менее|младше|моложе|ниже|легче"),
        "zh": ("多|大|高|重|长", "少|小|矮|轻|短|年轻"),
    },
    {
        "en": ("largest|greatest|maximum|maximal|biggest", "smallest|minimum|minimal|fewest"),
        "fr": ("plus grand|maxim", "plus petit|minim"),
        "es": ("mayor|máxim|más grande", "menor|mínim|más pequeñ"),
        "it": ("più grande|maggior|massim", "più piccol|minor|minim"),
        "de": ("größt|maxim", "kleinst|minim"),
        "ru": ("наибольш|максим", "наименьш|миним"),
        "zh": ("最大|最多", "最小|最少"),
    },
    {
        "en": ("sum of|in total|altogether", "difference"),
        "fr": ("somme|au total|en tout", "différence|écart"),
        "es": ("suma|en total", "diferencia"),
        "it": ("somma|in tutto|in totale", "differenza"),
        "de": ("summe|insgesamt", "differenz|unterschied"),
        "ru": ("сумм|всего", "разност|разниц"),
        "zh": ("和|总|一共", "差"),
    },
    {
        "en": ("even number|even integer|even digit", "odd number|odd integer|odd digit"),
        "fr": ("pair", "impair"),
        "es": ("par|pares", "impar"),
        "it": ("pari", "dispari"),
        "de": ("gerade", "ungerade"),
        "ru": ("чётн|четн", "нечётн|нечетн"),
        "zh": ("偶", "奇"),
    },
    {
        "en": ("positive", "negative"),
        "fr": ("positif|positive|strictement positif", "négati"),
        "es": ("positiv", "negativ"),
        "it": ("positiv", "negativ"),
        "de": ("positiv", "negativ"),
        "ru": ("положительн|натуральн", "отрицательн"),
        "zh": ("正", "负"),
    },
    {
        "en": ("area", "perimeter"),
        "fr": ("aire|superficie|surface", "périmètre"),
        "es": ("área|superficie", "perímetro"),
        "it": ("area|superficie", "perimetro"),
        "de": ("fläche", "umfang"),
        "ru": ("площад", "периметр"),
        "zh": ("面积", "周长"),
    },
    {
        "en": ("at least", "at most"),
        "fr": ("au moins", "au plus"),
        "es": ("al menos|por lo menos|como mínimo", "como máximo|a lo sumo|a lo más"),
        "it": ("almeno", "al massimo|al più"),
        "de": ("mindestens|wenigstens", "höchstens|maximal"),
        "ru": ("хотя бы|по крайней мере|не менее|не меньше|минимум", "не более|не больше|максимум"),
        "zh": ("至少|不少于", "至多|最多|不超过"),
    },
    {
        "en": ("parallel", "perpendicular"),
        "fr": ("parall", "perpendic"),
        "es": ("parale", "perpendic"),
        "it": ("parall", "perpendic"),
        "de": ("parall", "senkrecht|rechtwink"),
        "ru": ("паралл", "перпенд"),
        "zh": ("平行", "垂直"),
    },
    {
        "en": ("increase|rises|rose|grew", "decrease|reduce|falls|fell|drops"),
        "fr": ("augment|hausse|croî", "diminu|réduit|rédui|baiss|réduction"),
        "es": ("aument|sub[eió]|crec", "disminu|redu[cj]|baj[aó]|rebaj"),
        "it": ("aument|cresc|sal[ei]", "diminu|ridu|scend|scese|calat|cala"),
        "de": ("steig|stieg|erhöh|zunahm|wächst|wuchs", "sink|sank|senk|verringer|reduz|fäll|fiel|fall"),
        "ru": ("увелич|возрос|вырос|повыс|поднял", "уменьш|сниж|сниз|пада|упал|сокра"),
        "zh": ("增|上升|上涨|涨", "减|下降|降|跌"),
    },
)
_PHRASES = {
    "fr": "au moins|au plus|de plus en plus|en plus|non plus|ne plus|plus grand",
    "es": "al menos|por lo menos|a lo más",
    "it": "almeno|al più|per lo meno",
    "de": "mindestens|wenigstens",
    "ru": "не менее|не меньше|не более|не больше|тем не менее",
    "zh": "多少|至少|最少|最多|至多|小[\u4e00-\u9fff]|大[\u4e00-\u9fff]|重新|长方|多边|少年|减少|高度|长度",
}


def opposites(original: str, translated: str, language: str) -> Iterator[str]:
    """Find opposites that changed places.

    Args:
        original: in English.
        translated: what is said to be the same.
        language: the translation's, ISO 639-1.

    Yields:
        What the translation says, where the original says the opposite.
    """
    ours, theirs = original.casefold(), translated.casefold()
    for number, pair in enumerate(_PAIRS):
        if language not in pair:
            return
        text = re.sub(_PHRASES.get(language, "(?!)"), " ", theirs) if number == 0 else theirs
        have = [_find(side, ours, "en") for side in pair["en"]]
        found = [_find(side, text, language) for side in pair[language]]
        if bool(have[0]) != bool(have[1]) and bool(found[0]) != bool(found[1]) and bool(have[0]) != bool(found[0]):
            yield found[0] or found[1]


def _find(side: str, text: str, language: str) -> str:
    start = "" if language == "zh" else r"(?<![^\W\d_])"
    match = re.search(rf"{start}(?:{side})", text)
    return match[0] if match else ""
