"""What a run left behind, read once, for the page, `report.md` and `metrics.json` alike.

Every piece may be absent or half-written, since a report is also made of a run that goes on or died: what can be read
is read, and what is missing is said. Nothing is computed that another file already holds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from filelock import FileLock, Timeout

from magistral_recipe import layout
from magistral_recipe.confidential import masked_text
from magistral_recipe.errors import DataError, MagistralRecipeError
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.evaluation.statistics import Interval
from magistral_recipe.files import read_json
from magistral_recipe.jsonlines import Damage, Record, read_lines
from magistral_recipe.recipe.document import read_document
from magistral_recipe.recipe.sections import Role
from magistral_recipe.report.evaluations import NAMES, EvaluationFolder, figure, stage_evaluations
from magistral_recipe.report.funnel import read_funnel
from magistral_recipe.report.rewards import read_rewards
from magistral_recipe.report.seen import Seen, read_rollouts_seen, read_samples_seen, sample_of
from magistral_recipe.report.values import as_float, as_int, as_mapping
from magistral_recipe.rewards.facts import RewardFacts
from magistral_recipe.writing.thinking import Thinking

_ROLES: dict[str, Role] = {"sft": "imitation", "grpo": "reinforcement", "evaluate": "evaluation"}
"""Of the kinds that there were before a run noted what its stages do."""

_SILENT, _LONG_SILENT = 30.0, 600.0
"""Seconds without a word after which a running stage's pulse is felt, and after which it counts as dead without one."""


@dataclass
class Evaluation:
    """One model's scores on one set of problems.

    Attributes:
        label: the model's name in the chain.
        scores: as in `scores.json`.
        samples: what it wrote, without the text.
        path: the file of samples.
        partial: the evaluation has not come to its end.
    """

    label: str
    scores: Record
    samples: list[Seen]
    path: Path
    partial: bool = False

    @property
    def name(self) -> str:
        """The model as the page calls it."""
        return NAMES.get(self.label, self.label)

    def interval(self, metric: str, dimension: str | None = None, group: str | None = None) -> Interval | None:
        """Return a figure with its interval, overall or of a group; ``None`` where there is none."""
        if dimension is None:
            return _interval(figure(as_mapping(self.scores.get("overall")), metric))
        groups = as_mapping(as_mapping(self.scores.get("groups")).get(dimension))
        return _interval(figure(as_mapping(as_mapping(groups.get(group or "")).get("scores")), metric))

    def groups(self, dimension: str) -> dict[str, int]:
        """Return the groups of a dimension and how many problems each has."""
        groups = as_mapping(as_mapping(self.scores.get("groups")).get(dimension))
        return {name: as_int(as_mapping(group).get("problems")) for name, group in groups.items()}

    @property
    def warnings(self) -> list[str]:
        """What the evaluation itself said against its scores (`scores.json`)."""
        told = self.scores.get("warnings")
        return [text for text in told if isinstance(text, str) and text] if isinstance(told, list) else []

    def count(self, name: str) -> int:
        """Return an overall count, 0 where it is not known."""
        return as_int(self.scores.get(name))

    @property
    def greedy(self) -> bool:
        """Nothing was sampled: its scores are those of greedy decoding."""
        return bool(self.samples) and all(sample.greedy for sample in self.samples)

    def values(self, of: Callable[[Seen], float | None], *, greedy: bool) -> dict[str, list[float]]:
        """Return a figure of the samples by problem, where they have it: of the greedy ones, or of the others."""
        found: dict[str, list[float]] = {}
        for sample in self.samples:
            value = of(sample) if sample.greedy == greedy else None
            if value is not None:
                found.setdefault(sample.problem, []).append(value)
        return found


@dataclass
class Stage:
    """One stage of the chain.

    Attributes:
        name: in the chain.
        kind: `sft`, `grpo`, `evaluate`, …: for people; what is shown of it goes by its role.
        role: what it does (`recipe.sections.Role`).
        status: `complete`, `running`, `stopped` (it was running, and nothing has been written for long), `waiting`, or
            `unknown` where no record says.
        seconds: how long it took so far.
        summary: its own one line.
        results: what it returned.
        metrics: what its trainer logged, in order.
        heldout: step and score of each evaluation while it trained.
        heldout_problems: how many problems those are of; 0 where no run said.
        rewards: what its rewards said of themselves; nothing in older runs.
        rollouts: completions that RL learnt from, without the text.
        rollouts_path: their file.
        evaluations: of an evaluating stage.
        funnel: of a curating stage, as it was written down.
    """

    name: str
    kind: str
    role: Role = "other"
    status: str = "waiting"
    seconds: float = 0.0
    summary: str = ""
    results: Record = field(default_factory=dict)
    metrics: list[Record] = field(default_factory=list)
    heldout: list[tuple[float, float]] = field(default_factory=list)
    heldout_problems: int = 0
    rewards: tuple[RewardFacts, ...] = ()
    rollouts: list[Seen] = field(default_factory=list)
    rollouts_path: Path = Path()
    evaluations: list[Evaluation] = field(default_factory=list)
    funnel: Record = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the page calls it."""
        return NAMES.get(self.name, self.name).removeprefix("after ")

    def curve(self, key: str) -> list[tuple[float, float]]:
        """Return a metric over steps; only finite values."""
        points = []
        for record in self.metrics:
            step, value = as_float(record.get("step")), as_float(record.get(key))
            if step is not None and value is not None:
                points.append((step, value))
        return points

    def keys(self) -> list[str]:
        """Return the names of all that was logged, in order of appearance."""
        return list(dict.fromkeys(key for record in self.metrics for key in record))


@dataclass
class Run:
    """All that is known of a run.

    Attributes:
        folder: where it is.
        name: the run's.
        manifest: `manifest.json`, empty where it can't be read.
        recipe: the resolved recipe's text.
        stages: in order.
        thinking: its tags.
        missing: what could not be shown, one sentence each.
    """

    folder: Path
    name: str
    manifest: Record
    recipe: str
    stages: list[Stage]
    thinking: Thinking
    missing: list[str]

    @property
    def description(self) -> str:
        """What the recipe says of itself."""
        return str(self.manifest.get("description") or "")

    @property
    def seconds(self) -> float:
        """How long all stages took."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def evaluated(self) -> Stage | None:
        """The last stage that evaluated."""
        return next((stage for stage in reversed(self.stages) if stage.evaluations), None)

    def trained(self, role: Role) -> Stage | None:
        """The last stage of a role that logged something."""
        return next((stage for stage in reversed(self.stages) if stage.role == role and stage.metrics), None)


def collect(folder: Path) -> Run:
    """Read a run folder.

    Args:
        folder: the run's, whatever state it is in.

    Returns:
        What there is, and what is missing.

    Raises:
        DataError: if there is no such folder, or it holds files but nothing of a run.
    """
    _refuse_what_is_no_run(folder)
    missing: list[str] = []
    manifest = as_mapping(read_json(folder / layout.MANIFEST))
    alone = not manifest and (folder / layout.METRICS).is_file()
    if not manifest and not alone:
        missing.append("manifest.json is absent or unreadable: versions, hardware and durations are not known.")
    recipe = _own_text(folder / layout.RECIPE)
    if recipe is None and not alone:
        elsewhere = " or lies elsewhere" if (folder / layout.RECIPE).is_symlink() else ""
        missing.append(f"recipe.yaml is absent{elsewhere}: what was asked for is not known.")
    thinking = _thinking(folder)
    stages = [_read_stage(folder, entry, thinking, missing) for entry in _entries(folder, manifest)]
    if not stages:
        missing.append("No stage has started.")
    elif not any(stage.evaluations for stage in stages):
        missing.append("No evaluation has produced samples: there are no scores yet.")
    name = str(manifest.get("name") or folder.resolve().name)
    return Run(folder, name, manifest, recipe or "", stages, thinking, missing)


def _refuse_what_is_no_run(folder: Path) -> None:
    if not folder.exists():
        raise DataError(f"{folder}: no such run folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: a file, not a run folder; give the folder that `run` wrote, such as runs/NAME")
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from error
    listed = (layout.MANIFEST, layout.RECIPE, layout.METRICS)  # the last of a trainer that was used alone
    known = [name for name in names if name in listed or layout.stage_name(name)]
    others = any(not name.startswith(".") and name not in layout.REPORTS for name in names)
    # A report of nothing may be written again; a page and figures that no report wrote are somebody's.
    told = "format" in as_mapping(read_json(folder / layout.REPORT_METRICS))
    if not known and (others or (not told and any(name in layout.REPORTS for name in names))):
        inside = [name for name in names if (folder / name / layout.MANIFEST).is_file()]
        hint = f"; did you mean {folder / sorted(inside)[0]}?" if inside else ""
        raise DataError(f"{folder}: not a run folder: it has no manifest.json, no recipe.yaml and no stage{hint}")


def _entries(folder: Path, manifest: Record) -> list[Record]:
    """The chain's stages by the manifest, else by the folders that are there."""
    listed = manifest.get("stages")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if entries:
        return [_brought_up_to_date(folder, entry) for entry in entries]
    found = []
    for path in sorted(folder.iterdir()):
        name = layout.stage_name(path.name)
        if name and path.is_dir():
            record = as_mapping(read_json(path / layout.STAGE))
            known = {"status": "unknown", **record, "kind": record.get("kind", name)}
            found.append({**known, "name": name, "folder": path.name})
    return found or [*_trainer_alone(folder)]


def _trainer_alone(folder: Path) -> Iterator[Record]:
    """The output folder of `MagistralGRPOTrainer`, used without a recipe: one stage, which is the folder itself."""
    metrics = (
        [record for _, record in read_lines(folder / layout.METRICS)] if (folder / layout.METRICS).is_file() else []
    )
    if metrics:
        ended = "train_runtime" in metrics[-1]
        seconds = as_float(metrics[-1].get("train_runtime")) or 0.0
        status = "complete" if ended else "unknown"
        yield {"name": "grpo", "kind": "grpo", "status": status, "seconds": seconds, "folder": ""}


def _brought_up_to_date(folder: Path, entry: Record) -> Record:
    """The manifest is written when a run starts and ends: a stage's own record is newer while it goes on."""
    record = as_mapping(read_json(folder / _folder_of(entry) / layout.STAGE))
    if not record or record.get("fingerprint") != entry.get("fingerprint"):
        return entry
    return {**entry, **{key: record[key] for key in ("status", "seconds", "results", "failure") if key in record}}


def _folder_of(entry: Record) -> str:
    """The stage's folder name; never a way out of the run."""
    return Path(str(entry.get("folder", entry.get("name", "?")))).name


def _read_stage(run: Path, entry: Record, thinking: Thinking, missing: list[str]) -> Stage:
    name, kind = str(entry.get("name", "?")), str(entry.get("kind", "?"))
    results = as_mapping(entry.get("results"))
    stage = Stage(name, kind, role_of(kind, entry.get("role")), str(entry.get("status", "waiting")))
    stage.seconds = as_float(entry.get("seconds")) or 0.0
    stage.results, stage.summary = results, str(results.get("summary", ""))
    folder = run / _folder_of(entry)
    if stage.status == "running" and isinstance(failure := entry.get("failure"), str):
        stage.status = "stopped"
        missing.append(f"Stage {name} failed: {masked_text(failure)}")
    elif stage.status == "running" and _has_died(run, folder):
        stage.status = "stopped"
        missing.append(
            f"Stage {name} has not come to its end, and nothing is working on it: the run was stopped, or died. Its "
            "log.txt says more; the same command goes on from the last checkpoint."
        )
    elif stage.status == "running":
        missing.append(f"Stage {name} has not come to its end: figures are those of the moment.")
    elif stage.status == "unknown":
        missing.append(f"Stage {name}: stage.json is absent or unreadable: whether it came to its end is not known.")
    elif stage.status == "waiting":
        missing.append(f"Stage {name} has not started.")
    if not folder.is_dir():
        if stage.status == "complete":
            missing.append(f"Stage {name} is complete, but its folder {folder.name} is gone.")
        return stage
    _read_training(stage, folder, thinking, missing)
    if stage.role == "curation":
        stage.funnel = read_funnel(folder)
    if stage.role == "evaluation":
        found = [_read_evaluation(each, thinking, missing) for each in stage_evaluations(folder)]
        stage.evaluations = [evaluation for evaluation in found if evaluation is not None]
    return stage


def role_of(kind: str, noted: object = None) -> Role:
    """Return what a stage does: as its run noted it; by its kind in folders that were written before runs did."""
    return next((role for role in get_args(Role) if role == noted), _ROLES.get(kind, "other"))


def _read_training(stage: Stage, folder: Path, thinking: Thinking, missing: list[str]) -> None:
    damage = Damage()
    stage.metrics = [record for _, record in read_lines(folder / layout.METRICS, damage)]
    _note(missing, damage.describe(f"{stage.name}: metrics.jsonl"))
    looks = as_mapping(read_json(folder / layout.BEST / layout.SCORES))
    scores = looks.get("scores")
    pairs = [pair for pair in scores if isinstance(pair, list) and len(pair) == 2] if isinstance(scores, list) else []
    points = [(as_float(step), as_float(score)) for step, score in pairs]
    stage.heldout = [(step, score) for step, score in points if step is not None and score is not None]
    stage.heldout_problems = as_int(looks.get("problems")) or 0
    damage = Damage()
    stage.rollouts_path = folder / layout.ROLLOUTS
    stage.rewards = read_rewards(folder / layout.REWARDS)
    stage.rollouts = read_rollouts_seen(stage.rollouts_path, thinking, damage, stage.rewards)
    _note(missing, damage.describe(f"{stage.name}: rollouts.jsonl"))
    if stage.role in ("imitation", "reinforcement") and not stage.metrics and stage.status != "waiting":
        missing.append(f"{stage.name}: no metrics were logged: there are no curves.")
    if stage.role == "reinforcement" and not stage.rollouts and stage.metrics:
        missing.append(f"{stage.name}: no rollouts were written down: what it learnt from cannot be shown.")


def _read_evaluation(found: EvaluationFolder, thinking: Thinking, missing: list[str]) -> Evaluation | None:
    damage = Damage()
    samples = read_samples_seen(found.samples, thinking, damage)
    _note(missing, damage.describe(f"Evaluation of {found.label}: samples.jsonl"))
    if found.scores:
        if not samples:
            missing.append(f"Evaluation of {found.label}: samples.jsonl is absent or empty: there is nothing to read.")
        evaluation = Evaluation(found.label, found.scores, samples, found.samples, found.scores.get("partial") is True)
        if not any(evaluation.interval(metric) for metric in as_mapping(found.scores["overall"])):
            missing.append(f"Evaluation of {found.label}: scores.json holds no figure that can be read.")
        return evaluation
    told = {s.key: s for _, row in read_lines(found.samples) if (s := sample_of(row)) is not None}
    if not told:
        missing.append(f"Evaluation of {found.label}: no whole sample yet.")
        return None
    missing.append(f"Evaluation of {found.label} is not finished: its scores are of {len(samples)} samples so far.")
    scores = compute_scores(
        [*told.values()], {"settings": as_mapping(read_json(found.folder / layout.SETTINGS))}
    ).to_json()
    return Evaluation(found.label, scores, samples, found.samples, partial=True)


def _thinking(folder: Path) -> Thinking:
    """The run's tags, as its evaluations noted them; the usual ones where none did."""
    for file in sorted(folder.glob(f"{layout.STAGE_FOLDERS}/*/{layout.SETTINGS}")):
        noted = as_mapping(read_json(file)).get("thinking")
        if isinstance(noted, dict):
            try:
                return Thinking(**noted)
            except (TypeError, ValueError, AttributeError):
                continue
    return _thinking_of_recipe(folder)


def _thinking_of_recipe(folder: Path) -> Thinking:
    """The tags of the resolved recipe; the usual ones where it can't be read or says nothing."""
    tags = as_mapping(resolved_recipe(folder).get("thinking"))
    try:
        return Thinking(**{name: tags[name] for name in ("open", "close") if name in tags})
    except (TypeError, ValueError, AttributeError):
        return Thinking()


def resolved_recipe(folder: Path) -> Record:
    """Return a run's resolved recipe as plain data, empty where it can't be read."""
    file = folder / layout.RECIPE
    try:
        return as_mapping(read_document(file).data) if _own_text(file) is not None else {}
    except (MagistralRecipeError, OSError, ValueError, RecursionError):
        return {}


def _has_died(run: Path, stage: Path) -> bool:
    """Whether nobody works on a stage that calls itself running: no command holds the run's lock."""
    silent = _silent_for(stage)
    if silent < _SILENT:
        return False
    if not (run / layout.LOCK).is_file():
        return silent > _LONG_SILENT
    try:
        with FileLock(run / layout.LOCK, timeout=0):
            return True
    except (Timeout, OSError):
        return False


def _silent_for(folder: Path) -> float:
    """Seconds since anything in a stage's folder was written."""
    files = [*folder.glob("*"), *folder.glob("*/*.jsonl")] if folder.is_dir() else []
    times = [path.stat().st_mtime for path in files if path.is_file()]
    return max(0.0, time.time() - max(times)) if times else math.inf


def _note(missing: list[str], sentence: str | None) -> None:
    if sentence:
        missing.append(sentence)


def _own_text(path: Path) -> str | None:
    """A text that lies in its folder itself, its secrets masked; what a link fetches from elsewhere is not shown."""
    try:
        if not path.is_file() or path.resolve() != path.parent.resolve() / path.name:
            return None
        with open(path, "rb") as stream:
            text = stream.read(_MOST_TEXT).decode("utf-8", "replace")
    except OSError:
        return None
    return masked_text(text)


_MOST_TEXT = 1 << 20


def _interval(value: object) -> Interval | None:
    ends = as_mapping(value)
    mean = as_float(ends.get("mean"))
    if mean is None:
        return None
    low, high = as_float(ends.get("low")), as_float(ends.get("high"))
    return Interval(mean, -math.inf if low is None else low, math.inf if high is None else high)
