"""Rules for numbers and expressions: exact values, units, percent, degrees, rounding."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from magistral_recipe.verifiers.answers import units, values
from magistral_recipe.verifiers.answers.dots import same_with_dots
from magistral_recipe.verifiers.answers.expressions import Node, contains, variables
from magistral_recipe.verifiers.answers.shapes import Quantity
from magistral_recipe.verifiers.answers.verdicts import RESTATED, RIGHT, WRONG, Rules, Verdict

MACHINE_DIGITS = 15
"""Significant digits from which a decimal is a machine's: its last one may be off by rounding."""


def quantities(wanted: Quantity, found: Quantity, rules: Rules) -> Verdict:
    """Compare two quantities."""
    if _degrees_and_radians(wanted, found):
        nodes = [Node("deg", (side.node,)) if side.unit == "deg" else side.node for side in (wanted, found)]
        return RIGHT if _same(*nodes) else WRONG
    converted = _in_unit_of(wanted, found)
    if converted is None:
        return WRONG
    found = converted
    if wanted.value is not None:
        return _number(wanted, wanted.value, found, rules)
    if (wanted.unit == "percent") != (found.unit == "percent") and found.value is None:
        return WRONG  # (x+2)% is not x+2
    if found.value is not None and found.places is not None and not variables(wanted.node):
        return RIGHT if _rounded(wanted.node, found, rules) or _same(wanted.node, found.node) else WRONG
    if _same(wanted.node, found.node):
        return RIGHT
    plain = [_without_degrees(side.node) for side in (wanted, found)]
    same = plain != [wanted.node, found.node] and variables(wanted.node) and _same(*plain)
    return RIGHT if same else WRONG


def _same(wanted: Node, found: Node) -> bool:
    infinite = [contains(node, "inf") for node in (wanted, found)]
    if any(infinite):
        return all(infinite) and wanted.op == found.op
    if "..." in variables(wanted) | variables(found):
        return same_with_dots(wanted, found)
    return values.same_value(wanted, found)


def _without_degrees(node: Node) -> Node:
    r"""``90^\circ-\alpha`` as ``90-\alpha``: degrees outside all functions are a unit, and may be left out."""
    if node.op == "call" or not node.args:
        return node
    if node.op == "deg":
        return _without_degrees(node.args[0])
    return node._replace(args=tuple(_without_degrees(arg) for arg in node.args))


def _number(wanted: Quantity, value: Fraction, found: Quantity, rules: Rules) -> Verdict:
    """A number is wanted: only what is written as a number can be it."""
    if found.value is None:
        if variables(found.node) or contains(found.node, "inf"):
            return WRONG
        same = _same(wanted.node, found.node)
        # Tell a restated problem from a wrong one for the statistics; neither is paid.
        return (RIGHT if rules.unsimplified == "accept" else RESTATED) if same else WRONG
    percents = (wanted.unit == "percent", found.unit == "percent")
    if found.value == value and not _percent_of_a_share(wanted, value, found):
        # 782/2 is no answer where 391 is wanted, though 2/4 is one half.
        left = found.fraction and value.denominator == 1 and not wanted.fraction
        return RESTATED if left and rules.unsimplified == "refuse" else RIGHT
    if percents == (True, False) and found.unit is None and found.value * 100 == value:
        return RIGHT
    if percents == (False, True) and wanted.unit is None and found.value == value * 100:
        return RIGHT
    if wanted.places is None and _rounded(wanted.node, found, rules):
        return RIGHT
    return WRONG


def _percent_of_a_share(wanted: Quantity, value: Fraction, found: Quantity) -> bool:
    """Whether ignoring the percent sign that one side has would change the meaning: below 1, and of no whole number."""
    signs = (wanted.unit == "percent") != (found.unit == "percent")
    return signs and (0 < abs(value) < 1 or (wanted.unit is None and value.denominator != 1))


def _rounded(wanted: Node, found: Quantity, rules: Rules) -> bool:
    """Whether a decimal of enough digits is the number wanted, rounded; a machine's last digit may be off by one."""
    if found.value is None or found.places is None or found.digits < rules.rounding or not found.digits:
        return False
    if found.places <= 0 and found.value.denominator == 1 and found.digits <= 1 - found.places:
        return False
    units_off = (
        Fraction(2)
        if found.digits >= MACHINE_DIGITS + 1
        else Fraction(1)
        if found.digits == MACHINE_DIGITS
        else Fraction(1, 2)
    )
    return values.rounds_to(wanted, found.value, found.places, units_off)


def _in_unit_of(wanted: Quantity, found: Quantity) -> Quantity | None:
    """The quantity found in the unit wanted; ``None`` where the units are different things."""
    if wanted.unit is None or found.unit is None or wanted.unit == found.unit:
        return found
    if {wanted.unit, found.unit} in ({"degC", "C"}, {"degF", "F"}, {"deg", "degC"}, {"deg", "degF"}):
        return replace(found, unit=wanted.unit)
    ratio = units.ratio(found.unit, wanted.unit)
    if ratio is None:
        return None
    return replace(
        found,
        unit=wanted.unit,
        node=Node("mul", (found.node, Node("num", value=ratio))),
        value=None if found.value is None else found.value * ratio,
        places=None,
        fraction=False,
    )


def _degrees_and_radians(wanted: Quantity, found: Quantity) -> bool:
    """Whether one side is an angle in degrees and the other one in radians, told by its multiple of pi."""
    sides = (wanted, found) if wanted.unit == "deg" else (found, wanted)
    return sides[0].unit == "deg" and sides[1].unit in (None, "rad") and contains(sides[1].node, "pi")
