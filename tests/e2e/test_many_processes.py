"""The chain in two and four CPU processes: the losses and the model of one, whoever of them began it; and one that
does not come is named.

Under FSDP2 the processes are started by Accelerate from the shipped launch file, which is told that they are a GPU's
(`helpers/fsdp_on_cpu`), in float32.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import tiny_mistral
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText
from whole_runs import run, write_recipe

from magistral_recipe.data import tiny
from magistral_recipe.files import read_json, write_json

pytestmark = pytest.mark.slow

HOOK = Path(__file__).parents[1] / "helpers" / "fsdp_on_cpu"
SHARE_OUT = Path(__file__).parents[2] / "recipes" / "accelerate" / "fsdp2_2gpu.yaml"
SFT = """\
name: many
seed: 7
model: {path: tiny}
thinking: {system_prompt: none}
launch: {num_processes: PROCESSES}
problems:
  train: {tiny: train, count: 16}
  heldout: {tiny: heldout, count: 3}
stages:
  - sft:
      traces: {tiny: true, count: 60}
      trainer: {max_steps: 4, per_device_train_batch_size: ROWS, learning_rate: 1.0e-3, save_steps: 2, logging_steps: 1}
      evaluate: {every: 2, problems: heldout, max_new_tokens: 8}
"""
GRPO = """\
  - grpo:
      problems: train
      rewards: [length_of_text]
      trainer:
        max_steps: 2
        prompts_per_batch: 2
        num_generations: 4
        max_completion_length: 16
        learning_rate: 1.0e-3
"""


def recipe(folder, processes, stages=SFT):
    return write_recipe(folder, stages.replace("PROCESSES", str(processes)).replace("ROWS", str(8 // processes)))


def trained(stage):
    """What a stage's model is in plain transformers or PEFT, and its losses."""
    folder = stage / "model"
    if (folder / "adapter").exists():
        base = AutoModelForCausalLM.from_pretrained(tiny.model_path(), dtype=torch.float32)
        return PeftModel.from_pretrained(base, folder / "adapter"), losses_of(stage)
    images = (folder / "preprocessor_config.json").exists()
    auto = AutoModelForImageTextToText if images else AutoModelForCausalLM
    return auto.from_pretrained(folder), losses_of(stage)


def losses_of(stage):
    """The loss of each step."""
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def assert_as_alone(folder, alone, processes):
    """A stage has run in so many processes, and came to what one came to."""
    (model, losses), (expected, expected_losses) = trained(folder), alone
    assert read_json(folder / "stage.json")["results"]["processes"] == processes
    assert len(losses) == len(expected_losses) == 4
    assert losses == pytest.approx(expected_losses, abs=2e-4)
    found, wanted = model.state_dict(), expected.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.allclose(found[name], wanted[name], atol=2e-4) for name in wanted)
    assert model.generation_config.to_dict() == expected.generation_config.to_dict()
    assert {**model.config.to_dict(), "_name_or_path": ""} == {**expected.config.to_dict(), "_name_or_path": ""}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A run in one process."""
    folder = tmp_path_factory.mktemp("alone")
    code, text = run(recipe(folder, 1), folder / "run")
    assert code == 0, text
    return folder / "run"


def interrupted(finished, folder):
    """A copy of a finished run as it was after its second step."""
    shutil.copytree(finished, folder)
    stage = folder / "01-sft"
    shutil.rmtree(stage / "model")
    shutil.rmtree(stage / "checkpoints" / "checkpoint-4")
    write_json(stage / "stage.json", {**read_json(stage / "stage.json"), "status": "running"})


def test_four_processes_train_as_one(alone, tmp_path):
    code, text = run(recipe(tmp_path, 4), tmp_path / "run")
    assert code == 0, text
    assert_as_alone(tmp_path / "run" / "01-sft", trained(alone / "01-sft"), 4)


def test_two_processes_train_as_one_and_each_goes_on_with_what_the_other_began(alone, tmp_path):
    expected = trained(alone / "01-sft")
    code, text = run(recipe(tmp_path / "two", 2), tmp_path / "run")
    assert code == 0, text
    assert_as_alone(tmp_path / "run" / "01-sft", expected, 2)

    interrupted(tmp_path / "run", tmp_path / "with one")
    code, text = run(recipe(tmp_path / "one", 1), tmp_path / "with one")
    assert code == 0, text
    assert "num_processes: 2 -> 1" in text
    assert_as_alone(tmp_path / "with one" / "01-sft", expected, 1)

    interrupted(alone, tmp_path / "with two")
    code, text = run(recipe(tmp_path / "two", 2), tmp_path / "with two")
    assert code == 0, text
    assert "num_processes: 1 -> 2" in text
    assert_as_alone(tmp_path / "with two" / "01-sft", expected, 2)


def share_out(folder):
    """Write the shipped launch file in float32; the word of the command line that names it."""
    text = SHARE_OUT.read_text().replace("mixed_precision: bf16", "mixed_precision: 'no'")
    (folder / "fsdp2.yaml").write_text(text)
    return "launch.config_file=fsdp2.yaml"


def take_cpus_for_gpus(monkeypatch):
    """Let Accelerate share out over what is started from here."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HOOK), os.environ.get("PYTHONPATH")])))


def assert_was_shared_out(stage, parameters):
    """All of a stage's parameters were DTensors."""
    assert read_json(stage / "stage.json")["results"]["sharded_weights"] == parameters


def test_two_processes_that_share_the_weights_leave_the_model_of_one(alone, tmp_path, monkeypatch):
    """Evaluated between steps, the best kept and put back, rollouts of other lengths in each process, handed over."""
    file = recipe(tmp_path, 2, SFT + GRPO)
    shared = share_out(tmp_path)
    code, text = run(file, tmp_path / "unshared", shared)
    assert code != 0
    assert "launch.config_file asks for FSDP, which Accelerate offers on GPUs alone" in text

    take_cpus_for_gpus(monkeypatch)
    code, text = run(file, tmp_path / "run", shared)
    assert code == 0, text
    sft, grpo = tmp_path / "run" / "01-sft", tmp_path / "run" / "02-grpo"
    assert_as_alone(sft, trained(alone / "01-sft"), 2)
    best, expected = (read_json(stage / "best" / "scores.json")["best"] for stage in (sft, alone / "01-sft"))
    assert best == expected
    for stage in (sft, grpo):
        assert_was_shared_out(stage, len(dict(trained(stage)[0].named_parameters())))
    before, after = (trained(stage)[0].parameters() for stage in (sft, grpo))
    assert not any(map(torch.equal, before, after))


SHARED = """\
name: shared
seed: 7
model: MODEL
thinking: {TAGS system_prompt: none}
launch: {num_processes: PROCESSES}
stages:
  - sft:
      traces: {tiny: true, count: 60}
      trainer:
        max_steps: 4
        per_device_train_batch_size: ROWS
        gradient_accumulation_steps: 2
        learning_rate: 1.0e-3
        save_steps: 2
        logging_steps: 1
"""
PARTS_OF_TINY = 29 + 3 * 7 * 2
"""Its weights, and A and B of seven layers in each of three blocks."""


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("{path: tiny, lora: {r: 4, alpha: 8}}", PARTS_OF_TINY),
        ("{path: tiny, lora: {r: 4, alpha: 8, handover: carry}}", PARTS_OF_TINY),
        ("{path: images}", 45),
    ],
    ids=["an adapter, merged", "an adapter, carried", "an image-text model"],
)
def test_adapters_and_an_image_text_model_that_are_shared_out_are_left_as_one_process_leaves_them(
    tmp_path, monkeypatch, model, parameters
):
    """The image-text model's head stands alone, as Accelerate finds no norm beside it: see `read_head_whole`."""
    text = SHARED.replace("MODEL", model)
    if "images" in model:
        tiny_mistral.folder(tmp_path / "images")
    text = text.replace("TAGS", 'open: "[THINK]", close: "[/THINK]",' if "images" in model else "")
    files = [tmp_path / f"{count}.yaml" for count in (1, 2)]
    for count, file in zip((1, 2), files, strict=True):
        file.write_text(text.replace("PROCESSES", str(count)).replace("ROWS", str(4 // count)))
    code, told = run(files[0], tmp_path / "alone")
    assert code == 0, told
    shared = share_out(tmp_path)
    take_cpus_for_gpus(monkeypatch)
    code, told = run(files[1], tmp_path / "run", shared)
    assert code == 0, told
    assert_as_alone(tmp_path / "run" / "01-sft", trained(tmp_path / "alone" / "01-sft"), 2)
    assert_was_shared_out(tmp_path / "run" / "01-sft", parameters)

    if "carry" not in model:
        return
    straight = trained(tmp_path / "run" / "01-sft")[0].state_dict()
    interrupted(tmp_path / "run", tmp_path / "again")
    code, told = run(files[1], tmp_path / "again", shared)
    assert code == 0, told
    assert "goes on at step 2 of 4" in told
    found = trained(tmp_path / "again" / "01-sft")[0].state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in straight.items())


LATE = """\
name: late
model: {path: tiny}
thinking: {system_prompt: none}
launch: {num_processes: 2}
problems: {train: {tiny: train, count: 4}}
stages:
  - grpo:
      problems: train
      rewards: ["late.py:late"]
      trainer:
        max_steps: 2
        prompts_per_batch: 2
        num_generations: 4
        max_completion_length: 8
        probe_rewards: false
        reward_seconds: 0
        ddp_timeout: 30
"""
WAITS = """\
import os
import threading


def late(completions, **_):
    if os.environ.get("RANK") == "1":
        threading.Event().wait()
    return [float(place) for place, _ in enumerate(completions)]
"""


def test_a_process_that_does_not_come_is_named(tmp_path):
    (tmp_path / "late.py").write_text(WAITS)
    code, text = run(write_recipe(tmp_path, LATE), tmp_path / "run")
    assert code != 0
    told = r"process 1 \(number 1 on \S+\) did not come to the end of its rewards within 30 s \(trainer\.ddp_timeout\)"
    assert re.search(told, " ".join(text.split())), text
