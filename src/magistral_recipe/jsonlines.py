"""Files of JSON lines as a run writes them: appended to, read line by line, cut by whole lines, and never trusted.

A file may be long, end in half a line, or hold anything: a kill or a full disk cuts a line anywhere, and people edit
files. Lines are looked through once; those whose text is needed can be read again at their place, so that a hundred
thousand completions fit into little memory. What a *user* brings as data is read elsewhere (`data/readers.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magistral_recipe.files import json_text, replaced_atomically

Record = dict[str, Any]


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

    def __bool__(self) -> bool:
        """Whether anything is damaged."""
        return bool(self.broken or self.unfinished or self.refused)

    def describe(self, what: str) -> str | None:
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
    damage = Damage() if damage is None else damage
    offset = 0
    try:
        for line in _lines(path):
            record = parse_object(line)
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
            record = parse_object(stream.readline())
            if record is not None:
                yield offset, record


def parse_object(line: bytes) -> Record | None:
    """Return a line's JSON object, ``None`` where it holds none: half of one, another value, no text at all."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def append_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Append JSON lines, as `lines_text` writes them; the folder is made where it is missing.

    Half a surrogate pair, which UTF-8 cannot hold and a model may write, becomes JSON's own escape for it.
    """
    text = lines_text(records)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
        stream.write(text)


def lines_text(records: Iterable[Mapping[str, Any]]) -> str:
    """Return records as JSON lines that every parser takes (`files.json_text`: NaN and infinities become null)."""
    return "".join(json_text(record) + "\n" for record in records)


def keep_lines(path: Path, wanted: Callable[[Record], bool]) -> None:
    """Drop the lines of a file that are not wanted, and those that can't be read; the others stay byte for byte.

    A kill leaves the file as it was or as it shall be.

    Args:
        path: the file; nothing happens where there is none.
        wanted: whether a line's object stays.
    """
    if not path.is_file():
        return
    with replaced_atomically(path) as stream:
        for line in _lines(path):
            record = parse_object(line)
            if record is not None and wanted(record):
                # A last line that is whole but for its end gets one: the next line must not be joined to it.
                stream.write(line if line.endswith(b"\n") else line + b"\n")


def _lines(path: Path) -> Iterator[bytes]:
    """The lines by their bytes: in text, signs such as U+2028 would end a line too, in the middle of a completion."""
    if not path.is_file():  # a pipe of that name would be waited for without end
        return
    with open(path, "rb") as stream:
        yield from stream
