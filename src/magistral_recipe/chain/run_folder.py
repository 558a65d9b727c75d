"""The run folder (`layout` draws it): which stages are complete, which can go on, and what the run was made of.

A stage is complete when its `stage.json` says so, which is written last, atomically, and what it left is still there.
What a stage is made of (keys) and what it reads (files) stand in its record: a difference is named. A key that differs
is the person's word, and the stage starts anew, but for one that only decides what it takes of the machine (`costs`): a
run that was too large for a card goes on with less. A file that differs makes a complete stage run again, and a
half-done one wait for the person's word (`Plan.refused`), since its curve would be one of two things.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from magistral_recipe import layout
from magistral_recipe.chain import own
from magistral_recipe.chain.reads import MODEL_OF, Hashes, differences, files_read
from magistral_recipe.chain.records import StageRecord, read_record, why_no_record, write_record
from magistral_recipe.errors import RunError
from magistral_recipe.files import hash_of
from magistral_recipe.intact import damage, written
from magistral_recipe.recipe.sections import BASE, Inputs, LoadedRecipe, Recipe, Stage, flat, keys_of

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
        made_of: every key that decides what it does, dotted, with its value.
        reads: every file that it reads, and every model of an earlier stage, with its hash.
        seen: size and time of those files.
        why: what differs from its record, or is damaged; in a person's words.
        refused: it is half done, and files that it reads have changed: it is started anew where a person says so.
        untold: files that it reads and whose hashes an earlier version did not note.
    """

    fingerprint: str
    decision: Decision
    made_of: Mapping[str, Any] = field(default_factory=dict)
    reads: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    refused: bool = False
    untold: tuple[str, ...] = ()


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


@dataclass(frozen=True)
class _Verdict:
    decision: Decision
    why: tuple[str, ...] = ()
    refused: bool = False
    untold: tuple[str, ...] = ()
    by_word: bool = False  # a key was changed, or the stage can't be gone on with: not a file behind a person's back


@dataclass
class RunFolder:
    """One run's folder on disk.

    Args:
        path: the folder, made when missing.
        loaded: the recipe that runs in it.
    """

    path: Path
    loaded: LoadedRecipe
    hashes: Hashes = field(default_factory=lambda: Hashes(lambda path: hash_of(path)))

    def stage_plans(self, restart: bool = False, fresh: bool = False, read: bool = True) -> list[StagePlan]:
        """Decide for every stage whether it is skipped, resumed or started.

        Args:
            restart: a person's word that half-done stages start anew where the files that they read have changed.
            fresh: a person's word that nothing which lies here is gone on with.
            read: read what complete stages left, to see whether it is still that.
        """
        plans: list[StagePlan] = []
        prints: dict[str, str] = {BASE: self._model_print()}
        identities: dict[str, str] = {}
        by_word: set[str] = set()  # models of stages that start anew because a key was changed
        for place in places_of(self.loaded.recipe, self.path):
            begun, processes = self._as_begun(place)
            fingerprint = self._fingerprint(begun, processes, place.start_model, prints)
            files = files_read(self.loaded, place.stage, place.start_model)
            reads = {label: self.hashes.of(path) for label, path in files.items()}
            seen = {label: self.hashes.signature(path) for label, path in files.items()}
            used = place.stage.inputs(place.start_model)
            models = [name for name in (*used.models, *self._made(used)) if name in identities]
            reads |= {f"{MODEL_OF} '{name}'": identities[name] for name in models}
            made_of = self._made_of(begun, processes)
            verdict = self._decide(place, fingerprint, made_of, reads, by_word.intersection(models), read)
            if restart and verdict.refused:
                verdict = _Verdict("restart", verdict.why, by_word=True)
            if fresh and verdict.decision != "start":
                verdict = _Verdict("restart", ("--fresh, and not all of it is this run's",), by_word=True)
            now = self.loaded.recipe.launch_of(place.stage).num_processes
            if verdict.decision == "resume" and (begun, processes) != (place.stage, now):
                given = [
                    {key: value for key, value in keys_of(stage).items() if value != {}} | {"num_processes": number}
                    for stage, number in ((begun, processes), (place.stage, now))
                ]
                verdict = replace(verdict, why=(*verdict.why, *differences(*given)))
            if place.stage.makes_model or place.stage.makes_problems or place.stage.makes_traces:
                prints[place.stage.name] = fingerprint
                identities[place.stage.name] = _hash_of_text([fingerprint, sorted(reads.items())])
                if verdict.by_word:
                    by_word.add(place.stage.name)
            plans.append(
                StagePlan(
                    place.index,
                    place.stage,
                    place.folder,
                    place.start_model,
                    fingerprint,
                    verdict.decision,
                    made_of,
                    reads,
                    seen,
                    verdict.why,
                    verdict.refused,
                    verdict.untold,
                )
            )
        return plans

    def _as_begun(self, place: StagePlace) -> tuple[Stage, int]:
        """A stage and its processes with the keys that only decide what it takes as they were when it began."""
        now = self.loaded.recipe.launch_of(place.stage).num_processes
        record = read_record(place.record)
        if record is None or record.made_of is None or record.kind != place.stage.kind:
            return place.stage, now
        processes = record.made_of.get("num_processes", now) if place.stage.same_in(record.made_of, now) else now
        return place.stage.as_begun(record.made_of, now), processes

    def _decide(
        self,
        place: StagePlace,
        fingerprint: str,
        made_of: Mapping[str, Any],
        reads: Mapping[str, str],
        by_word: set[str],
        read: bool,
    ) -> _Verdict:
        record = read_record(place.record)
        if record is None:
            if not place.folder.exists() or not any(place.folder.iterdir()):
                return _Verdict("start")
            return _Verdict(
                "restart", (why_no_record(place.record) or "what lies in its folder is not a stage's",), by_word=True
            )
        keys = [] if record.made_of is None else differences(record.made_of, made_of)
        before = {} if record.reads is None else record.reads
        files = [label for label in sorted({*before, *reads}) if before.get(label) != reads.get(label)]
        if record.reads is None or (record.fingerprint == fingerprint and not keys and not files):
            if record.fingerprint != fingerprint:
                return _Verdict("restart", ("its config or inputs changed",), by_word=True)
            untold = () if record.reads is not None else self._untold(place, reads)
            if record.status != "complete":
                return _Verdict("resume", untold=untold)
            harm = tuple(damage(place.folder, record.outputs, record.hashes if read else None))
            return _Verdict("resume", harm, untold=untold) if harm else _Verdict("skip", untold=untold)
        if not files and (on := self._goes_on(place, record, made_of)):
            return _Verdict("resume", (on,), by_word=True)
        told = (*keys, *(f"{label} has changed" for label in files))
        anew = bool(keys) or any(label == f"{MODEL_OF} '{name}'" for label in files for name in by_word)
        refused = record.status != "complete" and not anew and bool(files)
        return _Verdict("restart", told or ("its config or inputs changed",), refused, by_word=anew or not files)

    def _goes_on(self, place: StagePlace, record: StageRecord, made_of: Mapping[str, Any]) -> str | None:
        """How a stage goes on with what it left when less was asked of it, by its own word."""
        before = record.made_of or {}
        changed = {key for key in {*before, *made_of} if before.get(key) != made_of.get(key)}
        if not changed <= before.keys():
            return None
        return place.stage.goes_on_from({key: before[key] for key in sorted(changed)}, place.folder)

    def _untold(self, place: StagePlace, reads: Mapping[str, str]) -> tuple[str, ...]:
        """What a record without hashes by name can't tell of: an earlier version's fingerprint knew data and base."""
        known = {*self._local_files(place.stage.inputs(place.start_model)), self.loaded.recipe.model.path}
        return tuple(label for label in reads if label not in known and not label.startswith(MODEL_OF))

    def _made_of(self, stage: Stage, processes: int) -> dict[str, Any]:
        recipe = self.loaded.recipe
        used = stage.inputs(BASE)
        problems = {name: recipe.problems[name].model_dump(mode="json") for name in self._given(used)}
        keys = keys_of(stage)
        keys |= flat({"model": recipe.model.model_dump(mode="json"), "thinking": recipe.thinking.model_dump()})
        keys |= flat(problems, "problems")
        keys |= {"kind": stage.kind, "seed": recipe.seed, "num_processes": processes}
        keys["the order of its models"] = list(stage.inputs("its start").models)
        return json.loads(json.dumps(keys, default=str))

    def _fingerprint(self, stage: Stage, processes: int, start: str, prints: Mapping[str, str]) -> str:
        recipe = self.loaded.recipe
        used = stage.inputs(start)
        parts = {
            "format": FORMAT_VERSION,
            "kind": stage.kind,
            "config": stage.model_dump(mode="json", exclude={"name", "launch"}),
            "processes": processes,
            "seed": recipe.seed,
            "model": recipe.model.model_dump(mode="json"),
            "thinking": recipe.thinking.model_dump(mode="json"),
            "models": {name: prints.get(name, "") for name in (*used.models, *self._made(used))},
            "problems": {name: recipe.problems[name].model_dump(mode="json") for name in self._given(used)},
            "files": {name: self.hashes.of(self.loaded.folder / name) for name in self._local_files(used)},
        }
        return _hash_of_text(parts)

    def _local_files(self, used: Inputs) -> list[str]:
        sources = [self.loaded.recipe.problems[name] for name in self._given(used)]
        named = [path for source in sources for path in (source.path, source.layout)]
        return sorted({str(path) for path in [*used.paths, *named] if path and (self.loaded.folder / path).exists()})

    def _made(self, used: Inputs) -> tuple[str, ...]:
        """The sets that earlier stages make: they are known by their stages, as models are."""
        return self.loaded.recipe.made_by_stages(used.problems)

    def _given(self, used: Inputs) -> list[str]:
        """The sets that the recipe says where to find."""
        return [name for name in used.problems if name in self.loaded.recipe.problems]

    def _model_print(self) -> str:
        path = self.loaded.folder / self.loaded.recipe.model.path
        return self.hashes.of(path) if path.exists() else self.loaded.recipe.model.path

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

    def prepare(self, plan: StagePlan, code: str | None = None) -> None:
        """Make a stage's folder ready and mark it as running; what another config made is moved aside.

        Args:
            plan: the stage's.
            code: the version of this package, as a hash.
        """
        before = None if plan.decision == "restart" else read_record(plan.record)
        if plan.decision == "restart":
            self._set_aside(plan.folder)
        elif plan.decision == "resume" and before is not None and before.status == "complete":
            # It is damaged, or somebody has changed it by hand, which must not go when it is made again.
            for place in _changed(plan.folder, before):
                self._set_aside(place, "-".join((plan.folder.name, *place.relative_to(plan.folder).parts)))
        plan.folder.mkdir(parents=True, exist_ok=True)
        write_record(
            plan.record,
            StageRecord(
                name=plan.stage.name,
                kind=plan.stage.kind,
                fingerprint=plan.fingerprint,
                status="running",
                seconds=before.seconds if before else 0.0,
                attempts=(before.attempts if before else 0) + 1,
                run=own.run_id(self.path),
                code=code,
                made_of=dict(plan.made_of),
                reads=dict(plan.reads),
                seen=dict(plan.seen),
            ),
        )

    def complete(self, plan: StagePlan, results: Mapping[str, Any], seconds: float, code: str) -> None:
        """Mark a stage as complete: the last thing that is written of it.

        Raises:
            RunError: its record has gone while it ran.
        """
        record = read_record(plan.record)
        if record is None:
            raise RunError(f"{plan.record}: gone, or no longer a stage's record; run again")
        outputs, hashes = written(plan.folder, _outputs(plan.folder))
        update = {
            "status": "complete",
            "seconds": round(record.seconds + seconds, 3),
            "results": dict(results),
            "code": code,
            "outputs": outputs,
            "hashes": hashes,
        }
        write_record(plan.record, record.model_copy(update=update))

    def note_failure(self, plan: StagePlan, seconds: float, why: str | None) -> None:
        """Note the time that a failed attempt took, and why it failed; ``None`` where somebody stopped it."""
        record = read_record(plan.record)
        if record:
            told = why and why.replace(f"{self.path.resolve()}/", "").replace(f"{self.path}/", "")
            update = {"seconds": round(record.seconds + seconds, 3), "failure": told}
            write_record(plan.record, record.model_copy(update=update))

    def start_afresh(self) -> None:
        """Remove all that earlier runs left in the folder, and nothing else that lies there.

        A stage of another run that was put here stays, and so does what was put into a stage's folder by hand; where
        they are in the way of a new stage they move to `replaced/`.
        """
        own.forget(self.path, mine=self.loaded.document.file)

    def require_own(self, fresh: bool = False) -> None:
        """See that no file of the user's stands where a run writes its own, nor what it reads where its stages write.

        Args:
            fresh: what earlier runs left in the folder is to go.

        Raises:
            RecipeError: naming them.
        """
        own.require_own(self.path, self.loaded.document.file)
        places = places_of(self.loaded.recipe, self.path)
        read = {"the recipe": self.loaded.document.file}
        for place in places:
            read |= files_read(self.loaded, place.stage, place.start_model)
        own.require_outside(self.path, read, None if fresh else {place.folder.name for place in places})

    def _set_aside(self, folder: Path, name: str | None = None) -> Path:
        """Nothing that took hours is deleted because a key changed: it moves to `replaced/`."""
        replaced = self.path / layout.REPLACED
        replaced.mkdir(exist_ok=True)
        name, count = name or folder.name, 1
        while (target := replaced / f"{name}.{count}").exists() or target.is_symlink():
            count += 1
        shutil.move(folder, target)
        return target


def _changed(folder: Path, record: StageRecord) -> Iterator[Path]:
    """What a complete stage has left that is to be made again: its model as a whole, of the rest what has changed."""
    model = folder / layout.MODEL
    if model.exists():
        yield model
    for name, size in record.outputs.items():
        file, digest = folder / name, (record.hashes or {}).get(name)
        if (
            model not in file.parents
            and file.is_file()
            and any(damage(folder, {name: size}, digest and {name: digest}))
        ):
            yield file


def _hash_of_text(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _outputs(folder: Path) -> Iterator[Path]:
    """The files that later stages read. Not the words beside a model, which people write."""
    for path in (
        folder / layout.MODEL,
        folder / layout.PROBLEMS,
        folder / layout.TRACES,
        *folder.glob(f"{layout.STEPS}/*.jsonl"),
        *folder.glob(f"*/{layout.SCORES}"),
    ):
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and file.suffix != ".md":
                yield file
