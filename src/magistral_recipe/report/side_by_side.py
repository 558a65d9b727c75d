"""Runs side by side: scores with differences paired over problems, curves over one another, differing recipes.

The first run is what the others are compared with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from magistral_recipe.errors import FULL, DataError, RunError
from magistral_recipe.files import require_replaceable
from magistral_recipe.recipe.sections import Role
from magistral_recipe.report.advice import findings
from magistral_recipe.report.build import render, write_page
from magistral_recipe.report.collect import Evaluation, Run, Stage, collect, resolved_recipe
from magistral_recipe.report.curves import Points, line_chart, number, reward_parts
from magistral_recipe.report.data import Chart, PageData, Unit
from magistral_recipe.report.documents import markdown_table
from magistral_recipe.report.evaluations import NAMES
from magistral_recipe.report.page import Milestone, Page, charts_of, static_samples, training
from magistral_recipe.report.sampling import fill
from magistral_recipe.report.tables import (
    COMPARED,
    Cell,
    Table,
    TableRow,
    cell,
    difference_cell,
    headline,
    own_warnings,
    paired,
    sampled_alike,
    score_table,
)
from magistral_recipe.report.values import as_mapping
from magistral_recipe.writing.figures import duration

Named = list[tuple[str, Run]]


class Overlay(NamedTuple):
    """A figure with one curve a run: its title, its metric or the part of the reward, and how it is read."""

    title: str
    metric: str
    unit: Unit


_REINFORCEMENT_CURVES = (
    Overlay("Reward", "reward", "number"),
    Overlay("Right", "correctness", "share"),
    Overlay("Format kept", "format", "share"),
    Overlay("Language kept", "language", "share"),
    Overlay("Mean length", "completions/mean_length", "tokens"),
    Overlay("Entropy, nats a token", "entropy", "number"),
    Overlay("Groups without signal", "groups/uninformative", "share"),
    Overlay("Ratios clipped above", "clip_ratio/high_mean", "share"),
    Overlay("Cut at the limit", "completions/clipped_ratio", "share"),
    Overlay("Gradient norm", "grad_norm", "number"),
    Overlay("Tokens a second", "tokens_per_second/trained", "number"),
)
_IMITATION_CURVES = (
    Overlay("Loss", "loss", "number"),
    Overlay("Evaluation loss", "eval_loss", "number"),
    Overlay("Tokens predicted right", "mean_token_accuracy", "share"),
)
_OVERLAID: tuple[tuple[Role, str, tuple[Overlay, ...]], ...] = (
    ("imitation", "SFT", _IMITATION_CURVES),
    ("reinforcement", "RL", _REINFORCEMENT_CURVES),
)
_MAX_KEYS = 60


def build_comparison(folders: Sequence[Path], output: Path | None = None) -> Path:
    """Write a page that sets runs side by side, and the same tables as Markdown.

    Args:
        folders: the runs' folders; the first is what the others are compared with.
        output: the page; by default `compare-A-B.html` beside the first run.

    Returns:
        The page's file.

    Raises:
        DataError: if a folder is not a run's, or one is given twice, or the page can't be put where it is wanted, or it
            or the text beside it would replace what is not a comparison.
        RunError: if the files cannot be written.
    """
    resolved = [folder.resolve() for folder in folders]
    for position, folder in enumerate(resolved):
        if folder in resolved[:position]:
            raise DataError(f"{folders[position]}: given twice; a run is not compared with itself")
    runs = list(zip(run_names(resolved), [collect(folder) for folder in folders], strict=True))
    page = comparison_page(runs)
    short = "-".join(re.sub(r"[^\w.-]+", "_", name) for name, _ in runs)[:80]
    target = output or folders[0].parent / f"compare-{short}.html"
    if target.is_dir():
        raise DataError(
            f"--output {target}: a folder; give the page's file, such as {target / f'compare-{short}.html'}"
        )
    if not target.parent.is_dir():
        raise DataError(f"--output {target}: no folder {target.parent}")
    title = " | ".join(name for name, _ in runs)
    require_replaceable(
        target, lambda begin: begin.lower().startswith("<!doctype html>") and "magistral-recipe" in begin
    )
    require_replaceable(target.with_suffix(".md"), lambda begin: begin.startswith(f"# {title}\n"))
    _write(target, render(page))
    tables = [line for table in page.comparison for line in (f"\n## {table.title}", *markdown_table(table))]
    _write(target.with_suffix(".md"), "\n".join([f"# {title}", *tables, ""]))
    return target


def _write(target: Path, text: str) -> None:
    try:
        write_page(target, text)
    except OSError as error:
        if error.errno in FULL:
            raise
        raise RunError(f"{target}: the comparison cannot be written there: {error.strerror}") from error


def run_names(folders: Sequence[Path]) -> list[str]:
    """Tell runs apart by their folders' names, with the folder above where those are equal."""
    names = [folder.name for folder in folders]
    return [
        name if names.count(name) == 1 else f"{folder.parent.name}/{name}"
        for name, folder in zip(names, folders, strict=True)
    ]


def comparison_page(runs: Named) -> Page:
    """Arrange runs side by side.

    Args:
        runs: at least two, with distinct names.

    Returns:
        All that the template needs.
    """
    first = runs[0][0]
    page = Page(" | ".join(name for name, _ in runs), f"{len(runs)} runs side by side; differences are to {first}.")
    page.milestones = list(_milestones(runs))
    page.comparison = [table for table in (_scores(runs), *_differences(runs), _runs(runs), _recipes(runs)) if table]
    names, evaluations = _all_evaluations(runs)
    page.score_warnings = own_warnings(evaluations, names)
    page.missing = [f"{name}: {line}" for name, run in runs for line in run.missing]
    page.findings = [
        replace(finding, title=f"{name}: {finding.title}") for name, run in runs for finding in findings(run)
    ]
    for role, title, curves in _OVERLAID:
        charts = list(_overlays(runs, role, curves))
        if charts:
            page.trainings.append(training(title, charts, f"training-{role}"))
    page.recipes = [(f"The recipe of {name}", run.recipe) for name, run in runs if run.recipe]
    page.data = PageData(page.name, charts=charts_of(page))
    fill(page.data, runs)
    page.static = static_samples(page.data)
    return page


def _milestones(runs: Named) -> Iterator[Milestone]:
    """Each run's last model; how it differs from the first run's."""
    first: Evaluation | None = None
    for name, run in runs:
        told = headline(run)
        if not told:
            continue
        model, interval = told[-1]
        last = next(e for e in _evaluations(run).values() if e.name == model)
        # A score of samples stands here beside one of greedy decoding: their difference is neither's.
        compared = paired(first, last) if first and first.greedy == last.greedy else None
        changed = difference_cell(compared.difference) if compared else Cell()
        first = last if name == runs[0][0] else first
        change = f"{changed.value} points to {runs[0][0]}" if changed.value else ""
        score = cell(interval, "pass@1")
        yield Milestone(f"{name}, {model}{', greedy' * last.greedy}", score.value, score.interval, change, changed.tone)


def _evaluations(run: Run) -> dict[str, Evaluation]:
    return {e.label: e for e in run.evaluated.evaluations} if run.evaluated else {}


def _scores(runs: Named) -> Table | None:
    """Every model of every run, the runs' last models together at the end."""
    names, evaluations = _all_evaluations(runs)
    return replace(score_table(evaluations, names), title="Scores") if evaluations else None


def _all_evaluations(runs: Named) -> tuple[list[str], list[Evaluation]]:
    """Every model's last evaluation with the run's and the model's name, models of one label beside each other."""
    labels = dict.fromkeys(label for _, run in runs for label in _evaluations(run))
    found = [(name, e) for label in labels for name, run in runs if (e := _evaluations(run).get(label)) is not None]
    return [f"{name}: {e.name}" for name, e in found], [e for _, e in found]


def _differences(runs: Named) -> Iterator[Table]:
    """Each later run against the first, model by model."""
    first_name, first = runs[0]
    for name, run in runs[1:]:
        rows = []
        for label, b in _evaluations(run).items():
            a = _evaluations(first).get(label)
            if a is None:
                continue
            cells, note = _compared(a, b)
            rows.append(TableRow(NAMES.get(label, label), note, cells))
        if rows:
            yield Table(f"{name} minus {first_name}, in points, paired over problems", ["model", *COMPARED], rows)


def _compared(a: Evaluation, b: Evaluation) -> tuple[list[Cell], str]:
    if not sampled_alike(a, b):
        return [Cell("–") for _ in COMPARED], "sampled differently: not comparable"
    found = [paired(a, b, metric) for metric in COMPARED]
    cells = [
        Cell("–") if each is None else difference_cell(each.difference, lower_is_better=metric == "cut")
        for metric, each in zip(COMPARED, found, strict=True)
    ]
    common = max((each.problems for each in found if each is not None), default=0)
    if not common:
        return cells, "no problem in both: not comparable"
    return cells, f"{common} problems in both" + (", greedy decoding" if a.greedy or b.greedy else "")


def _runs(runs: Named) -> Table:
    heads = ["run", "state", "time", "seed", "machine", "trl", "code"]
    rows = []
    for name, run in runs:
        hardware, versions = as_mapping(run.manifest.get("hardware")), as_mapping(run.manifest.get("versions"))
        gpus = hardware.get("gpus")
        machine = ", ".join(map(str, gpus)) if isinstance(gpus, list) and gpus else hardware.get("processor")
        state = next((s.status for s in run.stages if s.status != "complete"), "complete" if run.stages else "empty")
        seed, code = run.manifest.get("seed"), run.manifest.get("code")
        told = (state, duration(run.seconds), seed, machine, versions.get("trl"), code)
        rows.append(TableRow(name, "", [Cell("" if value is None else str(value)) for value in told]))
    return Table("The runs", heads, rows)


def _recipes(runs: Named) -> Table | None:
    """The keys in which the recipes differ."""
    flat = [dict(_flat(resolved_recipe(run.folder))) for _, run in runs]
    known = dict.fromkeys(key for each in flat for key in each)
    keys = [key for key in known if len({each.get(key) for each in flat}) > 1]
    if not keys or not all(flat):
        return None
    rows = [TableRow(key, "", [Cell(each.get(key, "")) for each in flat]) for key in keys[:_MAX_KEYS]]
    return Table("What the recipes differ in", ["key", *(name for name, _ in runs)], rows)


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for position, inner in enumerate(value):
            # A stage is called by its kind: `stages.grpo.trainer…` reads better than a number.
            named = isinstance(inner, dict) and len(inner) == 1
            yield from _flat(inner, path if named else f"{path}[{position}]")
    else:
        yield path, str(value)


def _overlays(runs: Named, role: Role, curves: Sequence[Overlay]) -> Iterator[Chart]:
    """One figure a metric, one curve a run."""
    stages = [(name, stage) for name, run in runs if (stage := run.trained(role)) is not None]
    for position, (title, metric, unit) in enumerate(curves):
        named: list[tuple[str, Points]] = []
        for name, stage in stages:
            points = stage.curve(_key(stage, metric))
            if points:
                named.append((name, points))
        if named:
            chart = line_chart(f"training-{role}-{position}", title, named, unit, f"training-{role}")
            ends = [number(points[-1][1], chart.unit) for _, points in named[:3]]
            yield replace(chart, remark="at the end " + ", ".join(ends))


def _key(stage: Stage, metric: str) -> str:
    """The metric's name in a stage; parts of a reward bear the reward's name."""
    return next((key for key, part in reward_parts(stage).items() if part == metric), metric)
