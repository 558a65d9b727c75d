"""Kill -9 at any moment of any stage, run again: the finished run is the uninterrupted one's, bit for bit."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from whole_runs import kill_when, metrics_without_time, run, start, steps, weights_hash, write_recipe

from magistral_recipe.files import read_json

pytestmark = pytest.mark.slow


def half_written(stage: Path, step: int) -> bool:
    """Whether a checkpoint of a step is there and not marked as complete."""
    checkpoint = stage / "checkpoints" / f"checkpoint-{step}"
    return checkpoint.exists() and not (checkpoint / "complete.json").exists()


def complete(stage: Path) -> bool:
    return (read_json(stage / "stage.json") or {}).get("status") == "complete"


def test_a_run_that_is_killed_again_and_again_ends_as_if_nothing_had_happened(uninterrupted, tmp_path):
    recipe = write_recipe(tmp_path)
    output = tmp_path / "run"
    sft, grpo = output / "01-sft", output / "02-grpo"

    kill_when(start(recipe, output), lambda: steps(sft) >= 5)  # in SFT, two steps after a checkpoint
    kill_when(start(recipe, output), lambda: half_written(sft, 6))  # while a checkpoint is being written
    kill_when(start(recipe, output), lambda: complete(sft))  # between the stages
    kill_when(start(recipe, output), lambda: steps(grpo) >= 3, only_runner=True)  # in RL; its children must not go on
    kill_when(start(recipe, output), lambda: half_written(grpo, 6))  # while RL writes a checkpoint

    code, text = run(recipe, output, anew=True)  # as a person starts it, in other processes than those before
    assert code == 0, text
    assert "[1/2] sft: complete, skipped" in text
    assert "[2/2] grpo: resuming where it stopped" in text
    for stage in ("01-sft", "02-grpo"):
        assert weights_hash(output / stage) == weights_hash(uninterrupted / stage), stage
        assert metrics_without_time(output / stage) == metrics_without_time(uninterrupted / stage), stage
    rollouts = [(folder / "02-grpo" / "rollouts.jsonl").read_text() for folder in (output, uninterrupted)]
    assert rollouts[0] == rollouts[1]
    manifests = [read_json(folder / "manifest.json") for folder in (output, uninterrupted)]
    assert [(stage["name"], stage["status"]) for stage in manifests[0]["stages"]] == [
        ("sft", "complete"),
        ("grpo", "complete"),
    ]
    assert [stage["fingerprint"] for stage in manifests[0]["stages"]] == [
        stage["fingerprint"] for stage in manifests[1]["stages"]
    ]


def test_a_second_run_on_the_folder_is_refused_and_a_finished_one_is_skipped(uninterrupted, tmp_path):
    recipe, output = write_recipe(tmp_path), tmp_path / "run"
    shutil.copytree(uninterrupted, output)
    before = weights_hash(output / "02-grpo")
    code, text = run(recipe, output)
    assert code == 0
    assert text.count("complete, skipped") == 2
    assert weights_hash(output / "02-grpo") == before

    first = start(recipe, output, "--set", "stages.grpo.trainer.learning_rate=2e-3")
    while "starting anew" not in (line := first.stdout.readline()):
        assert line, "the run ended"
    code, text = run(recipe, output)
    kill_when(first, lambda: True)
    assert code == 1
    assert "another command is running in this folder" in text
    # What the changed recipe replaced is still there.
    assert weights_hash(output / "replaced" / "02-grpo.1") == before
