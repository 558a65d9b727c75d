"""Whether a number, or what a question is after, has another role in a text that says nearly the same words.

What is given there is asked for here; what was done first is done then; a number stands beside none of its words; or
what was done once is done for each. Texts that differ in this have the same words, and mostly the same numbers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise, zip_longest

from magistral_recipe.curation.clauses import is_content, is_telling
from magistral_recipe.curation.deciding import MANY, NEUTRAL, WEAK, folded, word_set
from magistral_recipe.curation.likeness import Likeness
from magistral_recipe.curation.rewording import run_alike
from magistral_recipe.curation.stems import stem

_THEN = word_set("then afterwards danach dann anschliessend puis ensuite luego despues poi depois затем потом")
_THEN_HAN = re.compile("然后|接着|再|その後|それから")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_AXIS = re.compile(r"(?<![^\W\d_])([a-z])\s*-?\s*(?:axis|axes|coordinate|intercept|achse|koordinate)", re.IGNORECASE)
_BY_HOW = re.compile(
    r"\bby how m|\bby what\b|\bum wie ?viel|\bde combien|\b(?:en|de) cu[aá]nt|\bdi quant|\bна сколько", re.IGNORECASE
)
_SHARE = re.compile(
    r"(\d+(?:[.,]\d+)?)\s*% (?:of|de|du|di|von|от|do|da)\b(?: (?:the|el|il|le|la|o) (?:number|nombre|número|numero))?"
    r"\s*[$€£]?\s*(\d)?"
)
_ANOTHER = re.compile(
    r"\b(?:another|an additional|an extra|a further|otros|otras|autres|altri|altre|outros|outras|weitere|ещё|еще)"
    r"\s+[$€£]?\s*(\d+(?:[.,]\d+)?)",
    re.IGNORECASE,
)
_AGO = re.compile(
    r"(\d+)\s+\w+\s+(?:ago|earlier|fa|назад)\b|\b(?:il y a|hace|vor|há|faz)\s+(\d+)|(\d+)年前", re.IGNORECASE
)
_AHEAD = re.compile(
    r"(\d+)\s+\w+\s+(?:later|hence|from now)\b|\b(?:in|dans|dentro de|tra|fra|daqui a|через)\s+(\d+)\s+"
    r"(?:year|month|week|day|an|año|ann|mes|jahr|monat|лет|год)|(\d+)年[后後]",
    re.IGNORECASE,
)
_ROW = re.compile(r"-?\d+(?:(?: and)? -?\d+)+(?= ?;)")
_EACH = word_set("each cada chaque ogni jeweils каждый 每")
_SIDE = 2
_MOST_MORE = 4


def moved(here: Likeness, there: Likeness) -> bool:
    """Tell whether something has another role; texts of other names tell little, and then nothing.

    Args:
        here: a text that runs like the other one for long.
        there: the other one.

    Returns:
        Whether the two are two problems.
    """
    if _followed_otherwise(here, there):
        return True
    return (
        _given_for_asked(here, there) or _other_company(here, there) or _for_each(here, there) or _by_how(here, there)
    )


def reordered(here: Likeness, there: Likeness) -> bool:
    """Tell whether of two numbers each is told "then" where the other one is told first there, or axes changed places.

    Args:
        here: a text.
        there: the other one, perhaps told in other sentences.

    Returns:
        Whether the two are two problems.
    """
    mine, theirs = _another(here), _another(there)
    if mine - theirs and theirs - mine and mine | theirs <= here.numbers.keys() & there.numbers.keys():
        return True
    (first, then), (first_there, then_there) = _events(here), _events(there)
    if (first - then) & (then_there - first_there) and (then - first) & (first_there - then_there):
        return True
    past, ahead = (set(_number(form, here)) for form in (_AGO, _AHEAD))
    if past & set(_number(_AHEAD, there)) - set(_number(_AGO, there)) or ahead & set(_number(_AGO, there)) - past:
        return True
    if _percents(here, there) or (_rows(here) != _rows(there) and sorted(_rows(here)) == sorted(_rows(there))):
        return True
    mine, theirs = (set(_AXIS.findall(text.parts.spelled)) for text in (here, there))
    return bool(mine) and bool(theirs) and mine != theirs


def _number(form: re.Pattern[str], text: Likeness) -> Iterator[str]:
    return (next(filter(None, found)) for found in form.findall(text.parts.spelled))


def _percents(here: Likeness, there: Likeness) -> bool:
    """Whether a share is one of a number here, and of what is unknown there."""
    mine, theirs = (
        {found[1]: bool(found[2]) for found in _SHARE.finditer(text.parts.spelled)} for text in (here, there)
    )
    return any(mine[number] != theirs[number] for number in mine.keys() & theirs.keys())


def _rows(text: Likeness) -> list[str]:
    """The rows of matrices, in order."""
    return _ROW.findall(text.parts.spelled)


def _events(text: Likeness) -> tuple[set[str], set[str]]:
    """The numbers told before "then", in its sentence or the one before, and those told behind it."""
    first: set[str] = set()
    then: set[str] = set()
    before: set[str] = set()
    for sentence in text.parts.parts:
        words = [folded(word) for word in _NUMBER.findall(_THEN_HAN.sub(" then ", sentence))]
        telling = [word if word in _THEN else _figure_or_stem(word, text) for word in words]
        place = next((at for at, word in enumerate(words) if word in _THEN), None)
        if place is not None:
            first.update(set(filter(None, telling[:place])) or before)
            then.update(filter(None, telling[place + 1 :]))
        before = set(filter(None, telling))
    return first, then


def _figure_or_stem(word: str, text: Likeness) -> str:
    if word[0].isdigit():
        return word
    short = stem(word, text.parts.language)
    return short if short in text.words else ""


def _another(text: Likeness) -> set[str]:
    """The numbers that "another" leads in."""
    return {found[1] for found in _ANOTHER.finditer(text.parts.spelled)}


def _given_for_asked(here: Likeness, there: Likeness) -> bool:
    """Whether what is counted by a number there is asked for here, and the other way round."""
    (mine, asked), (theirs, asked_there) = _counted(here), _counted(there)
    return any(
        mine[number] != theirs[number] and mine[number] in asked_there - asked and theirs[number] in asked - asked_there
        for number in mine.keys() & theirs.keys()
    )


def _counted(text: Likeness) -> tuple[dict[str, str], set[str]]:
    """Of each number what stands behind it, and what stands behind "how many"."""
    counted: dict[str, str] = {}
    asked: set[str] = set()
    for clause in text.parts.clauses:
        telling = [item for item in clause if is_content(item) or (isinstance(item, str) and _counts(item))]
        for item, behind in pairwise(telling):
            if isinstance(item, str) and isinstance(behind, str) and is_content(behind) and _counts(item):
                if item[0].isdigit():
                    counted[item] = behind
                else:
                    asked.add(behind)
    return counted, asked


def _counts(item: str) -> bool:
    return item[0].isdigit() or item in MANY


def _other_company(here: Likeness, there: Likeness) -> bool:
    """Whether a number stands beside none of its words, though the words are there."""
    mine, theirs = _company(here), _company(there)
    for number in mine.keys() & theirs.keys():
        if not mine[number] & theirs[number]:
            lost, gained = theirs[number] & here.words.keys(), mine[number] & there.words.keys()
            if lost and gained:
                return True
    return False


def _followed_otherwise(here: Likeness, there: Likeness) -> bool:
    """Whether of two texts of nearly the same words a number stands before another one: boxes of 12, 12 boxes."""
    if not _nearly_the_same(here, there):
        return False
    mine, theirs = _followers(here), _followers(there)
    return any(
        mine[number] != theirs[number]
        and mine[number] in {"", *there.running}
        and theirs[number] in {"", *here.running}
        for number in mine.keys() & theirs.keys()
    )


def _followers(text: Likeness) -> dict[str, str]:
    """Of each number that is said once the telling word behind it, or the end of its sentence."""
    found: dict[str, str] = {}
    for sentence in text.parts.parts:
        words = [word.casefold() for word in _NUMBER.findall(sentence)]
        for word, behind in zip_longest(words, words[1:], fillvalue=""):
            if word[0].isdigit() and text.numbers[word] == 1 and folded(behind) not in NEUTRAL | WEAK:
                found[word] = behind
    return found


def _company(text: Likeness) -> dict[str, set[str]]:
    """Of each number that is said once the words at its sides."""
    found: dict[str, set[str]] = {}
    for clause in text.parts.clauses:
        telling = [item for item in clause if not isinstance(item, str) or is_telling(item)]
        for place, item in enumerate(telling):
            if isinstance(item, str) and item[0].isdigit() and text.numbers[item] == 1:
                sides = telling[max(0, place - _SIDE) : place + _SIDE + 1]
                found[item] = {word for word in sides if isinstance(word, str) and word not in text.parts.capitals}
                found[item].discard(item)
    return found


def _for_each(here: Likeness, there: Likeness) -> bool:
    """Whether one text says a few words more or others, and with them that something is done for each."""
    mine, theirs = (Counter(_items(text)) for text in (here, there))
    more, less = mine - theirs, theirs - mine
    if more.total() > _MOST_MORE or less.total() > _MOST_MORE or (more and less and not _nearly_the_same(here, there)):
        return False
    return any(_EACH.isdisjoint(some) and not _EACH.isdisjoint(others) for some, others in ((more, less), (less, more)))


def _nearly_the_same(here: Likeness, there: Likeness) -> bool:
    return (1 - run_alike(here, there)) * max(len(here.running), len(there.running)) <= _MOST_MORE


def _items(text: Likeness) -> Iterator[str]:
    return (item for item in text.items if isinstance(item, str) and is_telling(item))


def _by_how(here: Likeness, there: Likeness) -> bool:
    """Whether one asks for a change and the other for what came of it."""
    return bool(_BY_HOW.search(here.parts.spelled)) != bool(_BY_HOW.search(there.parts.spelled))
