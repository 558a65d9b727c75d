"""What was found out about problems one at a time, in a file: whoever is killed goes on behind the last one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from magistral_recipe.files import json_text
from magistral_recipe.jsonlines import Record, read_at, read_lines


@dataclass(frozen=True)
class Verdict:
    """What came of a programming problem's tests.

    Attributes:
        reason: why the problem goes; ``None`` for one that stays.
        tests: what it is left with.
        right: places of the solutions that pass them, among those that were run.
        count: tests and solutions by what became of them.
        examples: some of the tests whose output was corrected.
    """

    reason: str | None
    tests: str = ""
    right: tuple[int, ...] = ()
    count: dict[str, int] = field(default_factory=dict)
    examples: tuple[dict[str, str], ...] = ()


class Verdicts:
    """Verdicts by key; memory holds where each stands, not what it says.

    Args:
        file: where they are written; ``None`` forgets them.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._places = {str(line.get("key")): place for place, line in read_lines(file)} if file is not None else {}

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def find(self, keys: list[str]) -> Iterator[tuple[str, Verdict]]:
        """Read the verdicts of those keys that have one."""
        there = {self._places[key]: key for key in keys if key in self._places}
        if self._file is not None:
            for place, line in read_at(self._file, there):
                yield there[place], _read(line)

    def add(self, key: str, verdict: Verdict) -> None:
        """Write a verdict down."""
        if self._file is None:
            return
        with self._file.open("ab") as stream:
            # A kill may have left half a line: an empty one between costs nothing.
            line = "\n" + json_text({"key": key, "verdict": asdict(verdict)}) + "\n"
            stream.write(line.encode("utf-8", "backslashreplace"))


def _read(line: Record) -> Verdict:
    verdict = Verdict(**line["verdict"])
    return Verdict(verdict.reason, verdict.tests, tuple(verdict.right), dict(verdict.count), tuple(verdict.examples))
