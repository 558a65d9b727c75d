"""Where rows go that cannot be used: a JSONL file with place and reason, and a count by reason."""

from __future__ import annotations

import json
import os
import reprlib
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from magistral_recipe.data.fields import Code
from magistral_recipe.data.readers import Place

_EXCERPT = 500

KEPT = 10_000
"""Rows that the file holds at most, some seven megabytes: the others are counted, and its last line says so."""


class Quarantine:
    """Collects the set-aside rows of one source, and writes them when the source is read to its end.

    The file appears complete or not at all, so that several processes may load one source at once; with
    nothing to set aside there is no file, and that of an earlier run goes.

    Args:
        path: the JSONL file; its folder is made when it is needed. None counts without writing.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.reasons: Counter[str] = Counter()
        self.examples: list[str] = []
        self._file: IO[str] | None = None

    @property
    def count(self) -> int:
        """How many rows were set aside."""
        return self.reasons.total()

    def add(self, place: Place, code: Code, reason: str, row: object) -> None:
        """Set a row aside.

        Args:
            place: where it stands.
            code: the kind of reason.
            reason: the sentence for a person.
            row: the row, or its text; the file keeps its beginning.
        """
        self.reasons[code.value] += 1
        if len(self.examples) < 3:
            self.examples.append(f"{place}: {reason}")
        if self.path is None or self.count > KEPT:
            return
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _partial(self.path).open("w", encoding="utf-8")
        record = {"file": place.file, place.unit: place.number, "code": code.value, "reason": reason}
        # ASCII escapes: a row may be here just because it cannot be written as UTF-8.
        self._file.write(json.dumps({**record, "row": _excerpt(row)}) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.path is None:
            return
        if self._file is not None:
            if self.count > KEPT:
                more = {"not_kept": self.count - KEPT, "reasons": dict(self.reasons)}
                self._file.write(json.dumps(more) + "\n")
            self._file.close()
            _partial(self.path).replace(self.path)
        elif kind is None:
            self.path.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}")


def _excerpt(row: object) -> str:
    if isinstance(row, str):
        text = row
    else:
        try:
            text = json.dumps(row, ensure_ascii=False, default=str)
        except (TypeError, ValueError, RecursionError):  # keys that are no text, or nested without end
            text = reprlib.repr(row)
    return text if len(text) <= _EXCERPT else text[:_EXCERPT] + "…"
