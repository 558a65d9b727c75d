"""What makes a text another problem however alike the rest runs: what is asked, and in which order a pair stands.

A small change of a problem leaves its story as it is and asks for something else: for a part, for another quantity,
for the start and not for the end. Where the stories are the same word for word, the questions must be as well.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from magistral_recipe.curation.clauses import Item, is_telling
from magistral_recipe.curation.converse import opposed
from magistral_recipe.curation.deciding import word_set
from magistral_recipe.curation.formulas import shape
from magistral_recipe.curation.glossary import asks_in
from magistral_recipe.curation.likeness import Likeness
from magistral_recipe.curation.marks import VARIABLE
from magistral_recipe.curation.moved import moved, reordered
from magistral_recipe.curation.rewording import MOST_ALIKE, run_alike
from magistral_recipe.curation.stems import alike

_PAIR = re.compile(r"(?<![\w)])[(\[]((?:\s*-?[\d./√π]+\s*,)+\s*-?[\d./√π]+\s*)[)\]]")
_START = word_set("begin start starting originally initially beginning initial original au depart anfangs ursprunglich")
_END = word_set(
    "now left remain remaining final finally end ubrig jetzt maintenant reste ahora queda quedan ora rimane"
)
_TOGETHER = word_set("together altogether ensemble juntos juntas insieme zusammen gemeinsam вместе 共 合")
_OF_MORE = 2
"""So many words more ask of others as well."""

_FEW = frozenset("0123")
"""Numbers that a question may have more: "the two", "of the three"."""


def differs(here: Likeness, there: Likeness) -> bool:
    """Tell whether two texts that run alike pose two problems.

    Args:
        here: a text.
        there: another one.

    Returns:
        Whether a pair of numbers is turned round, or another thing is asked of one story.
    """
    if opposed(here, there) or _pairs_turned(here, there) or reordered(here, there):
        return True
    mine, theirs = _split(here), _split(there)
    if _asked_otherwise(mine, theirs):
        return True
    if run_alike(here, there) <= MOST_ALIKE:
        return False
    if moved(here, there):
        return True
    return _counted_otherwise(here, there, mine, theirs) or _named_instead(here, there) or _named_instead(there, here)


def _pairs_turned(here: Likeness, there: Likeness) -> bool:
    """Whether the same numbers stand in pairs in another order: a point's coordinates may not change places."""
    mine, theirs = _pairs(here), _pairs(there)
    return mine != theirs and _sorted(mine) == _sorted(theirs)


def _pairs(text: Likeness) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple("".join(number.split()) for number in found[1].split(",")) for found in _PAIR.finditer(text.parts.spelled)
    )


def _sorted(pairs: Counter[tuple[str, ...]]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(sorted(pair)) for pair in pairs.elements())


@dataclass(frozen=True)
class _Split:
    """Words, numbers and formulas of a text's story, and of its question; the question's own words."""

    story: Counter[str]
    question: Counter[str]
    small: frozenset[str]


def _split(text: Likeness) -> _Split:
    asks = asks_in(text.parts.language)
    parts = text.parts
    asking = {
        sentence for clause, sentence in zip(parts.clauses, parts.sentence, strict=False) if asks.intersection(clause)
    }
    asking = asking or {parts.sentences}
    found: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    small: set[str] = set()
    for clause, sentence in zip(parts.clauses, parts.sentence, strict=False):
        words = [_masked(item) for item in clause]
        found[sentence in asking].update(word for word in words if _tells(word))
        if asks.intersection(clause):
            small.update(words)
    return _Split(*found, frozenset(small))


def _masked(item: Item) -> str:
    """Letters may have other names."""
    if isinstance(item, str):
        return VARIABLE if item[0] == VARIABLE else item
    return repr(shape(item))


def _tells(word: str) -> bool:
    return is_telling(word) or word[0] in "@("


def _counted_otherwise(here: Likeness, there: Likeness, mine: _Split, theirs: _Split) -> bool:
    """Whether one question has a number more that its text has more often: how much was it beyond the 40 hours?"""
    more, less = mine.question - theirs.question, theirs.question - mine.question
    counted = ((more, here.numbers - there.numbers), (less, there.numbers - here.numbers))
    return any(word[0].isdigit() and word not in _FEW and word in often for words, often in counted for word in words)


def _named_instead(here: Likeness, there: Likeness) -> bool:
    """Whether a person who is named in both is named once more, and a number once less: "Ann and Bo" for "any two"."""
    names = here.parts.capitals & there.parts.capitals
    more, less = here.words - there.words, there.numbers - here.numbers
    return any(word in names and word in there.words for word in more) and bool(less.keys() - {"1"})


def _asked_otherwise(mine: _Split, theirs: _Split) -> bool:
    """Whether one story is told and another thing asked; or what there was at the start, and at the end."""
    for one, other in ((mine, theirs), (theirs, mine)):
        if one.small & _START and other.small & _END and not (one.small & _END or other.small & _START):
            return True
    if mine.story != theirs.story or not mine.story:
        return False
    more, less = mine.question.keys() - theirs.question.keys(), theirs.question.keys() - mine.question.keys()
    if _TOGETHER.isdisjoint(mine.small) != _TOGETHER.isdisjoint(theirs.small) and _more(mine, theirs) >= _OF_MORE:
        return True
    new = {word for word in more if not any(alike(word, other) for other in less)}
    gone = {word for word in less if not any(alike(word, other) for other in more)}
    return bool(new) and bool(gone)


def _more(mine: _Split, theirs: _Split) -> int:
    """How many words one question has more than the other."""
    return abs(mine.question.total() - theirs.question.total())
