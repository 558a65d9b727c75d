"""The commands. `magistral-recipe --help` teaches them; each one is a thin skin over a function elsewhere."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from magistral_recipe import __version__
from magistral_recipe.terminal.console import quieten_libraries, told_errors

app = typer.Typer(
    name="magistral-recipe",
    help="Turn a base model into a Magistral-style reasoning model: SFT, then RL, from one YAML recipe.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

RecipeFile = Annotated[Path, typer.Argument(help="The recipe, a YAML file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key: --set grpo.trainer.learning_rate=2e-6"),
]
MoreOverrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="More keys to change, after --set.", show_default=False),
]


@app.command()
def run(
    recipe: RecipeFile,
    more: MoreOverrides = None,
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option(help="The run folder; by default runs/NAME.", show_default=False)
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier run left in the folder.")] = False,
) -> None:
    """Run a recipe, every stage in processes of its own, and write a report.

    Run it again after a crash: complete stages are skipped, a half-done one goes on from its checkpoint. Under
    `accelerate launch -m magistral_recipe run RECIPE` the chain runs in the processes that Accelerate started.
    """
    from magistral_recipe.chain.run import RunOptions, run_recipe
    from magistral_recipe.check.plan import load_telling_all

    with told_errors():
        quieten_libraries()
        run_recipe(load_telling_all(recipe, [*(overrides or []), *(more or [])]), RunOptions(output, fresh))


@app.command()
def check(recipe: RecipeFile, more: MoreOverrides = None, overrides: Overrides = None) -> None:
    """Find every mistake in a recipe, prove its wiring on the real tokenizer, and print the plan."""
    from magistral_recipe.check.plan import check_recipe, load_telling_all

    with told_errors():
        quieten_libraries()
        check_recipe(load_telling_all(recipe, [*(overrides or []), *(more or [])]))


@app.command(hidden=True)
def stage(run_folder: Path, index: int, recipe_folder: Annotated[Path, typer.Option()]) -> None:
    """Run one stage; `run` starts this through Accelerate's launcher."""
    from magistral_recipe.chain.launch import die_with_parent
    from magistral_recipe.chain.run import stage_process

    die_with_parent()
    # Not through `typer.Exit`: a stage that is done must not wait for threads of libraries that never end.
    code = stage_process(run_folder, index, recipe_folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code) if code else sys.exit(0)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"magistral-recipe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Options of the program itself."""


def main() -> None:
    """The console script."""
    app()


def _mount() -> None:
    """Add the commands that live beside their logic; each module is light to import."""
    from magistral_recipe.commands import (
        chat as chat_command,
    )
    from magistral_recipe.commands import (
        compare as compare_command,
    )
    from magistral_recipe.commands import (
        doctor,
    )
    from magistral_recipe.commands import (
        evaluate as evaluate_command,
    )
    from magistral_recipe.commands import (
        report as report_command,
    )
    from magistral_recipe.commands import (
        rewards as rewards_command,
    )

    for module in (evaluate_command, compare_command, report_command, rewards_command, doctor, chat_command):
        module.register(app)


_mount()
