"""`magistral-recipe compare`: what one run does better than another, and how sure that is."""

from __future__ import annotations

import re
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from magistral_recipe.errors import DataError
from magistral_recipe.terminal.console import told_errors
from magistral_recipe.writing.figures import percent, points, with_interval

if TYPE_CHECKING:
    from magistral_recipe.evaluation.comparison import Comparison
    from magistral_recipe.terminal.screen import Screen

_MOST_GROUPS = 40
_OURS = re.compile(r'\[\s*(\]|\{\s*"name": .*\s*"metric": )')
"""How a file begins that `--output` has written."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="compare")(compare)


def compare(
    run_a: Annotated[Path, typer.Argument(help="A result file, a folder of `evaluate`, or a run folder.")],
    run_b: Annotated[Path, typer.Argument(help="The one to compare with it.")],
    metric: Annotated[
        str, typer.Option(help="pass@1, format_rate, language_fidelity, right_in_language or truncation_rate.")
    ] = "pass@1",
    show: Annotated[int, typer.Option(min=0, help="Problems to show that differ most.")] = 10,
    output: Annotated[Path | None, typer.Option(help="Write everything to this JSON file too.")] = None,
) -> None:
    """Compare two runs on the problems that both have: B minus A, with 95% intervals for the difference."""
    from magistral_recipe.evaluation.comparison import compare_runs
    from magistral_recipe.files import require_replaceable, write_json
    from magistral_recipe.terminal.screen import Screen

    with told_errors():
        if output is not None and not output.resolve().parent.is_dir():
            raise DataError(f"--output {output}: no such folder {output.resolve().parent}")
        if output is not None and output.is_dir():
            raise DataError(f"--output {output}: is a folder; expected the name of a JSON file")
        if output is not None:
            require_replaceable(output, lambda begin: bool(_OURS.match(begin)))
        comparisons = compare_runs(run_a, run_b, metric)
        console = Screen()
        console.print(f"A: {run_a}\nB: {run_b}", soft_wrap=True)
        for comparison in comparisons:
            _print(console, comparison, show)
        if output is not None:
            write_json(output, [_plain(each) for each in comparisons])
            console.print(f"all of it: {output}", soft_wrap=True)


def _plain(comparison: Comparison) -> dict[str, object]:
    differences = [
        {"group": group, **paired._asdict(), "difference": paired.difference._asdict()}
        for group, paired in comparison.differences.items()
    ]
    return {**asdict(comparison), "differences": differences}


def _print(console: Screen, comparison: Comparison, show: int) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from magistral_recipe.terminal.screen import plain

    greedy = "greedy " if comparison.greedy else ""
    table = Table(box=SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    table.title = plain(f"{comparison.name}: {greedy}{comparison.metric} in percent")
    for heading in ("", "problems", "A", "B", "B - A"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    table.columns[4].min_width = 22  # an interval is never cut
    for group, paired in islice(comparison.differences.items(), _MOST_GROUPS):
        cell = Text(with_interval(*paired.difference, write=points), style="bold" if paired.told else "")
        table.add_row(plain(group), str(paired.problems), percent(paired.a), percent(paired.b), cell)
    console.print(table)
    overall = comparison.differences["all"]
    better = "B" if overall.difference.mean > 0 else "A"
    if overall.told:
        verdict = f"{better} has more"
    else:
        verdict = "the two can't be told apart: the interval of the difference holds 0"
    console.print(f"{verdict} (95% interval over {overall.problems:,} problems, paired)", soft_wrap=True)
    for count, of in ((comparison.only_a, "A"), (comparison.only_b, "B")):
        if count:
            console.print(f"left out: {count:,} problems that only {of} has", soft_wrap=True)
    for name in comparison.unfinished:
        text = f"warning: {name} is partial, its evaluation was interrupted and hasn't gone on yet"
        console.print(Text(text, style="yellow"), soft_wrap=True)
    if comparison.graders is not None:
        a, b = comparison.graders
        text = (
            f"warning: graded by different rules, version {a} and {b}: part of the difference may be the grader's; "
            "`magistral-recipe evaluate --rescore FOLDER` grades either by today's"
        )
        console.print(Text(text, style="yellow"), soft_wrap=True)
    for line in comparison.settings:
        console.print(Text(f"warning: drawn differently, {line}", style="yellow"), soft_wrap=True)
    if comparison.problems and show:
        shown = comparison.problems[:show]
        console.print(f"they differ on {len(comparison.problems):,} problems, most on:")
        for problem in shown:
            shares = f"{percent(problem.a):>5} -> {percent(problem.b):>5}"
            question = " ".join(problem.question.split())
            console.print(f"  {shares}  {problem.problem}: {question}", no_wrap=True, overflow="ellipsis")
