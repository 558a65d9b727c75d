"""What a problem's text says once names, punctuation, instructions and the order of sentences are taken out.

Two texts pose one problem when they agree in this. *What is computed with*: the same numbers, signs and formulas, as
often; variables may have other letters. *How things stand to each other*: no number in the surroundings that another
number has there, no two words that are related in the other direction; "5 more than 3" and "3 more than 5" differ here,
and so do problems made from one template. *What it is about*: the words that decide, such as "more", and the others, of
which a large share must be the same and none another. Names of people and places are one word, whatever they are, and
so are pronouns (German, whose nouns are all written like names, keeps its own); words that only hold a sentence
together don't count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations, pairwise

from magistral_recipe.curation.clauses import NAME, VARIABLE, clauses_of, computes, is_content, stem
from magistral_recipe.curation.deciding import ASKS, COMPARES, DECISIVE, MANY, NEUTRAL, RELATES, UNITS

_THING = "<thing>"
_MOST_THINGS = 2


@dataclass(frozen=True)
class Likeness:
    """A text reduced to what two wordings of one problem share.

    Attributes:
        clauses: the words of each clause that poses the problem, in order; numbers and signs are among them, variables
            as `@x`, names as `<name>tom`.
        sentences: how many sentences pose the problem.
    """

    clauses: tuple[tuple[str, ...], ...]
    sentences: int = 1

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """The numbers and signs, in a fixed order: texts that pose one problem have the same."""
        return tuple(sorted(word for word in self._all if computes(word)))

    @cached_property
    def shingles(self) -> frozenset[str]:
        """Its words, and its pairs of neighbouring words within a clause; who, what and whose is named alike."""
        found: set[str] = set()
        for clause in self.clauses:
            masked = [self._masked(word) for word in clause if word not in NEUTRAL]
            found.update(masked, (f"{a} {b}" for a, b in pairwise(masked)))
        return frozenset(found)

    @cached_property
    def words(self) -> Counter[str]:
        """The words that a problem is about, and how often each stands there."""
        return Counter(word for word in self._all if is_content(word))

    @cached_property
    def decisive(self) -> Counter[str]:
        """The words that turn a problem into another one, and how often each stands there."""
        return Counter(word for word in self._all if word in DECISIVE)

    @cached_property
    def names(self) -> Counter[str]:
        """Who is named, and how often."""
        return Counter(word for word in self._all if word.startswith(NAME) and word != NAME)

    @cached_property
    def things(self) -> frozenset[str]:
        """What is counted: the words behind a number or "many" that are no unit."""
        bare = ([word for word in clause if word not in NEUTRAL or word in MANY] for clause in self.clauses)
        pairs = (pair for clause in bare for pair in pairwise(clause))
        counted = {word for before, word in pairs if before[0].isdigit() or before in MANY}
        return frozenset(word for word in counted if is_content(word) and word not in _no_things())

    def says_all_of(self, other: Likeness) -> bool:
        """Say whether whatever another text says stands here as well, perhaps of other things and people."""
        more = (self.decisive - other.decisive).total()
        # A sentence more, as "show all steps", is one thing; a word more in a sentence that both have is another.
        asks_alike = not other.decisive - self.decisive and more <= max(0, self.sentences - other.sentences)
        return asks_alike and not self._replaced(other) and not self._contradicts(other)

    def says_the_same_as(self, other: Likeness) -> bool:
        """Say whether two texts pose one problem, but for words that one of them has more."""
        return self.figures == other.figures and (self.says_all_of(other) or other.says_all_of(self))

    def holds_figures_of(self, other: Likeness) -> bool:
        """Say whether all numbers and signs of another text stand in this one as well, as often."""
        return not Counter(other.figures) - Counter(self.figures)

    @cached_property
    def _asked(self) -> Counter[str]:
        """What stands in the clauses that ask."""
        asking = (clause for clause in self.clauses if any(word in ASKS for word in clause))
        return Counter(word for clause in asking for word in clause if is_content(word) or computes(word))

    def _replaced(self, other: Likeness) -> bool:
        """Whether words of another text are missing here, and those that stand there instead aren't mere things.

        "Takes out" for "puts in" makes another problem; "pears" for "apples", all through, does not.
        """
        missing, more = other.words - self.words, self.words - other.words
        if not missing:
            return False
        gone, new = missing.keys() - self.words.keys(), more.keys() - other.words.keys()
        if not gone:  # said less often; unless another word stands there for it
            return bool(new)
        all_through = gone == missing.keys() and new == more.keys() and len(gone) <= _MOST_THINGS
        return not (all_through and gone <= other.things and new <= self.things)

    def _contradicts(self, other: Likeness) -> bool:
        """Whether what decides stands otherwise here: in another formula, at another thing, the other way round."""
        shared = self._variables.keys() & other._variables.keys()
        raw = len(shared) == len(self._variables) == len(other._variables) and self.names.keys() == other.names.keys()
        if (
            not raw
            and 2 * len(shared) > max(len(self._variables), len(other._variables))
            and len(self._variables) == len(other._variables) != len(shared)
        ):
            return True  # one of several letters is another: nobody renames by halves
        if self._asks_for_more(other):
            return True
        if Counter(_formulas(other.clauses, raw=raw)) - Counter(_formulas(self.clauses, raw=raw)):
            return True
        named = self.names.keys() == other.names.keys()
        counted = [(self.words, other.words), *([(self.names, other.names)] if named else [])]
        if raw:
            counted.append((self._variables, other._variables))
        if any(_exchanged(mine, theirs) for mine, theirs in counted):
            return True
        mine, theirs = self._decided, other._decided
        if any(not mine[number] & theirs[number] for number in mine.keys() & theirs.keys()):
            return True
        around = self._surroundings(raw=raw, named=named), other._surroundings(raw=raw, named=named)
        return _swapped(*around) or _turned(self._relations(named), other._relations(named))

    def _asks_for_more(self, other: Likeness) -> bool:
        """Whether a number or sign, or several words, are asked about here that stand nowhere in the other text."""
        everything = Counter(self._all) - Counter(other._all)
        more = self._asked & everything
        return any(map(computes, more)) or more.total() > 1

    @cached_property
    def _all(self) -> tuple[str, ...]:
        return tuple(word for clause in self.clauses for word in clause)

    @cached_property
    def _variables(self) -> Counter[str]:
        return Counter(word for word in self._all if word[0] == VARIABLE)

    def _masked(self, word: str) -> str:
        if word.startswith(NAME):
            return NAME
        if word[0] == VARIABLE:
            return VARIABLE
        return _THING if word in self.things else word

    @cached_property
    def _decided(self) -> dict[str, frozenset[str]]:
        """Of each number the deciding words last before it in its clauses."""
        found: dict[str, set[str]] = {}
        for clause in self.clauses:
            beside = ""
            for word in clause:
                if word[0].isdigit() and beside:
                    found.setdefault(word, set()).add(beside)
                elif word in DECISIVE:
                    beside = word
        return {number: frozenset(words) for number, words in found.items()}

    def _surroundings(self, *, raw: bool, named: bool) -> dict[tuple[str, ...], set[str]]:
        """Each number and formula, with the words that are nearer to it than to another, and its neighbours."""
        found: dict[tuple[str, ...], set[str]] = {}
        for clause in _in_runs(self.clauses, raw=raw):
            items = [each for each in clause if not isinstance(each, str) or _tells(each, named)]
            places = [place for place, each in enumerate(items) if not isinstance(each, str)]
            for number, place in enumerate(places):
                item = items[place]
                assert isinstance(item, tuple)
                # What is counted stands behind its number: of what lies between two, a third is the second's.
                first = place - (place - places[number - 1] - 1) // 3 if number else 0
                last = len(items)
                if number + 1 < len(places):
                    last = places[number + 1] - (places[number + 1] - place - 1) // 3
                around = found.setdefault(item, set())
                around.update(each for each in items[first:last] if isinstance(each, str))
                around.update(
                    " ".join(items[other]) for other in places[max(number - 1, 0) : number + 2] if other != place
                )
        return found

    def _relations(self, named: bool) -> Counter[tuple[str, str]]:
        """Neighbouring words with one between them that relates them: ("girl", "boy") of "girls to boys"."""
        found: Counter[tuple[str, str]] = Counter()
        for clause in self.clauses:
            before, related = "", False
            for word in clause:
                if word in RELATES and word not in DECISIVE:
                    related = True
                elif _tells(word, named):
                    if before and related:
                        found[before, word] += 1
                    before, related = word, False
                elif word not in NEUTRAL:
                    before, related = "", False
        return found


def likeness(text: str) -> Likeness:
    """Reduce a problem's text.

    Args:
        text: as a data set gives it, instructions to the reader included.

    Returns:
        What it says.
    """
    return Likeness(*clauses_of(text))


@cache
def _no_things() -> frozenset[str]:
    return frozenset(stem(word) for word in UNITS | COMPARES)


def jaccard(first: Likeness, second: Likeness) -> float:
    """Share of the shingles of both that are common, 0 to 1; 0 where neither has any."""
    both = len(first.shingles | second.shingles)
    return len(first.shingles & second.shingles) / both if both else 0.0


def _in_runs(clauses: Sequence[tuple[str, ...]], *, raw: bool) -> Iterator[list[str | tuple[str, ...]]]:
    """Clauses whose neighbouring numbers, signs, variables and what they are equal to are one item each.

    Args:
        clauses: as of a `Likeness`.
        raw: keep the letters of variables; else they are numbered in the order of their appearance.

    Yields:
        A clause's words, and tuples for its numbers and formulas.
    """
    numbers: dict[str, str] = {}
    for clause in clauses:
        items: list[str | tuple[str, ...]] = []
        run: list[str] = []
        for place, word in enumerate((*clause, "")):
            follows = clause[place + 1] if place + 1 < len(clause) else ""
            if word and word[0] == VARIABLE:
                number = numbers.setdefault(word, f"{VARIABLE}{len(numbers)}")
                run.append(word if raw else number)
            elif word and (computes(word) or (word.startswith(NAME) and "=" in (follows, *run[-1:]))):
                run.append(word if raw or computes(word) else NAME)
            else:
                if any(map(computes, run)):
                    items.append(tuple(run))
                run = []
                if word:
                    items.append(word)
        yield items


def _formulas(clauses: Sequence[tuple[str, ...]], *, raw: bool) -> Iterator[tuple[str, ...]]:
    """The items that hold a sign."""
    for items in _in_runs(clauses, raw=raw):
        for item in items:
            if isinstance(item, tuple) and any(computes(word) and not word[0].isdigit() for word in item):
                yield item


def _exchanged(mine: Counter[str], theirs: Counter[str]) -> bool:
    """Whether one word stands here more often, and another less: "both are blue" for "both are red"."""
    return any(word in mine for word in theirs - mine) and any(word in theirs for word in mine - theirs)


def _swapped(mine: dict[tuple[str, ...], set[str]], theirs: dict[tuple[str, ...], set[str]]) -> bool:
    """Whether of two numbers each stands here at what the other one alone stands at in the other text."""
    for one, other in combinations(mine.keys() & theirs.keys(), 2):
        ones, others = mine[one] - mine[other], mine[other] - mine[one]
        if ones & (theirs[other] - theirs[one]) and others & (theirs[one] - theirs[other]):
            return True
    return False


def _turned(mine: Counter[tuple[str, str]], theirs: Counter[tuple[str, str]]) -> bool:
    """Whether two words are related here the other way round, more often than there."""
    less = theirs - mine
    return any((b, a) in less for a, b in mine - theirs)


def _tells(word: str, named: bool) -> bool:
    """Whether a word tells one place in a text from another: what it is about, what decides, and names where shared."""
    return is_content(word) or word in DECISIVE or (named and word.startswith(NAME))
