r"""Boxed answers: every closed ``\boxed{…}`` of a text, found in one pass.

A scanner and not a regular expression: braces nest, and a megabyte of ``\boxed{`` must cost no more than
a megabyte of anything else.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"\\(?:boxed|fbox|framebox)\s*\{|\\boxed\s+(?P<bare>[-+]?\w(?:[\w.,/%]{0,40}[\w%])?)|\\.|[{}]", re.DOTALL
)


def find_boxes(text: str) -> list[str]:
    r"""Return the contents of all closed, outermost boxes, in order.

    Escaped braces do not count; a box inside a box belongs to the outer one; ``\fbox`` is a box too. ``\boxed 42``
    boxes the number or name that follows, without the full stop or comma of its sentence.

    Args:
        text: an answer part.

    Returns:
        The contents, not stripped; a box that is never closed is none.
    """
    boxes: list[str] = []
    opened: list[int] = []  # for each open brace the start of its box, or -1
    pending: list[tuple[int, int]] = []  # closed boxes as (start, end); an outer one swallows them
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token == "}":
            if opened and (start := opened.pop()) >= 0:
                while pending and pending[-1][0] > start:
                    pending.pop()
                pending.append((start, match.start()))
        elif token == "{":
            opened.append(-1)
        elif match["bare"]:
            pending.append(match.span("bare"))
        elif token[-1] == "{" and len(token) > 2:
            opened.append(match.end())
    boxes.extend(text[start:end] for start, end in pending)
    return boxes
