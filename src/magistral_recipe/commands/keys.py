"""`magistral-recipe keys`: every key that a recipe may have, to be searched."""

from __future__ import annotations

import json
from itertools import chain
from typing import Annotated

import typer

from magistral_recipe.terminal.console import quieten_libraries, told_errors
from magistral_recipe.terminal.shown import say


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="keys")(keys)


def keys(
    word: Annotated[str, typer.Argument(help="Show the keys whose name or meaning has this word.")] = "",
    page: Annotated[bool, typer.Option("--page", help="Print docs/keys.md.")] = False,
    json_schema: Annotated[bool, typer.Option("--json-schema", help="Print a JSON Schema for editors.")] = False,
) -> None:
    """Show every key of a recipe with its type, its default and what it means."""
    from magistral_recipe.check.keys import all_keys, keys_page, recipe_schema, trainer_keys

    with told_errors():
        quieten_libraries()
        if page:
            say(keys_page(), newline=False)
        elif json_schema:
            say(json.dumps(recipe_schema(), indent=1, ensure_ascii=False))
        else:
            there = chain(all_keys(), trainer_keys() if word else ())
            found = [key for key in there if word.lower() in f"{key.path} {key.meaning}".lower()]
            for key in found:
                say(key.path, bold=True, newline=False)
                say(f"  {key.type}, {f'default {key.default}' if key.default else 'required'}")
                if key.meaning:
                    say(f"    {key.meaning}")
            if not found:
                say(f"no key has '{word}' in its name or meaning", error=True)
                raise typer.Exit(2)
