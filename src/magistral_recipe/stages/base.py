"""What a stage is: a config model, a `run` function, and the context it runs in.

A stage's whole world is its arguments. It writes into its own folder and nowhere else; the runner owns
order, resuming, the manifest and the processes. Importing a stage module must not import torch: heavy
imports live inside `run`.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from pydantic import Field

from magistral_recipe.schema import StrictModel

STAGES: dict[str, str] = {
    "sft": "magistral_recipe.stages.sft",
    "grpo": "magistral_recipe.stages.grpo",
    "evaluate": "magistral_recipe.stages.evaluate",
    "export": "magistral_recipe.stages.export",
}
"""The kinds of stage, each a module with `Config` and `run`; a table of paths, so that listing imports nothing."""


class LaunchConfig(StrictModel):
    """How Accelerate starts a stage's processes."""

    num_processes: int = Field(1, ge=1)
    """Processes, one a GPU; on a machine without a GPU, CPU processes."""
    config_file: Path | None = None
    """An Accelerate config (`accelerate config`), for FSDP, several machines and the like."""


class StageConfig(StrictModel):
    """The keys that every stage takes."""

    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    """The stage's name in the run folder and for later stages; by default its kind."""
    launch: LaunchConfig | None = None
    """Other launch settings than the recipe's."""


@dataclass(frozen=True)
class Inputs:
    """What flows into a stage: a change of any of it makes the stage run again.

    Attributes:
        models: names of the stages (or `base`) whose models it reads.
        problems: names of the sets of problems it reads.
        paths: further files or folders, relative to the recipe.
    """

    models: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Events(Protocol):
    """Where a stage says how far it is; only the main process is heard."""

    def __call__(self, event: Mapping[str, Any], /) -> None:
        """Report one event: a small mapping with a `type`."""


@dataclass(frozen=True)
class StageContext:
    """Everything a stage may know beside its own config.

    Attributes:
        recipe: the whole validated recipe, for the sections that stages share (model, thinking, problems, seed).
        base: the folder that the recipe's relative paths start from.
        folder: the stage's own folder, which exists.
        models: stage name to the folder of the model that it made; `base` is the recipe's base model.
        start_model: name of the model this stage starts from.
        emit: reports progress.
        results: what the earlier stages gave, by name.
        processes: how many processes the recipe asks for.
    """

    recipe: Any
    base: Path
    folder: Path
    models: Mapping[str, Path | None]
    start_model: str
    emit: Events
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    processes: int = 1

    @property
    def run_folder(self) -> Path:
        """The run's folder."""
        return self.folder.parent

    def quarantine(self, source: str) -> Path:
        """Where a source's rows that do not fit are set aside; one file each, or one would replace another's."""
        return self.folder / f"set-aside-{re.sub(r'[^0-9A-Za-z._-]', '_', source)}.jsonl"


StageRun = Callable[[Any, StageContext], dict[str, Any]]


def stage_module(kind: str) -> ModuleType:
    """Import the module of a kind of stage (light: no torch).

    Args:
        kind: a key of `STAGES`.

    Returns:
        The module: `Config`, `run(config, context) -> results`, and optionally `check`.
    """
    return importlib.import_module(STAGES[kind])


def makes_model(kind: str) -> bool:
    """Whether a stage of this kind leaves a model that later stages can start from."""
    return kind in {"sft", "grpo"}


def shares_work(kind: str) -> bool:
    """Whether a stage of this kind runs in every process of a launch; others run in the first alone."""
    return makes_model(kind) or kind == "evaluate"
