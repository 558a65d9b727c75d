"""The chain in two CPU processes: launched stage by stage, and inside the processes of `accelerate launch`."""

from __future__ import annotations

import subprocess
import sys

import pytest
from whole_runs import RECIPE, environment, metrics_without_time, run, weights_hash, write_recipe

from magistral_recipe.files import read_json

pytestmark = pytest.mark.slow

TWO = RECIPE.replace("seed: 7", "seed: 7\nlaunch: {num_processes: 2}").replace(
    "per_device_train_batch_size: 16", "per_device_train_batch_size: 8"
)


def accelerate_launch(recipe, output, *flags):
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines", "1", "--mixed_precision", "no"]
    command += ["--dynamo_backend", "no", *flags, "-m", "magistral_recipe", "run", str(recipe), "--output", str(output)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(recipe.parent), timeout=600)


def test_two_processes_really_run_and_both_ways_give_the_same_model(tmp_path):
    recipe = write_recipe(tmp_path, TWO)
    code, text = run(recipe, tmp_path / "launched")
    assert code == 0, text
    flags = ["--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]
    inside = accelerate_launch(recipe, tmp_path / "inside", *flags)
    assert inside.returncode == 0, inside.stdout + inside.stderr
    for stage in ("01-sft", "02-grpo"):
        results = read_json(tmp_path / "launched" / stage / "stage.json")["results"]
        assert results["processes"] == 2, stage
        hashes = {weights_hash(tmp_path / way / stage) for way in ("launched", "inside")}
        assert len(hashes) == 1, stage
        metrics = [metrics_without_time(tmp_path / way / stage) for way in ("launched", "inside")]
        assert metrics[0] == metrics[1], stage


SHORT = """\
name: short
model: {path: tiny}
thinking: {system_prompt: none}
problems: {heldout: {tiny: heldout, count: 4}}
stages:
  - sft: {traces: {tiny: true, count: 16}, trainer: {max_steps: 2, per_device_train_batch_size: 2}}
  - evaluate: {problems: heldout, samples: 1, max_new_tokens: 8}
"""


def test_a_launch_is_taken_as_it_is_where_the_recipe_says_none_evaluations_included(tmp_path):
    """Without `--multi_gpu` Accelerate starts one process on a machine without a GPU: then the stages are launched."""
    recipe = write_recipe(tmp_path, SHORT)
    ways = {
        "asked": ["--num_processes", "2"],
        "given": ["--multi_gpu", "--num_processes=2", "--main_process_port", "0"],
    }
    for way, flags in ways.items():
        done = accelerate_launch(recipe, tmp_path / way, *flags)
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("has started 1 of the 2 processes" in done.stdout) == (way == "asked")
        assert read_json(tmp_path / way / "01-sft" / "stage.json")["results"]["processes"] == 2, way
        assert read_json(tmp_path / way / "02-evaluate" / "sft" / "scores.json")["processes"] == 2, way
    assert weights_hash(tmp_path / "asked" / "01-sft") == weights_hash(tmp_path / "given" / "01-sft")


def test_a_launch_that_the_recipe_asks_otherwise_for_names_the_key(tmp_path):
    recipe = write_recipe(tmp_path, TWO)
    done = accelerate_launch(recipe, tmp_path / "run", "--num_processes", "1", "--cpu")
    assert done.returncode != 0
    told = (
        "launch.num_processes: asks for 2, and the launcher has started 1: set launch: {num_processes: 1}, or leave it"
    )
    assert f"{recipe}:3: {told}" in done.stderr

    two_in_rl = "      problems: train\n      launch: {num_processes: 2}\n"
    mixed = write_recipe(tmp_path, RECIPE.replace("      problems: train\n", two_in_rl))
    done = accelerate_launch(mixed, tmp_path / "run", "--num_processes", "1", "--cpu")
    assert done.returncode != 0
    assert "stages[1].grpo.launch.num_processes: asks for 2" in done.stderr
    assert f"magistral-recipe run {mixed}" in done.stderr
    assert not (tmp_path / "run").exists()
