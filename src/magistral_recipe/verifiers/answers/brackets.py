"""Brackets among tokens: whether they pair, and what stands outside all of them."""

from __future__ import annotations

from collections.abc import Callable

from magistral_recipe.verifiers.answers.text import Token

_OPEN = frozenset({"(", "[", "{", "\\{", "lfloor", "lceil", "langle"})
_CLOSE = frozenset({")", "]", "}", "\\}", "rfloor", "rceil", "rangle"})


def paired(raw: list[Token]) -> bool:
    depth = 0
    for token in raw:
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPEN) - (token.value in _CLOSE)
            if depth < 0:
                return False
    return depth == 0


def split(raw: list[Token], is_separator: Callable[[Token], bool]) -> list[list[Token]]:
    """Split at the separators outside all brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in raw:
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPEN) - (token.value in _CLOSE)
        if depth == 0 and is_separator(token):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def outside(raw: list[Token]) -> list[Token]:
    depth, found = 0, []
    for token in raw:
        if token.kind in ("op", "cmd"):
            depth += (token.value in _OPEN) - (token.value in _CLOSE)
        if depth == 0:
            found.append(token)
    return found
