"""`magistral-recipe report`: write a run's page again, serve it while the run goes on, or set runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magistral_recipe.errors import DataError
from magistral_recipe.terminal.console import told_errors
from magistral_recipe.terminal.shown import say


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="report")(report)


def report(
    run_folders: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="A run folder, such as runs/quickstart; several to compare.")
    ],
    watch: Annotated[bool, typer.Option("--watch", help="Serve the page on this machine; it keeps up.")] = False,
    port: Annotated[int, typer.Option(help="With --watch: the port; 0 takes a free one.", min=0, max=65_535)] = 0,
    output: Annotated[Path | None, typer.Option(help="Of a comparison: the page to write.", show_default=False)] = None,
) -> None:
    """Write a run's report again: one self-contained HTML page, `report.md` and `metrics.json`.

    With several runs: a page that sets them side by side, with differences paired over problems.
    """
    with told_errors():
        if len(run_folders) > 1:
            if watch:
                raise DataError("--watch follows one run; leave it out to compare several")
            from magistral_recipe.report.side_by_side import build_comparison

            say(build_comparison(run_folders, output))
        elif output is not None:
            raise DataError("--output is for comparisons; a single run's report is written into its folder")
        elif watch:
            from magistral_recipe.report.live import serve

            serve(run_folders[0], port, announce=say)
        else:
            from magistral_recipe.report.build import build_report

            say(build_report(run_folders[0]))
