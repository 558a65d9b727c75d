"""The funnel of a curating stage: rows in and out of each step, why rows went, and a few of them to look at.

What stands in the file is of problems that strangers wrote, and may be damaged: values are text, the template escapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe import layout
from magistral_recipe.files import read_json
from magistral_recipe.jsonlines import Record
from magistral_recipe.report.values import as_float, as_mapping

LONGEST = 600
"""Characters of a problem that are shown."""


class Step(NamedTuple):
    """A step's row: its name, rows in and out as text, rows out in percent of the first, reasons, and a remark."""

    name: str
    came: str
    left: str
    width: float
    gone: list[str]
    note: str


class Example(NamedTuple):
    """A dropped row: its problem and its answer, and what else is known about why it went."""

    problem: str
    answer: str
    facts: list[tuple[str, str]]


class Examples(NamedTuple):
    """Rows that went for one reason."""

    step: str
    reason: str
    rows: list[Example]


@dataclass
class FunnelSection:
    """A curating stage's section."""

    id: str
    title: str
    steps: list[Step] = field(default_factory=list)
    examples: list[Examples] = field(default_factory=list)
    grader: str = ""


def read_funnel(folder: Path) -> Record:
    """Read what a stage's funnel says; nothing where there is none that can be read."""
    return as_mapping(read_json(folder / layout.FUNNEL))


def funnel_section(found: Record, id_: str, title: str) -> FunnelSection | None:
    """Arrange a funnel; ``None`` without steps.

    Args:
        found: of `read_funnel`.
        id_: the section's.
        title: the stage's.
    """
    steps = [as_mapping(step) for step in _items(found.get("steps"))]
    first = next((rows for step in steps if (rows := as_float(step.get("rows_in")))), None)
    if first is None:
        return None
    section = FunnelSection(id_, title, grader=str(found.get("grader") or ""))
    for step in steps:
        left = as_float(step.get("rows_out")) or 0.0
        gone = sorted(as_mapping(step.get("dropped")).items(), key=lambda item: -(as_float(item[1]) or 0))
        told = [f"{as_float(count) or 0:,.0f} {reason}" for reason, count in gone]
        if added := as_float(step.get("added")):
            told.append(f"{added:,.0f} added")
        told += [f"{as_float(count) or 0:,.0f} {what}" for what, count in as_mapping(step.get("also")).items()]
        came = as_float(step.get("rows_in")) or 0.0
        width = round(min(100.0, 100 * left / first), 1)
        note = str(step.get("note") or "")
        section.steps.append(Step(str(step.get("name", "?")), f"{came:,.0f}", f"{left:,.0f}", width, told, note))
    for group in map(as_mapping, _items(found.get("examples"))):
        shown = [_example(as_mapping(row)) for row in _items(group.get("rows"))]
        section.examples.append(Examples(str(group.get("step", "")), str(group.get("reason", "")), shown))
    return section


def _example(row: Record) -> Example:
    facts = [
        (str(name).replace("_", " "), _told(value))
        for name, value in as_mapping(row.get("dropped")).items()
        if name != "reason" and value not in (None, "", [])
    ]
    return Example(_told(row.get("problem")), _told(row.get("answer")), facts)


def _told(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(map(_told, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_told(each)}" for name, each in value.items())
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
