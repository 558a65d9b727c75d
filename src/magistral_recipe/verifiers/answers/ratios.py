r"""Rules for ratios ``a:b``: as a fraction, in other terms, and what is a time instead.

``20:34`` alone is a time first: two digits below 60 behind the colon. It may be a ratio only in lowest terms.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from magistral_recipe.verifiers.answers.expressions import Node
from magistral_recipe.verifiers.answers.shapes import Clock, Listing, Quantity, Shape
from magistral_recipe.verifiers.answers.values import exact, same_value
from magistral_recipe.verifiers.answers.verdicts import RESTATED, RIGHT, WRONG, Compare, Verdict


def is_ratio(shape: Shape) -> bool:
    """Whether a shape is a ratio."""
    return isinstance(shape, Listing) and shape.brackets == ":"


def ratios(wanted: Shape, found: Shape, compare: Compare) -> Verdict:
    """Compare a ratio with a ratio, a number or a time; times with what is no time."""
    sides = [_terms(side) for side in (wanted, found)]
    if sides[0] is not None and sides[1] is not None:
        return RIGHT if _proportional(sides[0], sides[1]) else WRONG
    terms, other = (sides[0], found) if sides[0] is not None else (sides[1], wanted)
    if terms is None or len(terms) != 2 or not isinstance(other, Quantity) or other.unit is not None:
        return WRONG
    quotient = Node("div", (terms[0], terms[1]))
    value = exact(quotient)
    if value is None:
        return RIGHT if same_value(quotient, other.node) else WRONG
    whole = exact(terms[1]) == 1
    as_number = Quantity(
        f"{wanted.text}/{found.text}", Node("num", value=value), None, value, fraction=not whole or sides[0] is not None
    )
    if sides[0] is not None:
        return compare(as_number, other)
    if value.denominator == 1 and not whole:
        return RESTATED if other.value == value else WRONG
    return compare(other, as_number)


def _terms(shape: Shape) -> list[Node] | None:
    if isinstance(shape, Clock):
        match = re.fullmatch(r"(\d+):(\d\d)", shape.text)
        if match is None or match[2][0] == "0" or math.gcd(int(match[1]), int(match[2])) != 1:
            return None
        return [Node("num", value=Fraction(part)) for part in match.groups()]
    if isinstance(shape, Listing) and shape.brackets == ":":
        nodes = [item.node for item in shape.items if isinstance(item, Quantity)]
        return nodes if len(nodes) == len(shape.items) else None
    return None


def _proportional(wanted: list[Node], found: list[Node]) -> bool:
    """Whether all cross products agree; a sign turned on both sides is not forgiven."""
    if len(wanted) != len(found):
        return False
    pairs = list(zip(wanted, found, strict=True))
    first = pairs[0]
    signs = [(exact(a), exact(b)) for a, b in pairs]
    if any(a is not None and b is not None and (a > 0) != (b > 0) for a, b in signs):
        return False
    return all(
        same_value(Node("mul", (first[0], found_term)), Node("mul", (first[1], wanted_term)))
        for wanted_term, found_term in pairs[1:]
    )
