"""Values out of files that anything may have happened to: a wrong type is as good as missing."""

from __future__ import annotations

from magistral_recipe.jsonlines import Record

_LARGEST = 1e100
"""Beyond it sums and squares of a few values would overflow, and nothing was measured."""


def as_mapping(value: object) -> Record:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_float(value: object) -> float | None:
    """Return a number that can be drawn, ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON knows integers of any length
        return None
    return number if abs(number) < _LARGEST else None


def as_int(value: object, otherwise: int = 0) -> int:
    """Return a whole number, `otherwise` for anything that is none."""
    number = as_float(value)
    return int(number) if number is not None else otherwise


def as_text(value: object) -> str:
    """Return a string; numbers and the like as they are written, nothing for ``None``."""
    return value if isinstance(value, str) else "" if value is None else str(value)[:1000]


def as_name(value: object) -> str | None:
    """Return a non-empty string, ``None`` for anything else."""
    return value if isinstance(value, str) and value else None
