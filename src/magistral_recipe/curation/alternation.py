"""Many words as one regular expression that shares their beginnings: tried letter by letter, not word by word."""

from __future__ import annotations

import re
from collections.abc import Iterable


def either(words: Iterable[str]) -> str:
    """Write an expression that matches any of some words, the longest that fits.

    Args:
        words: as they are, no expressions.

    Returns:
        A group without a number.
    """
    return _expression(sorted(set(words)))


def _expression(words: list[str]) -> str:
    """Words in order; an empty one may be the first."""
    ends = not words[0]
    branches: list[str] = []
    rest = words[ends:]
    while rest:
        first = rest[0][0]
        same = [word for word in rest if word[0] == first]
        branches.append(re.escape(first) + _expression([word[1:] for word in same]))
        rest = [word for word in rest if word[0] != first]
    if not branches:
        return ""
    inner = "|".join(branches)
    return f"(?:{inner})?" if ends else f"(?:{inner})" if len(branches) > 1 else inner
