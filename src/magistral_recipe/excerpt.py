"""The beginning of a text, for a line that people read."""

from __future__ import annotations


def excerpt(text: str, width: int = 60) -> str:
    """Return a text in one line, cut where it is longer than that.

    Args:
        text: of any length, of several lines.
        width: characters of what is returned, the sign that something is missing included.
    """
    text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 1]}…"
