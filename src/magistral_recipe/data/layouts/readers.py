"""How values of published columns are read that are not what our fields expect: by name, for `Layout.read`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from magistral_recipe.writing.boxes import find_boxes

MIB = 2**20
SHORT = 80
"""Longest text without a box that is believed to be an answer and not a worked solution, in characters."""


def one_minus(value: object) -> object:
    """Turn a rate of success into a difficulty, both between 0 and 1."""
    return 1 - value if isinstance(value, int | float) and not isinstance(value, bool) else value


def level(value: object) -> object:
    """Take the number out of ``Level 5``; MATH's ``Level ?`` is none."""
    found = re.search(r"\d+", value) if isinstance(value, str) else None
    return int(found[0]) if found else (None if isinstance(value, str) else value)


def first(value: object) -> object:
    """Take the first of a list; a value that is none stays."""
    return (value[0] if value else None) if isinstance(value, list) else value


def names(value: object) -> object:
    """Join a list of names."""
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def mebibytes(value: object) -> object:
    """Turn bytes into MiB; 0 says nothing."""
    return value / MIB if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def seconds(value: object) -> object:
    """Take the seconds out of ``2 seconds``, ``1500 ms`` or seconds and nanoseconds; others say nothing."""
    if isinstance(value, Mapping):
        parts = [value.get("seconds") or 0, value.get("nanos") or 0]
        value = parts[0] + parts[1] / 1e9 if all(isinstance(part, int) for part in parts) else None
    text = str(value).strip().lower()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|secs?|seconds?)?", text)
    if not found:
        return None
    number = float(found[1]) / (1000 if (found[2] or "").startswith("m") else 1)
    return number if number > 0 and math.isfinite(number) else None


def box_or_short(value: object) -> object:
    """Take the last box of a worked solution, or a short solution as it stands; a long one without a box is none."""
    if not isinstance(value, str):
        return value
    if boxes := find_boxes(value):
        return boxes[-1]
    return value if len(value.strip()) <= SHORT and "\n" not in value.strip() else None


_NUMBERED = {2: "cpp", 3: "python"}  # 1 is Python 2, 4 is Java


def numbered_languages(value: object) -> object:
    """Name the languages that CodeContests numbers, in columns of ``language`` and ``solution``."""
    if not isinstance(value, Mapping) or not isinstance(value.get("language"), list):
        return value
    return {**value, "language": [_NUMBERED.get(number, "other") for number in value["language"]]}


READERS: dict[str, Callable[[object], object]] = {
    "one_minus": one_minus,
    "level": level,
    "first": first,
    "names": names,
    "mebibytes": mebibytes,
    "seconds": seconds,
    "box_or_short": box_or_short,
    "numbered_languages": numbered_languages,
}
"""Readers by name: values of `Layout.read`."""
