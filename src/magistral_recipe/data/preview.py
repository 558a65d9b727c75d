"""What would become of a source's first rows: how many would be set aside, why, and what would read them better.

A set of which most rows would be set aside is a mistake in the recipe, and is told before anything is loaded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from magistral_recipe.data.fields import Code, Rejection
from magistral_recipe.data.layouts import catalogue
from magistral_recipe.data.peek import first_columns
from magistral_recipe.data.problems import PROBLEM_FIELDS, TRACE_FIELDS, AnswerIn
from magistral_recipe.data.readers import BadRow, Place, RawRow
from magistral_recipe.data.reading import Reading, Wish, reading_of
from magistral_recipe.writing.thinking import Thinking

ROWS = 300
"""How many rows are looked at."""


@dataclass(frozen=True)
class Preview:
    """What would become of a source's first rows.

    Attributes:
        layout: the layout they have; None where they are read by our own columns.
        read: how many were looked at, without those passed over.
        set_aside: how many of them could not be used. Duplicates count as usable: they say nothing about the layout.
        passed_over: how many aren't wanted, by ``where`` or by the layout.
        reasons: how many would be set aside, by reason.
        first: where the first of them stands, and the sentence that says why.
    """

    layout: str | None
    read: int
    set_aside: int
    passed_over: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    first: tuple[Place, str] | None = None

    @property
    def mostly_set_aside(self) -> bool:
        """Whether more than half of the rows could not be used."""
        return 2 * self.set_aside > self.read

    def summary(self) -> str:
        """Say it in a line, e.g. ``180 of the first 200 rows would be set aside (180 missing column)``."""
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.reasons.most_common())
        text = f"{self.set_aside:,} of the first {self.read:,} rows would be set aside"
        return text + (f" ({reasons})" if reasons else "")


def preview(
    rows: Iterable[RawRow | BadRow], wish: Wish, thinking: Thinking | None = None, count: int = ROWS
) -> Preview:
    """Say what would become of a source's first rows, wherever they come from.

    Args:
        rows: the source's; no more than ``count`` are read.
        wish: what the source says about how they are to be read.
        thinking: the recipe's tags, for traces; without them no tags are looked at.
        count: how many rows to look at.

    Returns:
        How many would be set aside, and why.
    """
    first = list(islice(rows, count))
    return _counted(first, reading_of(first, wish, thinking)[0])


def _counted(rows: Sequence[RawRow | BadRow], reading: Reading) -> Preview:
    reasons: Counter[str] = Counter()
    example: tuple[Place, str] | None = None
    passed_over = 0
    for row in rows:
        if isinstance(row, RawRow) and reading.passes_over(row.value):
            passed_over += 1
            continue
        found = Rejection(row.code, row.reason) if isinstance(row, BadRow) else reading(row.value)
        if isinstance(found, Rejection):
            reasons[found.code.value] += 1
            example = example or (row.place, found.reason)
    read = len(rows) - passed_over
    return Preview(reading.layout_name, read, reasons.total(), passed_over, reasons, example)


def useless(rows: Sequence[RawRow | BadRow], wish: Wish) -> list[str]:
    """Name the fields that rows can do without and for which rows would be set aside: a level in words, say.

    Args:
        rows: the first rows.
        wish: what the source says about how they are to be read.

    Returns:
        Those whose column is best left alone; `columns: {NAME: null}` does it.
    """
    fields = _dispensable(rows, wish)

    def aside(without: Sequence[str]) -> int:
        tried = replace(wish, columns={**wish.columns, **dict.fromkeys(without)})
        return _counted(rows, reading_of(rows, tried)[0]).set_aside

    if not fields or not aside(()):
        return []
    least = aside(fields)
    return [name for name in fields if aside([other for other in fields if other != name]) > least]


def _dispensable(rows: Sequence[RawRow | BadRow], wish: Wish) -> list[str]:
    fields = PROBLEM_FIELDS if wish.use == "problems" else TRACE_FIELDS
    columns = {*first_columns(rows), *wish.columns}
    return [name for name in fields if name in columns and name not in _NEEDED]


_NEEDED = ("problem", "answer", "tests", "completion", "thoughts", "response", "messages")


def mostly_set_aside(rows: Sequence[RawRow | BadRow], reading: Reading) -> str | None:
    """Say that most of the first rows would be set aside, with one of them and the nearest way out.

    Args:
        rows: the first rows.
        reading: how they are read.

    Returns:
        One line; None where at least half of them can be used.
    """
    found = _counted(rows, reading)
    if not found.mostly_set_aside or found.first is None:
        return None
    place, reason = found.first
    by = f" by layout '{found.layout}'" if found.layout else ""
    return f"{found.summary()}{by}, the first at {place}: {reason}. {_way_out(rows, reading, found)}"


def _way_out(rows: Sequence[RawRow | BadRow], reading: Reading, found: Preview) -> str:
    """Name the key that would read most of them: tried on these very rows, not guessed."""
    best: tuple[int, str] | None = None
    for key, wish in _others(rows, reading):
        tried, mistakes = reading_of(rows, wish, reading.thinking)
        seen = _counted(rows, tried)
        if not mistakes and seen.read and not seen.mostly_set_aside and (best is None or seen.set_aside < best[0]):
            best = (seen.set_aside, f"With `{key}` {seen.read - seen.set_aside:,} of {seen.read:,} would be read")
    if best is not None:
        return best[1]
    if found.reasons.most_common(1)[0][0] == Code.BAD_TAGS:
        return (
            "`columns:` says where thoughts and response stand, `layout:` names a published layout, and "
            "`malformed: keep` trains on them as they are"
        )
    if found.reasons.most_common(1)[0][0] == Code.INVALID_UTF8:
        return "The file is in another encoding: save it as UTF-8 (a spreadsheet's `CSV UTF-8`)"
    where = ", and `answer_in:` where in it the answer is" if reading.wish.use == "problems" else ""
    return f"`columns:` says where each field stands, `layout:` names a published layout{where}"


def _others(rows: Sequence[RawRow | BadRow], reading: Reading) -> Iterator[tuple[str, Wish]]:
    """Other ways to read the rows. The whole answer comes last: of a worked solution it holds, but says too much."""
    wish = reading.wish
    columns = first_columns(rows)
    now = wish.answer_in or (reading.layout.answer_in if reading.layout else "whole")
    tried: tuple[AnswerIn, ...] = ("boxed", "hashes", "whole") if wish.use == "problems" else ()
    for where in tried[:-1]:
        if where != now:
            yield f"answer_in: {where}", replace(wish, answer_in=where)
    if without := useless(rows, wish):
        keys = ", ".join(f"{name}: null" for name in without)
        yield f"columns: {{{keys}}}", replace(wish, columns={**wish.columns, **dict.fromkeys(without)})
    for name in catalogue.names():
        if name != reading.layout_name and catalogue.find(name).fits(columns):
            yield f"layout: {name}", replace(wish, layout=name, answer_in=None)
    if tried and now != "whole":
        yield "answer_in: whole", replace(wish, answer_in="whole")
