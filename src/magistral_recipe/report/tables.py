"""The score tables of one evaluating stage: each model a row, every figure with its interval.

Values are text; the template escapes them. Figures come from `scores.json`; the differences between neighbours in the
chain are paired over the problems that both were asked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from magistral_recipe.data.overlap import is_held_out
from magistral_recipe.evaluation.paired import Paired, compare_paired
from magistral_recipe.evaluation.statistics import Interval
from magistral_recipe.jsonlines import Record
from magistral_recipe.report.collect import Evaluation, Run, Stage
from magistral_recipe.report.data import Chart, Series
from magistral_recipe.report.evaluations import METRICS
from magistral_recipe.report.seen import Seen
from magistral_recipe.report.values import as_mapping
from magistral_recipe.writing.figures import percent, points, span

DIMENSIONS = {"category": "kind of problem", "language": "language", "difficulty": "difficulty", "source": "source"}


@dataclass(frozen=True)
class Cell:
    """A figure and, small, its interval; `tone` is `good` or `bad` where a difference is certain."""

    value: str = ""
    interval: str = ""
    tone: str = ""


@dataclass(frozen=True)
class TableRow:
    """A row: its name, a remark, its cells."""

    name: str
    note: str
    cells: list[Cell]


@dataclass(frozen=True)
class Table:
    """A table; the first head belongs to the names of the rows."""

    title: str
    heads: list[str]
    rows: list[TableRow]


class GridCell(NamedTuple):
    """A share in percent, empty for none, with its shade from 0 to 9; `tone` is `kept` for the language asked for."""

    value: str
    shade: int
    tone: str


class GridRow(NamedTuple):
    """An asked language, and the share of each language that was found."""

    asked: str
    shares: list[GridCell]


@dataclass(frozen=True)
class Grid:
    """A confusion matrix of languages."""

    title: str
    columns: list[str]
    rows: list[GridRow]
    remark: str


@dataclass(frozen=True)
class Panel:
    """A figure and the table of its numbers, either of which may be missing."""

    chart: Chart | None
    table: Table | None


@dataclass
class ScoreSection:
    """What the page shows of an evaluating stage."""

    title: str
    remark: str
    main: Table
    warnings: list[str] = field(default_factory=list)
    panels: list[Panel] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)

    @property
    def charts(self) -> list[Chart]:
        """The figures of all panels."""
        return [panel.chart for panel in self.panels if panel.chart is not None]

    @property
    def tables(self) -> list[Table]:
        """The main table, and those of all panels."""
        return [self.main, *(panel.table for panel in self.panels if panel.table is not None)]


def stage_scores(stage: Stage, prefix: str) -> ScoreSection:
    """Arrange an evaluating stage.

    Args:
        stage: one with evaluations.
        prefix: of its charts' ids.

    Returns:
        Tables and charts.
    """
    evaluations = stage.evaluations
    panels = [Panel(interval_chart(evaluations, "overall", f"{prefix}-overall"), differences(evaluations))]
    for dimension in DIMENSIONS:
        chart = interval_chart(evaluations, dimension, f"{prefix}-{dimension}")
        panels.append(Panel(chart, group_table(evaluations, dimension)))
    panels = [panel for panel in panels if panel.chart or panel.table]
    return ScoreSection(stage.name, remark(evaluations), score_table(evaluations), own_warnings(evaluations), panels)


def own_warnings(evaluations: Sequence[Evaluation], names: Sequence[str] | None = None) -> list[str]:
    """Return what evaluations said against their own scores, each with its model's name, or the given one."""
    titles = names or [e.name for e in evaluations]
    return [f"{title}: {text}" for title, e in zip(titles, evaluations, strict=True) for text in e.warnings]


def remark(evaluations: Sequence[Evaluation]) -> str:
    """Say how the scores came about."""
    last = evaluations[-1]
    settings = as_mapping(last.scores.get("settings"))
    parts = [f"{last.count('problems')} problems"]
    if settings.get("samples"):
        parts.append(f"{settings['samples']} samples each at temperature {settings.get('temperature')}")
        if settings.get("top_p", 1.0) != 1.0:
            parts[-1] += f" and top-p {settings['top_p']}"
    elif last.greedy:
        parts.append("one answer each, decoded greedily")
    if settings.get("max_new_tokens"):
        parts.append(f"at most {settings['max_new_tokens']} tokens")
    undecided = [f"{e.count('undecided')} of {e.name}" for e in evaluations if e.count("undecided")]
    if undecided:
        parts.append(f"not decided and left out: {', '.join(undecided)}")
    return "; ".join(parts) + ". Intervals are 95%, over problems."


def metric_columns(evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return the metrics that any of the evaluations has, with their titles; the votes by their k."""
    overall = {name for e in evaluations for name in as_mapping(e.scores.get("overall"))}
    votes = sorted(
        {name for name in overall if re.fullmatch(r"(maj|pass)@\d+", name)} - {"pass@1"},
        key=lambda name: (int(name.partition("@")[2]), name),
    )
    columns: dict[str, str] = {}
    for metric, title in METRICS.items():
        columns |= {name: name for name in votes} if metric == "maj" else {metric: title}
    return {metric: title for metric, title in columns.items() if any(e.interval(metric) for e in evaluations)}


def score_table(evaluations: Sequence[Evaluation], names: Sequence[str] | None = None) -> Table:
    """Set models side by side.

    Args:
        evaluations: one a row.
        names: what the rows are called, by default the models' names.

    Returns:
        The table of all overall metrics.
    """
    columns = metric_columns(evaluations)
    titles = names or [e.name for e in evaluations]
    rows = [
        TableRow(title, "not finished" if e.partial else "", [cell(e.interval(metric), metric) for metric in columns])
        for title, e in zip(titles, evaluations, strict=True)
    ]
    return Table("Scores", ["model", *columns.values()], rows)


def differences(evaluations: Sequence[Evaluation]) -> Table | None:
    """What each step of the chain changed in pass@1, paired over problems."""
    rows = []
    for before, after in pairwise(evaluations):
        compared = paired(before, after)
        if compared is not None:
            note, cells = f"{compared.problems} problems", [difference_cell(compared.difference)]
            rows.append(TableRow(f"{before.name} → {after.name}", note, cells))
    return (
        Table("What each step changed", ["from → to", f"{score_name(evaluations)}, in points"], rows) if rows else None
    )


COMPARED: dict[str, Callable[[Seen], float | None]] = {
    "pass@1": lambda seen: None if seen.right is None else float(seen.right),
    "same language": lambda seen: None if seen.mixed is None else float(not seen.mixed),
    "cut": lambda seen: float(seen.truncated),
}
"""What two evaluations are compared in: a share of the samples each."""


def sampled_alike(a: Evaluation, b: Evaluation) -> bool:
    """Whether two evaluations drew their samples in the same way."""
    asked = ("temperature", "top_p", "max_new_tokens")
    first, second = (as_mapping(e.scores.get("settings")) for e in (a, b))
    return all(first.get(name) == second.get(name) for name in asked)


def paired(a: Evaluation, b: Evaluation, metric: str = "pass@1") -> Paired | None:
    """Compare two evaluations on the problems that both were asked; by greedy decoding where one has nothing else.

    Args:
        a: the one compared with.
        b: the one compared.
        metric: one of `COMPARED`.

    Returns:
        The comparison; ``None`` where no problem with a value is in both, or they were sampled differently.
    """
    if not sampled_alike(a, b):
        return None
    greedy = a.greedy or b.greedy
    return compare_paired(*(each.values(COMPARED[metric], greedy=greedy) for each in (a, b)))


def difference_cell(interval: Interval, *, lower_is_better: bool = False) -> Cell:
    """Write a difference of shares in points; certain ones get a tone."""
    rose, fell = ("bad", "good") if lower_is_better else ("good", "bad")
    tone = rose if interval.low > 0 else fell if interval.high < 0 else ""
    return Cell(signed_points(interval.mean), span(*interval[1:], write=signed_points, between=" to "), tone)


def signed_points(difference: float) -> str:
    """Write a difference of shares in points, with a typographic minus: ``−0.4``."""
    return points(difference).replace("-", "−")


def group_table(evaluations: Sequence[Evaluation], dimension: str) -> Table | None:
    """pass@1 of every group and model, the category that is hardest for the last model marked."""
    counts = evaluations[-1].groups(dimension)
    if len(counts) < 2:
        return None
    metric = leading_metric(evaluations)
    means = {
        name: interval.mean
        for name in counts
        if (interval := evaluations[-1].interval(metric, dimension, name)) is not None
    }
    hardest = min(means, key=lambda name: means[name]) if means else None
    rows = []
    for name, count in counts.items():
        note = f"{count} problems" + (", hardest" if name == hardest and dimension == "category" else "")
        rows.append(TableRow(name, note, [cell(e.interval(metric, dimension, name), metric) for e in evaluations]))
    label = DIMENSIONS[dimension]
    return Table(f"{score_name(evaluations)} by {label}", [label, *(e.name for e in evaluations)], rows)


def interval_chart(evaluations: Sequence[Evaluation], dimension: str, id_: str) -> Chart | None:
    """A dot with its interval for every model: over the metrics, or over the groups of a dimension."""
    metric = leading_metric(evaluations)
    if dimension == "overall":
        columns = metric_columns(evaluations)
        shown = [name for name in columns if name not in ("mean_length", "right_in_language", "truncation_rate")][:7]
        labels = [columns[name] for name in shown]
        intervals = [[e.interval(name) for name in shown] for e in evaluations]
        title = "The models beside one another"
    else:
        counts = evaluations[-1].groups(dimension)
        if not 2 <= len(counts) <= 12:
            return None
        labels = list(counts)
        intervals = [[e.interval(metric, dimension, name) for name in counts] for e in evaluations]
        title = f"{score_name(evaluations)} by {DIMENSIONS[dimension]}"
    if not any(interval for row in intervals for interval in row):
        return None
    series = [_dots(e.name, row) for e, row in zip(evaluations, intervals, strict=True)]
    return Chart(id_, title, [float(i) for i in range(len(labels))], series, "share", "intervals", labels)


def _dots(name: str, intervals: Sequence[Interval | None]) -> Series:
    def ends(pick: int) -> list[float | None]:
        return [None if i is None else round(min(max(i[pick], 0.0), 1.0), 6) for i in intervals]

    return Series(name, ends(0), low=ends(1), high=ends(2))


def leading_metric(evaluations: Sequence[Evaluation]) -> str:
    """pass@1 of samples; of greedy decoding where nothing was sampled."""
    return "pass@1" if any(e.interval("pass@1") for e in evaluations) else "greedy_pass@1"


def score_name(evaluations: Sequence[Evaluation]) -> str:
    """What the leading metric is called where it stands alone."""
    return leading_metric(evaluations).replace("_", " ")


def claimed_score(evaluations: Sequence[Evaluation]) -> str:
    """Name the score, and that its problems were held out where every evaluation was compared and that is true."""
    held_out = bool(evaluations) and all(is_held_out(each.scores) for each in evaluations)
    return f"{'held-out ' if held_out else ''}{score_name(evaluations)}"


def cell(interval: Interval | None, metric: str) -> Cell:
    """Write a figure with its interval."""
    if interval is None:
        return Cell()
    if metric == "mean_length":
        return Cell(f"{interval.mean:.1f}", span(*interval[1:], write="{:.0f}".format))
    return Cell(f"{percent(interval.mean)}%", span(*interval[1:]))


def headline(run: Run) -> list[tuple[str, Interval]]:
    """Return each model's pass@1 by the last evaluating stage, with the models' names."""
    evaluated = run.evaluated.evaluations if run.evaluated else []
    metric = leading_metric(evaluated) if evaluated else ""
    return [(e.name, interval) for e in evaluated if (interval := e.interval(metric)) is not None]


def confusion_grid(model: str, confusion: Record) -> Grid | None:
    """Arrange a confusion matrix of languages.

    Args:
        model: whose completions.
        confusion: for each asked language how often each was found.

    Returns:
        A grid in shares of the row; ``None`` where there is nothing in it.
    """
    counts = {asked: {str(f): int(n) for f, n in as_mapping(row).items() if n} for asked, row in confusion.items()}
    counts = {asked: row for asked, row in counts.items() if row}
    if not counts:
        return None
    found = {name for row in counts.values() for name in row}
    special = [name for name in ("mixed", "undecided", "malformed") if name in found]
    columns = [*sorted(counts), *sorted(found - set(counts) - set(special)), *special]
    rows = []
    for asked in sorted(counts):
        total = sum(counts[asked].values())
        shares = [counts[asked].get(column, 0) / total for column in columns]
        tones = ["kept" if column == asked else "lost" for column in columns]
        cells = [
            GridCell(f"{100 * s:.0f}" if s else "", min(9, math.ceil(9 * s)), tone)
            for s, tone in zip(shares, tones, strict=True)
        ]
        rows.append(GridRow(asked, cells))
    samples = sum(sum(row.values()) for row in counts.values())
    return Grid(model, columns, rows, f"{samples} completions, in percent of each row")
