"""Times of day: ``20:34``, ``8:34 PM``, ``7:15 p.m.``."""

from __future__ import annotations

import re

from magistral_recipe.verifiers.answers.shapes import Clock

_TIME = re.compile(r"(\d{1,2}) ?: ?([0-5]\d) ?(?:\\text ?\{)? ?(?:([ap])\.? ?m\.?|o'?clock|uhr|h)? ?\}?", re.IGNORECASE)


def read_clock(text: str) -> Clock | None:
    """Read a time of day.

    Args:
        text: an answer in clean notation.

    Returns:
        The time; ``None`` for what is none. Without am or pm it is also a ratio: see `ratios`.
    """
    inner = re.fullmatch(r"\\text\{([^{}]*)\}", text)
    match = _TIME.fullmatch((inner[1] if inner else text).strip(" ."))
    if match is None:
        return None
    hour, minute, half = int(match[1]), int(match[2]), (match[3] or "").lower()
    if hour > (12 if half else 24) or (half and hour == 0):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    return Clock(f"{match[1]}:{match[2]}{half}", hour * 60 + minute, f"{half}m" if half else "")


def same_time(wanted: Clock, found: Clock) -> bool:
    """Whether two times agree; without am or pm the hour is one of 24."""
    return wanted.minutes == found.minutes
