"""A card's memory that runs out within a stage: one line with the key to lower, and with it lowered the run goes on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from safetensors.torch import load_file
from whole_runs import RECIPE, kill_when, run, start, steps, write_recipe

from magistral_recipe.files import read_json

pytestmark = pytest.mark.slow

GREEDY = '''

import os
import pathlib

_LIMIT = pathlib.Path(os.environ.get("PYTHONPATH", "").split(os.pathsep)[0]) / "limit"


def hungry(completions, **_):
    """Let the next pass ask for more than there is, once three steps are done, as long as the card is small."""
    global calls
    calls += 1
    if calls > 4 and _LIMIT.exists():
        import torch
        from magistral_recipe.training.grpo import MagistralGRPOTrainer

        def pass_of_a_small_card(*arguments, **named):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 23.64 GiB.")

        MagistralGRPOTrainer.compute_loss = pass_of_a_small_card
    return [0.0] * len(completions)


calls = 0
'''
RL = RECIPE[: RECIPE.index("  - sft:")] + RECIPE[RECIPE.index("  - grpo:") :].replace("{format: {}}", "hungry")
RL = RL.replace("max_steps: 8", "max_steps: 8\n        max_tokens_per_microbatch: 512")
LOWER = "grpo.trainer.max_tokens_per_microbatch"


def test_it_is_one_line_with_the_key_to_lower_and_the_run_goes_on_with_it(tmp_path):
    recipe = write_recipe(tmp_path, RL.replace("hungry", "chain_rewards:hungry"))
    rewards = tmp_path / "chain_rewards.py"
    rewards.write_text(rewards.read_text() + GREEDY)
    (tmp_path / "limit").touch()
    code, text = run(recipe, tmp_path / "run")
    assert code == 1
    assert "Traceback" not in text
    said = " ".join(text[text.index("stage 'grpo' failed") :].split())
    assert "out of memory while training (CUDA out of memory)" in said
    assert "the plan's largest part there is " in said
    told = re.search(r"set (grpo\.trainer\.\w+): (\w+) \(now \w+\), and run again: (.*checkpoint)", said)
    assert told[3] == "it goes on from the last whole checkpoint"
    began = steps(tmp_path / "run" / "01-grpo")
    assert began >= 2

    (tmp_path / "limit").unlink()
    code, text = run(recipe, tmp_path / "run", "--set", f"{LOWER}=128", "--set", f"{told[1]}={told[2]}")
    assert code == 0, text
    said = " ".join(text.split())
    assert "resuming where it stopped (" in said
    assert "trainer.max_tokens_per_microbatch: 512 -> 128" in said
    assert read_json(tmp_path / "run" / "01-grpo" / "stage.json")["attempts"] == 2
    code, text = run(recipe, tmp_path / "uninterrupted")
    assert code == 0, text
    # The same steps on the same tokens; sums are taken in other orders.
    assert distance(tmp_path / "run" / "01-grpo", tmp_path / "uninterrupted" / "01-grpo") < 1e-4


def test_a_batch_that_is_cut_into_smaller_passes_goes_on_as_the_same_run(tmp_path, uninterrupted):
    recipe = write_recipe(tmp_path, RECIPE[: RECIPE.index("  - grpo:")])
    kill_when(start(recipe, tmp_path / "run"), lambda: steps(tmp_path / "run" / "01-sft") >= 4)
    cut = ("per_device_train_batch_size=4", "gradient_accumulation_steps=4")
    code, text = run(recipe, tmp_path / "run", *(word for key in cut for word in ("--set", f"sft.trainer.{key}")))
    assert code == 0, text
    assert "trainer.per_device_train_batch_size: 16 -> 4" in " ".join(text.split())
    assert distance(tmp_path / "run" / "01-sft", uninterrupted / "01-sft") < 1e-4


def distance(one: Path, other: Path) -> float:
    """The largest difference between two models' weights."""
    here, there = (load_file(stage / "model" / "model.safetensors") for stage in (one, other))
    return max(float((here[key] - there[key]).abs().max()) for key in here)
