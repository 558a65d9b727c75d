"""Running steps one after another over files: each leaves its rows, what it dropped and a count; a kill loses one step.

In a folder, for each step:

    00-loaded.jsonl           the rows that go on
    00-loaded.dropped.jsonl   those that don't, each with the reason
    00-loaded.json            written last: the step's line of the funnel, and what the two files held

A step whose files are no longer what was written is run again. Rows in are rows out and rows dropped; that is checked
where the line is written.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from magistral_recipe.curation.rows import Dropped, Outcome, RowFile
from magistral_recipe.files import json_text, read_json, replaced_atomically, write_json
from magistral_recipe.intact import damage, written
from magistral_recipe.jsonlines import read_lines

logger = logging.getLogger(__name__)

STEPS = "steps"
EXAMPLES = 3
"""Dropped rows of each reason that a report shows."""


@dataclass(frozen=True)
class Count:
    """What a step did: one line of the funnel.

    Attributes:
        name: the step's.
        rows_in: rows that came.
        rows_out: rows that went on.
        dropped: rows that did not, by reason.
        added: rows that it made (translations, programs in another language).
        note: a line for people: what it was done with.
        also: what else it did, counted: tests that were corrected.
        shown: the note of kept rows that tells of it; a few are shown.
    """

    name: str
    rows_in: int
    rows_out: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    added: int = 0
    note: str = ""
    also: Mapping[str, int] = field(default_factory=dict)
    shown: str = ""

    def __post_init__(self) -> None:
        if self.rows_in + self.added != self.rows_out + sum(self.dropped.values()):
            raise ValueError(
                f"step '{self.name}': {self.rows_in} rows in and {self.added} added, but {self.rows_out} out and "
                f"{sum(self.dropped.values())} dropped"
            )

    def line(self) -> str:
        """Say it in one line."""
        gone = ", ".join(f"{count:,} {reason}" for reason, count in Counter(self.dropped).most_common())
        more = f"; {self.added:,} added" if self.added else ""
        also = "".join(f"; {count:,} {what}" for what, count in self.also.items())
        return f"{self.name}: {self.rows_in:,} → {self.rows_out:,}{more}" + (f" ({gone})" if gone else "") + also


class Funnel:
    """The steps of one curation, in a folder.

    Args:
        folder: where the files are written.
        tell: called with each step's line when it is done, or found done.
    """

    def __init__(self, folder: Path, tell: Callable[[Count, bool], None] | None = None) -> None:
        self.folder = folder
        self.counts: list[Count] = []
        self._tell = tell or (lambda count, before: None)
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def rows(self) -> RowFile:
        """The rows that the last step let go on."""
        return RowFile(self._file("jsonl", len(self.counts) - 1, self.counts[-1].name))

    def start(
        self,
        name: str,
        outcomes: Iterable[Outcome],
        note: str = "",
        aside: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """Take the first rows, or those that were taken before.

        Args:
            name: the step's.
            outcomes: the rows, and those that are dropped at once; not touched where they were taken before.
            note: a line for people.
            aside: says, after the rows, how many never became rows, by reason.
        """
        self._step(name, lambda: outcomes, None, note, aside)

    def run(
        self,
        name: str,
        step: Callable[[RowFile], Iterable[Outcome]],
        note: str = "",
        also: Callable[[], Mapping[str, int]] = dict,
        shown: str = "",
    ) -> None:
        """Run a step on the rows of the one before, or take what it left when it was run before.

        Args:
            name: the step's.
            step: makes what becomes of each row.
            note: a line for people.
            also: says, after the rows, what else was done, counted.
            shown: the note of kept rows that tells of it.
        """
        before = self.rows

        def found(count: Count) -> Count:
            return replace(count, also=dict(also()), shown=shown)

        self._step(name, lambda: step(before), self.counts[-1].rows_out, note, found=found)

    def _step(
        self,
        name: str,
        outcomes: Callable[[], Iterable[Outcome]],
        rows_in: int | None,
        note: str,
        aside: Callable[[], Mapping[str, int]] = dict,
        found: Callable[[Count], Count] = lambda count: count,
    ) -> None:
        kept, gone, record = (self._file(end, len(self.counts), name) for end in ("jsonl", "dropped.jsonl", "json"))
        before = _read_count(record)
        if before is not None and (harm := _harm(record)):
            logger.warning("step '%s' is run again: %s", name, harm)
            before = None
        count = before
        if count is None:
            count = found(_write(name, outcomes(), rows_in, kept, gone, note, aside))
            held = written(self.folder, [kept, gone])
            write_json(record, {**asdict(count), "files": held.sizes, "hashes": held.hashes})
        self.counts.append(count)
        self._tell(count, before is not None)

    def holds(self, name: str) -> bool:
        """Whether a step was run before, and left what is there still."""
        return any(
            _read_count(record) is not None and not _harm(record) for record in self.folder.glob(f"??-{name}.json")
        )

    def _file(self, end: str, index: int, name: str) -> Path:
        return self.folder / f"{index:02d}-{name}.{end}"

    def examples(self) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
        """Yield (step, reason, a few of the rows that were dropped for it), in the order of the funnel.

        Rows that were kept and changed are among them, with what was changed in place of why they went.
        """
        for index, count in enumerate(self.counts):
            if count.shown:
                changed = (row for _, row in read_lines(self._file("jsonl", index, count.name)) if row.get(count.shown))
                if rows := [{**row, "dropped": {count.shown: row[count.shown]}} for row in islice(changed, EXAMPLES)]:
                    yield count.name, f"stays, {count.shown.replace('_', ' ')}", rows
            found: dict[str, list[dict[str, Any]]] = {}
            for _, row in read_lines(self._file("dropped.jsonl", index, count.name)):
                reason = str(row.get("dropped", {}).get("reason"))
                if len(found.setdefault(reason, [])) < EXAMPLES:
                    found[reason].append(row)
            for reason in sorted(found, key=lambda reason: -count.dropped.get(reason, 0)):
                yield count.name, reason, found[reason]


def _write(
    name: str,
    outcomes: Iterable[Outcome],
    rows_in: int | None,
    kept: Path,
    gone: Path,
    note: str,
    aside: Callable[[], Mapping[str, int]],
) -> Count:
    out, dropped = 0, Counter[str]()
    with replaced_atomically(kept) as stays, replaced_atomically(gone) as goes:
        for outcome in outcomes:
            line = (json_text(outcome.as_json()) + "\n").encode("utf-8", errors="backslashreplace")
            if isinstance(outcome, Dropped):
                dropped[outcome.reason] += 1
                goes.write(line)
            else:
                out += 1
                stays.write(line)
        dropped.update(aside())
    seen = out + sum(dropped.values())
    came = seen if rows_in is None else rows_in
    return Count(name, came, out, dict(dropped), added=max(0, seen - came), note=note)


def _read_count(record: Path) -> Count | None:
    found = read_json(record)
    try:
        return Count(**{key: found[key] for key in found if key not in ("files", "hashes")})
    except (TypeError, ValueError, AttributeError):  # it is none, or of another type
        return None


def _harm(record: Path) -> str:
    """What of a step's files is no longer as it was written; an earlier version noted nothing of them."""
    found, kept = read_json(record), record.with_suffix(".jsonl")
    if "files" not in found:
        return "" if kept.is_file() else f"{kept.name} is missing"
    return next(damage(record.parent, found["files"], found.get("hashes")), "")
