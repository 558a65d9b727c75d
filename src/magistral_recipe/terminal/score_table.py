"""The one table a run ends with: each evaluated model, its scores, their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

from magistral_recipe.data.overlap import is_held_out
from magistral_recipe.report.evaluations import METRICS, NAMES, figure, finished_evaluations
from magistral_recipe.report.values import as_mapping
from magistral_recipe.terminal.screen import plain
from magistral_recipe.writing.figures import with_interval


@dataclass(frozen=True)
class ScoreTable:
    """Models side by side, in several tables where the terminal is too narrow for one.

    Args:
        title: what stands above.
        models: the headings, one a model.
        rows: a metric's name, and its figure for each model.
    """

    title: str
    models: Sequence[Text]
    rows: Sequence[tuple[Text, Sequence[str]]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        widths = [
            max(len(model), *(len(figures[place]) for _, figures in self.rows)) + _FRAME
            for place, model in enumerate(self.models)
        ]
        names = min(max(len(word) for name, _ in self.rows for word in name.plain.split()), _NAME)
        parts: list[list[int]] = [[]]
        for place, width in enumerate(widths):
            taken = names + _FRAME + 1 + sum(widths[other] for other in parts[-1])
            if parts[-1] and taken + width > options.max_width:
                parts.append([])
            parts[-1].append(place)
        for part in parts:
            table = Table(title=self.title if part is parts[0] else None, title_justify="left")
            table.add_column("", min_width=names)
            for place in part:
                table.add_column(self.models[place], justify="right", no_wrap=True)
            for name, figures in self.rows:
                table.add_row(name, *(figures[place] for place in part))
            yield table


_FRAME = 3
"""A column's line, and a space on each side of it."""
_NAME = 10
"""Characters that a metric's name is left at least; a longer one is folded before a model goes below."""


def score_table(run: Path) -> ScoreTable | None:
    """Read the evaluated models of a run, in order.

    Args:
        run: the run folder.

    Returns:
        A row a metric, a column a model, no figure cut within 80 characters; ``None`` where nothing was evaluated.
    """
    evaluated = list(finished_evaluations(run))
    if not evaluated:
        return None
    held_out = "held-out " if all(is_held_out(scores) for _, scores in evaluated) else ""
    rows: list[tuple[Text, list[str]]] = []
    for name, title in METRICS.items():
        known = [figure(scores["overall"], name) for _, scores in evaluated]
        if any(known):
            rows.append((plain(title), [_cell(each, name) for each in known]))
    hardest = _hardest(evaluated)
    if hardest:
        groups = [scores["groups"]["category"].get(hardest, {}).get("scores", {}) for _, scores in evaluated]
        for name in ("pass@1", "greedy_pass@1"):
            if any(name in group for group in groups):
                figures = [_cell(group.get(name), name) for group in groups]
                rows.append((plain(f"{hardest} {METRICS[name]}"), figures))
    models = [plain(NAMES.get(label, label)) for label, _ in evaluated]
    return ScoreTable(f"{held_out}scores in percent, with 95% intervals over problems", models, rows)


def _hardest(evaluated: list[tuple[str, dict[str, Any]]]) -> str | None:
    """The category in which the last model is weakest, where there are several."""
    groups: Mapping[str, Any] = evaluated[-1][1].get("groups", {}).get("category", {})
    scores = {name: as_mapping(group).get("scores", {}) for name, group in groups.items()}
    first = {
        name: as_mapping(each.get("pass@1") or each.get("greedy_pass@1")).get("mean") for name, each in scores.items()
    }
    known = {name: rate for name, rate in first.items() if rate is not None}
    return min(known, key=lambda name: known[name]) if len(known) > 1 else None


def _cell(interval: object, name: str) -> str:
    if not isinstance(interval, Mapping) or interval.get("mean") is None:
        return "-"
    if name == "mean_length":
        return f"{interval['mean']:.1f}"
    return with_interval(*(interval[end] for end in ("mean", "low", "high")))
