"""How a section went: its state, its figures, its marks; and the table and counts of all. Imports nothing heavy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

LOG = "log.txt"
"""Takes all that sections and what they start print, in the folder of the run."""


class State(StrEnum):
    """How a section ended."""

    PASSED = "passed"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    OUT_OF_TIME = "OUT OF TIME"


class MissingPieceError(Exception):
    """A package, a card's ability or a part of this project that a section needs is not there; the text names it."""


@dataclass
class Findings:
    """What a section found while it ran.

    Attributes:
        figures: what was measured, for the JSON; `estimate_gib` and `peak_gib` have columns in the table.
        held: marks that were met, in words with their figures.
        broken: marks that were not.
        told: figures without a mark, in words.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def mark(self, holds: bool, text: str) -> None:
        """Note a mark and whether it is met."""
        (self.held if holds else self.broken).append(text)

    def outcome(self) -> Outcome:
        """The section's end: failed where a mark is broken, and where it has none."""
        if self.broken:
            return Outcome(State.FAILED, "not met: " + "; ".join(self.broken), self.figures)
        if not self.held:
            return Outcome(State.FAILED, "the section has marked nothing", self.figures)
        return Outcome(State.PASSED, "; ".join([*self.held, *self.told]), self.figures)


@dataclass(frozen=True)
class Outcome:
    """A section's end.

    Attributes:
        state: how it ended.
        line: why, in one line.
        figures: what was measured.
    """

    state: State
    line: str
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A section of the table.

    Attributes:
        name: the section's.
        seconds: how long it took.
        outcome: how it ended.
    """

    name: str
    seconds: float
    outcome: Outcome

    def as_dict(self) -> dict[str, Any]:
        """Plain data for the JSON."""
        return {"name": self.name, "seconds": round(self.seconds, 2), **asdict(self.outcome)}


def last_line(log: Path) -> str:
    """The last line with anything in it; nothing where there is no such file."""
    if not log.is_file():
        return ""
    return next((line.strip() for line in reversed(log.read_text("utf-8", "replace").splitlines()) if line.strip()), "")


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """How many sections ended in which state; every state is named."""
    found = Counter(row.outcome.state for row in rows)
    return {str(state): found[state] for state in State}


def exit_code(rows: Sequence[Row], proves_gpu: bool, self_test: bool) -> int:
    """Tell a shell how it went.

    Args:
        rows: all sections that were asked for.
        proves_gpu: whether a GPU did the work.
        self_test: whether the script alone was to be tried.

    Returns:
        0 where everything asked for has passed, 1 where something failed, 3 where something could not be tried.
    """
    found = counts(rows)
    if found[State.FAILED]:
        return 1
    tried = rows and found[State.PASSED] == len(rows)
    return 0 if tried and (proves_gpu or self_test) else 3


def table(rows: Sequence[Row], heading: str) -> str:
    """The table, as Markdown that a terminal shows well.

    Args:
        rows: all sections that were asked for.
        heading: what was tried, and on what.

    Returns:
        Several lines, the counts last.
    """
    head = ["section", "state", "seconds", "estimate, GiB", "peak, GiB", "found"]
    cells = [head, *([*_cells(row)] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head) - 1)]
    lines = ["| " + " | ".join([*map(str.ljust, line[:-1], widths), line[-1]]) + " |" for line in cells]
    rule = "| " + " | ".join(["-" * width for width in widths] + ["---"]) + " |"
    told = ", ".join(f"{count} {state}" for state, count in counts(rows).items())
    return "\n".join(["", heading, "", lines[0], rule, *lines[1:], "", f"{len(rows)} sections: {told}"])


def _cells(row: Row) -> list[str]:
    figures = row.outcome.figures
    sizes = [f"{figures[key]:.2f}" if figures.get(key) is not None else "–" for key in ("estimate_gib", "peak_gib")]
    line = " ".join(row.outcome.line.split()).replace("|", "/")
    return [row.name, str(row.outcome.state), f"{row.seconds:.1f}", *sizes, line]
