"""Rules for equations, inequalities, membership and approximation."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

from magistral_recipe.verifiers.answers import labels, values
from magistral_recipe.verifiers.answers.expressions import Node, substituted, variables
from magistral_recipe.verifiers.answers.shapes import Quantity, Relation, Shape
from magistral_recipe.verifiers.answers.verdicts import HEDGE, RESTATED, RIGHT, WRONG, Compare, Verdict

CLOSE = 0.01
r"""Relative difference beyond which the two sides of ``\approx`` are not one value."""


def relations(wanted: Shape, found: Shape, compare: Compare) -> Verdict:
    """Compare where at least one side is a relation."""
    if isinstance(found, Relation) and found.ops != ("=",) and set(found.ops) <= {"=", "~"}:
        return _chain(wanted, found, compare)
    if isinstance(wanted, Relation) and wanted.ops != ("=",) and set(wanted.ops) <= {"=", "~"}:
        return _to_a_chain(wanted, found, compare)
    memberships = [isinstance(side, Relation) and side.ops == ("in",) for side in (wanted, found)]
    if any(memberships):
        return _membership(wanted, found, compare)
    if isinstance(found, Relation) and len(found.ops) > 1 and "=" in found.ops:
        return RESTATED
    if isinstance(wanted, Relation) and isinstance(found, Relation):
        return _two_relations(wanted, found, compare)
    if isinstance(found, Relation):
        return _value_and_relation(wanted, found, compare)
    assert isinstance(wanted, Relation)
    if wanted.ops == ("=",) and wanted.label:
        return compare(wanted.sides[1], found)
    return WRONG


def renamed(value: Any, names: dict[str, Node]) -> Any:
    """Return a shape, or what it is made of, with variables renamed in all its expressions."""
    if isinstance(value, Node):
        return substituted(value, names)
    if isinstance(value, tuple):
        return tuple(renamed(item, names) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {each.name: renamed(getattr(value, each.name), names) for each in fields(value)}
        changes["text"] = f"{value.text}|{sorted((name, node.value) for name, node in names.items())}"  # type: ignore[attr-defined]
        return replace(value, **changes)
    return value


def _chain(wanted: Shape, found: Relation, compare: Compare) -> Verdict:
    r"""``x = 3\pi \approx 9.42``: a name, then sides that are each the answer, or approximate the one before them."""
    sides = list(found.sides)
    label = found.label
    if label:
        sides = sides[1:]
        joints = found.ops[1:]
        lead = found.ops[0]
    else:
        joints, lead = found.ops, "="
    if isinstance(wanted, Relation) and wanted.label and label and not labels.agree(wanted.label, label):
        return WRONG
    target = wanted.sides[1] if isinstance(wanted, Relation) and wanted.label and wanted.ops == ("=",) else wanted
    if isinstance(wanted, Relation) and not (wanted.label and wanted.ops in (("=",), ("~",))):
        return HEDGE if not label else WRONG
    if isinstance(wanted, Relation) and wanted.ops == ("~",):
        target = wanted.sides[1]
    if label and len(sides) == 1:
        return compare(target, sides[0]) if lead == "~" else RESTATED
    if not label and "~" not in joints:
        return RESTATED  # 4 = 4
    for one, other, joint in zip(sides, sides[1:], joints, strict=False):
        if joint == "~" and not _close(one, other):
            return HEDGE
    verdicts = [compare(target, side) for side in sides]
    exact = [verdict for verdict, joint in zip(verdicts, ("=", *joints), strict=False) if joint == "="]
    if not label and len(sides) == 2:
        return RIGHT if any(verdict.right for verdict in verdicts) else WRONG
    if all(verdict.right for verdict in exact):
        return RIGHT
    return RESTATED if any(verdict.right for verdict in verdicts) else WRONG


def _close(one: Shape, other: Shape) -> bool:
    if not isinstance(one, Quantity) or not isinstance(other, Quantity):
        return False
    numbers = [values.approximate(side.node) for side in (one, other)]
    return numbers[0] is not None and numbers[1] is not None and abs(numbers[0] - numbers[1]) <= CLOSE * abs(numbers[0])


def _to_a_chain(wanted: Relation, found: Shape, compare: Compare) -> Verdict:
    r"""A reference ``2\pi \approx 6.28``: any of its sides that is no name."""
    sides = wanted.sides[1:] if wanted.label else wanted.sides
    if isinstance(found, Relation):
        if not found.label or found.ops != ("=",) or (wanted.label and not labels.agree(wanted.label, found.label)):
            return WRONG
        found = found.sides[1]
    verdicts = [compare(side, found) for side in sides]
    return next((verdict for verdict in verdicts if verdict.right), verdicts[0])


def _membership(wanted: Shape, found: Shape, compare: Compare) -> Verdict:
    r"""``x \in A``: the sets must be equal, and so must be what is in them."""
    if isinstance(wanted, Relation) and isinstance(found, Relation) and wanted.ops == found.ops:
        agree = wanted.label and found.label and labels.agree(wanted.label, found.label)
        return compare(wanted.sides[1], found.sides[1]) if agree else WRONG
    if isinstance(wanted, Relation) and wanted.ops == ("in",):
        return compare(wanted.sides[1], found)
    assert isinstance(found, Relation)
    return compare(wanted, found.sides[1]) if not isinstance(wanted, Relation) else WRONG


def _value_and_relation(wanted: Shape, found: Relation, compare: Compare) -> Verdict:
    if found.ops == ("=",):
        if found.label and not _defines_itself(found):
            return compare(wanted, found.sides[1])
        return RESTATED
    return WRONG


def _defines_itself(relation: Relation) -> bool:
    """Whether the name on the left also stands on the right."""
    right = relation.sides[1]
    return isinstance(right, Quantity) and relation.label in variables(right.node)


def _two_relations(wanted: Relation, found: Relation, compare: Compare) -> Verdict:
    if wanted.ops == found.ops == ("=",):
        if wanted.label and found.label and labels.agree(wanted.label, found.label):
            found_value = _with_arguments(wanted.label, found.label, found.sides[1])
            same = compare(wanted.sides[1], found_value)
            if same.right is not False or same is RESTATED:
                return same
        return _equations(wanted, found)
    if len(wanted.ops) == len(found.ops) == 1:
        return _inequalities(wanted, found)
    return _ordered_chains(wanted, found, compare)


def _with_arguments(wanted: str, found: str, value: Shape) -> Shape:
    """The value of ``f(t)=t^2`` with the letters of ``f(x)``."""
    functions = labels.function_of(wanted), labels.function_of(found)
    if functions[0] is None or functions[1] is None or functions[0][1] == functions[1][1]:
        return value
    pairs = zip(functions[1][1], functions[0][1], strict=True)
    # Where the other function's own letter stands free on the right, it is not that letter: f(u)=x^2.
    names = {new: Node("var", value=f"free {new}") for new in functions[0][1]}
    result: Shape = renamed(value, names | {old: Node("var", value=new) for old, new in pairs})
    return result


def _difference(relation: Relation) -> Node | None:
    """Left side minus right side, turned so that the relation reads ``difference < 0`` or ``<= 0``."""
    nodes = [side.node if isinstance(side, Quantity) and side.unit != "percent" else None for side in relation.sides]
    if nodes[0] is None or nodes[1] is None or len(nodes) != 2:
        return None
    left, right = nodes if relation.ops[0] not in (">", ">=") else nodes[::-1]
    assert left is not None
    assert right is not None
    return Node("add", (left, Node("neg", (right,))))


def _equations(wanted: Relation, found: Relation) -> Verdict:
    left, right = _difference(wanted), _difference(found)
    if left is None or right is None:
        return WRONG
    functions = [relation.label and labels.function_of(relation.label) for relation in (wanted, found)]
    if any(functions):
        return WRONG  # f(x) is no product
    return RIGHT if values.same_up_to_factor(left, right) else WRONG


def _inequalities(wanted: Relation, found: Relation) -> Verdict:
    strict = [relation.ops[0].replace(">", "<") for relation in (wanted, found)]
    if strict[0] != strict[1]:
        return WRONG
    left, right = _difference(wanted), _difference(found)
    if left is None or right is None:
        return WRONG
    if not variables(left) and not variables(right):
        return RIGHT if _same_sides(wanted, found) else WRONG
    return RIGHT if values.same_up_to_factor(left, right, positive=strict[0] in ("<", "<=")) else WRONG


def _upwards(relation: Relation) -> Relation:
    """The relation turned so that it reads from the smaller to the larger."""
    if not all(op[0] in "<>" and op != "!=" for op in relation.ops) or relation.ops[0][0] == "<":
        return relation
    ops = tuple(op.translate(str.maketrans("<>", "><")) for op in reversed(relation.ops))
    return replace(relation, ops=ops, sides=relation.sides[::-1])


def _same_sides(wanted: Relation, found: Relation) -> bool:
    pairs = zip(_upwards(wanted).sides, _upwards(found).sides, strict=True)
    return all(
        isinstance(one, Quantity) and isinstance(other, Quantity) and values.same_value(one.node, other.node)
        for one, other in pairs
    )


def _ordered_chains(wanted: Relation, found: Relation, compare: Compare) -> Verdict:
    """``a < b < c`` and its like, read in either direction."""
    sides = [_upwards(relation) for relation in (wanted, found)]
    if sides[0].ops != sides[1].ops or any(not set(side.ops) <= {"<", "<=", "="} for side in sides):
        return WRONG
    return RIGHT if _same_sides(wanted, found) else WRONG
