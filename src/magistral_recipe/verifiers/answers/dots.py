r"""Expressions with dots: ``a_1+a_2+\cdots+a_n`` in any order.

The dots are filled in: with small integers for the letter that counts, the terms between those that are shown follow
from the step from one to the next, and two expressions are compared written out.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import NamedTuple

from magistral_recipe.verifiers.answers.expressions import Node, UnreadableError, parse, substituted, variables
from magistral_recipe.verifiers.answers.text import split_runs, tokens
from magistral_recipe.verifiers.answers.values import InexactError, TooBigError, exact, same_value

COUNTS = (6, 9)
"""What the letters in indices and exponents are set to, in turn."""
MAX_TERMS = 60


class _Term(NamedTuple):
    """A factor, exponents of plain variables, and indices of variables with one (with their exponents)."""

    factor: Fraction
    powers: tuple[tuple[str, Fraction], ...]
    indexed: tuple[tuple[str, int, Fraction], ...]


def same_with_dots(wanted: Node, found: Node) -> bool:
    """Whether two expressions are equal once their dots are written out.

    Args:
        wanted: an expression, perhaps with the variable ``...``.
        found: the other.

    Returns:
        Whether they are, for each of `COUNTS`; False where the dots can't be filled in.
    """
    letters = sorted(_counters(wanted) | _counters(found))
    for count in COUNTS:
        numbers = {letter: count + 2 * rank for rank, letter in enumerate(letters)}
        sides = [_written_out(node, numbers) for node in (wanted, found)]
        if sides[0] is None or sides[1] is None or not same_value(sides[0], sides[1]):
            return False
    return True


def _counters(node: Node) -> frozenset[str]:
    """The letters in exponents and indices."""
    letters: frozenset[str] = frozenset()
    stack = [node]
    while stack:
        current = stack.pop()
        if current.op == "pow":
            letters |= {name for name in variables(current.args[1]) if len(name) == 1}
        if current.op == "var" and "_" in current.value:
            index = _index(current.value)
            letters |= {name for name in variables(index) if len(name) == 1} if index else frozenset()
        parts = _flat(current, current.op) if current.op in ("add", "mul") else []
        if Node("var", value="...") in parts and any(part.op == "num" for part in parts):  # 1+2+\cdots+n
            letters |= {part.value for part in parts if part.op == "var" and len(part.value) == 1}
        stack.extend(current.args)
    return letters


def _index(name: str) -> Node | None:
    try:
        return parse(split_runs(tokens(name.partition("_")[2])))
    except (UnreadableError, ValueError):
        return None


def _written_out(node: Node, numbers: dict[str, int]) -> Node | None:
    """The tree with letters set and dots filled in; ``None`` where that fails."""
    if node.op in ("add", "mul") and "..." in variables(node):
        parts = _flat(node, node.op)
        if Node("var", value="...") in parts:
            return _filled(parts, node.op, numbers)
    if node == Node("var", value="..."):
        return None
    if node.op == "var":
        return _set(node, numbers)
    args = [_written_out(arg, numbers) for arg in node.args]
    return None if None in args else node._replace(args=tuple(arg for arg in args if arg is not None))


def _flat(node: Node, op: str) -> list[Node]:
    result: list[Node] = []
    stack = [node]
    while stack:
        current = stack.pop()
        if current.op == op:
            stack.extend(reversed(current.args))
        else:
            result.append(current)
    return result


def _set(node: Node, numbers: dict[str, int]) -> Node:
    """A variable with its letters set: ``a_{n-1}`` as ``a_5``."""
    name = node.value
    if name in numbers:
        return Node("num", value=Fraction(numbers[name]))
    if "_" not in name or (index := _index(name)) is None:
        return node
    try:
        value = exact(
            substituted(index, {letter: Node("num", value=Fraction(number)) for letter, number in numbers.items()})
        )
    except TooBigError:
        return node
    return Node("var", value=f"{name.partition('_')[0]}_{value}") if value is not None else node


def _filled(parts: list[Node], op: str, numbers: dict[str, int]) -> Node | None:
    dots = Node("var", value="...")
    place = parts.index(dots)
    plain = [_written_out(part, numbers) if part != dots else part for part in parts]
    if None in plain or plain.count(dots) != 1:
        return None
    nodes = [part for part in plain if part is not None]
    if op == "mul":
        grouped = _factors(nodes, dots)
        if grouped is None:
            return None
        rest, nodes, place = grouped
    else:
        rest = []
    terms = [_term(node) for node in nodes if node != dots]
    if None in terms:
        return None
    shown = [term for term in terms if term is not None]
    filled = _between(shown[:place], shown[place:])
    if filled is None:
        return None
    total = _node(filled[0])
    for term in filled[1:]:
        total = Node(op, (total, _node(term)))
    for node in rest:
        total = Node(op, (total, node))
    return total


def _factors(nodes: list[Node], dots: Node) -> tuple[list[Node], list[Node], int] | None:
    """Group the factors of a product into terms that end in a variable with an index: ``2 a_1 · 2 a_2 ⋯ 2 a_n``."""
    groups: list[Node] = []
    pending: list[Node] = []
    sizes: list[int] = []
    for node in nodes:
        if node == dots:
            groups.append(dots)
            continue
        pending.append(node)
        if (node.op == "var" and "_" in node.value) or (
            node.op == "num" and not any(n.op == "var" for n in nodes if n != dots)
        ):
            groups.append(_product(pending))
            sizes.append(len(pending))
            pending = []
    if pending or dots not in groups or len(groups) < 3:
        return None
    rest: list[Node] = []
    if len(set(sizes)) > 1:  # a factor of the whole stands in front: 2^n a_1 a_2 ⋯ a_n
        if len(set(sizes[1:])) != 1 or sizes[0] != sizes[1] + 1:
            return None
        head = nodes[: sizes[0]]
        rest, groups[0] = [head[0]], _product(head[1:])
    return rest, groups, groups.index(dots)


def _product(nodes: list[Node]) -> Node:
    total = nodes[0]
    for node in nodes[1:]:
        total = Node("mul", (total, node))
    return total


def _term(node: Node) -> _Term | None:
    """A term as a product of powers; ``None`` where it is none."""
    factor, powers, indexed = Fraction(1), Counter[str](), Counter[tuple[str, int]]()
    exponents: dict[str, Fraction] = {}
    for part in _flat(Node("mul", (Node("num", value=Fraction(1)), node)), "mul"):
        exponent = Fraction(1)
        while part.op == "neg":
            factor, part = -factor, part.args[0]
        if part.op == "mul":
            return None
        base = part
        if part.op == "pow":
            try:
                value = exact(part.args[1])
            except (TooBigError, InexactError):
                return None
            if value is None:
                return None
            base, exponent = part.args[0], value
        if base.op == "var":
            name, _, index = base.value.partition("_")
            if index.lstrip("-").isdigit():
                indexed[name, int(index)] += int(exponent)
            else:
                powers[base.value] += int(exponent) if exponent.denominator == 1 else 0
                exponents[base.value] = exponents.get(base.value, Fraction(0)) + exponent
        else:
            try:
                value = exact(part)
            except TooBigError:
                return None
            if value is None:
                return None
            factor *= value
    return _Term(
        factor,
        tuple(sorted((name, power) for name, power in exponents.items() if power)),
        tuple(sorted((name, index, Fraction(power)) for (name, index), power in indexed.items())),
    )


def _node(term: _Term) -> Node:
    total = Node("num", value=term.factor)
    for name, power in (*term.powers, *((f"{name}_{index}", power) for name, index, power in term.indexed)):
        total = Node("mul", (total, Node("pow", (Node("var", value=name), Node("num", value=power)))))
    return total


def _between(before: list[_Term], behind: list[_Term]) -> list[_Term] | None:
    """All terms from the first to the last, by the step that the terms shown agree on; the larger side tells it."""
    if not before or not behind or max(len(before), len(behind)) < 2:
        return None
    if len(before) < 2:
        turned = _between(behind[::-1], before[::-1])
        return turned[::-1] if turned else None
    for geometric in (False, True):
        terms = [before[0]]
        while len(terms) < MAX_TERMS and terms[-1] != behind[-1]:
            following = _next(before[0], before[1], len(terms), geometric)
            if following is None:
                break
            terms.append(following)
        if terms[-1] == behind[-1] and terms[: len(before)] == before and terms[-len(behind) :] == behind:
            return terms if len(terms) >= len(before) + len(behind) else None
    return None


def _next(first: _Term, second: _Term, steps: int, geometric: bool) -> _Term | None:
    if geometric:
        if not first.factor:
            return None
        factor = first.factor * (second.factor / first.factor) ** steps
    else:
        factor = first.factor + (second.factor - first.factor) * steps
    names = dict(first.powers) | dict.fromkeys(dict(second.powers), Fraction(0)) | dict(first.powers)
    powers = {name: dict(first.powers).get(name, Fraction(0)) for name in names}
    moved = {
        name: power + (dict(second.powers).get(name, Fraction(0)) - power) * steps for name, power in powers.items()
    }
    if [(name, power) for name, _, power in first.indexed] != [(name, power) for name, _, power in second.indexed]:
        return None
    indexed = tuple(
        (name, index + (other[1] - index) * steps, power)
        for (name, index, power), other in zip(first.indexed, second.indexed, strict=True)
    )
    return _Term(factor, tuple(sorted((name, power) for name, power in moved.items() if power)), indexed)
