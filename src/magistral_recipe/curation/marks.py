"""Which marks and brackets of a text belong to a formula, and where its options begin."""

from __future__ import annotations

import re
from collections.abc import Sequence

from magistral_recipe.curation.formulas import CLOSING, FUNCTIONS, OPENING, SIGNS

VARIABLE = "@"
"""What a letter of a formula begins with."""

Token = tuple[str, str, int, int]
"""A kind ("math", "word" or "mark"), the token, where it begins and where it ends."""

_OPTION = re.compile(r"(?<![\w$])\(?([A-Ha-h])[).:]\s*(?=\S)")
_TABLE = re.compile(r"\n[ \t]{0,4}\|?[ \t]{0,4}A[ \t]{0,8}\|[ \t]{0,8}B[ \t]{0,8}\|[^\n]{0,200}\n[ \t|:-]{0,200}\n")
_MOST_IN_OPTION = 160


def without_options(text: str) -> str:
    """Cut off what may be chosen from: three or more short texts behind A, B, C, at the end."""
    if found := _TABLE.search(text):
        return text[: found.start()]
    if len(marks := list(_OPTION.finditer(text))) < 3:
        return text
    for first, mark in enumerate(marks):
        if mark[1] not in "Aa":
            continue
        run = [mark]
        for other in marks[first + 1 :]:
            if ord(other[1]) == ord(run[-1][1]) + 1:
                run.append(other)
        ends = [each.start() for each in run[1:]] + [min(len(text), run[-1].end() + _MOST_IN_OPTION)]
        options = [text[each.end() : end] for each, end in zip(run, ends, strict=True)]
        if len(run) >= 3 and all(len(option) < _MOST_IN_OPTION and "?" not in option for option in options):
            return text[: mark.start()].rstrip(" \n$\\") if mark.start() > 20 else text
        if first > 20:
            break
    return text


def told(tokens: Sequence[Token]) -> list[bool]:
    """Of each token whether it belongs to a formula: numbers and letters do, signs and brackets beside them."""
    found = [kind == "math" for kind, *_ in tokens]
    for place, (kind, token, *_) in enumerate(tokens):
        if kind == "word" and token in FUNCTIONS and place + 1 < len(tokens):
            follows = tokens[place + 1]
            found[place] = follows[0] == "math" or follows[1] in "(^_" or follows[1] in FUNCTIONS
            if token in ("max", "min", "root", "lim"):
                found[place] = follows[1] in "(_" or (token == "root" and follows[0] == "math")
    _tell_brackets(tokens, found)
    for place, (kind, token, start, end) in enumerate(tokens):
        if kind != "mark" or token not in SIGNS or token in OPENING + CLOSING:
            continue
        before = place > 0 and found[place - 1]
        after = place + 1 < len(tokens) and (found[place + 1] or tokens[place + 1][1] in "-√…+∞|⌈⌊")
        left = before and tokens[place - 1][3] == start
        right = place + 1 < len(tokens) and tokens[place + 1][2] == end
        behind = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        if token in ",:":
            found[place] = before and after and (token == "," or tokens[place - 1][1][0].isdigit())
        elif token == "!":
            letter = before and tokens[place - 1][1][0] in "@)" and start - tokens[place - 1][3] <= 2
            found[place] = before and (left or letter or behind in ("=", ")"))
        elif token == "′":
            found[place] = (
                left and tokens[place - 1][1][0] == VARIABLE and not (right and tokens[place + 1][0] == "word")
            )
        elif token == "-":
            found[place] = after and (before or right)
        elif token == "_":
            found[place] = before and right and after and start - tokens[place - 1][3] <= 1
        elif token == "/":
            found[place] = before and after
        else:
            found[place] = before or after
    return found


def _tell_brackets(tokens: Sequence[Token], found: list[bool]) -> None:
    """Brackets around what is computed with belong to a formula."""
    waiting: list[tuple[int, int]] = []  # where each opens, and how many words stand before it
    words = numbers = 0
    count: list[int] = []
    for place, (kind, token, *_) in enumerate(tokens):
        if kind == "mark" and token in OPENING:
            waiting.append((place, words))
            count.append(numbers)
        elif kind == "mark" and token in CLOSING and waiting:
            opened, before = waiting.pop()
            if words == before and numbers > count.pop():
                found[opened] = found[place] = True
        elif (kind == "word" and not found[place]) or (kind == "mark" and token in '.;?"'):
            words += 1
        else:
            numbers += found[place] or token in "∞…"
