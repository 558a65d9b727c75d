"""A run that an earlier version finished is still finished: no fingerprint has changed, no stage starts again.

`cases/finished_run` holds the recipe and the stages' records as version 0.1.0 wrote them in November 2026, before a
stage became a class; its files of results are stood in for by files of their recorded sizes.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from magistral_recipe.chain.run import RunOptions, run_recipe
from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.files import read_json

CASE = Path(__file__).parents[1] / "cases" / "finished_run"


@pytest.fixture
def finished(tmp_path, monkeypatch):
    shutil.copytree(CASE, tmp_path, dirs_exist_ok=True)
    records = sorted((tmp_path / "run").glob("*/stage.json"))
    assert len(records) == 5
    for record in records:
        for name, size in read_json(record)["outputs"].items():
            file = record.parent / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
            with open(file, "r+b") as stream:
                stream.truncate(size)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def plans(folder: Path, *overrides: str):
    return RunFolder(folder / "run", load_recipe(folder / "finished.yaml", list(overrides))).stage_plans()


def test_every_stage_is_known_by_its_old_fingerprint_and_skipped(finished):
    found = plans(finished)
    recorded = [read_json(plan.record)["fingerprint"] for plan in found]
    assert [plan.fingerprint for plan in found] == recorded
    assert len(set(recorded)) == 5
    assert [plan.decision for plan in found] == ["skip"] * 5


def test_running_it_again_starts_nothing(finished, monkeypatch):
    monkeypatch.setattr("magistral_recipe.chain.run.run_launched", None)
    monkeypatch.setattr("magistral_recipe.chain.run._report", lambda path, display: None)
    monkeypatch.setenv("CI", "1")
    folder = run_recipe(load_recipe(finished / "finished.yaml"), RunOptions(output=finished / "run"))
    stages = read_json(folder / "manifest.json")["stages"]
    assert [(stage["status"], stage["attempts"]) for stage in stages] == [("complete", 1)] * 5
    assert [stage["role"] for stage in stages] == ["imitation", "reinforcement", "evaluation", "evaluation", "other"]


def test_its_fingerprints_know_the_launch_that_was_asked_for_not_the_one_that_is_started(finished):
    recipe = load_recipe(finished / "finished.yaml").recipe
    asked = [recipe.launch_of(stage).num_processes for stage in recipe.stages]
    started = [recipe.started_as(stage).num_processes for stage in recipe.stages]
    assert asked == [2, 2, 2, 2, 2]
    assert started == [2, 2, 1, 2, 1]  # an evaluation shares its work only where it is asked to
    changed = plans(finished, "launch.num_processes=1")
    assert [plan.decision for plan in changed] == ["restart"] * 5
