r"""Letters of choices in every dress: ``D``, ``(D)``, ``\text{Option D}``, ``D: a base``, ``(D) 12``, ``A, C``."""

from __future__ import annotations

import re

from magistral_recipe.verifiers.answers.shapes import Listing, Opaque, Shape, Words

LETTERS = "ABCDEFGHIJ"
"""The letters that choices have; any other capital is one only where it stands alone."""
_ALONE = re.compile(r"\(?([A-Z])\)?[.):]?")
_NAMED = re.compile(
    rf"(?:the )?(?:correct |right )?(?:choice|option|answer|letter|alternative)(?: is)? ?:? ?\(?([{LETTERS}])\)?[.]?",
    re.IGNORECASE,
)
_WITH_VALUE = re.compile(
    rf"(?:\(([A-Z])\)[.:]?|([{LETTERS}])[.:)](?=\s)|([{LETTERS}])(?= ?\((?=[^()]*\)$)))\s*(\S.*)", re.DOTALL
)
_SEVERAL = re.compile(r"(?:[A-Z]|\([A-Z]\))(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+)(?:[A-Z]|\([A-Z]\)))+")
_RUN = re.compile(rf"[{LETTERS}]{{2,}}")
_OTHER = re.compile(
    r"\([A-J]\)|\b(?:and|or|not|nor|wrong|incorrect|false|isn't|no|neither|either|maybe|versus|vs)\b", re.I
)


def read_choice(plain: str, compact: str) -> Shape | None:
    r"""Read the letter of a choice.

    Args:
        plain: an answer in clean notation, out of its ``\text{}``.
        compact: the same without spaces.

    Returns:
        Words with the letter, and with the value that stands behind it; a list of letters; an opaque hedge where
        the letter is taken back or another one offered; ``None`` for what is no choice.
    """
    if (match := _ALONE.fullmatch(plain)) and (plain != match[1] or match[1] in LETTERS):
        return Words(compact, match[1])
    if match := _NAMED.fullmatch(plain):
        return Words(compact, match[1].upper())
    if _SEVERAL.fullmatch(plain):
        return Listing(compact, "", tuple(Words(letter, letter) for letter in re.findall("[A-Z]", plain)))
    if _RUN.fullmatch(plain) and list(plain) == sorted(set(plain)):
        return Words(compact, plain)
    if match := _WITH_VALUE.fullmatch(plain):
        letter, rest = match[1] or match[2] or match[3], match[4]
        if _OTHER.search(rest) or re.match(r"[-+^*/=!,;&|<>_'\[)]|\\(?:cdot|times|cup|cap|or|lor|land|circ)", rest):
            return Opaque(compact, "hedge")
        return Words(compact, letter, re.sub(r"^\((.*)\)$", r"\1", rest))
    return None


def letters_of(run: str) -> list[str] | None:
    """Return the letters of ``ACD`` in ascending order as the choices that they name, ``None`` for any other word."""
    return list(run) if _RUN.fullmatch(run) and list(run) == sorted(set(run)) else None
