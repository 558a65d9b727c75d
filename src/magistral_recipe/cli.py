"""The program: it names the commands, which live in `commands/`. `magistral-recipe --help` teaches them."""

from __future__ import annotations

from typing import Annotated

import typer

from magistral_recipe import __version__
from magistral_recipe.commands import chat, check, compare, doctor, evaluate, keys, recipes, report, rewards, run
from magistral_recipe.foreign import leave
from magistral_recipe.terminal.shown import log_visibly, say, write_traceback

app = typer.Typer(
    name="magistral-recipe",
    help="Turn a base model into a Magistral-style reasoning model: SFT, then RL, from one YAML recipe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

for command in (run, check, recipes, keys, evaluate, compare, report, rewards, doctor, chat):  # each is light to import
    command.register(app)


def _version(value: bool) -> None:
    if value:
        say(f"magistral-recipe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """The console script.

    It ends by `leave`: a thread that a reward left behind when the wiring was proven must not keep it.
    """
    log_visibly()
    code: object = 0
    try:
        app()
    except SystemExit as error:
        code = error.code
    except Exception as error:  # noqa: BLE001 - nobody expected it: its text may be anybody's
        write_traceback(error)
        code = 1
    if isinstance(code, str):
        say(code, error=True)
    leave(code if isinstance(code, int) else int(code is not None))
