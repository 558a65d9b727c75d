r"""Reading sets: ``\mathbb{R}`` and its halves, differences, conditions in braces, intervals with outward brackets."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from magistral_recipe.verifiers.answers.brackets import paired, split
from magistral_recipe.verifiers.answers.expressions import Node
from magistral_recipe.verifiers.answers.shapes import Difference, Listing, Opaque, Quantity, Shape
from magistral_recipe.verifiers.answers.text import Token, text_of

Reader = Callable[[list[Token], str], Shape]
_REALS = re.compile(r"\\mathbb ?\{?R\}?(?:[\^_]?\{?(\+|-|>0|<0|\\geq0|\\leq0)\}?)?")


def read_reals(raw: list[Token], compact: str) -> Shape | None:
    """Read the real line or a half of it."""
    reals = _REALS.fullmatch(text_of(raw))
    return _reals_of(reals[1], compact) if reals else None


def outward_interval(raw: list[Token], compact: str, read: Reader) -> Shape | None:
    """``]0,1[`` and ``[0,1[``, as French and German write open ends; also ``[0,1)``, whose brackets do not pair."""
    first, last = raw[0], raw[-1]
    if len(raw) < 4 or first.kind != "op" or last.kind != "op":
        return None
    if first.value not in "[](" or last.value not in "[])":
        return None
    inner = raw[1:-1]
    if not paired(inner):
        return None
    parts = split(inner, lambda token: token.kind == "op" and token.value in (",", ";"))
    if len(parts) != 2 or not all(parts):
        return None
    opening = "[" if first.value == "[" else "("
    closing = "]" if last.value == "]" else ")"
    if first.value == last.value and first.value not in "[]":
        return None
    return Listing(compact, opening + closing, tuple(read(part, text_of(part)) for part in parts))


def set_difference(raw: list[Token], compact: str, read: Reader) -> Shape | None:
    r"""``A \setminus B``; ``A - \{1\}`` where A is a set too."""
    for index, token in enumerate(raw):
        minus = token == ("op", "-") and raw[index + 1 : index + 2] == [Token("op", "\\{")] and raw[-1].value == "\\}"
        if not (minus or token == ("cmd", "setminus")) or not 0 < index < len(raw) - 1 or not paired(raw[:index]):
            continue
        parts = raw[:index], raw[index + 1 :]
        if not all(paired(part) for part in parts) or (
            minus and raw[index - 1].value not in ("}", "\\}", ")", "]", "R")
        ):
            continue
        whole, removed = (read(part, text_of(part)) for part in parts)
        return Difference(compact, whole, removed)
    return None


def set_of(condition: list[list[Token]], compact: str, read: Reader) -> Shape:
    r"""``\{x \in A \mid C\}``: the condition, and the integers where A is all of them."""
    family = re.fullmatch(r"([a-z])\\in\\mathbb\{?[ZN]\}?", text_of(condition[1]))
    if family is not None and Token("var", family[1]) in condition[0] and len(condition[0]) > 1:
        return replace(read(condition[0], compact), bound=frozenset({family[1]}))
    shape = read(condition[1], compact)
    whole = re.fullmatch(r"(\w+)(?:\\in\\mathbb\{?([RZN])\}?)?", text_of(condition[0]))
    if whole is None or Token("var", whole[1]) not in condition[1]:
        return Opaque(compact, "unread")
    if whole[2] in ("Z", "N"):
        return Difference(compact, shape, Opaque("non-integers" if whole[2] == "Z" else "non-naturals", "exact"))
    return shape


def _reals_of(sign: str | None, compact: str) -> Shape:
    infinite, zero = Node("const", value="inf"), Quantity("0", Node("num", value=Fraction(0)), None, Fraction(0))
    low, high = Quantity(r"-\infty", Node("neg", (infinite,))), Quantity(r"\infty", infinite)
    if sign is None:
        return Listing(compact, "()", (low, high))
    if sign in ("+", ">0", r"\geq0"):
        return Listing(compact, "[)" if sign == r"\geq0" else "()", (zero, high))
    return Listing(compact, "(]" if sign == r"\leq0" else "()", (low, zero))
