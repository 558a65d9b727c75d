r"""Vectors written as sums of unit vectors: ``2\mathbf{i}+6\mathbf{j}``."""

from __future__ import annotations

from fractions import Fraction

from magistral_recipe.verifiers.answers.expressions import Node, contains, substituted, variables
from magistral_recipe.verifiers.answers.literals import literal
from magistral_recipe.verifiers.answers.shapes import Listing, Opaque, Quantity, Shape
from magistral_recipe.verifiers.answers.values import exact, same_value

_UNITS = ("uniti", "unitj", "unitk")
_ZERO, _ONE = (Node("num", value=Fraction(each)) for each in (0, 1))


def read_vector(node: Node, compact: str) -> Shape | Node:
    r"""Read a sum of unit vectors.

    Args:
        node: an expression, perhaps with unit vectors as variables.
        compact: its text without spaces.

    Returns:
        The tuple of its coordinates; the expression where it has no unit vector, ``\mathbf{i}`` alone being the
        imaginary unit; opaque where it is no sum of them.
    """
    names = variables(node) & set(_UNITS)
    if not names:
        return node
    if names == {"uniti"}:
        return substituted(node, {"uniti": Node("const", value="i")})
    if contains(node, "call", "fact", "pm"):
        return Opaque(compact, "unread")
    at = {name: substituted(node, {each: _ONE if each == name else _ZERO for each in _UNITS}) for name in _UNITS}
    nothing = substituted(node, dict.fromkeys(_UNITS, _ZERO))
    total = substituted(node, dict.fromkeys(_UNITS, _ONE))
    summed = Node("add", (Node("add", (at["uniti"], at["unitj"])), at["unitk"]))
    if not same_value(nothing, _ZERO) or not same_value(summed, total):
        return Opaque(compact, "unread")
    shown = _UNITS if "unitk" in names else _UNITS[:2]
    return Listing(compact, "()", tuple(_coordinate(at[name], f"{compact}.{name}") for name in shown))


def _coordinate(node: Node, text: str) -> Quantity:
    value = None if variables(node) else exact(node)
    return Quantity(text, node if value is None else Node("num", value=value), None, value, literal(node)[1])
