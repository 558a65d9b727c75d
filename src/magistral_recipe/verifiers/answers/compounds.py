r"""Quantities in several units: ``1 \text{ hour } 30 \text{ minutes}``, ``5 \text{ ft } 6 \text{ in}``."""

from __future__ import annotations

from fractions import Fraction

from magistral_recipe.verifiers.answers import units
from magistral_recipe.verifiers.answers.expressions import Node
from magistral_recipe.verifiers.answers.shapes import Quantity
from magistral_recipe.verifiers.answers.text import Token, words_of

_JOINTS = ("and", "et", "und", "y", "e", "и")


def read_compound(raw: list[Token], compact: str) -> Quantity | None:
    """Read numbers with units of one kind, each smaller than the one before, as their sum in the last unit."""
    parts: list[tuple[Fraction, str]] = []
    position = 0
    while position < len(raw):
        token = raw[position]
        if parts and token.kind in ("text", "word") and words_of(token.value) in _JOINTS:
            position += 1
            continue
        if token.kind != "num" or position + 1 >= len(raw) or raw[position + 1].kind not in ("text", "word"):
            return None
        unit = units.canonical(raw[position + 1].value)
        if unit is None or units.measure(unit) is None:
            return None
        parts.append((Fraction(token.value), unit))
        position += 2
    if len(parts) < 2:
        return None
    last = parts[-1][1]
    ratios = [units.ratio(unit, last) for _, unit in parts]
    known = [ratio for ratio in ratios if ratio is not None]
    if len(known) < len(ratios) or sorted(known, reverse=True) != known or len(set(known)) < len(known):
        return None
    if any(value >= larger / smaller for (value, _), larger, smaller in zip(parts[1:], known, known[1:], strict=False)):
        return None  # 2 hours 75 minutes is no time
    total = sum((value * ratio for (value, _), ratio in zip(parts, known, strict=True)), Fraction(0))
    return Quantity(compact, Node("num", value=total), last, total)
