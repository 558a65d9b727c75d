"""How much work one completion may make of the rules: CPU time of its thread, over all boxes and references.

Each step of the rules is bounded (`values`), and their number is by the length of an answer; but a thousand
characters hold a hundred factorials, and a completion has twenty boxes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS = 1.0
"""CPU time of the rules for one completion; honest ones take milliseconds."""

_local = threading.local()


class OutOfTimeError(Exception):
    """The rules have worked on a completion for as long as they may.

    Whoever remembers results lets it pass: what one completion had no time for is no property of the text.
    """


@contextmanager
def limited_effort(seconds: float = SECONDS) -> Iterator[None]:
    """Let `spend` raise once this thread has worked for so long; the tighter of two limits holds."""
    before = getattr(_local, "deadline", float("inf"))
    _local.deadline = min(before, time.thread_time() + seconds)
    try:
        yield
    finally:
        _local.deadline = before


def spend() -> None:
    """Look at the clock, at a step that may be dear; raise OutOfTimeError where it has run out."""
    deadline = getattr(_local, "deadline", None)
    if deadline is not None and time.thread_time() > deadline:
        raise OutOfTimeError
