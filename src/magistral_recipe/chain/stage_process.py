"""One stage at work: in a process that the runner started for it, or inside the processes of `accelerate launch`."""

from __future__ import annotations

import contextlib
import gc
import importlib
import logging
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import magistral_recipe
from magistral_recipe import layout
from magistral_recipe.chain.events import EventSender
from magistral_recipe.chain.launch import forget_safe_path
from magistral_recipe.chain.reads import confirm, files_read
from magistral_recipe.chain.records import read_record
from magistral_recipe.chain.run_folder import StagePlace, places_of
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.errors import FULL, MagistralRecipeError
from magistral_recipe.foreign import naming_only
from magistral_recipe.loading import quickly_loaded
from magistral_recipe.machine import World
from magistral_recipe.recipe.sections import BASE, LoadedRecipe, Stage, StageContext

FULL_BELOW = 2**20
"""Free bytes below which a disk counts as full when something has failed."""


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
    places = places_of(loaded.recipe, run)
    place = places[index]
    models: dict[str, Path | None] = {BASE: None}
    made: dict[str, Path] = {}
    results: dict[str, Mapping[str, Any]] = {}
    for earlier in places[:index]:
        if earlier.stage.makes_model:
            models[earlier.stage.name] = earlier.folder / layout.MODEL
        if earlier.stage.makes_problems:
            made[earlier.stage.name] = earlier.folder / layout.PROBLEMS
        if earlier.stage.makes_traces:
            made[earlier.stage.name] = earlier.folder / layout.TRACES
        told = read_record(earlier.record)
        results[earlier.stage.name] = told.results if told else {}
    context = StageContext(
        recipe=loaded.recipe.with_made(made),
        base=loaded.folder,
        folder=place.folder,
        models=models,
        start_model=place.start_model,
        emit=emit,
        results=results,
        processes=loaded.recipe.launch_of(place.stage).num_processes,
        confirm=lambda: _confirm(loaded, place),
        made=made,
    )
    with warnings_told(emit):
        return place.stage.run(context)


def _confirm(loaded: LoadedRecipe, place: StagePlace) -> None:
    if World.from_environment().rank == 0:
        confirm(place.record, files_read(loaded, place.stage, place.start_model))


@contextlib.contextmanager
def warnings_told(emit: Callable[[Mapping[str, Any]], None]) -> Iterator[None]:
    """Tell the person what this package's modules warn of, each sentence once, beside writing it to the log.

    Args:
        emit: takes events.
    """
    handler = _Telling(emit)
    package = logging.getLogger(magistral_recipe.__name__)
    package.addHandler(handler)
    try:
        yield
    finally:
        package.removeHandler(handler)


class _Telling(logging.Handler):
    def __init__(self, emit: Callable[[Mapping[str, Any]], None]) -> None:
        super().__init__(logging.WARNING)
        self._emit, self._told = emit, set[str]()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if text not in self._told and len(self._told) < 100:
            self._told.add(text)
            self._emit({"type": "warning", "text": text})


def stage_process(run: Path, index: int, recipe_folder: Path) -> int:
    """The body of a launched stage: run it and tell the runner how it went.

    Args:
        run: the run folder, with the resolved recipe.
        index: the stage's place in the chain.
        recipe_folder: where the recipe's relative paths start.

    Returns:
        The exit code.
    """
    send = EventSender()
    forget_safe_path()
    main = World.from_environment().rank == 0
    loaded = None
    try:
        with naming_only():  # the runner has tried the code that it names: here it runs when it is needed, once
            loaded = load_recipe(run / layout.RECIPE, folder=recipe_folder)
        load_libraries(loaded.recipe.stages[index])
        results = run_stage(loaded, run, index, send if main else silent)
        results |= peak_memory()
    except MagistralRecipeError as error:
        send({"type": "failure", "exit_code": error.exit_code, "message": str(error)})
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the process's outermost frame: told to the runner, never swallowed
        send({"type": "failure", "exit_code": 1, "message": failure_message(error, run, loaded, index)})
        with contextlib.suppress(OSError):  # the log may lie on the disk that is full
            traceback.print_exc()
        return 1
    if main:
        send({"type": "results", "results": results})
    return 0


def load_libraries(stage: Stage) -> None:
    """Load what a stage needs, and never look for garbage among it: every collection would take a quarter of a second.

    Args:
        stage: which; a module that is missing is missed where it is needed.
    """
    for name in stage.libraries:
        with contextlib.suppress(ImportError), quickly_loaded():
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def silent(event: Mapping[str, Any]) -> None:
    """Processes beside the first report nothing."""


def peak_memory() -> dict[str, float]:
    """The most memory that this process has held, in GiB; the GPU's too where there is one."""
    found: dict[str, float] = {}
    peak = _peak_resident_bytes()
    if peak is not None:
        found["peak_memory_gib"] = round(peak / 2**30, 2)
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            found["peak_gpu_memory_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    return found


def _peak_resident_bytes() -> int | None:
    """This process's own peak. On Linux `ru_maxrss` is not: a child starts with its parent's."""
    if sys.platform == "linux":
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "darwin":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None


def failure_message(error: Exception, folder: Path, loaded: LoadedRecipe | None = None, index: int = 0) -> str:
    """What failed, for a person. A full disk is looked for: libraries report it in many words, or in none.

    Args:
        error: what was raised.
        folder: where was written to.
        loaded: the recipe, with which memory that ran out is held against its plan.
        index: the stage's place in the chain, from 0.
    """
    if loaded is not None and "torch" in sys.modules:  # nothing else has a device's memory
        from magistral_recipe.check.memory.exhausted import exhaustion, is_exhaustion

        if is_exhaustion(error):
            return exhaustion(error, loaded, index)
    try:
        full = shutil.disk_usage(folder).free < FULL_BELOW
    except OSError:
        full = False
    if full or (isinstance(error, OSError) and error.errno in FULL) or "No space left" in str(error):
        return f"the disk is full ({folder}): the last whole checkpoint is intact; free some space and run again"
    return f"{type(error).__name__}: {error}"
