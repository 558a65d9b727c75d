"""The arguments of commands that take a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magistral_recipe.errors import DataError

RecipeFile = Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key: --set grpo.trainer.learning_rate=2e-6"),
]
MoreOverrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="More keys to change, after --set.", show_default=False),
]


def output_folder(text: str) -> Path:
    """A folder to write to; an empty one is the working folder to Python, and a mistake of whoever typed it."""
    if not text.strip():
        raise typer.BadParameter("names no folder; for the working folder give .")
    return Path(text)


def named_columns(text: str) -> dict[str, str]:
    """Read FIELD=COLUMN,FIELD=COLUMN.

    Raises:
        DataError: for anything else.
    """
    pairs = [pair.partition("=") for pair in text.split(",")]
    if wrong := [name for name, sign, column in pairs if not (name.strip() and sign and column.strip())]:
        raise DataError(f"--columns {text}: expected FIELD=COLUMN, commas between; look at {wrong[0]!r}")
    return {name.strip(): column.strip() for name, _, column in pairs}


TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with the model: your word, not its own.")
]
