"""`magistral-recipe init`: a recipe for your own file, model and card, to be read and changed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from magistral_recipe.commands.recipe_arguments import named_columns
from magistral_recipe.errors import DataError
from magistral_recipe.terminal.console import quieten_libraries, told_errors
from magistral_recipe.terminal.shown import say


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="init")(init)


def init(
    file: Annotated[Path | None, typer.Argument(help="The same as --data.", show_default=False)] = None,
    data: Annotated[
        Path | None, typer.Option(help="Your problems (or traces): JSONL, JSON, CSV, Parquet or a folder of them.")
    ] = None,
    traces: Annotated[Path | None, typer.Option(help="Your reasoning traces, for SFT before RL.")] = None,
    test: Annotated[
        Path | None, typer.Option(help="Your problems to be tested by; else a fifth of the data is held out.")
    ] = None,
    columns: Annotated[
        str | None, typer.Option(help="Where the data's fields stand, as problem=question,answer=meta.gold.")
    ] = None,
    model: Annotated[str, typer.Option(help="A hub id, a folder, an adapter's folder, or tiny (embedded).")] = "tiny",
    card: Annotated[str | None, typer.Option(help="Draft for another card: rtx4090, h100, 24GiB, …")] = None,
    output: Annotated[Path, typer.Option(help="The new recipe.")] = Path("recipe.yaml"),
) -> None:
    """Look at a file and a model, and write a commented recipe for them that `check` takes."""
    from magistral_recipe.check.draft import draft_recipe
    from magistral_recipe.check.plan import load_telling_all

    with told_errors():
        quieten_libraries()
        if output.exists():
            raise DataError(f"{output}: is there already; give --output another name")
        named = None if columns is None else named_columns(columns)
        name = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in output.stem).strip("._-")
        if file is not None and data is not None:
            raise DataError(f"{file} and --data {data}: give one")
        draft = draft_recipe(file or data, model, card, output.absolute().parent, traces, name or "mine", named, test)
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(draft.text, encoding="utf-8")
        for note in draft.notes:
            say(note)
        say(f"wrote {output}")
        load_telling_all(output, [])
        device, quoted = f" --device {card}" if card else "", shlex.quote(str(output))
        say(f"next:  magistral-recipe check {quoted}{device}")
        say(f"       magistral-recipe run {quoted}")
