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

from magistral_recipe import own_code

_OWN = __name__.partition(".")[0]
"""This package: that its code has changed is said, and makes no stage run again."""


def code_files(module: str, folder: Path | None = None, *, installed: bool = False) -> dict[str, Path]:
    """Find the files behind a module.

    Args:
        module: its dotted name, or `file.py`.
        folder: the recipe's, where a person's own files are looked for first.
        installed: it is an installed package's name, which no file beside the recipe takes.

    Returns:
        Each module's name and file, the named one's first; empty where there is no such module, or it is no file.
    """
    own = None if installed else own_code.file_of(module, folder)
    # What it imports is looked for where its own import makes Python look.
    roots = [] if own is None else [own_code.root_of(module, own), *own_code.starts(folder)]
    module = own.stem if own is not None and module.endswith(".py") else module
    home = module.partition(".")[0]
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop(0)
        first = name.partition(".")[0]
        beside = (own_code.beneath(root, name.split(".")) for root in roots)
        file = next((each for each in beside if each is not None), None)
        if name in found or first == _OWN or (file is None and first in sys.stdlib_module_names):
            continue
        file = file or _file_of(name)
        if file is None or (own_code.is_installed(file) and first != home):
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
    places = (own_code.beneath(Path(folder), rest) for folder in spec.submodule_search_locations or ())
    return next((file for file in places if file is not None), None)


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
