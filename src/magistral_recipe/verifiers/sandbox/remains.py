"""Removing a folder that a program may have filled with anything.

`shutil.rmtree` calls itself once a level and gives up at a thousand, paths end at 4,096 characters, and a
program can nest deeper than both. Here what lies deeper is moved up first, so that every path stays short.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path


def remove_remains(folder: Path) -> None:
    """Remove a folder with all that is in it; never raises for what it finds, and follows no link.

    Args:
        folder: what to remove. What cannot be removed is left.
    """
    # A program cannot have guessed these.
    names = (f"{secrets.token_hex(8)}-{number}" for number in itertools.count())
    with contextlib.suppress(OSError):
        folder.chmod(0o700)
        pending = os.listdir(folder)
        while pending:
            path = folder / pending.pop()
            with contextlib.suppress(OSError):
                pending += _emptied(path, folder, names) if _is_folder(path) else _unlinked(path)
        folder.rmdir()


def _emptied(path: Path, top: Path, names: Iterator[str]) -> list[str]:
    """Remove a folder, its folders moved up to the top; their names there."""
    path.chmod(0o700)
    moved = []
    for name in os.listdir(path):
        if _is_folder(path / name):
            moved.append(next(names))
            (path / name).rename(top / moved[-1])
        else:
            (path / name).unlink()
    path.rmdir()
    return moved


def _unlinked(path: Path) -> list[str]:
    path.unlink()
    return []


def _is_folder(path: Path) -> bool:
    return stat.S_ISDIR(path.lstat().st_mode)
