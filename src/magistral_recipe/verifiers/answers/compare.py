r"""Is this answer the reference? Rules for each pair of shapes, without SymPy.

The guards are where most attempts to game a maths reward end: what still has to be computed is no answer
where the reference is a number, brackets and units count, a chain of equations or a choice of answers
is none. What neither side's rules decide is left ``undecided`` for SymPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from magistral_recipe.verifiers.answers import units, values
from magistral_recipe.verifiers.answers.expressions import Node, contains, variables
from magistral_recipe.verifiers.answers.reading import read, readings
from magistral_recipe.verifiers.answers.shapes import (
    Listing,
    Matrix,
    Opaque,
    Quantity,
    Relation,
    Shape,
    Union,
    Words,
)

SIGNIFICANT = 6
"""Digits that a decimal must have to stand for a number that is none."""


class Verdict(NamedTuple):
    """``right`` is None while undecided; the reason is one of right, wrong, hedge, restated, unreadable."""

    right: bool | None
    reason: str


RIGHT = Verdict(True, "right")
WRONG = Verdict(False, "wrong")
HEDGE = Verdict(False, "hedge")
RESTATED = Verdict(False, "restated")
UNREADABLE = Verdict(False, "unreadable")
UNDECIDED = Verdict(None, "undecided")


def compare(reference: str, answer: str) -> Verdict:
    """Compare an answer with a reference.

    Args:
        reference: a readable one (see `readable`).
        answer: what stands in a box.

    Returns:
        The verdict; undecided where only SymPy can tell.
    """
    if reference.strip() == answer.strip():
        return RIGHT
    wanted = read(reference)
    found = [read(answer)]
    if isinstance(wanted, (Listing, Union)) or isinstance(found[0], Listing):
        found = readings(answer)
    verdicts = [_shapes(wanted, shape) for shape in found]
    return next((verdict for verdict in verdicts if verdict.right), verdicts[0])


def _shapes(wanted: Shape, found: Shape) -> Verdict:
    """Compare two shapes; a `TooBigError` value is no answer."""
    if wanted.text == found.text and not isinstance(found, Words):
        return RIGHT
    try:
        return _rules(wanted, found)
    except values.TooBigError:
        return UNREADABLE


def _rules(wanted: Shape, found: Shape) -> Verdict:
    if isinstance(found, Opaque) and found.why in ("hedge", "broken"):
        return HEDGE if found.why == "hedge" else UNREADABLE
    if isinstance(wanted, Words) or isinstance(found, Words):
        return _words(wanted, found)
    if any(isinstance(side, Opaque) and side.why == "exact" for side in (wanted, found)):
        return WRONG
    if isinstance(found, Opaque) and found.why == "unevaluated":
        return RESTATED
    if isinstance(wanted, Relation) or isinstance(found, Relation):
        return _relations(wanted, found)
    if isinstance(wanted, Opaque) or isinstance(found, Opaque):
        return _opaque(wanted, found)
    if isinstance(wanted, Matrix) or isinstance(found, Matrix):
        return _matrices(wanted, found)
    if isinstance(wanted, Union) or isinstance(found, Union):
        return _unions(wanted, found)
    if isinstance(wanted, Listing) or isinstance(found, Listing):
        return _listings(wanted, found)
    if isinstance(wanted, Quantity) and isinstance(found, Quantity):
        return _quantities(wanted, found)
    return WRONG


def _opaque(wanted: Shape, found: Shape) -> Verdict:
    # A number is wanted and the answer could not be read as one: SymPy's leniency would only invite games.
    if isinstance(wanted, Quantity) and wanted.value is not None:
        return UNREADABLE
    return UNDECIDED


def _words(wanted: Shape, found: Shape) -> Verdict:
    if isinstance(wanted, Words) and isinstance(found, Words):
        if wanted.words != found.words:
            return WRONG
        # (B) 12 for B is right, but (B) 12 is not (B) 13.
        both = wanted.rest and found.rest
        return RIGHT if not both or _shapes(read(wanted.rest), read(found.rest)).right else WRONG
    if isinstance(wanted, Words) and isinstance(found, Relation) and found.label and len(found.sides) == 2:
        return _words(wanted, found.sides[1])
    if isinstance(found, Words) and isinstance(wanted, Relation) and wanted.label and len(wanted.sides) == 2:
        return _words(wanted.sides[1], found)
    if isinstance(wanted, Words) and wanted.rest and not isinstance(found, Words):
        return _shapes(read(wanted.rest), found)
    return HEDGE if isinstance(found, Listing) else WRONG


def _quantities(wanted: Quantity, found: Quantity) -> Verdict:
    if _degrees_and_radians(wanted, found):
        nodes = [Node("deg", (side.node,)) if side.unit == "deg" else side.node for side in (wanted, found)]
        return RIGHT if _same(*nodes) else WRONG
    converted = _in_unit_of(wanted, found)
    if converted is None:
        return WRONG
    found = converted
    if wanted.value is not None:
        return _number(wanted, wanted.value, found)
    if found.value is not None and found.places is not None and not variables(wanted.node):
        return RIGHT if _rounded(wanted.node, found) or _same(wanted.node, found.node) else WRONG
    return RIGHT if _same(wanted.node, found.node) else WRONG


def _same(wanted: Node, found: Node) -> bool:
    infinite = [contains(node, "inf") for node in (wanted, found)]
    if any(infinite):
        return all(infinite) and wanted.op == found.op
    return values.same_value(wanted, found)


def _number(wanted: Quantity, value: Fraction, found: Quantity) -> Verdict:
    """A number is wanted: only what is written as a number can be it."""
    if found.value is None:
        if variables(found.node) or contains(found.node, "inf"):
            return WRONG
        # Tell a restated problem from a wrong one for the statistics; neither is paid.
        return RESTATED if _same(wanted.node, found.node) else WRONG
    if found.value == value:
        # 782/2 is no answer where 391 is wanted, though 2/4 is one half.
        return RESTATED if found.fraction and value.denominator == 1 and not wanted.fraction else RIGHT
    percents = (wanted.unit == "percent", found.unit == "percent")
    if percents == (True, False) and found.unit is None and found.value * 100 == value:
        return RIGHT
    if percents == (False, True) and wanted.unit is None and found.value == value * 100:
        return RIGHT
    if wanted.places is None and _rounded(wanted.node, found):
        return RIGHT
    return WRONG


def _rounded(wanted: Node, found: Quantity) -> bool:
    """Whether a decimal of at least six digits is the number wanted, rounded."""
    if found.value is None or not found.places:
        return False
    digits = len(str(abs(found.value.numerator * 10**found.places // found.value.denominator)))
    return digits >= SIGNIFICANT and values.rounds_to(wanted, found.value, found.places)


def _in_unit_of(wanted: Quantity, found: Quantity) -> Quantity | None:
    """The quantity found in the unit wanted; ``None`` where the units are different things."""
    if wanted.unit is None or found.unit is None or wanted.unit == found.unit:
        return found
    ratio = units.ratio(found.unit, wanted.unit)
    if ratio is None:
        return None
    return replace(
        found,
        unit=wanted.unit,
        node=Node("mul", (found.node, Node("num", value=ratio))),
        value=None if found.value is None else found.value * ratio,
        places=None,
    )


def _degrees_and_radians(wanted: Quantity, found: Quantity) -> bool:
    """Whether one side is an angle in degrees and the other one in radians, told by its multiple of pi."""
    sides = (wanted, found) if wanted.unit == "deg" else (found, wanted)
    return sides[0].unit == "deg" and sides[1].unit in (None, "rad") and contains(sides[1].node, "pi")


def _matrices(wanted: Shape, found: Shape) -> Verdict:
    if not isinstance(wanted, Matrix) or not isinstance(found, Matrix):
        vectors = [_vector(side) for side in (wanted, found)]
        return WRONG if vectors[0] is None or vectors[1] is None else _in_order(vectors[0], vectors[1])
    if len(wanted.rows) != len(found.rows) or len(wanted.rows[0]) != len(found.rows[0]):
        return WRONG
    left = [entry for row in wanted.rows for entry in row]
    right = [entry for row in found.rows for entry in row]
    return _in_order(left, right)


def _vector(shape: Shape) -> Sequence[Shape] | None:
    """The entries of a tuple, or of a matrix of one row or column, which writes the same vector."""
    if isinstance(shape, Listing) and shape.brackets == "()":
        return shape.items
    if isinstance(shape, Matrix) and 1 in (len(shape.rows), len(shape.rows[0])):
        return [entry for row in shape.rows for entry in row]
    return None


def _in_order(wanted: Sequence[Shape], found: Sequence[Shape]) -> Verdict:
    if len(wanted) != len(found):
        return WRONG
    verdicts = [_shapes(a, b) for a, b in zip(wanted, found, strict=True)]
    return next((verdict for verdict in verdicts if verdict.right is not True), RIGHT)


def _as_set(wanted: Sequence[Shape], found: Sequence[Shape]) -> Verdict:
    """Whether each member of one is a member of the other; repetitions and order do not count."""
    undecided = False
    matched: set[int] = set()
    for member in found:
        verdicts = [_shapes(each, member).right for each in wanted]
        hits = {index for index, right in enumerate(verdicts) if right}
        matched |= hits
        if not hits:
            if None not in verdicts:
                return WRONG
            undecided = True
    if undecided:
        return UNDECIDED
    return RIGHT if len(matched) == len(wanted) else WRONG


def _unions(wanted: Shape, found: Shape) -> Verdict:
    wanted, found = _united(wanted), _united(found)
    if not isinstance(wanted, Union) or not isinstance(found, Union):
        return UNDECIDED if all(isinstance(side, (Union, Listing)) for side in (wanted, found)) else WRONG
    verdict = _as_set(wanted.parts, found.parts)
    return verdict if verdict.right else UNDECIDED


def _united(shape: Shape) -> Shape:
    """``x<0 or x>1`` as the union that it describes; any other shape as it is."""
    if not isinstance(shape, Listing) or shape.brackets:
        return shape
    parts = [_interval(item) for item in shape.items if isinstance(item, Relation)]
    intervals = tuple(part for part in parts if part is not None)
    return Union(shape.text, intervals) if intervals and len(intervals) == len(shape.items) else shape


def _listings(wanted: Shape, found: Shape) -> Verdict:
    if not isinstance(wanted, Listing):
        # {5} is 5; but two answers where one is wanted are none.
        assert isinstance(found, Listing)
        if found.brackets == "{}" and len(found.items) == 1:
            return _shapes(wanted, found.items[0])
        return HEDGE if len(found.items) > 1 else WRONG
    if not isinstance(found, Listing):
        if wanted.brackets in ("", "{}") and len(wanted.items) == 1:
            return _shapes(wanted.items[0], found)
        return WRONG
    if named := _named_items(wanted, found):
        return named
    loose = ("", "{}")
    if wanted.brackets in loose and found.brackets in loose:
        return _as_set(_values(wanted), _values(found))
    if wanted.brackets == found.brackets or {wanted.brackets, found.brackets} == {"", "()"}:
        return _in_order(_values(wanted), _values(found))
    return WRONG


def _values(listing: Listing) -> list[Shape]:
    """The items; of ``x=1, y=2`` the values."""
    values: list[Shape] = []
    for item in listing.items:
        if isinstance(item, Relation) and item.label and len(item.sides) == 2:
            item = item.sides[1]
        if isinstance(item, Listing) and item.brackets == "":  # \pm inside a list
            values.extend(item.items)
        else:
            values.append(item)
    return values


def _named_items(wanted: Listing, found: Listing) -> Verdict | None:
    """Compare ``x=1, y=2`` by names where both sides give the same different names."""
    names = [[item.label if isinstance(item, Relation) else None for item in side.items] for side in (wanted, found)]
    if None in names[0] or None in names[1] or any(len(set(side)) != len(side) for side in names):
        return None
    if set(names[0]) != set(names[1]):
        return None
    by_name = dict(zip(names[1], found.items, strict=True))
    return _in_order(wanted.items, [by_name[name] for name in names[0]])


def _relations(wanted: Shape, found: Shape) -> Verdict:
    if isinstance(found, Relation) and "~" in found.ops:
        return _approximation(wanted, found)
    if isinstance(found, Relation) and len(found.ops) > 1 and "=" in found.ops:
        return RESTATED  # a chain
    if isinstance(wanted, Relation) and isinstance(found, Relation):
        return _two_relations(wanted, found)
    if isinstance(found, Relation):
        return _value_and_relation(wanted, found)
    assert isinstance(wanted, Relation)
    if wanted.ops == ("=",) and wanted.label:
        return _shapes(wanted.sides[1], found)
    interval = _interval(wanted)
    return _shapes(interval, found) if interval else WRONG


def _value_and_relation(wanted: Shape, found: Relation) -> Verdict:
    if found.ops == ("=",):
        if found.label and not _defines_itself(found):
            return _shapes(wanted, found.sides[1])
        return RESTATED
    interval = _interval(found)
    return _shapes(wanted, interval) if interval and isinstance(wanted, (Listing, Union)) else WRONG


def _defines_itself(relation: Relation) -> bool:
    """Whether the name on the left also stands on the right."""
    right = relation.sides[1]
    return isinstance(right, Quantity) and relation.label in variables(right.node)


def _two_relations(wanted: Relation, found: Relation) -> Verdict:
    if wanted.ops == found.ops == ("=",):
        if wanted.label and found.label:
            same = _shapes(wanted.sides[1], found.sides[1])
            named_alike = wanted.label == found.label or not found.label.isalpha() or len(found.label) > 2
            if same.right and named_alike:
                return same
        return _equations(wanted, found)
    intervals = [_interval(relation) for relation in (wanted, found)]
    if intervals[0] and intervals[1]:
        same = _shapes(intervals[0], intervals[1])
        return same if same.right is not True or _subject(wanted) == _subject(found) else WRONG
    if len(wanted.ops) == len(found.ops) == 1:
        return _inequalities(wanted, found)
    return WRONG


def _difference(relation: Relation) -> Node | None:
    """Left side minus right side, turned so that the relation reads ``difference < 0`` or ``<= 0``."""
    nodes = [_label_node(relation.label) if relation.label else _node(relation.sides[0]), _node(relation.sides[1])]
    if nodes[0] is None or nodes[1] is None:
        return None
    left, right = nodes if relation.ops[0] not in (">", ">=") else nodes[::-1]
    assert left is not None
    assert right is not None
    return Node("add", (left, Node("neg", (right,))))


def _node(shape: Shape) -> Node | None:
    return shape.node if isinstance(shape, Quantity) else None


def _label_node(label: str) -> Node | None:
    shape = read(label)
    return _node(shape)


def _equations(wanted: Relation, found: Relation) -> Verdict:
    left, right = _difference(wanted), _difference(found)
    if left is None or right is None:
        return WRONG
    return RIGHT if values.same_up_to_factor(left, right) else WRONG


def _inequalities(wanted: Relation, found: Relation) -> Verdict:
    strict = [relation.ops[0].replace(">", "<") for relation in (wanted, found)]
    if strict[0] != strict[1]:
        return WRONG
    left, right = _difference(wanted), _difference(found)
    if left is None or right is None:
        return WRONG
    directed = strict[0] in ("<", "<=")
    return RIGHT if values.same_up_to_factor(left, right, positive=directed) else WRONG


def _subject(relation: Relation) -> frozenset[str]:
    return frozenset().union(*(variables(node) for side in relation.sides if (node := _node(side)) is not None))


_INFINITY = Node("const", value="inf")


def _interval(relation: Relation) -> Listing | None:
    """The interval that ``a < x <= b``, ``x > a`` and the like describe; None for any other relation."""
    if not set(relation.ops) <= {"<", "<=", ">", ">="} or len(relation.ops) > 2:
        return None
    free = [bool(_node(side) and variables(side.node)) for side in relation.sides if isinstance(side, Quantity)]
    if len(free) != len(relation.sides) or sum(free) != 1:
        return None
    subject = free.index(True)
    side = relation.sides[subject]
    if not isinstance(side, Quantity) or side.node.op != "var":
        return None
    low: tuple[Shape, bool] = (Quantity(r"-\infty", Node("neg", (_INFINITY,))), True)
    high: tuple[Shape, bool] = (Quantity(r"\infty", _INFINITY), True)
    for index, op in enumerate(relation.ops):
        other = relation.sides[index + 1] if index == subject else relation.sides[index]
        below = (op[0] == "<") == (index == subject)  # the subject is below the other side
        if below:
            high = (other, len(op) == 1)
        else:
            low = (other, len(op) == 1)
    if len(relation.ops) == 2 and (subject != 1 or relation.ops[0][0] != relation.ops[1][0]):
        return None
    brackets = ("(" if low[1] else "[") + (")" if high[1] else "]")
    return Listing(relation.text, brackets, (low[0], high[0]))


def _approximation(wanted: Shape, found: Relation) -> Verdict:
    r"""``a \approx b``: both must be the same within 1%, and one of them the answer."""
    if found.ops != ("~",):
        return HEDGE
    sides = [values.approximate(node) if (node := _node(side)) is not None else None for side in found.sides]
    if sides[0] is None or sides[1] is None or abs(sides[0] - sides[1]) > 0.01 * abs(sides[0]):
        return HEDGE
    return RIGHT if any(_shapes(wanted, side).right for side in found.sides) else WRONG
