"""Two texts that run alike, word beside word: the same problem of other people and things, or a small change of it.

Small words, numbers, signs and words of mathematics must stand still; of the others each may be another one, the same
all through. Of two texts that differ in one to three places, a word that is one of the text's other words, or a number
in another's place, makes another problem.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from magistral_recipe.curation.clauses import written_number
from magistral_recipe.curation.deciding import (
    DECISIVE,
    NEUTRAL,
    OTHERS,
    PRONOUNS,
    SAME_WORD,
    folded,
    word_set,
)
from magistral_recipe.curation.glossary import (
    COLOURS,
    COUNTERPARTS,
    DOINGS,
    HOMONYMS,
    TITLES,
    UNSPACED,
    is_strict,
    stems_of,
)
from magistral_recipe.curation.likeness import Likeness
from magistral_recipe.curation.number_words import NUMBER_WORDS_OF
from magistral_recipe.curation.rewording import AND, listed
from magistral_recipe.curation.stems import alike, stem

_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)*|[\u30a0-\u30ff]+|[\u3040-\u309f\u3400-\u9fff]|[^\W\d_]+|[+/^=<>≤≥≠×√|!%]|"
    r"(?<![^\W\d_]{2})(?<![ -]t)-|-(?![^\W\d_])|"
    r"(?<=\d):(?=\d)"
)
_ARTICLES = word_set(
    "the an le la les l un une des du der die das dem den ein eine einen einem einer eines el los las unos unas il lo "
    "um uma uns umas os as ao aos gli i uno al del della dello dei degli delle au aux nel nella dans im am zum zur vom "
    "beim"
)
_ROMANCE = frozenset("aoeyl")
"""Articles and joining words of one letter, where no letter is meant."""

_DIRECTIONS = word_set("north south east west")
_SELF = word_set("himself herself themselves")
_PARTICLES = word_set("up down in out on off after over away for with")
"""What may belong to a verb: "looks after" for "keeps"."""

_TIMES, _WHICH = word_set("day night week weekend month season year"), word_set("last this that next")
_PART = re.compile("(?:summe|produkt|differenz|quotient|rest)$")
"""How German words end that decide."""
_WORD, _LETTER, _WHO, _WHOSE = "*", "@", "<who>", "<whose>"

_MOST_LEFT, _LEFT_SHARE, _MOST_TOKENS = 3, 0.1, 600
_LEAST_CHANGES, _SMALL = 3, 3
_WHOLLY = 5
"""So many different words that are others make a story that is of other things altogether."""

_LEAST_STILL = 8
"""Tokens that must stand still: fewer are a pattern that many problems share."""

_LEAST_TELLING = 5
"""Of these numbers, signs and words that are not small ones."""


class Alignment:
    """What stands where the other text has something else.

    Args:
        here: a text.
        there: another one.

    Attributes:
        pairs: what stands there, and what here in its place, in order; equal ones among them.
        left: the tokens of both that stand beside nothing.
    """

    def __init__(self, here: Likeness, there: Likeness) -> None:
        self.here, self.there = here, there
        self.language = here.parts.language
        self.names = here.parts.capitals | there.parts.capitals
        mine, theirs = _tokens(here), _tokens(there)
        if COLOURS.isdisjoint(mine) != COLOURS.isdisjoint(theirs):
            mine, theirs = _with_colours(mine), _with_colours(theirs)
        self.doings: frozenset[str] = frozenset()
        self.pairs: list[tuple[str, str]] = []
        self.left: list[str] = []
        self.size = max(len(mine), len(theirs))
        if self.size > _MOST_TOKENS or abs(len(mine) - len(theirs)) > _MOST_LEFT + _LEFT_SHARE * self.size:
            self.left = [*mine, *theirs]
            return
        self.doings = stems_of(DOINGS, self.language)
        masks = [[_masked(token, self.language) for token in tokens] for tokens in (theirs, mine)]
        self._align(theirs, mine, masks)
        if self.left and any(self._uneven()):  # a word more has moved the others: hold on to what is known by now
            usual = self._usual()
            known = [
                [f"={word}" if mask == _WORD else mask for word, mask in zip(words, each, strict=True)]
                for words, each in zip(([usual.get(word, word) for word in theirs], mine), masks, strict=True)
            ]
            self._align(theirs, mine, known)

    def _align(self, theirs: Sequence[str], mine: Sequence[str], masks: Sequence[Sequence[str]]) -> None:
        self.pairs, self.left = [], []
        for kind, a, b, c, d in SequenceMatcher(None, masks[0], masks[1], autojunk=False).get_opcodes():
            if kind == "equal" or b - a == d - c:
                self.pairs += zip(theirs[a:b], mine[c:d], strict=True)
            else:
                self.left += [*theirs[a:b], *mine[c:d]]

    def _usual(self) -> dict[str, str]:
        """What stands most often for each word, one for one."""
        found: dict[str, str] = {}
        taken: set[str] = set()
        for (old, new), _ in Counter(self.pairs).most_common():
            if old not in found and new not in taken:
                found[old] = new
                taken.add(new)
        return found

    def changed(self) -> list[tuple[str, str]]:
        """The pairs that are no forms of one word."""
        return [pair for pair in self.pairs if not self._same(*pair)]

    def is_renamed(self) -> bool:
        """Whether all that differs is names of people and things, the same all through."""
        changed = [pair for pair in self.changed() if not all(map(self._is_small, pair))]
        still = [one for one, other in self.pairs if one == other]
        telling = sum(not self._is_small(token) for token in still)
        if len(changed) < _LEAST_CHANGES or len(still) < _LEAST_STILL or telling < _LEAST_TELLING:
            return False
        if self._exchanged():
            return False
        wholly = len({self._stemmed(pair) for pair in changed}) >= _WHOLLY
        beside = [word for word in self.left if not (wholly and word in _PARTICLES)]
        if len(self.left) > _MOST_LEFT + _LEFT_SHARE * self.size or any(map(self._decides, beside)):
            return False
        exceptions = 1 if len(changed) >= 2 * _WHOLLY else 0
        return all(self._may_stand(pair, wholly) for pair in changed) and len(list(self._uneven())) <= exceptions

    def _stemmed(self, pair: tuple[str, str]) -> tuple[str, str]:
        return stem(pair[0], self.language), stem(pair[1], self.language)

    def _may_stand(self, pair: tuple[str, str], wholly: bool) -> bool:
        """Whether one may be said for the other; where all is of other things, of other doings as well."""
        deciding = [word for word in pair if self._decides(word)]
        if not deciding or self._is_label(pair):
            return True
        if len(deciding) > 1:
            return wholly and HOMONYMS.issuperset(pair) and COUNTERPARTS.isdisjoint(pair)
        return deciding[0] in HOMONYMS or (wholly and self._stemmed((deciding[0], ""))[0] in self.doings)

    def is_small_change(self) -> bool:
        """Whether one to three places make another problem."""
        changed = self.changed()
        if self.left or not 0 < len(changed) <= _SMALL:
            return False
        lists = listed(self.here.running) & listed(self.there.running)
        if any(one[0].isdigit() and other[0].isdigit() and (one, other) not in lists for one, other in changed):
            return True
        if any(_PART.search(one) and _PART.search(other) for one, other in changed):
            return True
        return any(self._uneven()) or self._exchanged()

    def _exchanged(self) -> bool:
        """Whether two words stand each where the other one stands there, and not beside each other in a list."""
        at = {pair: place for place, pair in enumerate(self.pairs)}
        swaps = ((at[old, new], at[new, old]) for old, new in self.changed() if (new, old) in at)
        return any(
            other > one and any(old not in AND for old, _ in self.pairs[one + 1 : other]) for one, other in swaps
        )

    def _uneven(self) -> Iterator[tuple[str, str]]:
        """Words that stand for one word here and for another there; of unspaced scripts this tells nothing."""
        known: dict[str, str] = {}
        back: dict[str, str] = {}
        for place, (old, new) in enumerate(self.pairs):
            if (
                {old, new} & {_WHO, _WHOSE}
                or _is_unspaced(old)
                or _is_unspaced(new)
                or (self._is_small(old) and self._is_small(new))
            ):
                continue
            forth = self._same(known.setdefault(old, new), new)
            if (forth and self._same(back.setdefault(new, old), old)) or self._is_split(place, known, back):
                continue
            yield old, new

    def _is_split(self, place: int, known: Mapping[str, str], back: Mapping[str, str]) -> bool:
        """Whether two words that stand for one are told apart by those before them: bus ticket, train ticket."""
        if not place:
            return False
        (before, instead), (old, new) = self.pairs[place - 1 : place + 1]
        if not (before.isalpha() and instead.isalpha()) or self._same(before, instead):
            return False
        if self._is_small(before) or self._is_small(instead) or known.get(before) != instead:
            return False
        alone = (self.pairs[at] for at in range(1, len(self.pairs)) if self.pairs[at - 1] == (before, instead))
        return all(self._same(pair[0], old) == self._same(pair[1], new) for pair in alone)

    def _same(self, one: str, other: str) -> bool:
        if one == other:
            return True
        if len(one) < 3 or len(other) < 3 or not (one.isalpha() and other.isalpha()):
            return False
        short = stem(one, self.language), stem(other, self.language)
        return short[0] == short[1] or (alike(*short) and not {one, other} & DECISIVE)

    @staticmethod
    def _is_label(pair: tuple[str, str]) -> bool:
        """Whether both tell things apart that may be told apart otherwise: the blue pipe, the northern one."""
        return all(word in COLOURS or word in _DIRECTIONS for word in pair) and any(word in COLOURS for word in pair)

    def _is_small(self, token: str) -> bool:
        return token in NEUTRAL or token in (_WHO, _WHOSE)

    def _decides(self, token: str) -> bool:
        """Whether a word is none that may be another one."""
        if len(token) == 1 and token.isascii() and token.isalpha():
            return False
        if _is_unspaced(token):
            return token in UNSPACED
        if self._is_small(token):
            return False
        return not token.isalpha() or is_strict(token, self.language)


def _is_unspaced(token: str) -> bool:
    return token > "\u3040" and len(token) == 1


def _masked(token: str, language: str) -> str:
    """What may be another word is alike."""
    if token[0].isdigit():
        return "#"
    if not token.isalpha():
        return token
    if len(token) == 1 and token.isascii():
        return _LETTER
    if _is_unspaced(token):
        return token if token in UNSPACED or token in NEUTRAL else _WORD
    if token in NEUTRAL or (is_strict(token, language) and token not in HOMONYMS):
        return token
    return _WORD


def _with_colours(tokens: list[str]) -> list[str]:
    """A colour and its thing as one: red and blue tiles may be oaks and birches."""
    found: list[str] = []
    for token in tokens:
        if found and found[-1] in COLOURS and token.isalpha() and token not in NEUTRAL and token not in COLOURS:
            found[-1] += token
        else:
            found.append(token)
    return found


def _is_title(token: str, follows: str) -> bool:
    """Whether a name follows: a coach may be a bus as well."""
    return len(token) <= _SHORT or not token.islower() or not follows.islower()


_SHORT = 3
"""Letters of titles that are nothing else: "mrs"."""


def _tokens(text: Likeness) -> list[str]:
    """Words, signs, numbers; letters of formulas one by one; articles left out, pronouns of either sex alike."""
    found: list[str] = []
    tokens = _TOKEN.findall(text.parts.spelled)
    lettered = "B" in tokens or "C" in tokens
    for place, token in enumerate(tokens):
        word = folded(token)
        follows = tokens[place + 1] if place + 1 < len(tokens) else ""
        if len(token) > 1 and token.isupper() and token.isascii() and len(token) <= 6:
            found += token
        elif token[0].isdigit():
            found.append(written_number(token))
        elif number := NUMBER_WORDS_OF[text.parts.language].get(token.casefold()):
            found.append(number)
        elif len(token) == 1 and token.isascii() and token.isalpha():
            if token in _ROMANCE and not text.parts.language and len(follows) > 1:
                continue
            if not (token == "a" or (token == "A" and not lettered)) or not (len(follows) > 1 and follows.isalpha()):
                found.append(token)
        elif word in _ARTICLES or (word in TITLES and _is_title(token, follows)):
            continue
        elif word in PRONOUNS:
            found.append(_WHO)
        elif word in OTHERS:
            found.append(_WHOSE)
        elif word in _SELF:
            found.append("himself")
        elif word in _TIMES and found and found[-1] in _WHICH:
            found.append("time")
        else:
            found.append(SAME_WORD.get(word, word))
    return found
