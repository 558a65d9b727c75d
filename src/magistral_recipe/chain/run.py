"""Running a recipe: the stages in order, each skipped, resumed or started, and the manifest kept.

Two ways, one code path. `magistral-recipe run` starts every stage through Accelerate's launcher in processes of
its own. `accelerate launch -m magistral_recipe run` runs the chain inside the processes it was given: rank 0
decides and writes, the others follow what it wrote down; the runner itself holds no Accelerator.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magistral_recipe import layout
from magistral_recipe.chain.launch import launch_command, run_launched
from magistral_recipe.chain.manifest import code_version, write_manifest
from magistral_recipe.chain.ranks import announce, follow, give_memory_back
from magistral_recipe.chain.run_folder import RunFolder, StagePlan
from magistral_recipe.chain.stage_process import failure_message, run_stage
from magistral_recipe.errors import MagistralRecipeError, RecipeError, RunError, UserError
from magistral_recipe.files import read_json, write_atomically
from magistral_recipe.machine import World
from magistral_recipe.recipe.document import to_yaml
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.terminal.progress import Display

Execute = Callable[[StagePlan], dict[str, Any]]


@dataclass(frozen=True)
class RunOptions:
    """How to run a recipe.

    Attributes:
        output: the run folder; by default ``runs/NAME``.
        fresh: forget what an earlier run left there.
        prove: check trainer sections and the wiring before anything is trained.
    """

    output: Path | None = None
    fresh: bool = False
    prove: bool = True


def run_recipe(loaded: LoadedRecipe, options: RunOptions, display: Display | None = None) -> Path:
    """Run a recipe to its end, from wherever an earlier run of it stopped.

    Args:
        loaded: the recipe.
        options: where and how.
        display: shows progress; by default made for the terminal at hand.

    Returns:
        The run folder.

    Raises:
        UserError: a mistake in the recipe or its data.
        RunError: a stage failed.
    """
    world = World.from_environment()
    path = options.output or Path("runs") / loaded.recipe.name
    folder = RunFolder(path, loaded)
    if world.launched:
        refuse_other_launches(loaded, world)
    if world.rank > 0:
        follow(path, loaded)
        return path
    display = display or Display(len(loaded.recipe.stages))
    with folder.locked():
        plans = _prepare_run(folder, options, display)
        announce(path, world, plans)
        execute = _inside(folder, world, display) if world.launched else _launching(folder, display)
        try:
            for plan in plans:
                _run_one(folder, plan, execute, display)
        except BaseException:
            with contextlib.suppress(OSError):
                write_manifest(folder, plans)
            raise
        write_manifest(folder, plans)
        _report(path, display)
    return path


def refuse_other_launches(loaded: LoadedRecipe, world: World) -> None:
    """Refuse to run a chain in processes that its stages did not ask for.

    Raises:
        RecipeError: with the command that works.
    """
    wanted = {stage.name: loaded.recipe.launch_of(stage) for stage in loaded.recipe.stages}
    counts = {name: launch.num_processes for name, launch in wanted.items()}
    recipe = loaded.document.file
    if len({launch.model_dump_json() for launch in wanted.values()}) > 1:
        each = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise RecipeError(
            f"{recipe}: its stages want different launches (processes: {each}); "
            f"run each in its own with: magistral-recipe run {recipe}"
        )
    count = next(iter(counts.values()))
    if count != world.size:
        flag = "--multi_gpu " if count > 1 else ""
        raise RecipeError(
            f"{recipe}: the recipe asks for {count} process{'es' if count > 1 else ''}, the launcher started "
            f"{world.size}; run it with: accelerate launch {flag}--num_processes {count} "
            f"-m magistral_recipe run {recipe}   (or: magistral-recipe run {recipe})"
        )


# --------------------------------------------------------------------------------------------- the chain


def _prepare_run(folder: RunFolder, options: RunOptions, display: Display) -> list[StagePlan]:
    from magistral_recipe.check.plan import prove_recipe

    if options.fresh:
        folder.start_afresh()
    plans = folder.stage_plans()
    if options.prove and any(plan.decision != "skip" and plan.stage.makes_model for plan in plans):
        prove_recipe(folder.loaded, display.console)
    document = folder.loaded.document
    header = f"# The resolved recipe of this run, from {document.file.name}; relative paths start at its folder.\n"
    write_atomically(folder.path / layout.RECIPE, header + to_yaml(document.data))
    _warn_of_changed_code(plans, display)
    write_manifest(folder, plans)
    return plans


def _run_one(folder: RunFolder, plan: StagePlan, execute: Execute, display: Display) -> None:
    name = plan.stage.name
    if plan.decision == "skip":
        display.stage_skipped(plan.index, name)
        return
    how = {
        "start": "starting",
        "resume": "resuming where it stopped",
        "restart": "its config or inputs changed: starting anew, the old output is kept in replaced/",
    }[plan.decision]
    folder.prepare(plan)
    display.stage_started(plan.index, name, how)
    started = time.monotonic()
    try:
        results = execute(plan)
    except BaseException as error:
        display.failed()
        with contextlib.suppress(OSError):  # on a full disk the reason matters more than the time
            folder.add_seconds(plan, time.monotonic() - started)
        if isinstance(error, UserError):
            raise
        if isinstance(error, MagistralRecipeError):
            raise RunError(f"stage '{name}' failed: {error}") from error
        raise
    folder.complete(plan, results, time.monotonic() - started, code_version())
    display.stage_finished(str(results.get("summary", "done")))


def _launching(folder: RunFolder, display: Display) -> Execute:
    """Each stage in processes of its own."""

    def execute(plan: StagePlan) -> dict[str, Any]:
        loaded = folder.loaded
        launch = loaded.recipe.started_as(plan.stage)
        words = ["stage", str(folder.path.resolve()), str(plan.index), "--recipe-folder", str(loaded.folder)]
        return run_launched(launch_command(launch, loaded.folder, words), plan.folder / layout.LOG, display.event)

    return execute


def _inside(folder: RunFolder, world: World, display: Display) -> Execute:
    """Each stage in this process and its siblings."""

    def execute(plan: StagePlan) -> dict[str, Any]:
        try:
            return run_stage(folder.loaded, folder.path, plan.index, display.event)
        except OSError as error:
            raise RunError(failure_message(error, folder.path)) from error
        finally:
            give_memory_back()

    return execute


# ---------------------------------------------------------------------------------------------- the end


def _warn_of_changed_code(plans: list[StagePlan], display: Display) -> None:
    now = code_version()
    changed = [
        plan.stage.name
        for plan in plans
        if plan.decision == "skip" and (read_json(plan.record) or {}).get("code") not in (None, now)
    ]
    if changed:
        names = ", ".join(changed)
        display.event(
            {
                "type": "warning",
                "text": f"this package's code changed since these stages ran, kept as they are: {names}",
            }
        )


def _report(path: Path, display: Display) -> None:
    from magistral_recipe.report.build import build_report
    from magistral_recipe.terminal.score_table import score_table

    table = score_table(path)
    if table is not None:
        display.console.print(table)
    report = build_report(path)
    display.line(f"report: {report}")
