"""Running a recipe: the stages in order, each skipped, resumed or started, and the manifest kept.

Two ways, one code path. `magistral-recipe run` starts every stage through Accelerate's launcher in processes of
its own. `accelerate launch -m magistral_recipe run` runs the chain inside the processes it was given: rank 0
decides and writes, the others follow what it wrote down; the runner itself holds no Accelerator.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magistral_recipe.chain.launch import launch_command, run_launched, send_event
from magistral_recipe.chain.manifest import code_version, write_manifest
from magistral_recipe.chain.run_folder import RunFolder, StagePlan
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import FULL, MagistralRecipeError, RecipeError, RunError, UserError
from magistral_recipe.files import read_json, write_atomically, write_json
from magistral_recipe.machine import World
from magistral_recipe.recipe.document import to_yaml
from magistral_recipe.recipe.sections import BASE, LoadedRecipe, StageContext
from magistral_recipe.terminal.progress import Display

Execute = Callable[[StagePlan], dict[str, Any]]

FULL_BELOW = 2**20
"""Free bytes below which a disk counts as full when something has failed."""


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
        _follow(folder, world)
        return path
    display = display or Display(len(loaded.recipe.stages))
    with folder.locked():
        plans = _prepare_run(folder, options, display)
        _announce(path, world, plans)
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


def run_stage(loaded: LoadedRecipe, run: Path, index: int, emit: Callable[[Mapping[str, Any]], None]) -> dict[str, Any]:
    """Run one stage in this process (and its siblings, if it has any).

    Args:
        loaded: the recipe.
        run: the run folder.
        index: the stage's place in the chain, from 0.
        emit: takes progress events.

    Returns:
        The stage's results.
    """
    plans = RunFolder(run, loaded).stage_plans()
    plan = plans[index]
    models: dict[str, Path | None] = {BASE: None}
    results: dict[str, Mapping[str, Any]] = {}
    for earlier in plans[:index]:
        if earlier.stage.makes_model:
            models[earlier.stage.name] = earlier.folder / "model"
        results[earlier.stage.name] = (read_json(earlier.record) or {}).get("results", {})
    context = StageContext(
        recipe=loaded.recipe,
        base=loaded.folder,
        folder=plan.folder,
        models=models,
        start_model=plan.start_model,
        emit=emit,
        results=results,
        processes=loaded.recipe.launch_of(plan.stage).num_processes,
    )
    return plan.stage.run(context)


def stage_process(run: Path, index: int, recipe_folder: Path) -> int:
    """The body of a launched stage: run it and tell the runner how it went.

    Args:
        run: the run folder, with the resolved recipe.
        index: the stage's place in the chain.
        recipe_folder: where the recipe's relative paths start.

    Returns:
        The exit code.
    """
    main = World.from_environment().rank == 0
    try:
        loaded = load_recipe(run / "recipe.yaml", folder=recipe_folder)
        results = run_stage(loaded, run, index, send_event if main else _silent)
        results |= peak_memory()
    except MagistralRecipeError as error:
        send_event({"type": "failure", "exit_code": error.exit_code, "message": str(error)})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the process's outermost frame: told to the runner, never swallowed
        traceback.print_exc()
        send_event({"type": "failure", "exit_code": 1, "message": _failure_message(error, run)})
        return 1
    if main:
        send_event({"type": "results", "results": results})
    return 0


def peak_memory() -> dict[str, float]:
    """The most memory that this process has held, in GiB; the GPU's too where there is one."""
    found: dict[str, float] = {}
    if sys.platform != "win32":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kibibytes
        found["peak_memory_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30, 2)
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            found["peak_gpu_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return found


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
    write_atomically(folder.path / "recipe.yaml", header + to_yaml(document.data))
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
        return run_launched(launch_command(launch, loaded.folder, words), plan.folder / "log.txt", display.event)

    return execute


def _inside(folder: RunFolder, world: World, display: Display) -> Execute:
    """Each stage in this process and its siblings."""

    def execute(plan: StagePlan) -> dict[str, Any]:
        try:
            return run_stage(folder.loaded, folder.path, plan.index, display.event)
        except OSError as error:
            raise RunError(_failure_message(error, folder.path)) from error
        finally:
            _give_memory_back()

    return execute


def _give_memory_back() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# --------------------------------------------------------------------------------------- the other ranks


def _launch_token() -> str:
    """Tells this launch from an earlier one: the processes of one launcher have it in common."""
    names = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")
    parts = [os.environ.get(name, "") for name in names]
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ.get("WORLD_SIZE"):
        parts.append(str(os.getppid()))
    return "|".join(parts)


def _announce(path: Path, world: World, plans: list[StagePlan]) -> None:
    """Rank 0 writes down what each stage will do, for the other ranks to follow."""
    if world.size > 1:
        decisions = [plan.decision for plan in plans]
        write_json(path / ".decisions.json", {"token": _launch_token(), "decisions": decisions})


def _follow(folder: RunFolder, world: World) -> None:
    """Ranks beside 0: do what rank 0 decided, stage by stage, once it has made each stage's folder ready."""
    decided = _wait_for(folder.path / ".decisions.json", lambda data: data.get("token") == _launch_token())
    for index, decision in enumerate(decided["decisions"]):
        if decision == "skip":
            continue
        plan = folder.stage_plans()[index]
        _wait_for(plan.record, lambda data: data.get("status") == "running", seconds=None)
        if plan.stage.shares_work:
            run_stage(folder.loaded, folder.path, index, _silent)
        _wait_for(plan.record, lambda data: data.get("status") == "complete", seconds=None)
        _give_memory_back()


def _wait_for(path: Path, ready: Callable[[Any], bool], seconds: float | None = 600.0) -> Any:
    deadline = None if seconds is None else time.monotonic() + seconds
    while deadline is None or time.monotonic() < deadline:
        data = read_json(path)
        if data is not None and ready(data):
            return data
        time.sleep(0.05)
    raise RunError(f"rank 0 did not write {path} within {seconds:.0f} s; has it failed?")


def _silent(event: Mapping[str, Any]) -> None:
    """Ranks beside 0 report nothing."""


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


def _failure_message(error: Exception, folder: Path) -> str:
    """What failed, for a person. A full disk is looked for: libraries report it in many words, or in none."""
    try:
        full = shutil.disk_usage(folder).free < FULL_BELOW
    except OSError:
        full = False
    if full or (isinstance(error, OSError) and error.errno in FULL) or "No space left" in str(error):
        return f"the disk is full ({folder}): the last whole checkpoint is intact; free some space and run again"
    return f"{type(error).__name__}: {error}"


def _report(path: Path, display: Display) -> None:
    from magistral_recipe.report.build import build_report
    from magistral_recipe.terminal.score_table import score_table

    table = score_table(path)
    if table is not None:
        display.console.print(table)
    report = build_report(path)
    display.line(f"report: {report}")
