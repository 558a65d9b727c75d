"""The one table a run ends with: each evaluated model, its scores, their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from magistral_recipe.files import read_json

COLUMNS = {
    "pass@1": "pass@1",
    "greedy_pass@1": "greedy",
    "language_fidelity": "same language",
    "format_rate": "format",
    "truncation_rate": "cut",
    "mean_length": "tokens",
}
"""Metrics of `scores.json` and the columns that show them."""

NAMES = {"base": "base", "sft": "after SFT", "grpo": "after RL"}


def score_table(run: Path) -> Table | None:
    """Read the evaluated models of a run, in order.

    Args:
        run: the run folder.

    Returns:
        The table, with 95% intervals over problems; ``None`` where nothing was evaluated.
    """
    evaluated = list(evaluations(run))
    if not evaluated:
        return None
    table = Table(title="held-out scores, 95% intervals over problems", title_justify="left")
    table.add_column("model")
    shown = [name for name in COLUMNS if any(name in scores["overall"] for _, scores in evaluated)]
    for name in shown:
        table.add_column(COLUMNS[name], justify="right", no_wrap=True)
    hardest = _hardest(evaluated)
    if hardest:
        table.add_column(f"{hardest} (hardest)", justify="right", no_wrap=True)
    for label, scores in evaluated:
        row = [NAMES.get(label, label), *(_cell(scores["overall"].get(name), name) for name in shown)]
        if hardest:
            group = scores["groups"]["category"].get(hardest, {}).get("scores", {})
            row.append(_cell(group.get("pass@1") or group.get("greedy_pass@1"), "pass@1"))
        table.add_row(*row)
    return table


def evaluations(run: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (model's name, its scores) for every evaluation of a run that has come to its end."""
    for file in sorted(run.glob("[0-9][0-9]-*/*/scores.json"), key=lambda file: (file.parts[-3], file.stat().st_mtime)):
        scores = read_json(file)
        if isinstance(scores, dict) and "overall" in scores:
            yield file.parent.name, scores


def _hardest(evaluated: list[tuple[str, dict[str, Any]]]) -> str | None:
    """The category in which the last model is weakest, where there are several."""
    groups: Mapping[str, Any] = evaluated[-1][1].get("groups", {}).get("category", {})
    rates = {name: group["scores"].get("pass@1", {}).get("mean") for name, group in groups.items()}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    return min(known, key=lambda name: known[name]) if len(known) > 1 else None


def _cell(interval: Mapping[str, float] | None, name: str) -> str:
    if not interval or interval.get("mean") is None:
        return "-"
    if name == "mean_length":
        return f"{interval['mean']:.1f}"
    mean, low, high = (100 * interval[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"
