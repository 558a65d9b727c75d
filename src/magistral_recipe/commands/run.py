"""`magistral-recipe run`: a recipe to its end; and, hidden, the one stage that it starts through the launcher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from magistral_recipe.commands.recipe_arguments import MoreOverrides, Overrides, RecipeFile, output_folder
from magistral_recipe.terminal.console import quieten_libraries, told_errors


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command(name="run")(run)
    app.command(name="stage", hidden=True)(stage)


def run(
    recipe: RecipeFile,
    more: MoreOverrides = None,
    overrides: Overrides = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="The run folder; by default runs/NAME.", show_default=False, parser=output_folder, metavar="FOLDER"
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what an earlier run left in the folder.")] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Start half-done stages anew where what they read has changed.")
    ] = False,
) -> None:
    """Run a recipe, every stage in processes of its own, and write a report.

    A recipe can name code (rewards, a model's own), and running it runs that code: read it first, or let
    `check --no-code` look at it.

    Run it again after a crash: complete stages are skipped, a half-done one goes on from its checkpoint. Under
    `accelerate launch -m magistral_recipe run RECIPE` the chain runs in the processes that Accelerate started.
    """
    from magistral_recipe.chain.run import RunOptions, run_recipe
    from magistral_recipe.check.plan import load_telling_all

    with told_errors():
        quieten_libraries()
        run_recipe(load_telling_all(recipe, [*(overrides or []), *(more or [])]), RunOptions(output, fresh, restart))


def stage(run_folder: Path, index: int, recipe_folder: Annotated[Path, typer.Option()]) -> None:
    """Run one stage; `run` starts this through Accelerate's launcher."""
    from magistral_recipe.chain.launch import die_with_parent
    from magistral_recipe.chain.stage_process import stage_process
    from magistral_recipe.foreign import leave

    die_with_parent()
    leave(stage_process(run_folder, index, recipe_folder))
