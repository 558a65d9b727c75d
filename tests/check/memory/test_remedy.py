"""The key to change: what is suggested is set, as a person would set it, and then the recipe fits."""

from __future__ import annotations

import json

import pytest

from magistral_recipe.check.memory.devices import find_device
from magistral_recipe.check.memory.plan import plan_recipe
from magistral_recipe.check.memory.verdict import Fit
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.check.trainers import check_trainers

HEAD = """\
name: r
model: MODEL
problems: {p: {tiny: train, count: 64}}
stages:
"""
LORA = "{path: Qwen/Qwen3-0.6B-Base, dtype: bfloat16, lora: {r: 16, alpha: 32}}"
FULL = "{path: Qwen/Qwen3-0.6B-Base}"
SFT = """\
  - sft:
      traces: {tiny: true, count: 64}
      trainer: {max_steps: 10, max_length: 4096, per_device_train_batch_size: 8, gradient_accumulation_steps: 2}
"""
GRPO = """\
  - grpo:
      problems: p
      trainer:
        max_steps: 10
        prompts_per_batch: 8
        num_generations: 16
        max_completion_length: 2048
        max_tokens_per_microbatch: 65536
"""
VLLM = GRPO.replace("65536", "4096").replace(
    "      trainer:\n",
    "      rollouts: {backend: vllm}\n      trainer:\n        vllm_gpu_memory_utilization: 0.9\n",
)
EVALUATE = "  - evaluate: {problems: p, samples: 16, max_new_tokens: 4096}\n"
CURATE = "  - curate: {problems: p, difficulty: {samples: 16, max_new_tokens: 4096}}\n"

CASES = {
    "a pass that is too large": (LORA, SFT, "7GiB", ["sft.trainer.per_device_train_batch_size"]),
    "rollouts that are generated at once": (LORA, GRPO, "24GiB", ["grpo.trainer.max_tokens_per_generation"]),
    "a batch of an evaluation": (LORA, EVALUATE, "8GiB", ["evaluate.tokens_per_batch"]),
    "a batch of samples that rate": (LORA, CURATE, "8GiB", ["curate.difficulty.tokens_per_batch"]),
    "what vLLM takes": (LORA, VLLM, "24GiB", ["grpo.trainer.vllm_enable_sleep_mode"]),
    "what a fully trained model holds": (
        *(FULL, SFT, "10GiB"),
        ["sft.trainer.per_device_train_batch_size", "sft.trainer.optim"],
    ),
    "what only adapters leave": (FULL, SFT, "5GiB", ["sft.trainer.per_device_train_batch_size", "model.lora"]),
}


@pytest.mark.parametrize(("model", "stage", "card", "keys"), CASES.values(), ids=CASES)
def test_what_is_suggested_makes_it_fit(model, stage, card, keys, tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(HEAD.replace("MODEL", model) + stage)
    device = find_device(card)
    (plan,) = plan_recipe(load_recipe(file), device).stages
    assert plan.verdict.fit is not Fit.FITS
    assert sorted(change.key for change in plan.remedy) == sorted(keys)
    settings = {key: value for change in plan.remedy for key, value in change.settings.items()}
    changed = load_recipe(file, [f"{key}={json.dumps(value)}" for key, value in settings.items()])
    check_trainers(changed)
    (again,) = plan_recipe(changed, device).stages
    assert again.verdict.fit is Fit.FITS
    assert again.remedy == ()


def test_a_model_that_no_key_makes_fit_is_told_so(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(HEAD.replace("MODEL", LORA) + SFT)
    (plan,) = plan_recipe(load_recipe(file), find_device("1GiB")).stages
    assert plan.verdict.fit is Fit.DOES_NOT_FIT
    assert plan.remedy is None


def test_a_share_too_small_for_vllms_weights_does_not_fit_and_is_raised(tmp_path):
    file = tmp_path / "r.yaml"
    file.write_text(HEAD.replace("MODEL", LORA) + VLLM.replace("0.9", "0.02"))
    device = find_device("40GiB")
    (plan,) = plan_recipe(load_recipe(file), device).stages
    assert plan.verdict.fit is Fit.DOES_NOT_FIT
    assert plan.moment.lacking > 0
    (change,) = plan.remedy
    assert change.key == "grpo.trainer.vllm_gpu_memory_utilization"
    assert change.value > 0.02
