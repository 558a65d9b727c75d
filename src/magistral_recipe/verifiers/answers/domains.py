r"""Sets on the line, however they are written, as disjoint segments between real numbers.

``\mathbb{R}\setminus\{1\}``, ``x \neq 1`` and ``(-\infty,1)\cup(1,\infty)`` are one set; so are ``|x|>3`` and
``x<-3 \text{ or } x>3``.
"""

from __future__ import annotations

import math
from functools import cmp_to_key
from typing import Any, NamedTuple

from magistral_recipe.verifiers.answers.expressions import Node, variables
from magistral_recipe.verifiers.answers.shapes import Difference, Listing, Opaque, Quantity, Relation, Shape, Union
from magistral_recipe.verifiers.answers.values import near, real

MAX_INTEGERS = 1000


class _Point(NamedTuple):
    """A cut of the line: just below a number (side -1) or just above it (side 1)."""

    value: Any
    side: int


class Domain(NamedTuple):
    """Disjoint segments from cut to cut in order, the letter that they are about, and whether only integers count."""

    segments: tuple[tuple[_Point, _Point], ...]
    subject: str | None = None


LEAST, MOST = _Point(-math.inf, 1), _Point(math.inf, -1)


def same_domain(wanted: Domain, found: Domain) -> bool:
    """Whether two domains hold the same numbers, of a letter of one name where both have one."""
    if wanted.subject and found.subject and wanted.subject != found.subject:
        return False
    if len(wanted.segments) != len(found.segments):
        return False
    return all(
        _order(one, other) == 0
        for first, second in zip(wanted.segments, found.segments, strict=True)
        for one, other in zip(first, second, strict=True)
    )


def domain_of(shape: Shape) -> Domain | None:
    """Return the set of real numbers that a shape describes, ``None`` where it describes none with known ends."""
    if isinstance(shape, Union):
        return _joined([domain_of(part) for part in shape.parts])
    if isinstance(shape, Difference):
        return _without(shape)
    if isinstance(shape, Relation):
        return _of_relation(shape)
    if not isinstance(shape, Listing):
        return None
    if shape.brackets == "{}":
        return _points(list(shape.items))
    if shape.brackets in ("()", "[]", "(]", "[)") and len(shape.items) == 2:
        ends = [_end(item) for item in shape.items]
        if ends[0] is None or ends[1] is None:
            return None
        low = _Point(ends[0], -1 if shape.brackets[0] == "[" else 1)
        high = _Point(ends[1], 1 if shape.brackets[1] == "]" else -1)
        return Domain(((low, high),)) if _order(low, high) < 0 else None
    if shape.brackets == "" and any(isinstance(item, Relation) for item in shape.items):
        return _of_conditions(shape)
    return None


def describes_a_set(shape: Shape) -> bool:
    """Whether a shape is a set beyond a plain list or interval, which the rules for lists compare."""
    if isinstance(shape, Relation):
        return bool(set(shape.ops) & {"<", "<=", ">", ">=", "!="})
    if isinstance(shape, Listing):
        return shape.brackets == "" and any(describes_a_set(item) for item in shape.items)
    return isinstance(shape, (Union, Difference))


def _end(shape: Shape) -> Any | None:
    if not isinstance(shape, Quantity) or shape.unit is not None:
        return None
    node = shape.node
    if node == Node("const", value="inf"):
        return math.inf
    if node == Node("neg", (Node("const", value="inf"),)):
        return -math.inf
    return real(node)


def _order(one: _Point, other: _Point) -> int:
    if math.inf in (abs(one.value), abs(other.value)):
        return int(one.value > other.value) - int(one.value < other.value)
    if near(one.value, other.value):
        return int(one.side > other.side) - int(one.side < other.side)
    return 1 if one.value > other.value else -1


def _points(items: list[Shape]) -> Domain | None:
    values = [_end(item) for item in items]
    if any(value is None or abs(value) == math.inf for value in values):
        return None
    return _joined([Domain(((_Point(value, -1), _Point(value, 1)),)) for value in values])


def _joined(domains: list[Domain | None]) -> Domain | None:
    """The union."""
    known = [domain for domain in domains if domain is not None]
    subjects = {domain.subject for domain in known if domain.subject}
    if len(known) < len(domains) or len(subjects) > 1:
        return None

    def by_start(one: tuple[_Point, _Point], other: tuple[_Point, _Point]) -> int:
        return _order(one[0], other[0])

    merged: list[tuple[_Point, _Point]] = []
    for low, high in sorted((segment for domain in known for segment in domain.segments), key=cmp_to_key(by_start)):
        if merged and _order(low, merged[-1][1]) <= 0:
            if _order(high, merged[-1][1]) > 0:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return Domain(tuple(merged), next(iter(subjects), None))


def _complement(domain: Domain) -> Domain:
    cuts = [LEAST, *(cut for segment in domain.segments for cut in segment), MOST]
    pairs = zip(cuts[::2], cuts[1::2], strict=True)
    return Domain(tuple((low, high) for low, high in pairs if _order(low, high) < 0), domain.subject)


def _common(domains: list[Domain]) -> Domain | None:
    """The intersection."""
    union = _joined([_complement(domain) for domain in domains])
    return None if union is None else _complement(union)


def _without(shape: Difference) -> Domain | None:
    whole = domain_of(shape.whole)
    if whole is None:
        return None
    if isinstance(shape.removed, Opaque):
        return (
            _integers(whole, 0 if shape.removed.text == "non-naturals" else None)
            if shape.removed.text[:4] == "non-"
            else None
        )
    removed = domain_of(shape.removed)
    return None if removed is None else _common([whole, _complement(removed)])


def _integers(domain: Domain, least: int | None) -> Domain | None:
    """The integers within a bounded domain."""
    values: set[int] = set()
    for low, high in domain.segments:
        if math.inf in (abs(low.value), abs(high.value)) or high.value - low.value > MAX_INTEGERS:
            return None
        for integer in range(math.floor(low.value) - 1, math.ceil(high.value) + 2):
            cut = low.value * 0 + integer
            inside = _order(low, _Point(cut, -1)) <= 0 and _order(_Point(cut, 1), high) <= 0
            if inside and (least is None or integer >= least):
                values.add(integer)
    zero = next((low.value * 0 for low, _ in domain.segments), 0)
    return Domain(tuple((_Point(zero + each, -1), _Point(zero + each, 1)) for each in sorted(values)))


def _of_conditions(shape: Listing) -> Domain | None:
    """Conditions in a row: joined by "or" a union; else what meets all of them, unless nothing does."""
    parts = [domain_of(item) for item in shape.items]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if shape.joint != "or":
        common = _common(known)
        if common is not None and common.segments:
            return common
    return _joined(parts)


def _of_relation(relation: Relation) -> Domain | None:
    ops, sides = relation.ops, relation.sides
    if ops == ("in",):
        inner = domain_of(sides[1])
        return inner if inner is None or relation.label is None else inner._replace(subject=relation.label)
    if ops == ("=",) and relation.label and len(sides) == 2:
        points = _points([sides[1]])
        return points if points is None else points._replace(subject=relation.label)
    if not set(ops) <= {"<", "<=", ">", ">=", "!="} or len(ops) > 2:
        return None
    nodes = [side.node if isinstance(side, Quantity) and side.unit is None else None for side in sides]
    free = [node is not None and bool(variables(node)) for node in nodes]
    if sum(free) != 1 or (None in nodes and ops != ("!=",)):
        return None
    place = free.index(True)
    subject = nodes[place]
    assert subject is not None
    if len(ops) == 2:
        if place != 1 or "!=" in ops or ops[0][0] != ops[1][0]:
            return None
        halves = [_half(sides[0], _turned(ops[0])), _half(sides[2], ops[1])]
        domain = _common([half for half in halves if half is not None]) if None not in halves else None
    else:
        other, op = (sides[1], ops[0]) if place == 0 else (sides[0], _turned(ops[0]))
        if op == "!=" and isinstance(other, Listing) and subject.op == "var":
            points = _points(list(other.items))
            return None if points is None else _complement(points)._replace(subject=subject.value)
        domain = _of_modulus(other, op) if subject.op == "abs" else _half(other, op)
        subject = subject.args[0] if subject.op == "abs" else subject
    if domain is None or subject.op != "var":
        return None
    return domain._replace(subject=subject.value)


def _turned(op: str) -> str:
    return op.translate(str.maketrans("<>", "><"))


def _half(shape: Shape, op: str) -> Domain | None:
    """What lies on one side of a number, or anywhere but there."""
    value = _end(shape)
    if value is None or abs(value) == math.inf:
        return None
    below, above = _Point(value, -1), _Point(value, 1)
    if op == "!=":
        return Domain(((LEAST, below), (above, MOST)))
    if op[0] == "<":
        return Domain(((LEAST, above if op == "<=" else below),))
    return Domain(((below if op == ">=" else above, MOST),))


def _of_modulus(shape: Shape, op: str) -> Domain | None:
    """``|x| < a`` and its like, for a above 0."""
    value = _end(shape)
    if value is None or not 0 < value < math.inf:
        return None
    inside = Domain(((_Point(-value, -1), _Point(value, 1)),))
    if op in (">=", "<"):
        inside = Domain(((_Point(-value, 1), _Point(value, -1)),))
    if op == "!=":
        return None
    return inside if op[0] == "<" else _complement(inside)
