"""The nearest valid name, for error messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, allowed: Iterable[str], *, list_all_below: int = 12) -> str:
    """Finish an error line about an unknown name.

    Args:
        name: what was written.
        allowed: the names there are.
        list_all_below: with no near name, list all of them when there are at most this many.

    Returns:
        `` Did you mean 'x'?``, or the allowed names, or nothing; starts with a space where not empty.
    """
    names = sorted(set(allowed))
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if not close:
        close = [known for known in names if name and (known.startswith(name) or name.startswith(known))][:1]
    if close:
        return f" Did you mean '{close[0]}'?"
    if names and len(names) <= list_all_below:
        return f" Allowed: {', '.join(names)}."
    return ""
