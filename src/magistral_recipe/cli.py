"""The program: it names the commands, which live in `commands/`. `magistral-recipe --help` teaches them."""

from __future__ import annotations

from typing import Annotated

import typer

from magistral_recipe import __version__
from magistral_recipe.commands import chat, check, compare, doctor, evaluate, init, keys, recipes, report, rewards, run
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

for command in (
    run,
    check,
    init,
    recipes,
    keys,
    evaluate,
    compare,
    report,
    rewards,
    doctor,
    chat,
):  # each is light to import
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


TRAINING_PACKAGES = frozenset(
    {
        *("torch", "transformers", "trl", "peft", "accelerate", "datasets", "evaluate", "bitsandbytes"),
        *("jinja2", "numpy", "filelock", "huggingface_hub", "xxhash", "datasketch"),
    }
)
"""What `pip install magistral-recipe` leaves to its extra `train`, by the names that are imported."""


def main() -> None:
    """The console script: runs a command; one that needs what is not installed says so in a line.

    It ends by `leave`: a thread that a reward left behind when the wiring was proven must not keep it.
    """
    log_visibly()
    code: object = 0
    try:
        app()
    except SystemExit as error:
        code = error.code
    except Exception as error:  # noqa: BLE001 - nobody expected it: its text may be anybody's
        code = 1
        if missing := _left_out(error):
            remedy = "pip install 'magistral-recipe[train]'"
            say(f"error: this command needs {missing}, which is not installed: {remedy}", error=True, colour="red")
        else:
            write_traceback(error)
    if isinstance(code, str):
        say(code, error=True)
    leave(code if isinstance(code, int) else int(code is not None))


def _left_out(error: BaseException) -> str | None:
    """The package of the extra for training whose absence an error is about."""
    name = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    return name if name in TRAINING_PACKAGES else None
