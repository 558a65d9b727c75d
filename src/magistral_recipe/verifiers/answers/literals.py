"""Numbers as they are written: what counts as one already, and what would still have to be computed."""

from __future__ import annotations

from fractions import Fraction

from magistral_recipe.verifiers.answers.expressions import Node


def literal(node: Node) -> tuple[Fraction | None, bool]:
    """Return the value of what is written as a number, and whether it is written as a fraction of integers.

    Integers, decimals, a fraction of two such, mixed numbers, and powers of ten with or without a factor are
    numbers; sums, products, roots and other powers still have to be computed, and are not.
    """
    if node.op == "num":
        return node.value, False
    if node.op == "neg" and node.args[0].op != "neg":
        value, fraction = literal(node.args[0])
        return (None if value is None else -value), fraction
    if node.op == "mixed":
        whole, (part, _) = node.args[0].value, literal(node.args[1])
        return (None if part is None else whole + part), False
    if node.op == "div":
        top, bottom = (_signed_number(part) for part in node.args)
        return (top / bottom, True) if top is not None and bottom else (None, False)
    if node.op == "mul" and node.args[0].op in ("num", "neg"):
        factor, (power, _) = _signed_number(node.args[0]), _power_of_ten(node.args[1])
        return (factor * power, False) if factor is not None and power is not None else (None, False)
    return _power_of_ten(node)


def _signed_number(node: Node) -> Fraction | None:
    if node.op == "neg" and node.args[0].op == "num":
        return -node.args[0].value
    return node.value if node.op == "num" else None


def _power_of_ten(node: Node) -> tuple[Fraction | None, bool]:
    if node.op != "pow" or node.args[0] != Node("num", value=Fraction(10)):
        return None, False
    exponent = _signed_number(node.args[1])
    if exponent is None or exponent.denominator != 1 or abs(exponent) > 1000:
        return None, False
    return Fraction(10) ** int(exponent), False
