"""What the report shows, gathered from a run folder.

Every piece may be absent or half-written, since a report is also made of a run that goes on or died: what can be read
is read, and what is missing is said. Nothing is computed that another file already holds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magistral_recipe.evaluation.evaluate import SAMPLES, SCORES
from magistral_recipe.evaluation.samples import Sample, read_samples
from magistral_recipe.evaluation.scores import compute_scores
from magistral_recipe.evaluation.statistics import Interval
from magistral_recipe.files import read_json

Record = dict[str, Any]

NAMES = {"base": "base", "sft": "after SFT", "grpo": "after RL"}
"""How models are called on the page; others go by their stage's name."""

_STAGE_FOLDER = re.compile(r"\d\d-(.+)")
_MAX_ROLLOUTS = 2_000


@dataclass
class Evaluation:
    """One model's scores on one set of problems.

    Attributes:
        label: the model's name in the chain.
        scores: as in `scores.json`.
        samples: what it wrote.
        partial: the evaluation has not come to its end.
    """

    label: str
    scores: Record
    samples: list[Sample]
    partial: bool = False

    @property
    def name(self) -> str:
        """The model as the page calls it."""
        return NAMES.get(self.label, self.label)

    def interval(self, metric: str, dimension: str | None = None, group: str | None = None) -> Interval | None:
        """Return a figure with its interval, overall or of a group; ``None`` where there is none."""
        if dimension is None:
            return _interval(mapping(self.scores.get("overall")).get(metric))
        groups = mapping(mapping(self.scores.get("groups")).get(dimension))
        return _interval(mapping(mapping(groups.get(group or "")).get("scores")).get(metric))

    def groups(self, dimension: str) -> dict[str, int]:
        """Return the groups of a dimension and how many problems each has."""
        groups = mapping(mapping(self.scores.get("groups")).get(dimension))
        return {name: int(finite(mapping(group).get("problems")) or 0) for name, group in groups.items()}

    def count(self, name: str) -> int:
        """Return an overall count, 0 where it is not known."""
        return int(finite(self.scores.get(name)) or 0)


@dataclass
class Stage:
    """One stage of the chain.

    Attributes:
        name: in the chain.
        kind: `sft`, `grpo`, `evaluate`, …
        status: `complete`, `running`, or `waiting`.
        seconds: how long it took so far.
        summary: its own one line.
        metrics: what its trainer logged, in order.
        rollouts: completions that RL learnt from.
        evaluations: of an evaluating stage.
    """

    name: str
    kind: str
    status: str = "waiting"
    seconds: float = 0.0
    summary: str = ""
    metrics: list[Record] = field(default_factory=list)
    rollouts: list[Record] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)

    def curve(self, key: str) -> list[tuple[float, float]]:
        """Return a metric over steps; only finite values."""
        points = []
        for record in self.metrics:
            step, value = finite(record.get("step")), finite(record.get(key))
            if step is not None and value is not None:
                points.append((step, value))
        return points


@dataclass
class Run:
    """All that the report shows.

    Attributes:
        name: the run's.
        manifest: `manifest.json`, empty where it can't be read.
        recipe: the resolved recipe's text.
        stages: in order.
        missing: what could not be shown, one sentence each.
    """

    name: str
    manifest: Record
    recipe: str
    stages: list[Stage]
    missing: list[str]

    @property
    def description(self) -> str:
        """What the recipe says of itself."""
        return str(self.manifest.get("description") or "")


def collect(folder: Path) -> Run:
    """Read a run folder.

    Args:
        folder: the run's, whatever state it is in.

    Returns:
        What there is, and what is missing.
    """
    missing: list[str] = []
    if not folder.is_dir():
        return Run(folder.name, {}, "", [], [f"{folder.name} is not a folder: there is no run to report on."])
    manifest = mapping(read_json(folder / "manifest.json"))
    if not manifest:
        missing.append("manifest.json is absent or unreadable: versions, hardware and durations are not known.")
    recipe = _text(folder / "recipe.yaml")
    if recipe is None:
        missing.append("recipe.yaml is absent: what was asked for is not known.")
    stages = [_read_stage(folder, entry, missing) for entry in _entries(folder, manifest)]
    if not stages:
        missing.append("No stage has started.")
    elif not any(stage.evaluations for stage in stages):
        missing.append("No evaluation has produced samples: there are no scores yet.")
    return Run(str(manifest.get("name") or folder.resolve().name), manifest, recipe or "", stages, missing)


def _entries(folder: Path, manifest: Record) -> list[Record]:
    """The chain's stages by the manifest, else by the folders that are there."""
    listed = manifest.get("stages")
    entries = [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []
    if entries:
        return entries
    found = []
    for path in sorted(folder.iterdir()):
        match = _STAGE_FOLDER.fullmatch(path.name)
        if match and path.is_dir():
            record = mapping(read_json(path / "stage.json"))
            found.append({**record, "name": match[1], "kind": record.get("kind", match[1]), "folder": path.name})
    return found


def _read_stage(run: Path, entry: Record, missing: list[str]) -> Stage:
    name, kind = str(entry.get("name", "?")), str(entry.get("kind", "?"))
    stage = Stage(name, kind, str(entry.get("status", "waiting")), finite(entry.get("seconds")) or 0.0)
    stage.summary = str(mapping(entry.get("results")).get("summary", ""))
    folder = run / Path(str(entry.get("folder", name))).name
    if stage.status == "running":
        missing.append(f"Stage {name} has not come to its end: figures are those of the moment.")
    elif stage.status == "waiting":
        missing.append(f"Stage {name} has not started.")
    if not folder.is_dir():
        if stage.status == "complete":
            missing.append(f"Stage {name} is complete, but its folder {folder.name} is gone.")
        return stage
    stage.metrics = _records(folder / "metrics.jsonl", f"{name}: metrics.jsonl", missing)
    stage.rollouts = _records(folder / "rollouts.jsonl", f"{name}: rollouts.jsonl", missing)
    if len(stage.rollouts) > _MAX_ROLLOUTS:
        stage.rollouts = stage.rollouts[: _MAX_ROLLOUTS // 2] + stage.rollouts[-_MAX_ROLLOUTS // 2 :]
    if kind in ("sft", "grpo") and not stage.metrics and stage.status != "waiting":
        missing.append(f"{name}: no metrics were logged: there are no curves.")
    if kind == "evaluate":
        stage.evaluations = _read_evaluations(folder, _labels_in_order(entry), missing)
    return stage


def _labels_in_order(entry: Record) -> list[str]:
    return ["base", *mapping(mapping(entry.get("results")).get("scores")), "sft", "grpo"]


def _read_evaluations(folder: Path, order: Sequence[str], missing: list[str]) -> list[Evaluation]:
    found = []
    labels = {path.parent.name for name in (SAMPLES, SCORES) for path in folder.glob(f"*/{name}")}
    rank = {label: position for position, label in reversed(list(enumerate(order)))}
    for label in sorted(labels, key=lambda label: (rank.get(label, len(rank) + len(order)), label)):
        samples = read_samples(folder / label / SAMPLES)
        scores = mapping(read_json(folder / label / SCORES))
        partial = not isinstance(scores.get("overall"), dict)
        if partial and not samples:
            missing.append(f"Evaluation of {label}: no whole sample yet.")
            continue
        if partial:
            missing.append(f"Evaluation of {label} is not finished: its scores are of {len(samples)} samples so far.")
            scores = compute_scores(samples).to_json()
        elif not samples:
            missing.append(f"Evaluation of {label}: samples.jsonl is absent or empty: there is nothing to read.")
        found.append(Evaluation(label, scores, samples, partial))
    return found


def _records(path: Path, what: str, missing: list[str]) -> list[Record]:
    """Read JSON lines; broken ones are left out and counted."""
    if not path.is_file():
        return []
    records, broken = [], 0
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if isinstance(record, dict):
                records.append(record)
            elif line.strip():
                broken += 1
    if broken:
        missing.append(f"{what}: {broken} line{'s' * (broken != 1)} could not be read (half-written, or damaged).")
    return records


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def mapping(value: object) -> Record:
    """Return a JSON object, an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def finite(value: object) -> float | None:
    """Return a number that can be drawn, ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON knows integers of any length
        return None
    return number if math.isfinite(number) else None


def _interval(value: object) -> Interval | None:
    ends = mapping(value)
    mean = finite(ends.get("mean"))
    if mean is None:
        return None
    low, high = finite(ends.get("low")), finite(ends.get("high"))
    return Interval(mean, -math.inf if low is None else low, math.inf if high is None else high)
