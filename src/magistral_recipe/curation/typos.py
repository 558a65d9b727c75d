"""A word that was mistyped in one of two texts: one letter more, less or other, or two that changed places."""

from __future__ import annotations

from collections.abc import Collection

_SHORTEST = 5
"""Letters of a word without its ending; shorter words are often one letter apart."""

_MOST = 2
"""Words that a text may lack for a slip to be likely: more of them are other things."""


def mistyped(gone: Collection[str], new: Collection[str], strict: Collection[str]) -> dict[str, str]:
    """Find words that are the same but for one slip.

    Args:
        gone: words of a text, without endings, that the other lacks.
        new: words of the other that this one lacks.
        strict: words that decide, of which none is taken for another's slip.

    Returns:
        Word of `gone` → word of `new`; none where more than a few words differ.
    """
    if not gone or len(gone) > _MOST or len(new) > _MOST:
        return {}
    found: dict[str, str] = {}
    for word in gone:
        if len(word) < _SHORTEST or not word.isalpha() or word in strict:
            continue
        near = [other for other in new if len(other) >= _SHORTEST and other not in strict and is_slip(word, other)]
        if len(near) == 1:
            found[word] = near[0]
    return found if len(set(found.values())) == len(found) else {}


def is_slip(one: str, other: str) -> bool:
    """Say whether two words are one letter apart, or two neighbouring letters have changed places.

    Args:
        one: a word.
        other: another one.

    Returns:
        Whether they are; equal words are not.
    """
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    rest, behind = one[start:], other[start:]
    if len(rest) == len(behind):
        return rest[1:] == behind[1:] or (rest[:2] == behind[:2][::-1] and rest[2:] == behind[2:])
    longer, shorter = sorted((rest, behind), key=len, reverse=True)
    return longer[1:] == shorter
