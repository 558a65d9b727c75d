"""`magistral-recipe check`: every mistake of a recipe, the wiring proof and the plan, before anything is loaded."""

from __future__ import annotations

from typing import Annotated

import typer

from magistral_recipe.commands.recipe_arguments import MoreOverrides, Overrides, RecipeFile, TrustRemoteCode
from magistral_recipe.foreign import naming_only
from magistral_recipe.terminal.console import quieten_libraries, told_errors


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="check")(check)


def check(
    recipe: RecipeFile,
    more: MoreOverrides = None,
    overrides: Overrides = None,
    no_code: Annotated[bool, typer.Option("--no-code", help="Import and call nothing that the recipe names.")] = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Find every mistake in a recipe, prove its wiring on the real tokenizer, and print the plan."""
    from magistral_recipe.check.plan import check_recipe, load_telling_all

    with told_errors(), naming_only(no_code):
        quieten_libraries()
        loaded = load_telling_all(recipe, [*(overrides or []), *(more or [])])
        check_recipe(loaded, trust_remote_code=trust_remote_code and not no_code)
