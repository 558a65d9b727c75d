"""Files of JSON lines as a run writes them: read line by line, never as a whole, and never trusted.

A file may be long, end in half a line, or hold anything. Lines are first looked through once; those whose text is
shown are then read again at their place, so that a hundred thousand completions fit into little memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_LARGEST = 1e100
"""Beyond it sums and squares of a few values would overflow, and nothing was measured."""


@dataclass
class Damage:
    """Counts the lines of a file that could not be read.

    Attributes:
        broken: whole lines that are no JSON object.
        unfinished: the last line has no end: it is being written, or a kill cut it.
        refused: why the file itself could not be read.
    """

    broken: int = 0
    unfinished: bool = False
    refused: str = ""

    def told(self, what: str) -> str | None:
        """Say it in one sentence, ``None`` where nothing is damaged."""
        if self.refused:
            return f"{what} could not be read: {self.refused}."
        count = self.broken + self.unfinished
        if not count:
            return None
        cause = "half-written" if not self.broken else "half-written, or damaged"
        return f"{what}: {count} line{'s' * (count != 1)} could not be read ({cause}); the rest is shown."


def read_lines(path: Path, damage: Damage | None = None) -> Iterator[tuple[int, Record]]:
    """Yield the objects of a file of JSON lines.

    Args:
        path: the file; a missing one has no lines.
        damage: counts what could not be read.

    Yields:
        The byte at which a line starts, and its object.
    """
    damage = damage or Damage()
    if not path.is_file():
        return
    offset = 0
    try:
        with open(path, "rb") as stream:
            for line in stream:
                record = _object(line)
                if record is not None:
                    yield offset, record
                elif line.strip():
                    if line.endswith(b"\n"):
                        damage.broken += 1
                    else:
                        damage.unfinished = True
                offset += len(line)
    except OSError as error:
        damage.refused = error.strerror or type(error).__name__


def read_at(path: Path, offsets: Iterable[int]) -> Iterator[tuple[int, Record]]:
    """Yield the objects that start at the given bytes, in the file's order; what has gone meanwhile is left out."""
    wanted = sorted(set(offsets))
    if not wanted or not path.is_file():
        return
    with open(path, "rb") as stream:
        for offset in wanted:
            stream.seek(offset)
            record = _object(stream.readline())
            if record is not None:
                yield offset, record


def _object(line: bytes) -> Record | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def mapping(value: object) -> Record:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def finite(value: object) -> float | None:
    """Return a number that can be drawn, ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON knows integers of any length
        return None
    return number if abs(number) < _LARGEST else None


def whole(value: object, otherwise: int = 0) -> int:
    """Return a whole number, `otherwise` for anything that is none."""
    number = finite(value)
    return int(number) if number is not None else otherwise


def text(value: object) -> str:
    """Return a string; numbers and the like as they are written, nothing for ``None``."""
    return value if isinstance(value, str) else "" if value is None else str(value)[:1000]


def name(value: object) -> str | None:
    """Return a non-empty string, ``None`` for anything else."""
    return value if isinstance(value, str) and value else None
