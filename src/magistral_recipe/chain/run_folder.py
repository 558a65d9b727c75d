"""The run folder (`layout` draws it): which stages are complete, which can go on, and what the run was made of.

A stage is complete when its `stage.json` says so; that file is written last, atomically.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from magistral_recipe import layout
from magistral_recipe.errors import RunError
from magistral_recipe.files import hash_of, read_json, write_json
from magistral_recipe.recipe.sections import BASE, Inputs, LoadedRecipe, Recipe, Stage

FORMAT_VERSION = 1
"""Raised when the files that a stage writes change meaning: old stages then run again."""

Decision = Literal["skip", "resume", "start", "restart"]


@dataclass(frozen=True)
class StagePlace:
    """Where a stage lies in its run: known from the recipe alone, in every process, without a look at the data.

    Attributes:
        index: its place in the chain, from 0.
        stage: the stage.
        folder: its folder.
        start_model: the name of the model it starts from.
    """

    index: int
    stage: Stage
    folder: Path
    start_model: str

    @property
    def record(self) -> Path:
        """The file that says how far the stage is."""
        return self.folder / layout.STAGE


@dataclass(frozen=True)
class StagePlan(StagePlace):
    """What will happen to one stage, which only the runner decides: it takes hashing all that flows in.

    Attributes:
        fingerprint: hash of its config and all that flows into it.
        decision: skip a complete one, resume a half-done one, start, or restart one whose config changed.
    """

    fingerprint: str
    decision: Decision


def places_of(recipe: Recipe, run: Path) -> list[StagePlace]:
    """Return where each stage of a recipe lies in a run folder, and what it starts from.

    Args:
        recipe: the recipe.
        run: the folder, which need not exist.
    """
    places = []
    last_model = BASE
    for index, stage in enumerate(recipe.stages):
        start = stage.asks_for_model or last_model
        places.append(StagePlace(index, stage, run / layout.stage_folder(index, stage.name), start))
        if stage.makes_model:
            last_model = stage.name
    return places


@dataclass
class RunFolder:
    """One run's folder on disk.

    Args:
        path: the folder, made when missing.
        loaded: the recipe that runs in it.
    """

    path: Path
    loaded: LoadedRecipe
    input_hashes: dict[str, str] = field(default_factory=dict)

    def stage_plans(self) -> list[StagePlan]:
        """Decide for every stage whether it is skipped, resumed or started."""
        plans: list[StagePlan] = []
        prints: dict[str, str] = {BASE: self._model_print()}
        for place in places_of(self.loaded.recipe, self.path):
            fingerprint = self._fingerprint(place.stage, place.start_model, prints)
            decision = self._decide(place, fingerprint)
            if place.stage.makes_model:
                prints[place.stage.name] = fingerprint
            plans.append(StagePlan(place.index, place.stage, place.folder, place.start_model, fingerprint, decision))
        return plans

    def _decide(self, place: StagePlace, fingerprint: str) -> Decision:
        record = read_json(place.record)
        if record is None:
            return "restart" if place.folder.exists() and any(place.folder.iterdir()) else "start"
        if record.get("fingerprint") != fingerprint:
            return "restart"
        if record.get("status") != "complete":
            return "resume"
        return "skip" if _outputs_intact(place.folder, record) else "resume"

    def _fingerprint(self, stage: Stage, start: str, prints: Mapping[str, str]) -> str:
        recipe = self.loaded.recipe
        used = stage.inputs(start)
        parts = {
            "format": FORMAT_VERSION,
            "kind": stage.kind,
            "config": stage.model_dump(mode="json", exclude={"name", "launch"}),
            "processes": recipe.launch_of(stage).num_processes,
            "seed": recipe.seed,
            "model": recipe.model.model_dump(mode="json"),
            "thinking": recipe.thinking.model_dump(mode="json"),
            "models": {name: prints.get(name, "") for name in used.models},
            "problems": {name: recipe.problems[name].model_dump(mode="json") for name in used.problems},
            "files": {name: self._hash(self.loaded.folder / name) for name in self._local_files(used)},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    def _local_files(self, used: Inputs) -> list[str]:
        sources = [self.loaded.recipe.problems[name] for name in used.problems]
        named = [path for source in sources for path in (source.path, source.layout)]
        return sorted({str(path) for path in [*used.paths, *named] if path and (self.loaded.folder / path).exists()})

    def _hash(self, path: Path) -> str:
        key = str(path)
        if key not in self.input_hashes:
            self.input_hashes[key] = hash_of(path) if path.exists() else "absent"
        return self.input_hashes[key]

    def _model_print(self) -> str:
        path = self.loaded.folder / self.loaded.recipe.model.path
        return self._hash(path) if path.exists() else self.loaded.recipe.model.path

    # -------------------------------------------------------------------------------- changing things

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder against a second command.

        Raises:
            RunError: if another command runs here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path / layout.LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise RunError(
                f"{self.path}: another command is running in this folder; wait for it, stop it, or give --output"
            ) from None
        try:
            yield
        finally:
            lock.release()

    def prepare(self, plan: StagePlan) -> None:
        """Make a stage's folder ready and mark it as running; what another config made is moved aside."""
        if plan.decision == "restart":
            self._set_aside(plan.folder)
        plan.folder.mkdir(parents=True, exist_ok=True)
        before = read_json(plan.record) or {}
        write_json(
            plan.record,
            {
                "name": plan.stage.name,
                "kind": plan.stage.kind,
                "fingerprint": plan.fingerprint,
                "status": "running",
                "seconds": before.get("seconds", 0.0),
                "attempts": before.get("attempts", 0) + 1,
            },
        )

    def complete(self, plan: StagePlan, results: Mapping[str, Any], seconds: float, code: str) -> None:
        """Mark a stage as complete: the last thing that is written of it."""
        record = read_json(plan.record) or {}
        record |= {
            "status": "complete",
            "seconds": round(record.get("seconds", 0.0) + seconds, 3),
            "results": dict(results),
            "code": code,
            "outputs": _output_sizes(plan.folder),
        }
        write_json(plan.record, record)

    def add_seconds(self, plan: StagePlan, seconds: float) -> None:
        """Note the time that a failed attempt took."""
        record = read_json(plan.record)
        if record:
            record["seconds"] = round(record.get("seconds", 0.0) + seconds, 3)
            write_json(plan.record, record)

    def start_afresh(self) -> None:
        """Remove all that earlier runs left in the folder, and nothing else that lies there."""
        if not self.path.is_dir():
            return
        replaced = self.path / layout.REPLACED
        for child in [*self.path.iterdir(), *(replaced.iterdir() if replaced.is_dir() else ())]:
            if _is_stage_of_a_run(child):
                shutil.rmtree(child)
        if replaced.is_dir() and not any(replaced.iterdir()):
            replaced.rmdir()
        mine = self.loaded.document.file.resolve()
        for name in layout.OF_A_RUN:
            if (self.path / name).resolve() != mine:  # a recipe of the user's may be at home here
                (self.path / name).unlink(missing_ok=True)

    def _set_aside(self, folder: Path) -> Path:
        """Nothing that took hours is deleted because a key changed: it moves to `replaced/`."""
        replaced = self.path / layout.REPLACED
        replaced.mkdir(exist_ok=True)
        count = sum(1 for child in replaced.iterdir() if child.name.startswith(folder.name))
        target = replaced / f"{folder.name}.{count + 1}"
        shutil.move(folder, target)
        return target


def _is_stage_of_a_run(folder: Path) -> bool:
    """Whether a folder is a stage's, by its name and its record: a folder that only looks like one is the user's."""
    if layout.stage_name(folder.name) is None or folder.is_symlink() or not folder.is_dir():
        return False
    record = read_json(folder / layout.STAGE)
    return isinstance(record, dict) and {"name", "kind", "fingerprint", "status"} <= set(record)


def _output_sizes(folder: Path) -> dict[str, int]:
    """Sizes of the files that later stages read."""
    kept = [folder / layout.MODEL, *folder.glob(f"*/{layout.SCORES}")]
    files = [file for path in kept for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()]
    return {str(file.relative_to(folder)): file.stat().st_size for file in sorted(files)}


def _outputs_intact(folder: Path, record: Mapping[str, Any]) -> bool:
    sizes: Mapping[str, int] = record.get("outputs", {})
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())
