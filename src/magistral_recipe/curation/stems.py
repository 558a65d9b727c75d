"""Words without their endings: "buys" and "bought" are one word, and so are "продал" and "продала".

Rougher than a stemmer of linguists, on purpose: both of two texts lose the same, and words that share a beginning and
decide otherwise (`deciding`) are told apart before.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache

from magistral_recipe.curation.deciding import ENGLISH, GERMAN, folded, word_set

_OTHERS = word_set(
    "le la les des du est une dans combien quel quelle pour sur el los las del una cuantos cuantas cual si tiene hay "
    "il lo gli della che una quanti quante di и в на что если сколько при он она у за на "
    "um uma em os não são com quantos quantas quanto qual do da dos das ao mais"
)
_GERMAN = GERMAN | word_set(
    "er wieviele wieviel beiden kostet nicht auf zu bei nach noch aus dem den um jeder jede welche"
)
_WORD = re.compile(r"[^\W\d_]+")
_IRREGULAR = {
    "bought": "buy", "sold": "sell", "gave": "giv", "given": "giv", "took": "tak", "taken": "tak", "ate": "eat",
    "eaten": "eat", "drove": "driv", "driven": "driv", "men": "man", "women": "woman", "children": "child",
    "feet": "foot", "mice": "mous", "went": "go", "gone": "go", "made": "mak", "paid": "pay", "spent": "spend",
    "got": "get", "ran": "run", "won": "win", "lost": "los", "wrote": "writ", "written": "writ", "drawn": "draw",
    "drew": "draw", "chosen": "choos", "chose": "choos", "thrown": "throw", "threw": "throw", "grew": "grow",
    "grown": "grow", "read": "read", "saw": "see", "seen": "see", "sat": "sit", "stood": "stand", "kept": "keep",
    "caught": "catch", "brought": "bring", "wore": "wear", "rode": "rid", "flew": "fly", "swam": "swim",
    "began": "begin",
    "vertices": "vertex", "indices": "index", "matrices": "matrix", "radii": "radius", "dice": "die", "wolves": "wolf",
    "leaves": "leav", "does": "do", "goes": "go",
}  # fmt: skip
_ENDINGS = (
    ("ies", "y"), ("ied", "y"), ("sses", "ss"), ("xes", "x"), ("ches", "ch"), ("shes", "sh"), ("ings", ""), ("ing", ""),
    ("ed", ""), ("es", ""), ("s", ""), ("e", ""),
)  # fmt: skip
_ROMANCE = re.compile(r"(?:[aeiou]{1,2}s?|s|nt|[aei]r)$")
_GERMANIC = re.compile(r"(?:e[nsrm]?|s|n|st|t)$")
_CYRILLIC = re.compile(r"[а-я]")
_FIRST = 6


def language_of(text: str) -> str:
    """Tell roughly what a text is written in.

    Args:
        text: any.

    Returns:
        "en", "de", or "" for all others that small words tell; "en" where nothing does.
    """
    words = set(_WORD.findall(folded(text[:4000])))
    english, german, others = len(words & ENGLISH), len(words & _GERMAN), len(words & _OTHERS)
    if german >= 2 and german > max(english, others):
        return "de"
    return "" if others > english or (not english and _CYRILLIC.search(text)) else "en"


@lru_cache(maxsize=65536)
def stem(word: str, language: str = "en") -> str:
    """A folded word without its ending.

    Args:
        word: in lower case, without accents.
        language: as `language_of` tells it.

    Returns:
        Its first letters.
    """
    if language == "en":
        return _english(word)
    if len(word) <= 3:
        return word
    if _CYRILLIC.match(word):
        return word[: max(4, min(_FIRST, len(word) - 2))]
    ending = _GERMANIC if language == "de" else _ROMANCE
    short, before = ending.sub("", word), word
    while short != before and len(short) > 4:
        short, before = ending.sub("", short), short
    short = short if len(short) > 2 else word
    return short if language == "de" else short[:_FIRST]


def _english(word: str) -> str:
    if found := _IRREGULAR.get(word):
        return found
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= (2 if ending == "s" else 3) and not word.endswith("ss"):
            short = word.removesuffix(ending) + instead
            doubled = ending in ("ed", "ing") and len(short) > 3 and short[-1] == short[-2] and short[-1] not in "lsz"
            word = short[:-1] if doubled else short  # "stopped", "stop"
            break
    return word[:-1] if word.endswith("ll") else word  # "rolled" is "roled" in American


def begins_alike(one: str, other: str) -> int:
    """Count the first letters that two words have in common."""
    shared = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        shared += 1
    return shared


def alike(one: str, other: str) -> bool:
    """Whether two stems are forms of one word: "remov", "removal"."""
    longest, shared = max(len(one), len(other)), begins_alike(one, other)
    return shared >= 4 and shared >= 0.6 * longest and longest - shared <= 4


def other_forms(words: Collection[str], known: Collection[str]) -> dict[str, str]:
    """Find words of which another text has another form.

    Args:
        words: stems of a text.
        known: stems of the other one.

    Returns:
        Of those that the other text lacks, each that it has in another form → that form.
    """
    lacking = (word for word in words if word not in known)
    return {word: form for word in lacking if (form := next((other for other in known if alike(word, other)), None))}
