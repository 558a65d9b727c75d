"""The plan for a person: one table, then a line a stage for the verdict and one for the key to change."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from magistral_recipe.check.memory.moments import PARTS, Moment
from magistral_recipe.check.memory.plan import RecipePlan, StagePlan
from magistral_recipe.check.memory.verdict import Fit, judge
from magistral_recipe.machine import GIB

if TYPE_CHECKING:
    from rich.console import RenderableType

_COLOURS = {Fit.FITS: "green", Fit.TIGHT: "yellow", Fit.DOES_NOT_FIT: "bold red"}
_COLUMNS, _NAME = 6, 12
"""Moments beside one another, and characters of a stage's name above them."""
_LEAST = 0.005 * GIB
"""What would be shown as 0.00 is left out."""


def render(plan: RecipePlan) -> RenderableType:
    """Return the plan for a rich console."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(f"\nWill it fit? {_device(plan)}", style="bold"), *_tables(plan)]
    for stage in plan.stages:
        parts += list(_lines(stage))
    parts += [Text(line) for line in _whole(plan)]
    return Group(*parts)


def _device(plan: RecipePlan) -> str:
    device, free = plan.device, plan.device.free / GIB
    if not device.at_hand:
        return f"{device.name}, {free:.1f} GiB, all of it free"
    return f"{device.name}, {free:.1f} of {device.total / GIB:.1f} GiB free"


def _tables(plan: RecipePlan) -> Iterator[RenderableType]:
    """One column a moment, as many beside one another as a terminal of a hundred columns takes."""
    shown = [(stage.name, moment) for stage in plan.stages if stage.memory for moment in stage.memory.moments]
    for start in range(0, len(shown), _COLUMNS):
        yield _table(shown[start : start + _COLUMNS], plan)


def _table(shown: Sequence[tuple[str, Moment]], plan: RecipePlan) -> RenderableType:
    from rich.table import Table

    used = [part for part in PARTS if any(moment.parts.get(part, 0) >= _LEAST for _, moment in shown)]
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("GiB", no_wrap=True)
    for name, moment in shown:
        table.add_column(f"{name[:_NAME]}\n{moment.name}", justify="right", no_wrap=True)
    for part in used:
        table.add_row(part, *(_gib(moment.parts.get(part, 0)) for _, moment in shown))
    table.add_row("reserved, context", *(_gib(_beyond(moment, plan)) for _, moment in shown))
    table.add_row("needed", *(_gib(judge(moment, plan.device).needed) for _, moment in shown), style="bold")
    return table


def _beyond(moment: Moment, plan: RecipePlan) -> float:
    return judge(moment, plan.device).needed - moment.allocated - moment.share


def _lines(stage: StagePlan) -> Iterator[RenderableType]:
    from rich.text import Text

    if stage.verdict is not None and stage.moment is not None:
        verdict, moment = stage.verdict, stage.moment
        spare = abs(verdict.spare) / GIB
        told = {
            Fit.FITS: f"fits, {spare:.1f} GiB to spare",
            Fit.TIGHT: f"tight, {spare:.1f} GiB short of what is safe",
            Fit.DOES_NOT_FIT: f"does not fit, {spare:.1f} GiB short",
        }[verdict.fit]
        if moment.lacking:
            told = f"does not fit, vLLM's share is {moment.lacking / GIB:.1f} GiB short"
        time = "" if stage.hours is None or stage.hours.hours is None else f"; {_hours(stage.hours.hours)}"
        yield Text.assemble(
            (f"{stage.name}: {told}", _COLOURS[verdict.fit]),
            f"{time} ({moment.name}: {moment.about})",
        )
        yield from (Text(f"  {line}") for line in way_out(stage))
    for note in stage.notes:
        yield Text(f"  {note}", style="dim")


def way_out(stage: StagePlan) -> Iterator[str]:
    """Say in a line what to change so that a stage fits; nothing where it does."""
    if stage.remedy is None:
        yield "no key tried here makes it fit: a smaller model or a larger card"
    elif stage.remedy:
        then = "" if stage.hours_then is None else f"; then {_hours(stage.hours_then)}"
        yield "change, and it fits: " + "; ".join(map(str, stage.remedy)) + then


def _whole(plan: RecipePlan) -> Iterator[str]:
    items: Sequence[tuple[str, float]] = [
        *([("base model in the hub's cache", plan.download)] if plan.download else []),
        *((f"{stage.name}: {item.what}", item.size) for stage in plan.stages for item in stage.disk),
    ]
    listed = ", ".join(f"{what} {_size(size)}" for what, size in items if size >= _LEAST)
    short = "" if plan.disk <= plan.disk_free else "; NOT enough"
    free = f"{_size(plan.disk_free)} free here{short}"
    yield f"disk: {_size(plan.disk)} ({listed}); {free}" if listed else f"disk: {_size(plan.disk)}; {free}"
    host = max(
        ((item, stage) for stage in plan.stages for item in stage.host), key=lambda pair: pair[0].size, default=None
    )
    if host is not None and host[0].size >= _LEAST:
        yield f"memory of the machine: {_size(host[0].size)} at most for {host[1].name}, {host[0].what}"
    told = {re.sub(r"probe of \d+ s", "probe", stage.hours.how) for stage in plan.stages if stage.hours is not None}
    yield f"time: {_hours(plan.hours)}; {'; '.join(sorted(told)) or 'nothing to train or to generate'}"
    yield f"counted with: {plan.lengths}; the model's shape from {plan.shape}"


def _gib(size: float) -> str:
    return f"{size / GIB:.2f}" if size >= _LEAST else "–"


def _size(size: float) -> str:
    return f"{size / GIB:.1f} GiB" if size >= GIB / 10 else f"{size / 2**20:.0f} MiB"


def _hours(value: float | None) -> str:
    if value is None:
        return "unknown"
    if value < 1 / 60:
        return "under a minute"
    return f"about {value:.1f} h" if value >= 1 else f"about {value * 60:.0f} min"
