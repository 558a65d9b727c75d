"""Opposites in two texts, and comparisons told from the other end: Ann is older than Tom, Tom younger than Ann.

One word of a pair of opposites here and the other one there make two problems, unless a comparison was turned round
with it: who stood before "than" stands behind it now. A comparison that was turned round alone is another problem.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from magistral_recipe.curation.deciding import DECISIVE, NEUTRAL, OTHERS, PRONOUNS, UNITS, folded, word_set
from magistral_recipe.curation.glossary import stems_of
from magistral_recipe.curation.likeness import Likeness
from magistral_recipe.curation.stems import alike, stem

_COMPARED_IN_ENGLISH = (
    ("more greater larger bigger", "less fewer smaller"),
    ("older elder", "younger"),
    ("taller higher", "shorter lower"),
    ("longer wider", "shorter narrower"),
    ("heavier", "lighter"),
    ("faster", "slower"),
    ("earlier sooner", "later"),
    ("farther further", "nearer closer"),
    ("richer", "poorer"),
    ("warmer hotter", "colder cooler"),
    ("dearer pricier", "cheaper"),
)
_COMPARED_ELSEWHERE = (
    ("plus", "moins"),
    ("mas mayor mayores", "menos menor menores"),
    ("piu maggiore", "meno minore"),
    ("mais maior maiores", "menos menor menores"),
    ("mehr grosser groesser", "weniger kleiner"),
    ("alter aelter", "junger juenger"),
    ("teurer", "billiger gunstiger guenstiger"),
    ("schwerer", "leichter"),
    ("schneller", "langsamer"),
    ("langer laenger hoher hoeher", "kurzer kuerzer niedriger"),
    ("больше более", "меньше менее"),
    ("старше", "младше моложе"),
    ("дороже", "дешевле"),
    ("выше длиннее", "ниже короче"),
    ("тяжелее", "легче"),
    ("быстрее", "медленнее"),
    ("раньше", "позже"),
)
"""What compares, and its opposite."""

_OPPOSED = tuple(
    (word_set(one), word_set(other))
    for one, other in (
        ("maximum greatest most", "minimum least"),
        ("sum total together", "difference product quotient"),
        (
            "even pair pairs paire par pares pari gerade geraden чётных чётное 偶",
            "odd impair impairs impaire impar impares dispari ungerade ungeraden нечётных нечётное 奇",
        ),
        ("positive", "negative"),
        ("area", "perimeter volume circumference"),
        ("increase increased", "decrease decreased"),
        ("add adds added", "subtract subtracts subtracted remove removed taken"),
        ("inscribed", "circumscribed"),
        ("first", "last"),
        ("inside inner", "outside outer"),
        ("abscisse abscissa abszisse абсцисса", "ordonnee ordinate ordinata ordenada ордината"),
        ("parallel", "perpendicular"),
        ("radius", "diameter"),
        ("maximo maximum", "minimo minimum"),
        ("summe", "differenz produkt"),
        ("somme", "difference produit"),
        ("suma", "diferencia producto"),
        ("somma", "differenza prodotto"),
        ("сумма", "разность произведение"),
        ("多", "少"),
        ("大", "小"),
        ("贵", "宜"),
        ("和", "差 积"),
    )
)
"""What another order of sentences leaves as it is."""

_THAN = word_set("than als que qu che di do da de del della dello чем от")
_REACH, _BEHIND = 7, 2
_SHORT = 3
_WORD = re.compile(r"[^\W\d_]+|[.,;:?!]")


def opposed(here: Likeness, there: Likeness) -> bool:
    """Tell whether one text says the opposite of what the other says, or compares the other way round.

    Args:
        here: a text.
        there: another one, of the same names.

    Returns:
        Whether a word stands here alone whose opposite stands there alone, or who is compared with whom changed.
    """
    mine, theirs = ({item for clause in text.parts.clauses for item in clause} for text in (here, there))
    only = mine - theirs, theirs - mine
    language = here.parts.language
    for one, other in _OPPOSED:
        for side in (0, 1):
            if _forms(one, language) & only[side] and _forms(other, language) & only[1 - side]:
                return True
    return _compared_otherwise(list(_comparisons(here)), list(_comparisons(there)))


@cache
def _forms(words: frozenset[str], language: str) -> frozenset[str]:
    return words | stems_of(words, language)


@dataclass(frozen=True)
class _Comparison:
    """Which kind of comparison it is, which end of it, and the words at both ends."""

    kinds: frozenset[int]
    end: bool
    before: tuple[str, ...]
    behind: tuple[str, ...]

    def agrees(self, other: _Comparison) -> bool | None:
        """Whether both say the same; nothing where they do not compare in one kind, or what is unknown."""
        if not self.kinds & other.kinds:
            return None
        turned = _meet(self.behind, other.before) and _meet(other.behind, self.before)
        straight = _meet(self.behind[:1], other.behind) or _meet(other.behind[:1], self.behind)
        if self.end == other.end:
            return straight or not turned
        return turned and not straight


def _meet(some: Sequence[str], others: Sequence[str]) -> bool:
    return any(one == other or alike(one, other) or _declined(one, other) for one in some for other in others)


def _declined(one: str, other: str) -> bool:
    """Whether both are a Russian name in two cases: they are short."""
    return one[:-1] == other[:-1] and len(one) > _SHORT and one[0] > "\u0400"


def _compared_otherwise(mine: list[_Comparison], theirs: list[_Comparison]) -> bool:
    """Whether a comparison has counterparts in the other text, none of which says the same."""
    for some, others in ((mine, theirs), (theirs, mine)):
        for each in some:
            found = [agrees for other in others if (agrees := each.agrees(other)) is not None]
            if found and not any(found):
                return True
    return False


def _comparisons(text: Likeness) -> Iterator[_Comparison]:
    language = text.parts.language
    ends = _ends(language)
    for sentence in text.parts.parts:
        words = [folded(word) for word in _WORD.findall(sentence)]
        for place, word in enumerate(words):
            kinds = ends.get(word)
            if kinds is None:
                continue
            reach = range(place + 1, min(len(words), place + 1 + _REACH))
            than = next((at for at in reach if words[at] in _THAN), place)
            with_whom = than > place or "\u0400" <= word[0] <= "\u04ff"  # Russian needs no word for "than"
            behind = _telling(words[than + 1 :], language)[:_BEHIND] if with_whom else []
            before = _telling(words[max(0, place - _REACH) : than][::-1], language)
            yield _Comparison(*kinds, tuple(before), tuple(behind))


@cache
def _ends(language: str) -> dict[str, tuple[frozenset[int], bool]]:
    """Of each comparing word its kinds, and which end it is."""
    found: dict[str, tuple[frozenset[int], bool]] = {}
    for number, pair in enumerate(_COMPARED_IN_ENGLISH if language == "en" else _COMPARED_ELSEWHERE):
        for end, words in enumerate(pair):
            for word in word_set(words):
                found[word] = (found.get(word, (frozenset(), False))[0] | {number}, bool(end))
    return found


def _telling(words: Sequence[str], language: str) -> list[str]:
    found: list[str] = []
    for word in words:
        if not word.isalpha():
            break
        if not any(word in some for some in (NEUTRAL, DECISIVE, PRONOUNS, OTHERS, UNITS)):
            found.append(stem(word, language))
    return found
