"""The files of a run, named once.

runs/NAME/
  recipe.yaml        the resolved recipe
  manifest.json      versions, hardware, seed, inputs by hash, each stage's state, duration and results
  01-sft/            a stage's own folder: its place in the chain and its name
    stage.json       how far it is, and for what config
    model/           what later stages start from; an adapter that is carried on is in adapter/
    adapter/         of a merge into quantized weights: what was trained, by itself
    checkpoints/     what a half-done stage goes on from
    best/            the best model of a stage that is evaluated while it trains
    metrics.jsonl    what its trainer logged
    baseline.jsonl   a few completions of the model that RL starts from
    rollouts.jsonl   completions that RL learnt from, and of groups that it dropped (`dropped` says why)
    set-aside-….jsonl  rows of data that could not be used
    log.txt          what libraries printed
    problems.jsonl   of a stage that makes a set: the set, or traces.jsonl; funnel.json says how it came about, steps/
                     holds what each step left, ratings/ the samples, programs.jsonl verdicts while they are made,
                     translations/ the texts that were drawn
  03-evaluate/MODEL/   the evaluation of one model: samples.jsonl, scores.json, settings.json, …
  replaced/          stages whose config changed, as they were
  report.html  report.md  metrics.json   what a report writes
  .run.json          the run's own name, which its stages bear: what bears another is not deleted
  .lock  .decisions.json                 held, and told to the other processes, while a command runs here
"""

from __future__ import annotations

import re
from pathlib import Path

RECIPE = "recipe.yaml"
MANIFEST = "manifest.json"
STAGE = "stage.json"
MODEL, ADAPTER, CHECKPOINTS, BEST = "model", "adapter", "checkpoints", "best"
METRICS, ROLLOUTS, REWARDS, LOG = "metrics.jsonl", "rollouts.jsonl", "rewards.json", "log.txt"
BASELINE = "baseline.jsonl"
SAMPLES, SCORES, PARTIAL_SCORES = "samples.jsonl", "scores.json", "scores.partial.json"
SETTINGS, PROBLEMS = "settings.json", "problems.jsonl"
TRACES = "traces.jsonl"
FUNNEL, STEPS, RATINGS, TRANSLATIONS = "funnel.json", "steps", "ratings", "translations"
PROGRAMS = "programs.jsonl"
REPLACED = "replaced"
SET_ASIDE = "set-aside.jsonl"
SET_ASIDE_FILES = "set-aside-*.jsonl"
"""Matches the files of `set_aside`, as a glob."""
REPORTS = REPORT, REPORT_TEXT, REPORT_METRICS = "report.html", "report.md", "metrics.json"
LOCK, DECISIONS = ".lock", ".decisions.json"
RUN = ".run.json"

CHECKPOINT_MARKS = f"{CHECKPOINTS}/checkpoint-*/complete.json"
"""Matches what says in a stage's folder that a checkpoint is whole, as a glob."""

OF_A_RUN = (RECIPE, MANIFEST, *REPORTS, DECISIONS, RUN)
"""Files in a run's own folder, beside its stages."""

STAGE_FOLDERS = "[0-9][0-9]-*"
"""Matches the folders of stages, as a glob."""

_STAGE_FOLDER = re.compile(r"\d\d-(.+)")


def stage_folder(index: int, name: str) -> str:
    """Return the folder name of a stage, from its place in the chain (from 0) and its name."""
    return f"{index + 1:02d}-{name}"


def stage_name(folder: str) -> str | None:
    """Return the name of the stage that a folder's name tells, ``None`` for a folder of something else."""
    match = _STAGE_FOLDER.fullmatch(folder)
    return match[1] if match else None


def set_aside(folder: Path, source: str) -> Path:
    """Return where a source's unusable rows go; one file each, or one would replace another's."""
    stem, _, ending = SET_ASIDE.partition(".")
    return folder / f"{stem}-{re.sub(r'[^0-9A-Za-z._-]', '_', source)}.{ending}"
