r"""Rules for several answers: lists and sets, tuples, named solutions with their pairing.

Values that have names keep them: ``x=1, y=4`` is the pair (1, 4), never the pair (4, 1). A bare list counts what it
repeats, a set in braces does not; neither has an order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from magistral_recipe.verifiers.answers import labels
from magistral_recipe.verifiers.answers.shapes import Listing, Relation, Shape, Words
from magistral_recipe.verifiers.answers.verdicts import HEDGE, RIGHT, UNDECIDED, WRONG, Compare, Verdict

Group = dict[str, Shape]
"""One solution: the value of each unknown."""
MAX_SIGNS = 4


def in_order(wanted: Sequence[Shape], found: Sequence[Shape], compare: Compare) -> Verdict:
    """Compare item by item."""
    if len(wanted) != len(found):
        return WRONG
    verdicts = [compare(a, b) for a, b in zip(wanted, found, strict=True)]
    if any(verdict.right is False for verdict in verdicts):
        return WRONG
    return next((verdict for verdict in verdicts if verdict.right is None), RIGHT)


def as_set(wanted: Sequence[Shape], found: Sequence[Shape], compare: Compare, repeats: bool = False) -> Verdict:
    """Whether each member of one is a member of the other, in any order.

    Args:
        wanted: the members.
        found: those found.
        compare: compares two of them.
        repeats: whether a member must be there as often as it is wanted.
    """
    if repeats and len(wanted) != len(found):
        return WRONG
    undecided = False
    matched: set[int] = set()
    for member in found:
        hits: set[int] = set()
        for index, each in enumerate(wanted):
            if repeats and index in matched:
                continue
            right = compare(each, member).right
            undecided |= right is None
            if right:
                hits.add(index)
                if repeats:
                    break
        if not hits and not undecided:
            return WRONG
        matched |= hits
    if undecided:
        return UNDECIDED
    return RIGHT if len(matched) == len(wanted) else WRONG


def listings(wanted: Shape, found: Shape, compare: Compare) -> Verdict:
    """Compare where at least one side is a list."""
    groups = [groups_of(side) for side in (wanted, found)]
    if groups[0] or groups[1]:
        return _named(wanted, found, groups[0], groups[1], compare)
    if not isinstance(wanted, Listing):
        # {5} is 5; but two answers where one is wanted are none.
        assert isinstance(found, Listing)
        if found.brackets == "{}" and len(found.items) == 1:
            return compare(wanted, found.items[0])
        return HEDGE if len(found.items) > 1 else WRONG
    if not isinstance(found, Listing):
        if wanted.brackets in ("", "{}") and len(wanted.items) == 1:
            return compare(wanted.items[0], found)
        spread = [_spread(side) for side in (wanted, found)]
        if spread[1] != [found]:
            return as_set(spread[0], spread[1], compare)
        return WRONG
    return _two_lists(wanted, found, compare)


def _two_lists(wanted: Listing, found: Listing, compare: Compare) -> Verdict:
    loose = ("", "{}")
    if ":" in (wanted.brackets, found.brackets) and wanted.brackets != found.brackets:
        return WRONG
    if wanted.brackets in loose and found.brackets in loose:
        members = [_spread(side) for side in (wanted, found)]
        repeats = "{}" not in (wanted.brackets, found.brackets)
        return as_set(members[0], members[1], compare, repeats)
    signs = [_spread(side) for side in (wanted, found)]
    if (
        len(signs[0]) > 1
        and len(signs[1]) > 1
        and signs[1] != list(found.items)
        and "()" in (wanted.brackets, found.brackets)
    ):
        several = [side if side[0] is not None and _is_tuple(side[0]) else None for side in signs]
        if several[0] and several[1]:
            return as_set(several[0], several[1], compare)
    if wanted.brackets == found.brackets or {wanted.brackets, found.brackets} == {"", "()"}:
        return in_order(values_of(wanted), values_of(found), compare)
    return WRONG


def _is_tuple(shape: Shape) -> bool:
    return isinstance(shape, Listing) and shape.brackets == "()"


def values_of(listing: Listing) -> list[Shape]:
    """Return the items; of ``x=1, x=2`` the values."""
    values: list[Shape] = []
    for item in listing.items:
        if isinstance(item, Relation) and item.label and len(item.sides) == 2 and item.ops == ("=",):
            item = item.sides[1]
        if isinstance(item, Listing) and item.brackets == "" and item.items:  # \pm inside a list
            values.extend(item.items)
        else:
            values.append(item)
    return values


def _spread(shape: Shape) -> list[Shape]:
    r"""The members of a loose list, tuples with ``\pm`` inside as the several that they are."""
    items = values_of(shape) if isinstance(shape, Listing) and shape.brackets in ("", "{}") else [shape]
    return [member for item in items for member in _signed(item)]


def _signed(shape: Shape) -> list[Shape]:
    r"""``(\pm 1, \pm 2)`` as four tuples, ``(\pm 1, \mp 2)`` as two."""
    if not isinstance(shape, Listing) or shape.brackets != "()":
        return [shape]
    choices = [
        list(item.items) if isinstance(item, Listing) and item.brackets == "" and re.search(r"\\(?:pm|mp)", item.text)
        else [item]
        for item in shape.items
    ]  # fmt: skip
    free = [choice for choice in choices if len(choice) > 1]
    if not free or len(free) > MAX_SIGNS or any(len(choice) != 2 for choice in free):
        return [shape]
    if "\\mp" in shape.text:
        picked = [tuple(choice[min(index, len(choice) - 1)] for choice in choices) for index in (0, 1)]
    else:
        picked = list(itertools.product(*choices))
    return [Listing(f"{shape.text}#{number}", "()", items) for number, items in enumerate(picked)]


def groups_of(shape: Shape) -> list[Group] | None:
    """Return the solutions for several unknowns that a shape names.

    ``x=1, y=4`` is one, ``x=1, y=4; x=4, y=1`` two, ``(x,y)=(1,4),(4,1)`` two as well; ``x=1, x=2`` names one unknown
    twice and is none.
    """
    if isinstance(shape, Relation):
        return _groups_of_relation(shape)
    if not isinstance(shape, Listing) or shape.brackets not in ("", "{}"):
        return None
    groups: list[Group] = []
    current: Group = {}
    names: list[str] | None = None
    for item in shape.items:
        if isinstance(item, Relation) and (inner := _groups_of_relation(item)):
            if len(inner) == 1 and len(item.names) == 1 and labels.names_of(item.names[0]):
                names = list(inner[0])
            pieces = inner
        elif isinstance(item, Relation) and item.label and item.ops == ("=",) and len(item.sides) == 2:
            pieces = [{item.label: item.sides[1]}]
        elif names and isinstance(item, Listing) and item.brackets == "()" and len(item.items) == len(names):
            pieces = [dict(zip(names, item.items, strict=True))]
        else:
            return None
        for piece in pieces:
            if current.keys() & piece.keys():
                groups.append(current)
                current = {}
            current = current | piece
    groups.append(current)
    everything = [name for group in groups for name in group]
    if labels.one_unknown(everything) or len(set(everything)) < 2:
        return None
    return groups if len({frozenset(group) for group in groups}) == 1 else None


def _groups_of_relation(relation: Relation) -> list[Group] | None:
    """``(x,y)=(1,4)``, and ``x=y=4``."""
    if relation.ops != ("=",) or not relation.label or len(relation.sides) != 2:
        return None
    value = relation.sides[1]
    if len(relation.names) > 1:
        return [dict.fromkeys(relation.names, value)] if len(set(relation.names)) > 1 else None
    names = labels.names_of(relation.label)
    if names is None or not isinstance(value, Listing):
        return None
    if value.brackets == "()" and len(value.items) == len(names):
        return [dict(zip(names, value.items, strict=True))]
    tuples = [item for item in value.items if isinstance(item, Listing) and len(item.items) == len(names)]
    if value.brackets in ("", "{}") and tuples and len(tuples) == len(value.items):
        return [dict(zip(names, item.items, strict=True)) for item in tuples]
    return None


def _named(
    wanted: Shape, found: Shape, wanted_groups: list[Group] | None, found_groups: list[Group] | None, compare: Compare
) -> Verdict:
    if wanted_groups and found_groups:
        return _two_named(wanted_groups, found_groups, compare)
    groups, other = (wanted_groups, found) if wanted_groups else (found_groups, wanted)
    assert groups
    reference_named = wanted_groups is not None

    def against(named: Sequence[Shape], plain: Sequence[Shape]) -> Verdict:
        return in_order(named, plain, compare) if reference_named else in_order(plain, named, compare)

    one_value = (
        isinstance(wanted if reference_named else found, Relation) and len(set(map(id, groups[0].values()))) == 1
    )
    if one_value and not isinstance(other, Listing):
        value = next(iter(groups[0].values()))
        return compare(value, other) if reference_named else compare(other, value)
    if not isinstance(other, Listing):
        return HEDGE if found_groups else WRONG
    if any(isinstance(item, Relation) and item.label for item in other.items):
        return WRONG  # names on both sides, and not the same ones
    if len(groups) == 1 and other.brackets in ("", "()"):
        if all(name.startswith('"') for name in groups[0]) and other.brackets == "":
            values = list(groups[0].values())
            return as_set(values, other.items, compare) if reference_named else as_set(other.items, values, compare)
        return against(_ordered(groups[0]), values_of(other))
    tuples = other.items if other.brackets in ("", "{}") else ()
    if len(tuples) != len(groups) or not all(isinstance(item, Listing) and item.brackets == "()" for item in tuples):
        return WRONG
    named = [Listing(f"group{index}", "()", tuple(_ordered(group))) for index, group in enumerate(groups)]
    return as_set(named, tuples, compare) if reference_named else as_set(tuples, named, compare)


def _ordered(group: Group) -> list[Shape]:
    """The values in the order of a tuple: that of the alphabet where the names follow each other in it."""
    names = list(group)
    if "".join(sorted(names)) in "abcdefghijklmnopqrstuvwxyz":
        names.sort()
    return [group[name] for name in names]


def _two_named(wanted: list[Group], found: list[Group], compare: Compare) -> Verdict:
    if len(wanted) != len(found):
        return WRONG
    if set(wanted[0]) != set(found[0]):
        renamed = _matched_names(list(wanted[0]), list(found[0]))
        if renamed is None:
            return WRONG
        found = [{renamed[name]: value for name, value in group.items()} for group in found]
    names = list(wanted[0])
    sides = [
        [Listing(f"{side}{index}", "()", tuple(group[name] for name in names)) for index, group in enumerate(groups)]
        for side, groups in (("wanted", wanted), ("found", found))
    ]
    if len(wanted) == 1:
        return in_order(sides[0][0].items, sides[1][0].items, compare)
    return as_set(sides[0], sides[1], compare)


def _matched_names(wanted: list[str], found: list[str]) -> dict[str, str] | None:
    """Which name found is which one wanted, where each agrees with exactly one: ``f(n)`` with ``f(x)``."""
    matched: dict[str, str] = {}
    for name in found:
        partners = [each for each in wanted if labels.agree(each, name) and not name.startswith('"')]
        if len(partners) != 1 or partners[0] in matched.values():
            return None
        matched[name] = partners[0]
    return matched if len(matched) == len(wanted) else None


def choice_letters(shape: Shape) -> list[str] | None:
    """Return the letters of a list of choices, in order."""
    if isinstance(shape, Listing) and shape.brackets == "" and all(isinstance(item, Words) for item in shape.items):
        words = [item.words for item in shape.items if isinstance(item, Words)]
        return sorted(words) if all(len(word) == 1 for word in words) else None
    return None
