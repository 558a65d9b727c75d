"""The files of code that a name in a recipe stands for: a module of the user's and all that it imports of his.

Found by reading, not by importing: nothing runs. What the standard library and installed packages bring is left out
(versions stand in the manifest), but for the package that is named itself. What code opens by itself can't be known.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

_OWN = __name__.partition(".")[0]
"""This package: that its code has changed is said, and makes no stage run again."""

_INSTALLED = ("site-packages", "dist-packages")


def code_files(module: str) -> dict[str, Path]:
    """Find the files behind a module.

    Args:
        module: its dotted name.

    Returns:
        Each module's name and file, the named one's first; empty where there is no such module, or it is no file.
    """
    home = module.partition(".")[0]
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop(0)
        first = name.partition(".")[0]
        if name in found or first in sys.stdlib_module_names or first == _OWN:
            continue
        file = _file_of(name)
        if file is None or (_installed(file) and first != home):
            continue
        found[name] = file
        waiting += _parents(name)
        waiting += _imported(file, name)
    return found


def _file_of(name: str) -> Path | None:
    """The source of a module. Only its first name is asked of Python: a parent would be imported for the others."""
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder).joinpath(*rest)
        for file in (place / "__init__.py", place.with_name(place.name + ".py")):
            if file.is_file():
                return file
    return None


def _installed(file: Path) -> bool:
    return any(part in _INSTALLED for part in file.parts)


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _imported(file: Path, name: str) -> Iterator[str]:
    """Names that a file imports anywhere; of ``from a import b`` both ``a`` and ``a.b``, which may be a module."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])
