"""A person's own function over each row of a source, before its columns are looked for.

It is given the row as the file has it and returns the row as it should be, or ``None`` to pass it over. What it raises
about a row sets that row aside, with the reason; it is nobody's crash.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from magistral_recipe import own_code
from magistral_recipe.data.fields import Code
from magistral_recipe.data.readers import BadRow, RawRow
from magistral_recipe.errors import DataError, RunError
from magistral_recipe.foreign import guarded, only_names


def transform_mistake(name: str, base: Path) -> str | None:
    """Say what is wrong with a transform that a recipe names; within `foreign.naming_only` it is looked up alone.

    Args:
        name: `file.py:function` or `module:function`.
        base: the recipe's folder.
    """
    if own_code.malformed(name):
        return f"expected my_data.py:function or package.module:function, found {name!r:.200}"
    if only_names():
        return own_code.why_no_file(own_code.split_name(name).module, base)
    try:
        _function(name, base)
    except DataError as error:
        return str(error)
    return None


def transformed(rows: Iterable[RawRow | BadRow], name: str, base: Path) -> Iterator[RawRow | BadRow]:
    """Hand each row to a person's function.

    Args:
        rows: as they were read.
        name: of the function.
        base: the recipe's folder.

    Yields:
        What it returned, in the rows' places; the rows about which it raised as bad ones.

    Raises:
        DataError: if there is no such function.
    """
    function = _function(name, base)
    for row in rows:
        if isinstance(row, BadRow):
            yield row
            continue
        given = dict(row.value) if isinstance(row.value, Mapping) else row.value
        try:
            with guarded(f"transform {name!r}"):
                made = function(given)
        except RunError as error:
            raise DataError(f"{row.place}: {error}") from error
        except Exception as error:  # noqa: BLE001  # somebody's code about somebody's row: the row is set aside
            yield BadRow(row.place, Code.TRANSFORM, own_code.told_failure(f"transform {name!r}", error), str(given))
            continue
        if made is None:
            continue
        if not isinstance(made, Mapping):
            reason = f"transform {name!r} returned {type(made).__name__}, not a row (a mapping) or None"
            yield BadRow(row.place, Code.TRANSFORM, reason, str(given))
            continue
        yield RawRow(row.place, dict(made))


def _function(name: str, base: Path) -> Callable[[Any], Any]:
    if only_names():
        raise DataError(f"{name} is code, which is left out by --no-code")
    try:
        with guarded(f"the import of transform {name!r}"):
            found: Any = own_code.import_attribute(name, base)
    except ImportError as error:
        raise DataError(str(error)) from error
    except Exception as error:
        raise DataError(own_code.told_failure(f"the import of transform {name!r}", error)) from error
    if not callable(found):
        raise DataError(f"{name} is a {type(found).__name__}, not a function")
    try:
        inspect.signature(found).bind({})
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} is to be called with one row: {error}") from error
    return found
