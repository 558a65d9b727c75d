"""The chain inside the processes of `accelerate launch`: rank 0 decides and writes, the others follow.

What rank 0 decided is written into the run folder, so that only one process hashes the data and the models, and nobody
waits in a collective operation for an hour while one of them trains.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from magistral_recipe import layout
from magistral_recipe.chain.run_folder import StagePlan, places_of
from magistral_recipe.chain.stage_process import run_stage, silent
from magistral_recipe.errors import RunError
from magistral_recipe.files import read_json, write_json
from magistral_recipe.machine import LOCAL_WORLD_SIZE, WORLD_SIZE, World
from magistral_recipe.recipe.sections import LoadedRecipe


def announce(run: Path, world: World, plans: Sequence[StagePlan]) -> None:
    """Rank 0 writes down what each stage will do, for the other ranks to follow.

    Args:
        run: the run folder.
        world: this process's.
        plans: what was decided.
    """
    if world.size > 1:
        decisions = [plan.decision for plan in plans]
        write_json(run / layout.DECISIONS, {"token": _launch_token(), "decisions": decisions})


def follow(run: Path, loaded: LoadedRecipe) -> None:
    """Do what rank 0 decided, stage by stage, once it has made each stage's folder ready.

    Args:
        run: the run folder.
        loaded: the recipe.

    Raises:
        RunError: rank 0 decides nothing.
    """
    decided = _wait_for(run / layout.DECISIONS, lambda data: data.get("token") == _launch_token())
    for place, decision in zip(places_of(loaded.recipe, run), decided["decisions"], strict=True):
        if decision == "skip" or not place.stage.shares_work:
            continue  # what rank 0 does alone may be over before anybody has seen it run
        _wait_for(place.record, lambda data: data.get("status") == "running", seconds=None)
        run_stage(loaded, run, place.index, silent)
        _wait_for(place.record, lambda data: data.get("status") == "complete", seconds=None)
        give_memory_back()


def give_memory_back() -> None:
    """Free what the last stage held, before the next one loads its model into the same process."""
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _launch_token() -> str:
    """Tells this launch from an earlier one: the processes of one launcher have it in common."""
    names = ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RESTART_COUNT")
    parts = [os.environ.get(name, "") for name in names]
    if os.environ.get(LOCAL_WORLD_SIZE) == os.environ.get(WORLD_SIZE):
        parts.append(str(os.getppid()))
    return "|".join(parts)


def _wait_for(path: Path, ready: Callable[[Any], bool], seconds: float | None = 600.0) -> Any:
    deadline = None if seconds is None else time.monotonic() + seconds
    while deadline is None or time.monotonic() < deadline:
        data = read_json(path)
        if isinstance(data, dict) and ready(data):
            return data
        time.sleep(0.05)
    raise RunError(f"rank 0 did not write {path} within {seconds:.0f} s; has it failed?")
