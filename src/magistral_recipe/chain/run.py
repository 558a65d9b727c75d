"""Running a recipe: the stages in order, each skipped, resumed or started, and the manifest kept.

Two ways, one code path. `magistral-recipe run` starts every stage through Accelerate's launcher in processes of
its own. `accelerate launch -m magistral_recipe run` runs the chain inside the processes it was given: rank 0
decides and writes, the others follow what it wrote down; the runner itself holds no Accelerator.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from magistral_recipe import layout
from magistral_recipe.chain.launch import as_launched, launch_command, run_launched
from magistral_recipe.chain.manifest import code_version, write_manifest
from magistral_recipe.chain.own import RESOLVED, run_id, sweep_temporary
from magistral_recipe.chain.ranks import announce, follow, give_memory_back
from magistral_recipe.chain.reads import MODEL_OF, differences
from magistral_recipe.chain.records import read_manifest, read_record
from magistral_recipe.chain.run_folder import RunFolder, StagePlan, places_of
from magistral_recipe.chain.stage_process import failure_message, run_stage
from magistral_recipe.errors import MagistralRecipeError, RecipeError, RunError, UserError
from magistral_recipe.files import write_atomically
from magistral_recipe.intact import damage
from magistral_recipe.machine import World, versions
from magistral_recipe.recipe.document import to_yaml
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.terminal.progress import Display

logger = logging.getLogger(__name__)

Execute = Callable[[StagePlan], dict[str, Any]]


@dataclass(frozen=True)
class RunOptions:
    """How to run a recipe.

    Attributes:
        output: the run folder; by default ``runs/NAME``.
        fresh: forget what an earlier run left there.
        restart: start half-done stages anew where the files that they read have changed.
        prove: check trainer sections and the wiring before anything is trained.
    """

    output: Path | None = None
    fresh: bool = False
    restart: bool = False
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
    global _runner
    _runner = os.getpid()
    loaded, world, told = as_launched(loaded, World.from_environment())
    path = options.output or Path("runs") / loaded.recipe.name
    folder = RunFolder(path, loaded)
    if world.rank > 0:
        follow(path, loaded)
        return path
    display = display or Display(len(loaded.recipe.stages))
    if told:
        display.event({"type": "note", "text": told})
    folder.require_own(options.fresh)
    with folder.locked():
        plans = _prepare_run(folder, options, display)
        announce(path, world, plans)
        execute = _inside(folder, world, display) if world.launched else _launching(folder, display, bool(told))
        try:
            for index in range(len(plans)):
                plans[index] = _as_of_now(folder, plans[index], display)
                _run_one(folder, plans[index], execute, display)
        except BaseException as error:
            with contextlib.suppress(OSError):
                write_manifest(folder, plans)
            if isinstance(error, Exception):
                _report_of_failure(path, display)
            raise
        write_manifest(folder, plans)
        _report(path, display)
    return path


_runner = os.getpid()


def require_runner() -> None:
    """End what has become a second runner: a fork that somebody's code made and that came back."""
    if os.getpid() != _runner:
        os._exit(0)


# --------------------------------------------------------------------------------------------- the chain


def _prepare_run(folder: RunFolder, options: RunOptions, display: Display) -> list[StagePlan]:
    from magistral_recipe.check.proof import prove_recipe

    _say_consent(folder.loaded, display)
    if options.fresh:
        folder.start_afresh()
    plans = folder.stage_plans(options.restart, options.fresh)
    _refuse_mixtures(plans)
    if options.prove and any(plan.decision != "skip" and plan.stage.makes_model for plan in plans):
        prove_recipe(folder.loaded, display.console)
        require_runner()
    run_id(folder.path)
    sweep_temporary(folder.path)
    document = folder.loaded.document
    header = f"{RESOLVED}, from {document.file.name}; relative paths start at its folder.\n"
    write_atomically(folder.path / layout.RECIPE, header + to_yaml(document.data))
    _warn_of_changed_code(plans, display)
    _warn_of_changed_versions(folder, plans, display)
    _warn_of_untold(plans, display)
    write_manifest(folder, plans)
    return plans


def _say_consent(loaded: LoadedRecipe, display: Display) -> None:
    model = loaded.recipe.model
    if model.trust_remote_code:
        text = f"model.trust_remote_code: Python code that comes with {model.path} is run, as the recipe says"
        display.event({"type": "warning", "text": text})
    if named := loaded.recipe.code_named():
        display.event({"type": "note", "text": f"code that the recipe names is run: {', '.join(named)}"})


def _refuse_mixtures(plans: Sequence[StagePlan]) -> None:
    """Refuse to go on with a stage of which one half has read other files than the other would.

    Raises:
        RecipeError: naming the files, and both ways out.
    """
    lines = [
        f"stage '{plan.stage.name}' is half done, and since it began {_listed(plan.why)}: put back what it read to go "
        f"on with it, or start it anew with --restart (what it wrote is kept in {layout.REPLACED}/)"
        for plan in plans
        if plan.refused
    ]
    if lines:
        raise RecipeError(lines)


def _run_one(folder: RunFolder, plan: StagePlan, execute: Execute, display: Display) -> None:
    require_runner()
    name = plan.stage.name
    if plan.decision == "skip":
        display.stage_skipped(plan.index, name)
        return
    _require_intact(folder, plan)
    how = {
        "start": "starting",
        "resume": "resuming where it stopped",
        "restart": "starting anew, the old output is kept in replaced/",
    }[plan.decision]
    if plan.why:
        how = f"{how} ({_listed(plan.why)})"
    folder.prepare(plan, code_version())
    display.stage_started(plan.index, name, how)
    started = time.monotonic()
    try:
        results = execute(plan)
        require_runner()
        _require_promised(plan)
    except BaseException as error:
        display.failed()
        with contextlib.suppress(OSError):  # on a full disk the reason matters more than the time
            why = str(error) if isinstance(error, Exception) else None
            folder.note_failure(plan, time.monotonic() - started, why)
        if isinstance(error, UserError):
            raise
        if isinstance(error, MagistralRecipeError):
            raise RunError(f"stage '{name}' failed: {error}") from error
        raise
    folder.complete(plan, results, time.monotonic() - started, code_version())
    display.stage_finished(str(results.get("summary", "done")))


def _launching(folder: RunFolder, display: Display, all_share: bool) -> Execute:
    """Each stage in processes of its own; an evaluation in as many as what trains, where all are to share."""

    def execute(plan: StagePlan) -> dict[str, Any]:
        loaded = folder.loaded
        shares = all_share and plan.stage.shares_work
        launch = loaded.recipe.launch_of(plan.stage) if shares else loaded.recipe.started_as(plan.stage)
        words = ["stage", str(folder.path.resolve()), str(plan.index), "--recipe-folder", str(loaded.folder)]
        command, environment = launch_command(launch, loaded.folder, words)
        return run_launched(command, plan.folder / layout.LOG, display.event, environment)

    return execute


def _inside(folder: RunFolder, world: World, display: Display) -> Execute:
    """Each stage in this process and its siblings."""

    def execute(plan: StagePlan) -> dict[str, Any]:
        try:
            return run_stage(folder.loaded, folder.path, plan.index, display.event)
        except OSError as error:
            raise RunError(failure_message(error, folder.path)) from error
        except RuntimeError as error:
            from magistral_recipe.check.memory.exhausted import exhaustion, is_exhaustion

            if is_exhaustion(error):
                raise RunError(exhaustion(error, folder.loaded, plan.index)) from error
            raise
        finally:
            give_memory_back()

    return execute


# ---------------------------------------------------------------------------------------------- the end


def _warn_of_changed_code(plans: Sequence[StagePlan], display: Display) -> None:
    now = code_version()
    told = {"skip": "these stages ran, kept as they are", "resume": "these stages began, gone on with"}
    for decision, words in told.items():
        changed = [
            plan.stage.name
            for plan in plans
            if plan.decision == decision and (record := read_record(plan.record)) and record.code not in (None, now)
        ]
        if changed:
            text = f"this package's code changed since {words}: {', '.join(changed)}"
            display.event({"type": "warning", "text": text})


def _warn_of_changed_versions(folder: RunFolder, plans: Sequence[StagePlan], display: Display) -> None:
    """Say which packages are others than when a half-done stage was begun: it may end otherwise than it would have."""
    before = read_manifest(folder.path / layout.MANIFEST).get("versions")
    halves = [plan.stage.name for plan in plans if plan.decision == "resume"]
    if halves and isinstance(before, dict):
        changed = differences(before, versions())
        if changed:
            text = f"{_listed(changed)} since {', '.join(halves)} began, gone on with"
            display.event({"type": "warning", "text": text})


def _warn_of_untold(plans: Sequence[StagePlan], display: Display) -> None:
    for plan in plans:
        if plan.untold:
            text = (
                f"stage '{plan.stage.name}' was run by an earlier version, which noted no hash of "
                f"{', '.join(plan.untold)}: it is kept as if they had not changed"
            )
            display.event({"type": "warning", "text": text})


def _as_of_now(folder: RunFolder, plan: StagePlan, display: Display) -> StagePlan:
    """Look again at what a stage reads when its turn comes: hours may lie between. A stage that starts takes what is
    there now; one that goes on is not to be made of two things.

    Raises:
        RecipeError: as `_refuse_mixtures` says.
        RunError: an earlier stage, whose model it reads, would run again.
    """
    if plan.decision == "skip":
        return plan
    now = folder.stage_plans(read=False)[plan.index]
    changed = [label for label in sorted({*plan.reads, *now.reads}) if plan.reads.get(label) != now.reads.get(label)]
    if not changed:
        return plan
    why = tuple(f"{label} has changed" for label in changed)
    if any(label.startswith(MODEL_OF) for label in changed):
        reason = _listed([line for line in why if not line.startswith(MODEL_OF)]) or _listed(why)
        raise RunError(f"while the run went on, what an earlier stage read was written to ({reason}); run again")
    if plan.decision == "resume":
        _refuse_mixtures([replace(plan, refused=True, why=why)])
    text = f"{_listed(why)} since the run began: stage '{plan.stage.name}' takes what is there now"
    display.event({"type": "warning", "text": text})
    return replace(now, decision=plan.decision, why=plan.why, refused=False)


def _require_intact(folder: RunFolder, plan: StagePlan) -> None:
    """Hold the models and the sets that a stage is about to read against what their stages left.

    Raises:
        RunError: naming the file.
    """
    recipe, used = folder.loaded.recipe, plan.stage.inputs(plan.start_model)
    made = (*used.models, *recipe.made_by_stages(used.problems))
    for place in places_of(recipe, folder.path)[: plan.index]:
        record = read_record(place.record) if place.stage.name in made else None
        if record is None:
            continue
        for reason in damage(place.folder, record.outputs, record.hashes):
            raise RunError(f"it reads {place.folder.name}, of which {reason}; run again, and that is made again")


def _require_promised(plan: StagePlan) -> None:
    """A stage that says it is done has left what others will look for.

    Raises:
        RunError: naming what is missing.
    """
    for missing in plan.stage.missing(plan.folder, plan.start_model):
        raise RunError(f"it said it was done and has not left {missing}; run again")


def _listed(reasons: Sequence[str]) -> str:
    shown = "; ".join(reasons[:6])
    return f"{shown}; and {len(reasons) - 6} more" if len(reasons) > 6 else shown


def _report_of_failure(path: Path, display: Display) -> None:
    """Leave a report of how far a run came: nothing that goes wrong with it may hide why the run failed."""
    from magistral_recipe.report.build import build_report

    try:
        report = build_report(path)
    except Exception as error:  # noqa: BLE001 - the run's own failure is raised right after
        logger.warning("no report could be written: %s", error)
    else:
        display.line(f"report of what there is: {report}")


def _report(path: Path, display: Display) -> None:
    from magistral_recipe.report.build import build_report
    from magistral_recipe.terminal.score_table import score_table

    table = score_table(path)
    if table is not None:
        display.console.print(table)
    report = build_report(path)
    display.line(f"report: {report}")
