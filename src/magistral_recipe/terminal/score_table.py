"""The one table a run ends with: each evaluated model, its scores, their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from magistral_recipe.data.overlap import is_held_out
from magistral_recipe.report.evaluations import METRICS, NAMES, figure, finished_evaluations
from magistral_recipe.report.values import as_mapping
from magistral_recipe.terminal.screen import plain
from magistral_recipe.writing.figures import with_interval


def score_table(run: Path) -> Table | None:
    """Read the evaluated models of a run, in order.

    Args:
        run: the run folder.

    Returns:
        A row a metric, a column a model, narrow enough for 80 characters; ``None`` where nothing was evaluated.
    """
    evaluated = list(finished_evaluations(run))
    if not evaluated:
        return None
    held_out = "held-out " if all(is_held_out(scores) for _, scores in evaluated) else ""
    table = Table(title=f"{held_out}scores in percent, with 95% intervals over problems", title_justify="left")
    table.add_column("")
    for label, _ in evaluated:
        table.add_column(plain(NAMES.get(label, label)), justify="right", no_wrap=True)
    for name, title in METRICS.items():
        figures = [figure(scores["overall"], name) for _, scores in evaluated]
        if any(figures):
            table.add_row(title, *(_cell(each, name) for each in figures))
    hardest = _hardest(evaluated)
    if hardest:
        groups = [scores["groups"]["category"].get(hardest, {}).get("scores", {}) for _, scores in evaluated]
        for name in ("pass@1", "greedy_pass@1"):
            if any(name in group for group in groups):
                table.add_row(plain(f"{hardest} {METRICS[name]}"), *(_cell(group.get(name), name) for group in groups))
    return table


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
