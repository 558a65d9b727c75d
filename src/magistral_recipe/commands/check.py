"""`magistral-recipe check`: every mistake of a recipe, the wiring proof and the plan, before anything is loaded."""

from __future__ import annotations

from typing import Annotated

import typer

from magistral_recipe.commands.recipe_arguments import MoreOverrides, Overrides, RecipeFile
from magistral_recipe.terminal.console import quieten_libraries, told_errors


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="check")(check)


DeviceName = Annotated[
    str | None,
    typer.Option("--device", metavar="CARD", help="Plan for another card: rtx4090, a100-40, h100, 24GiB, …"),
]
Probe = Annotated[bool, typer.Option("--probe", help="Time a few passes here, for the plan's hours.")]


def check(
    recipe: RecipeFile,
    more: MoreOverrides = None,
    overrides: Overrides = None,
    device: DeviceName = None,
    probe: Probe = False,
) -> None:
    """Find every mistake in a recipe, prove its wiring on the real tokenizer, and print the plan."""
    from magistral_recipe.check.plan import check_recipe, load_telling_all

    with told_errors():
        quieten_libraries()
        check_recipe(load_telling_all(recipe, [*(overrides or []), *(more or [])]), device=device, probe=probe)
