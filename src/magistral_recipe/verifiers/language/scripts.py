"""Writing systems: which letters they have and which languages are written in them.

A script says more than a model where few languages share it, and it keeps names of variables in a Chinese
or Arabic text from being taken for a second language.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple


def word_set(words: str) -> frozenset[str]:
    """Return the words of a string as a set."""
    return frozenset(words.split())


# The languages that lid.176 knows, ISO 639-1 where there is such a code.
KNOWN_LANGUAGES = word_set(
    """af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy da de
    diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy ia id ie ilo io
    is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min mk ml mn mr mrj ms mt
    mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm ro ru rue sa sah sc scn sco sd
    sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep vi vls vo wa war wuu xal xmf yi yo yue
    zh"""
)


class Script(NamedTuple):
    """A writing system.

    Attributes:
        letters: its letters and marks, as the inside of a character class.
        languages: the languages written in it; Latin has those that no other script claims, too.
        weight: how many Latin letters say as much as one of its letters.
    """

    letters: str
    languages: frozenset[str]
    weight: int = 1


SCRIPTS = {
    "latin": Script(r"A-Za-zªºÀ-ÖØ-öø-ʯ\u1e00-\u1eff", word_set("sr uz az tk ku")),
    "greek": Script(r"\u0370-\u0373\u0376-\u03ff\u1f00-\u1fff", word_set("el")),
    "cyrillic": Script(
        r"\u0400-\u0481\u048a-\u052f",
        word_set("ru uk be bg mk sr kk ky tg mn tt ba ce cv os rue sah tyv av bxr krc kv lez mhr mrj myv xal uz az"),
    ),
    "armenian": Script(r"\u0531-\u0587", word_set("hy")),
    "hebrew": Script(r"\u0591-\u05f4", word_set("he yi")),
    "arabic": Script(
        r"\u0620-\u065f\u066e-\u06d3\u06d5-\u06ed\u06fa-\u06ff\u0750-\u077f\u200c\ufb50-\ufdff\ufe70-\ufefc",
        word_set("ar fa ur ps ckb ug sd arz azb pnb mzn lrc"),
    ),
    "devanagari": Script(r"\u0900-\u0963\u0971-\u097f\u200d", word_set("hi mr ne sa mai bh dty gom new")),
    "bengali": Script(r"\u0980-\u09e3\u09f0-\u09f1", word_set("bn as bpy")),
    "gurmukhi": Script(r"\u0a01-\u0a65\u0a70-\u0a75", word_set("pa")),
    "gujarati": Script(r"\u0a81-\u0ae5", word_set("gu")),
    "oriya": Script(r"\u0b01-\u0b65", word_set("or")),
    "tamil": Script(r"\u0b82-\u0be5", word_set("ta")),
    "telugu": Script(r"\u0c00-\u0c65", word_set("te")),
    "kannada": Script(r"\u0c80-\u0ce5", word_set("kn")),
    "malayalam": Script(r"\u0d00-\u0d65", word_set("ml")),
    "sinhala": Script(r"\u0d81-\u0ddf", word_set("si")),
    "thaana": Script(r"\u0780-\u07b1", word_set("dv")),
    "thai": Script(r"\u0e01-\u0e4e", word_set("th")),
    "lao": Script(r"\u0e80-\u0ecd", word_set("lo")),
    "tibetan": Script(r"\u0f00-\u0f1f\u0f40-\u0fbc", word_set("bo")),
    "burmese": Script(r"\u1000-\u103f", word_set("my")),
    "khmer": Script(r"\u1780-\u17d3", word_set("km")),
    "georgian": Script(r"\u10a0-\u10ff", word_set("ka xmf")),
    "ethiopic": Script(r"\u1200-\u135a", word_set("am"), 2),
    "hangul": Script(r"\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3", word_set("ko"), 3),
    "cjk": Script(
        r"\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
        word_set("zh ja yue wuu"),
        4,
    ),
}
_NOT_LATIN = frozenset().union(*(script.languages for name, script in SCRIPTS.items() if name != "latin"))


@lru_cache(maxsize=1024)
def languages_in(script: str, candidates: tuple[str, ...]) -> frozenset[str]:
    """Return those of some languages that are written in a script, a key of `SCRIPTS`."""
    claimed = SCRIPTS[script].languages
    return frozenset(each for each in candidates if each in claimed or (script == "latin" and each not in _NOT_LATIN))


def share_script(one: str, other: str) -> bool:
    """Whether two languages are written in one script."""
    return any(len(languages_in(script, (one, other))) == len({one, other}) for script in SCRIPTS)
