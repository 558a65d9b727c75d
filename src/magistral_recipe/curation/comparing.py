"""Whether a text says all that another one says: one problem, perhaps of other people and things, in another order.

First the letters of formulas, then names and things are matched, one for one and all through. What is left decides: a
word more or another one makes another problem, unless it came with a name. Then what stays the same in number may
still stand elsewhere: of two numbers, persons or things that would fit better in each other's place, the text was
turned round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import combinations, islice, pairwise, product

from magistral_recipe.curation.clauses import PRONOUN, WHOSE, Item, is_content
from magistral_recipe.curation.deciding import DECISIVE, SEQUENCE, WEAK
from magistral_recipe.curation.formulas import leaves, renamed, renamings
from magistral_recipe.curation.glossary import CALENDAR, COLOURS, STRICT, asks_in, stems_of
from magistral_recipe.curation.likeness import Likeness
from magistral_recipe.curation.marks import VARIABLE
from magistral_recipe.curation.places import (
    Neighbours,
    around,
    beside_deciding,
    goes_with,
    in_slots,
    is_verb,
    kind_of,
    led_in,
    places,
    swapped,
    tells,
)
from magistral_recipe.curation.stems import other_forms
from magistral_recipe.curation.typos import mistyped

_MOST_LETTERINGS = 3
_LONGER = 3
"""How many times as long a text may be that still is the same problem."""

_LEAST_SHARED = 0.4
"""Share of the words of a problem that stand in the other text as they are, at least."""


def held(here: Likeness, there: Likeness) -> float:
    """Tell how much of another text stands in this one.

    Args:
        here: the text that may be the other one in disguise.
        there: the other one.

    Returns:
        Share of its words and neighbouring words that stand here as well, names and things being renamed; 0 where the
        two pose different problems.
    """
    if not there.items or len(here.items) > _LONGER * len(there.items) + 30:
        return 0.0
    shared = sum(1 for word in there.words if word in here.words)
    if shared < _LEAST_SHARED * len(there.words) - 2:
        return 0.0
    for letters in islice(_letterings(here, there), _MOST_LETTERINGS):
        if (share := _Comparison(here, there, letters).share()) > 0:
            return share
    return 0.0


def built_otherwise(here: Likeness, there: Likeness) -> bool:
    """Say whether formulas of the same numbers are built otherwise: 2 (7 - 3) and 2 · 7 - 3 have the same words."""
    mine, theirs = list(here.formulas), list(there.formulas)
    if here.numbers != there.numbers:
        return False
    if len(mine) != len(theirs):  # a pair is no formula, an interval is one
        return sum(tree[0] == "t" for tree in mine) != sum(tree[0] == "t" for tree in theirs)
    return next(renamings(mine, theirs), None) is None


def _letterings(here: Likeness, there: Likeness) -> Iterator[dict[str, str]]:
    """Ways to rename the letters of `there` so that its formulas are those of `here`."""
    mine, theirs = list(there.formulas), list(here.formulas)
    bare = [_bare_letters(each) for each in (there, here)]
    known = [
        {letter for tree in trees for letter in leaves(tree, "v")} | set(letters)
        for trees, letters in zip((mine, theirs), bare, strict=True)
    ]
    for found in renamings(mine, theirs):
        if known[0] == known[1] and any(old != new for old, new in found.items()):
            return  # the same letters, of which two have changed places
        taken = set(found.values())
        rest = [
            [letter for letter in bare[0] if letter not in found],
            [letter for letter in bare[1] if letter not in taken],
        ]
        if set(rest[0]) <= set(rest[1]):
            yield {**found, **{letter: letter for letter in rest[0]}}
        elif len(rest[0]) == len(rest[1]):
            yield {**found, **dict(zip(*rest, strict=True))}


def _bare_letters(text: Likeness) -> list[str]:
    """The letters that stand alone, in order."""
    return list(dict.fromkeys(item for item in text.items if isinstance(item, str) and item[0] == VARIABLE))


class _Comparison:
    """Two texts whose letters are the same already."""

    def __init__(self, here: Likeness, there: Likeness, letters: Mapping[str, str]) -> None:
        self.here, self.there = here, there
        self.mine = [tuple(_key(item, {}) for item in clause) for clause in here.parts.clauses]
        self.theirs = [tuple(_key(item, letters) for item in clause) for clause in there.parts.clauses]
        self.names = here.parts.capitals | there.parts.capitals
        language = here.parts.language
        self.strict, self.always = stems_of(STRICT, language), stems_of(CALENDAR, language)
        self.colours, self.asks = stems_of(COLOURS, language), asks_in(language)

    def share(self) -> float:
        """As `held` returns it."""
        if max(len(self.here.words - self.there.words), len(self.there.words - self.here.words)) > _MOST_FORMS:
            return 0.0
        self._unite_characters()
        self._unite_parts()
        self._unite_forms()
        mine, theirs = self._contents(self.mine), self._contents(self.theirs)
        if max(len(mine.keys() - theirs.keys()), len(theirs.keys() - mine.keys())) > _MOST_OTHER:
            return 0.0
        gone = [word for word in theirs if word not in mine and word not in self.here.parts.tails]
        new = [word for word in mine if word not in theirs and word not in self.there.parts.tails]
        pairs = self._renamed(gone, new)
        if not self._leftovers(gone, new, pairs):
            return 0.0
        self.theirs = [tuple(pairs.get(item, item) for item in clause) for clause in self.theirs]
        self.missing = [word for word in gone if word not in pairs]
        for differs in (self._counts, self._decided, self._asked, self._ratios, self._turned):
            if differs():
                return 0.0
        return self._shared()

    # ------------------------------------------------------------------------------------------------ renaming

    def _contents(self, clauses: Sequence[tuple[str, ...]]) -> Counter[str]:
        return Counter(item for clause in clauses for item in clause if is_content(item))

    def _renamed(self, gone: Sequence[str], new: Sequence[str]) -> dict[str, str]:
        """Which word stands here for which there."""
        pairs: dict[str, str] = {}
        if not gone or not new:
            return pairs
        left, unknown = list(new), {*gone, *new}
        theirs, mine = around(self.theirs, unknown), around(self.mine, unknown)
        fits = sorted(
            (
                (self._fit(word, other, theirs, mine), place, word, other)
                for place, word in enumerate(gone)
                for other in left
                if self._may_be(word, other)
            ),
        )
        for fit, _, word, other in fits:
            if word not in pairs and other in left and fit < 0:
                pairs[word] = other
                left.remove(other)
        return pairs

    def _fit(self, word: str, other: str, theirs: dict[str, Neighbours], mine: dict[str, Neighbours]) -> float:
        """Minus the share of common neighbours; a name fits a name better, and a colour a colour."""
        common = (theirs[word] & mine[other]).total() / max(theirs[word].total(), mine[other].total())
        kinds = [(each in self.names, each in self.colours) for each in (word, other)]
        return -common / (1 if kinds[0] == kinds[1] else 2)

    def _unite_characters(self) -> None:
        """Characters of unspaced scripts that the other text lacks, and that stand together, are one word."""
        mine, theirs = ({item for clause in clauses for item in clause} for clauses in (self.mine, self.theirs))
        self.mine = [_united(clause, theirs) for clause in self.mine]
        self.theirs = [_united(clause, mine) for clause in self.theirs]

    def _unite_forms(self) -> None:
        """A word of which the other text has another form is that one."""
        mine, theirs = self._contents(self.mine), self._contents(self.theirs)
        forms = other_forms(theirs, mine)
        self.theirs = [tuple(forms.get(item, item) for item in clause) for clause in self.theirs]
        forms = other_forms(mine, self._contents(self.theirs))
        self.mine = [tuple(forms.get(item, item) for item in clause) for clause in self.mine]
        mine, theirs = self._contents(self.mine), self._contents(self.theirs)
        if slip := mistyped(theirs.keys() - mine.keys(), mine.keys() - theirs.keys(), self.strict):
            self.theirs = [tuple(slip.get(item, item) for item in clause) for clause in self.theirs]

    def _unite_parts(self) -> None:
        """Two words that are one in the other text: "baby-sitting"."""
        mine, theirs = self._contents(self.mine), self._contents(self.theirs)
        self.mine = [_together(clause, theirs.keys() - mine.keys()) for clause in self.mine]
        self.theirs = [_together(clause, mine.keys() - theirs.keys()) for clause in self.theirs]

    def _is_strict(self, word: str) -> bool:
        return word in self.always or (word in self.strict and word not in self.names)

    def _may_be(self, word: str, other: str) -> bool:
        if self._is_strict(word) or self._is_strict(other):
            return False
        if word in self.names or other in self.names or (word in self.colours and other in self.colours):
            return True
        return not (is_verb(word, self.theirs, self.names) or is_verb(other, self.mine, self.names))

    def _leftovers(self, gone: Sequence[str], new: Sequence[str], pairs: Mapping[str, str]) -> bool:
        """Whether the words that have no counterpart change nothing."""
        named, names = set(pairs), set(pairs.values())
        missing = [word for word in gone if word not in named and not goes_with(word, named, self.theirs)]
        more = [word for word in new if word not in names and not goes_with(word, names, self.mine)]
        introduced = {word for word in more if word in self.here.parts.capitals and not self._is_strict(word)}
        beside = {item for clause in self.mine if introduced.intersection(clause) for item in clause}
        if any(self._is_strict(word) or word not in introduced | beside for word in more):
            return False
        if any(map(self._is_strict, missing)):
            return False
        plain = [word for word in missing if word not in self.names]
        return len(plain) <= len(self.there.words) // 8

    # ------------------------------------------------------------------------------------------------ what differs

    def _counts(self) -> bool:
        """Whether a number or a word stands here for another one that is said elsewhere, too."""
        mine, theirs = self.here.numbers, self.there.numbers
        less, more = (
            Counter({number: many for number, many in each.items() if number != "1"})
            for each in (theirs - mine, mine - theirs)
        )
        if less and more:
            return True
        mine, theirs = self._contents(self.mine), self._contents(self.theirs)
        less, more = theirs - mine, mine - theirs
        up, down = [word for word in more if word in theirs], [word for word in less if word in mine]
        if any(word not in self.names for word in up) and self.missing:
            return True
        if not up or not down:
            return False
        here, there = places(self.mine, self.here), places(self.theirs, self.there)
        alone = len(up) == len(down) == 1
        return any(
            ((here[word] - there[word]) & (there[other] - here[other])).total() >= 2
            for word in up
            for other in down
            if alone or (word in self.names and other in self.names)
        )

    def _decided(self) -> bool:
        """Whether what decides is another word, is said more or less often, or of something else."""
        mine, theirs = (
            Counter(item for clause in clauses for item in clause if item in DECISIVE)
            for clauses in (self.mine, self.theirs)
        )
        further = max(0, self.here.parts.sentences - self.there.parts.sentences)
        less, more = theirs.keys() - mine.keys(), mine.keys() - theirs.keys()
        if less - SEQUENCE or (less and more) or more - WEAK or len(more - SEQUENCE) > further:
            return True
        if any(mine[word] != theirs[word] for word in theirs if word not in WEAK):
            return True
        mine_at, theirs_at = beside_deciding(self.mine), beside_deciding(self.theirs)
        mine_led, theirs_led = led_in(self.mine), led_in(self.theirs)
        if any(not theirs_led[number] & mine_led[number] for number in theirs_led.keys() & mine_led.keys()):
            return True
        return any(
            word not in WEAK and mine_at.get(word) and not mine_at[word] & theirs_at[word]
            for word in theirs_at
            if theirs_at[word]
        )

    def _asked(self) -> bool:
        """Whether something else is asked for."""
        asked = []
        for clauses, text in ((self.mine, self.here), (self.theirs, self.there)):
            joined, sentence = text.parts.joined, text.parts.sentence
            asking = [place for place, clause in enumerate(clauses) if any(item in self.asks for item in clause)]
            wider = [*asking]
            for place in asking:
                while place + 1 < len(clauses) and joined[place + 1]:
                    place += 1
                    wider.append(place)
            wider += [place for place in range(len(clauses)) if sentence[place] in {sentence[each] for each in asking}]
            asked.append(
                [{item for place in places for item in clauses[place] if tells(item)} for places in (asking, wider)]
            )
            asked[-1].append({PRONOUN, WHOSE}.intersection(item for place in wider for item in clauses[place]))
        (mine, mine_wider, by_pronoun), (theirs, theirs_wider, by_pronoun_there) = asked
        if not mine or not theirs:
            return False
        more = {item for item in mine - theirs_wider if not (by_pronoun_there and item in self.names)}
        less = {item for item in theirs - mine_wider if not (by_pronoun and item in self.names)}
        new_number = any(item[0].isdigit() and item not in self.there.numbers and item != "1" for item in more)
        return new_number or (bool(more) and bool(less))

    def _ratios(self) -> bool:
        """Whether a ratio is one of the same things the other way round."""
        mine, theirs = _parts(self.mine, self.here, self.names), _parts(self.theirs, self.there, self.names)
        return bool(mine) and bool(theirs) and dict(mine).keys() == dict(theirs).keys() and mine != theirs

    def _turned(self) -> bool:
        """Whether two of the same kind stand each where the other stands there, at some of their places."""
        mine, theirs = places(self.mine, self.here), places(self.theirs, self.there)
        lost = {item: theirs[item] - mine[item] for item in theirs if item in mine}
        gained = {item: mine[item] - theirs[item] for item in lost}
        moved = [item for item in lost if lost[item] or (gained[item] and item[0].isdigit())]
        moved.sort(key=lambda item: -lost[item].total())
        for one, other in combinations(moved[:_MOST_MOVED], 2):
            if self._kind(one) != self._kind(other):
                continue
            swap = {one: other, other: one}
            of = lost[one].total(), lost[other].total()
            found = [lost[item] & swapped(gained[swap[item]], swap) for item in (one, other)]
            explained = found[0].total() + found[1].total()
            wholly, pairs = explained == sum(of) >= 2, [*found[0], *found[1]]
            if wholly and any(
                side == "number" or (item[0].isdigit() and kind_of(one) == "word") for side, item in pairs
            ):
                return True
            if all(found) and explained >= max(_LEAST_TURNED, _CLEARLY * sum(of)):
                return True
        return False

    def _kind(self, item: str) -> str:
        """What may change places with what."""
        return kind_of(item) if not is_content(item) else "name" if item in self.names else "thing"

    def _shared(self) -> float:
        """Mean of the shares of words, and of neighbours."""
        words, others = (
            {item for clause in clauses for item in clause if tells(item)} for clauses in (self.theirs, self.mine)
        )
        pairs, other_pairs = (
            {
                pair
                for slots in in_slots(clauses, text)
                for one, other in pairwise(slots)
                for pair in product(one, other)
            }
            for clauses, text in ((self.theirs, self.there), (self.mine, self.here))
        )
        if not words:
            return 1.0 if not others else 0.0
        share = len(words & others) / len(words)
        return (2 * share + (len(pairs & other_pairs) / len(pairs) if pairs else share)) / 3


_MOST_OTHER, _MOST_FORMS = 40, 200
_MOST_MOVED, _LEAST_TURNED, _CLEARLY = 40, 3, 0.8


def _key(item: Item, letters: Mapping[str, str]) -> str:
    """A word, a number or a letter; a formula as text."""
    if isinstance(item, str):
        return letters.get(item, item)
    return repr(renamed(item, letters) if letters else item)


def _united(clause: tuple[str, ...], known: set[str]) -> tuple[str, ...]:
    found: list[str] = []
    open_ = False
    for item in clause:
        unknown = len(item) == 1 and item > "\u30a0" and item not in known and is_content(item)
        if unknown and open_:
            found[-1] += item
        else:
            found.append(item)
        open_ = unknown
    return tuple(found)


def _together(clause: tuple[str, ...], words: Set[str]) -> tuple[str, ...]:
    found: list[str] = []
    for item in clause:
        if found and found[-1] + item in words:
            found[-1] += item
        else:
            found.append(item)
    return tuple(found)


def _parts(clauses: Sequence[tuple[str, ...]], text: Likeness, names: frozenset[str]) -> set[tuple[str, str]]:
    """Whose each number of a ratio is: "girls to boys is 5:3", "Ann and Tom, in the ratio 5:3"."""
    found: set[tuple[str, str]] = set()
    for place, numbers in text.parts.ratios:
        clause, sentence = clauses[place] if place < len(clauses) else (), text.parts.sentence
        whose: list[str] = []
        if "to" in clause and len(numbers) == 2:
            at = clause.index("to")
            whose = [
                *[item for item in clause[:at] if is_content(item)][-1:],
                *[item for item in clause[at:] if is_content(item)][:1],
            ]
        if len(whose) != len(numbers):
            before = [
                item
                for at in range(place + 1)
                if sentence[at] == sentence[min(place, len(sentence) - 1)]
                for item in clauses[at]
            ]
            whose = list(dict.fromkeys(item for item in before if item in names))[-len(numbers) :]
        if len(whose) == len(numbers):
            found.update(zip(whose, numbers, strict=True))
    return found
