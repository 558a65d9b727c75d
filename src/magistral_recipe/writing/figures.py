"""How figures are written for people: shares in percent, differences in points, intervals, durations.

Shares and differences come as fractions of one. Minus is the keyboard's, which every terminal can write; the report
sets the typographic one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Writer = Callable[[float], str]


def percent(share: float) -> str:
    """Write a share in percent, without the sign, as tables do whose title says it: ``59.8``."""
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """Write a difference of two shares in percentage points: ``+1.2``, ``-0.4``."""
    return f"{100 * difference:+.1f}"


def with_interval(mean: float, low: float | None, high: float | None, write: Writer = percent) -> str:
    """Write a figure with its interval behind it: ``59.8 [53.9, 65.4]``.

    Args:
        mean: the figure.
        low: the interval's lower end; ``None`` or infinite where it is open.
        high: its upper end.
        write: how a number is written.

    Returns:
        The text, without an interval where an end of it is open.
    """
    if low is None or high is None or math.isinf(low) or math.isinf(high):
        return write(mean)
    return f"{write(mean)} [{write(low)}, {write(high)}]"


def span(low: float | None, high: float | None, write: Writer = percent, between: str = "–") -> str:
    """Write an interval that stands apart from its figure: ``53.9–65.4``.

    Args:
        low: its lower end; ``None`` or infinite where it is open.
        high: its upper end.
        write: how a number is written.
        between: what stands between the ends.

    Returns:
        The text, empty where an end is open.
    """
    if low is None or high is None or math.isinf(low) or math.isinf(high):
        return ""
    return f"{write(low)}{between}{write(high)}"


def duration(seconds: float) -> str:
    """Write seconds as people say them: ``8 s``, ``2 min 05 s``, ``3 h 12 min``."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"
