"""`magistral-recipe check`: every mistake of a recipe, the wiring proof and the plan, before anything is loaded."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from magistral_recipe.commands.recipe_arguments import MoreOverrides, Overrides, RecipeFile, TrustRemoteCode
from magistral_recipe.errors import DataError, RecipeError
from magistral_recipe.foreign import naming_only
from magistral_recipe.terminal.console import quieten_libraries, told_errors
from magistral_recipe.terminal.screen import Screen
from magistral_recipe.terminal.shown import say


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="check")(check)


DeviceName = Annotated[
    str | None,
    typer.Option("--device", metavar="CARD", help="Plan for another card: rtx4090, a100-40, h100, 24GiB, …"),
]
Probe = Annotated[bool, typer.Option("--probe", help="Sample the model on RL's problems, and time a few passes here.")]


def check(
    recipe: RecipeFile,
    more: MoreOverrides = None,
    overrides: Overrides = None,
    device: DeviceName = None,
    probe: Probe = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Leave the hub out by intent; what is in its cache is looked at.")
    ] = False,
    no_code: Annotated[bool, typer.Option("--no-code", help="Import and call nothing that the recipe names.")] = False,
    trust_remote_code: TrustRemoteCode = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON document and nothing else (docs/check.md).")
    ] = False,
) -> None:
    """Find every mistake in a recipe, prove its wiring on the real tokenizer, and print the plan and what it takes.

    Exit codes: 0 all is proven; 2 mistakes; 3 something could not be looked at (the hub, a gated set, a package).
    """
    from magistral_recipe.check.outcome import Outcome
    from magistral_recipe.check.plan import check_recipe, load_telling_all

    with told_errors(), naming_only(no_code):
        quieten_libraries()
        try:
            loaded = load_telling_all(recipe, [*(overrides or []), *(more or [])])
            outcome = check_recipe(
                loaded,
                Screen(quiet=as_json),
                device,
                offline=offline,
                probe=probe,
                trust_remote_code=trust_remote_code and not no_code,
            )
        except (RecipeError, DataError) as error:
            outcome = Outcome(str(recipe), mistakes=error.problems)
        if as_json:
            say(json.dumps(outcome.as_dict(), indent=1))
        else:
            for line in outcome.mistakes:
                say(line, error=True, colour="red")
        raise typer.Exit(outcome.exit_code)
