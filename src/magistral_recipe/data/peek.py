"""A look at a file before it is loaded: which columns it has, and what to say when one is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from magistral_recipe.data.readers import BadRow, RawRow


def first_columns(rows: Iterable[RawRow | BadRow], look: int = 20) -> list[str]:
    """Collect the columns, dotted where nested, of a source's first rows that can be read."""
    found: dict[str, None] = {}
    readable = (row.value for row in islice(rows, 10 * look) if isinstance(row, RawRow) and isinstance(row.value, dict))
    for value in islice(readable, look):
        for name in _flattened(value):
            found[name] = None
    return list(found)


def _flattened(value: dict[str, object], prefix: str = "") -> Iterator[str]:
    for key, item in value.items():
        yield f"{prefix}{key}"
        if isinstance(item, dict):
            yield from _flattened(item, f"{prefix}{key}.")


def unknown_field(key: str, fields: tuple[str, ...]) -> str:
    """Say that a mapping names no field, with the nearest."""
    near = get_close_matches(key, fields, n=1)
    return f"no field '{key}'; " + (f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(fields)}")


def unknown_column(column: str, there: list[str]) -> str:
    """Say that a mapping names no column, with the nearest."""
    near = get_close_matches(column, there, n=1)
    return f"no column '{column}'; " + (f"did you mean '{near[0]}'?" if near else listed(there))


def listed(there: list[str]) -> str:
    """List the columns that there are, the first of them."""
    return f"its columns: {', '.join(there[:12])}" + (", …" if len(there) > 12 else "")


def missing_file(path: Path) -> str:
    """Say that a path leads nowhere, with the nearest name beside it."""
    if not path.parent.is_dir():
        return f"no such file or folder: the folder {path.parent} does not exist"
    near = get_close_matches(path.name, [entry.name for entry in path.parent.iterdir()], n=1)
    hint = f"did you mean '{near[0]}'?" if near else "a dataset of the hub is named 'owner/name'"
    return f"no such file or folder; {hint}"
