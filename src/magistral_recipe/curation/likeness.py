"""What a problem's text says once names, punctuation, instructions and the order of sentences are taken out.

Two texts pose one problem when they agree in this. *What is computed with*: the same numbers and formulas; letters may
have other names. *What it is about*: the words that decide, such as "more", and the others, of which people, places and
things may have other names all through, one for one. *How things stand to each other*: no two of them stand here each
where the other stands there. Words that only hold a sentence together don't count. How the two are compared is told in
`comparing`.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cached_property
from itertools import pairwise

from magistral_recipe.curation.clauses import Clauses, Item, clauses_of, is_content, plain_clauses_of
from magistral_recipe.curation.deciding import COMPARES, MANY, NEUTRAL, UNITS
from magistral_recipe.curation.formulas import Tree, leaves, shape
from magistral_recipe.curation.glossary import COLOURS, stems_of
from magistral_recipe.curation.marks import VARIABLE

_RUNNING = re.compile(r"\d+(?:\.\d+)?|[\u3040-\u30ff\u3400-\u9fff]|[^\W\d_]+|[-+/^=<>≤≥×√|]|(?<=\d):(?=\d)")
_THING, _NAME, _COLOUR = "<thing>", "<name>", "<colour>"
_NO_THINGS = UNITS | COMPARES


class Likeness:
    """A text reduced to what two wordings of one problem share.

    Args:
        parts: its clauses.
    """

    def __init__(self, parts: Clauses) -> None:
        self.parts = parts

    @cached_property
    def items(self) -> tuple[Item, ...]:
        """All words, numbers and formulas, in order."""
        return tuple(item for clause in self.parts.clauses for item in clause)

    @cached_property
    def running(self) -> tuple[str, ...]:
        """Its words, numbers and signs one after the other, the small words among them."""
        return tuple(each.casefold() for each in _RUNNING.findall(self.parts.spelled))

    @cached_property
    def numbers(self) -> Counter[str]:
        """Its numbers, those within formulas among them, and how often each stands there."""
        found: Counter[str] = Counter()
        for item in self.items:
            if not isinstance(item, str):
                found.update(leaves(item, "n"))
            elif item[0].isdigit():
                found[item] += 1
        return found

    @cached_property
    def figures(self) -> tuple[str, ...]:
        """Its different numbers, in a fixed order: texts that pose one problem have the same. A one is often a word."""
        return tuple(sorted(self.numbers.keys() - {"1", "-1"}))

    @cached_property
    def formulas(self) -> frozenset[Tree]:
        """Its different formulas."""
        return frozenset(item for item in self.items if not isinstance(item, str))

    @cached_property
    def words(self) -> Counter[str]:
        """The words that a problem is about, names among them, and how often each stands there."""
        return Counter(item for item in self.items if isinstance(item, str) and is_content(item))

    @cached_property
    def things(self) -> frozenset[str]:
        """What is counted: the words behind a number or "many" that are no unit."""
        bare = (
            [word for word in clause if isinstance(word, tuple) or word not in NEUTRAL or word in MANY]
            for clause in self.parts.clauses
        )
        pairs = (pair for clause in bare for pair in pairwise(clause))
        counted = {
            word for before, word in pairs if isinstance(before, str) and (before[0].isdigit() or before in MANY)
        }
        return frozenset(
            word
            for word in counted
            if isinstance(word, str) and is_content(word) and word not in stems_of(_NO_THINGS, self.parts.language)
        )

    @cached_property
    def shingles(self) -> frozenset[str]:
        """Its words, and its pairs of neighbouring words within a clause; who, what and whose is named alike."""
        found: set[str] = set()
        for clause in self.parts.clauses:
            masked = [self._masked(word) for word in clause if word not in NEUTRAL]
            found.update(masked, (f"{a} {b}" for a, b in pairwise(masked)))
        return frozenset(found)

    def holds_figures_of(self, other: Likeness) -> bool:
        """Say whether all numbers of another text stand in this one as well."""
        return not set(other.figures) - set(self.figures)

    def _masked(self, word: Item) -> str:
        if isinstance(word, tuple):
            return repr(shape(word))
        if word in self.parts.capitals:
            return _NAME
        if word[0] == VARIABLE:
            return VARIABLE
        return _COLOUR if word in stems_of(COLOURS, self.parts.language) else _THING if word in self.things else word


def likeness(text: str) -> Likeness:
    """Reduce a problem's text.

    Args:
        text: as a data set gives it, instructions to the reader included.

    Returns:
        What it says.
    """
    return Likeness(clauses_of(text))


def plain_likeness(text: str, posed: Likeness) -> Likeness:
    """Take out the form of the answer, too; see `clauses.plain_clauses_of`.

    Args:
        text: a problem.
        posed: its own.

    Returns:
        What the problem asks for in the end; `posed` itself where nothing was taken out.
    """
    parts = plain_clauses_of(text, posed.parts)
    return posed if parts is posed.parts else Likeness(parts)
