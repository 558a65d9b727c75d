"""A look at a file before it is loaded: which columns it has, and what to say when one is not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from magistral_recipe.data.readers import BadRow, RawRow
from magistral_recipe.suggest import did_you_mean


def first_columns(rows: Iterable[RawRow | BadRow], look: int = 100) -> list[str]:
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
    return f"no such field.{did_you_mean(key, fields, list_all_below=len(fields))}"


def unknown_column(column: str, there: list[str]) -> str:
    """Say that a mapping names no column, with the nearest."""
    hint = did_you_mean(column, there, list_all_below=0)
    return f"no column '{column}'" + (f".{hint}" if hint else f"; {listed(there)}")


def listed(there: Sequence[str]) -> str:
    """List the columns that there are, the first of them."""
    return f"its columns: {', '.join(there[:12])}" + (", …" if len(there) > 12 else "")


def missing_file(path: Path) -> str:
    """Say that a path leads nowhere, with the nearest name beside it."""
    if not path.parent.is_dir():
        return f"no such file or folder; nor is there a folder {path.parent}"
    hint = did_you_mean(path.name, (entry.name for entry in path.parent.iterdir()), list_all_below=0)
    return "no such file or folder." + (hint or " A dataset of the hub is named 'owner/name'.")
