"""Where the numbers, words and formulas of a text stand: what is beside each.

What a list holds stands at one place, so that nothing depends on its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from magistral_recipe.curation.clauses import PRONOUN, WHOSE
from magistral_recipe.curation.deciding import DECISIVE, NEUTRAL, word_set
from magistral_recipe.curation.likeness import Likeness
from magistral_recipe.curation.marks import VARIABLE

Neighbours = Counter[tuple[str, str]]
"""(side, item) → how often."""


def tells(item: str) -> bool:
    """Whether an item tells one place in a text from another."""
    return item not in NEUTRAL and item not in (PRONOUN, WHOSE, "")


def next_to(items: Sequence[str], place: int) -> Iterator[tuple[str, str]]:
    for step, side in ((-2, "<"), (-1, "<"), (-1, "before"), (1, "behind"), (1, ">"), (2, ">")):
        if 0 <= place + step < len(items):
            yield side, items[place + step]


def places(clauses: Sequence[tuple[str, ...]], text: Likeness) -> dict[str, Neighbours]:
    """What stands around each number, word and formula; what a list holds stands at one place."""
    found: dict[str, Neighbours] = {}
    for slots in in_slots(clauses, text):
        number = ""
        for place, slot in enumerate(slots):
            around = Counter(
                (side, other)
                for step, sides in ((-2, "<"), (-1, "<b"), (1, ">a"), (2, ">"))
                if 0 <= place + step < len(slots)
                for other in slots[place + step]
                for side in sides
            )
            for item in slot:
                found.setdefault(item, Counter()).update(around)
            if slot[0][0].isdigit() and len(slot) == 1:
                if number and number != slot[0]:
                    found[slot[0]]["number", number] += 2
                    found[number]["number", slot[0]] += 2
                number = slot[0]
    return found


def in_slots(clauses: Sequence[tuple[str, ...]], text: Likeness) -> Iterator[list[list[str]]]:
    """Clauses as places that hold one item each, or the items of a list; clauses that a list spans are one."""
    open_: list[list[str]] = []
    before = -1
    for at, clause in enumerate(clauses):
        slots: list[list[str]] = []
        for item in clause:
            if not tells(item):
                continue
            if slots and kind_of(item) != "word" and kind_of(slots[-1][-1]) == kind_of(item):
                slots[-1].append(item)
            else:
                slots.append([item])
        if not slots:
            continue
        if open_ and text.parts.joined[at] and text.parts.sentence[at] == before and _lists(open_, slots):
            if _parallel(open_, slots):
                open_[-1] += slots[-1]
            else:
                open_[-1] += slots[0]
                open_ += slots[1:]
            continue
        if open_:
            yield open_
        open_, before = slots, text.parts.sentence[at]
    if open_:
        yield open_


def _lists(left: list[list[str]], right: list[list[str]]) -> bool:
    """Whether a list goes on: "seeds | mealworms", "pad 1 | pad 2"."""
    if _parallel(left, right):
        return True
    return (len(left) == 1 or len(right) == 1 or len(left[-1]) > 1) and kind_of(left[-1][0]) == kind_of(right[0][0])


def _parallel(left: list[list[str]], right: list[list[str]]) -> bool:
    """Whether the right part is the end of the left one, but for its last item."""
    size = len(right)
    return size > 1 and left[-size:-1] == right[:-1] and kind_of(left[-1][0]) == kind_of(right[-1][0])


def kind_of(item: str) -> str:
    return (
        "number" if item[0].isdigit() else "formula" if item[0] == "(" else "letter" if item[0] == VARIABLE else "word"
    )


def swapped(around: Neighbours, swap: Mapping[str, str]) -> Neighbours:
    return Counter({(side, swap.get(item, item)): many for (side, item), many in around.items()})


_AUXILIARY = word_set("to is are was were be been can will would do does did who which not and then")
_LEADS = word_set("by to from um auf von de à por su")


def around(clauses: Sequence[tuple[str, ...]], unknown: set[str]) -> dict[str, Neighbours]:
    """What stands beside each unknown word, other unknown ones being one."""
    found: dict[str, Neighbours] = {word: Counter() for word in unknown}
    for clause in clauses:
        items = [item for item in clause if tells(item)]
        for place, item in enumerate(items):
            if item in unknown:
                for side, beside in next_to(items, place):
                    found[item][side, "*" if beside in unknown else beside] += 1
                found[item]["alone", ""] += 1
    return found


def beside_deciding(clauses: Sequence[tuple[str, ...]]) -> dict[str, set[str]]:
    """Of each deciding word what stands next to it in its clauses."""
    found: dict[str, set[str]] = {}
    for clause in clauses:
        items = [item for item in clause if tells(item)]
        for place, item in enumerate(items):
            if item in DECISIVE:
                found.setdefault(item, set()).update(items[max(place - 1, 0) : place], items[place + 1 : place + 2])
    return found


def led_in(clauses: Sequence[tuple[str, ...]]) -> dict[str, set[str]]:
    """Of each number how it is led in: "increased by 5" is not "increased to 5"."""
    found: dict[str, set[str]] = {}
    for clause in clauses:
        for before, number in pairwise(clause):
            if before in _LEADS and number[0].isdigit():
                found.setdefault(number, set()).add(before)
    return found


def goes_with(word: str, names: set[str], clauses: Sequence[tuple[str, ...]]) -> bool:
    """Whether a word always stands beside one of several, as part of a name: "coffee shop"."""
    beside = [
        bool(names.intersection(clause[max(place - 1, 0) : place + 2]))
        for clause in clauses
        for place, item in enumerate(clause)
        if item == word
    ]
    return bool(beside) and all(beside)


def is_verb(word: str, clauses: Sequence[tuple[str, ...]], names: frozenset[str]) -> bool:
    """Whether a word stands somewhere where what is done stands: behind a person, "to" or "is"."""
    return any(
        after == word and (before == PRONOUN or before in _AUXILIARY or before in names)
        for clause in clauses
        for before, after in pairwise(clause)
    )
