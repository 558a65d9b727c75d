"""An evaluation as it is launched: shared by two CPU processes, killed half way, on a model that RL could leave."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from preloaded import start as start_loaded
from whole_runs import environment, kill_when, write_recipe

from magistral_recipe.evaluation.samples import read_samples
from magistral_recipe.files import read_json

pytestmark = pytest.mark.slow

ARGUMENTS = ["evaluate", "--model", "tiny", "--benchmark", "tiny", "--count", "12", "--samples", "3", "--greedy"]
ARGUMENTS += ["--max-new-tokens", "24", "--tokens-per-batch", "600"]
TWO = ["-m", "accelerate.commands.launch", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
TWO += ["--multi_gpu", "--num_processes", "2", "--main_process_port", "0"]


def start(folder, output, launcher=()):
    words, variables = [*ARGUMENTS, "--output", str(output)], own_environment(folder)
    if not launcher:
        return start_loaded(words, variables, folder)
    return subprocess.Popen(
        [sys.executable, *launcher, "-m", "magistral_recipe", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=variables,
        cwd=folder,
        start_new_session=True,
    )


def own_environment(folder):
    return environment(folder) | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}


def finish(process):
    text, _ = process.communicate(timeout=600)
    assert process.returncode == 0, text
    return text


def samples(output):
    return {sample.key: sample for sample in read_samples(output / "tiny" / "samples.jsonl")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    finish(start(folder, folder / "out"))
    return samples(folder / "out"), read_json(folder / "out" / "tiny" / "scores.json")


@pytest.mark.parametrize(("first", "second"), [(TWO, ()), ((), TWO)])
def test_killed_half_way_it_goes_on_however_it_is_launched(alone, tmp_path, first, second):
    """With the same samples bit for bit, whoever draws them; stopped and gone on with in one process: see below."""
    output = tmp_path / "out"
    files = output / "tiny"
    process = start(tmp_path, output, first)
    # At least one batch is on disk, in two processes of both.
    needed = [files / "samples.jsonl", *([files / "samples.001.jsonl"] if first else [])]
    kill_when(process, lambda: all(file.exists() and b"\n" in file.read_bytes() for file in needed))
    kept = {key: sample for file in needed for key, sample in ((s.key, s) for s in read_samples(file))}
    assert 0 < len(kept) < len(alone[0]) == 48
    text = finish(start(tmp_path, output, second))
    assert text.count("results: ") == 1  # one process speaks
    assert samples(output) == alone[0]
    lines = (files / "samples.jsonl").read_text().splitlines()
    assert len(lines) == len(alone[0])  # nothing that was finished was drawn again
    assert all(json.loads(line) for line in lines)
    result = read_json(files / "scores.json")
    assert result["processes"] == (2 if second else 1)
    assert result["overall"] == alone[1]["overall"]
    names = ["problems.jsonl", "samples.jsonl", "scores.json", "settings.json"]
    assert sorted(file.name for file in files.glob("[!.]*")) == names


def test_an_interrupted_evaluation_says_that_its_scores_are_partial(alone, tmp_path):
    output = tmp_path / "out"
    process = start(tmp_path, output)
    file = output / "tiny" / "samples.jsonl"
    while not (file.exists() and file.read_bytes().count(b"\n") > 2):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "nothing finished is lost" in text
    partial = read_json(output / "tiny" / "scores.partial.json")
    assert partial["partial"] is True
    assert partial["samples"] + partial["greedy_samples"] == len(samples(output)) < 48
    assert partial["warnings"][0].startswith("partial: ")
    assert not (output / "tiny" / "scores.json").exists()
    finish(start(tmp_path, output))
    assert not (output / "tiny" / "scores.partial.json").exists()
    assert samples(output) == alone[0]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux to mount a tmpfs")
def test_a_full_disk_is_said_and_loses_nothing(alone, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24k", "tmpfs", str(disk)], capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount a tmpfs: {done.stderr.decode().strip()}")
    try:
        process = start(tmp_path, disk / "out")
        text, _ = process.communicate(timeout=600)
        assert process.returncode == 1, text
        assert "error: the disk is full" in text
        assert "Traceback" not in text
        kept = samples(disk / "out")
        assert 0 < len(kept) < len(alone[0])
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        finish(start(tmp_path, disk / "out"))
        assert samples(disk / "out") == alone[0]
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


RECIPE = """\
name: shared
seed: 3
model: {path: tiny}
thinking: {system_prompt: none}
problems:
  held: {benchmark: tiny, count: 8}
stages:
  - evaluate: {problems: held, samples: 2, max_new_tokens: 24}
  - evaluate: {name: two, problems: held, samples: 2, max_new_tokens: 24, launch: {num_processes: 2}}
"""


def test_a_recipes_stage_takes_a_benchmark_and_shares_its_samples(tmp_path):
    recipe = write_recipe(tmp_path, RECIPE)
    text = finish(start_loaded(["run", str(recipe), "--output", str(tmp_path / "run")], own_environment(tmp_path)))
    one, two = tmp_path / "run" / "01-evaluate" / "base", tmp_path / "run" / "02-two" / "base"
    drawn = [{s.key: s for s in read_samples(folder / "samples.jsonl")} for folder in (one, two)]
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 16  # the benchmark's sampling: no greedy pass
    results = [read_json(folder / "scores.json") for folder in (one, two)]
    assert [result["processes"] for result in results] == [1, 2]
    assert [result["settings"]["temperature"] for result in results] == [0.7, 0.7]
    assert "were cut at 24 tokens" in text
