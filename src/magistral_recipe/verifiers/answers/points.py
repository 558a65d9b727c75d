"""Where two expressions are compared: points that depend on nothing but their letters and their constants."""

from __future__ import annotations

import zlib
from fractions import Fraction
from itertools import pairwise

from magistral_recipe.verifiers.answers.expressions import Node, variables

POINTS = 5


def near_points(names: frozenset[str]) -> list[dict[str, Fraction]]:
    """Points that depend on nothing but the names; positive ones first, then of mixed sign."""
    points = []
    for index in range(POINTS):
        point = {}
        for name in names:
            seed = zlib.crc32(f"{index}:{name}".encode())
            value = Fraction(seed % 99991 + 17, 31013) + Fraction(1, 7)
            point[name] = -value if index >= 3 and seed & 1 else value
        points.append(point)
    # A single variable must be seen on both sides of 0.
    if all(value > 0 for point in points for value in point.values()):
        points[-1] = {name: -value for name, value in points[-1].items()}
    return points


def wide_points(names: frozenset[str], left: Node, right: Node) -> list[dict[str, Fraction]]:
    """Points where two expressions that agree near 0 may part: beyond and between their constants, at integers."""
    constants = sorted({abs(value) for node in (left, right) for value in _constants(node)})
    largest = constants[-1] if constants else Fraction(1)
    scales = [Fraction(1, 5), Fraction(7, 8), largest * 3 + 2, largest * 40 + 70]
    steps = [*constants[:4], *constants[-2:]]
    scales += [(low + high) / 2 for low, high in pairwise(steps) if low != high] + steps[-1:]
    points = []
    for index, scale in enumerate(scales):
        for sign in (1, -1):
            point = {}
            for name in names:
                seed = zlib.crc32(f"{index}/{sign}/{name}".encode())
                flip = -1 if len(names) > 1 and seed & 64 else 1
                size = (1, 2, Fraction(1, 3), 4)[seed >> 8 & 3] if len(names) > 1 else 1
                point[name] = sign * flip * scale * size * (1 + Fraction(seed % 997 + 1, 9973))
            points.append(point)
    points += [dict.fromkeys(sorted(names), Fraction(value)) for value in (2, -3)]
    return points


def narrow_points(names: frozenset[str], left: Node, right: Node) -> list[dict[str, Fraction]]:
    """More points, for expressions that are real on a small domain only: near 0, between constants, of mixed sizes."""
    if len(names) > 1:
        seeds = [{name: zlib.crc32(f"{index}|{name}".encode()) for name in names} for index in range(30)]
        return [
            {
                name: (-1) ** (seed & 1)
                * (Fraction(1, 5), Fraction(1, 2), 1, 3, 10)[seed // 2 % 5]
                * Fraction(seed % 997 + 900, 1400)
                for name, seed in point.items()
            }
            for point in seeds
        ]
    constants = sorted({abs(value) for node in (left, right) for value in _constants(node)})[:6]
    values = [Fraction(1, 37), Fraction(1, 13), Fraction(3, 11), Fraction(5, 11), Fraction(8, 11)]
    for low, high in pairwise(constants):
        values += [low + (high - low) * Fraction(part, 7) for part in (1, 3, 4, 6)]
    return [
        {name: sign * value * (1 + Fraction(rank, 101)) for rank, name in enumerate(sorted(names))}
        for value in values
        for sign in (1, -1)
    ]


def _constants(node: Node) -> list[Fraction]:
    """The numbers in an expression, exponents left out."""
    found, stack = [], [node]
    while stack:
        current = stack.pop()
        if current.op == "num" and 0 < abs(current.value) < 10**9:
            found.append(current.value)
        stack.extend(current.args[:1] if current.op == "pow" else current.args)
    return found


def whole_letters(node: Node) -> frozenset[str]:
    """The variables in the exponents of negative numbers."""
    names: frozenset[str] = frozenset()
    stack = [node]
    while stack:
        current = stack.pop()
        if current.op == "pow" and current.args[0].op == "neg" and not variables(current.args[0]):
            names |= variables(current.args[1])
        stack.extend(current.args)
    return names
