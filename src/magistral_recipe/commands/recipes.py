"""`magistral-recipe recipes`: the recipes that come with the package, and a copy of one to work with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magistral_recipe.terminal.console import told_errors
from magistral_recipe.terminal.shown import say

_recipes = typer.Typer(name="recipes", rich_markup_mode="rich", invoke_without_command=True, add_completion=False)


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.add_typer(_recipes)


@_recipes.callback()
def recipes(context: typer.Context) -> None:
    """List the recipes that come with the package: for which card, how much memory, how long. `copy` takes one."""
    if context.invoked_subcommand is None:
        _list()


@_recipes.command()
def copy(
    name: Annotated[str, typer.Argument(help="A recipe's name, as `magistral-recipe recipes` lists it.")],
    to: Annotated[Path, typer.Argument(help="A folder, or the new file's name.")] = Path(),
) -> None:
    """Put a copy of a ready recipe where you are, with the data files it names; no file is overwritten."""
    from magistral_recipe.recipe.ready import copy_ready

    with told_errors():
        written = copy_ready(name, to)
        for file in written:
            say(f"wrote {file}")
        say(f"next:  magistral-recipe check {written[0]}")
        say(f"       magistral-recipe run {written[0]}")


def _list() -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from magistral_recipe.recipe.ready import ready_recipes
    from magistral_recipe.terminal.screen import Screen

    table = Table(box=box.SIMPLE, show_header=False, show_edge=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for recipe in ready_recipes():
        needs = [recipe.facts[heading] for heading in ("Card", "Memory", "Hours") if heading in recipe.facts]
        table.add_row(Text(recipe.name, style="bold"), Text(recipe.description))
        table.add_row("", Text("; ".join(needs), style="dim"))
    console = Screen()
    console.print(table)
    console.print("`magistral-recipe recipes copy NAME` puts one where you are.")
