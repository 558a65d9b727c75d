"""The rollout copy in the plan: held against the copy itself, byte by byte."""

from __future__ import annotations

import pytest
import torch

from magistral_recipe.check.memory.case import Case, rollout_batch
from magistral_recipe.check.memory.copied import copy_bytes, kept_cache_bytes
from magistral_recipe.check.memory.devices import Device, find_device
from magistral_recipe.check.memory.generation import CACHE, cache_bytes_a_token
from magistral_recipe.check.memory.lengths import Lengths
from magistral_recipe.check.memory.moments import COPY, stage_memory
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.generation.rollouts.weights import RolloutCopy
from magistral_recipe.machine import GIB
from magistral_recipe.models.load import load_model
from magistral_recipe.models.shape import find_shape

CARD, CPU = find_device("24GiB"), Device("CPU", 24 * GIB, 24 * GIB, gpu=False, bfloat16=False)


def case_of(folder, model, device=CARD, rollouts="{}"):
    file = folder / "r.yaml"
    stage = f"grpo: {{problems: p, rollouts: {rollouts}, trainer: {{max_completion_length: 64}}}}"
    file.write_text(f"name: r\nmodel: {model}\nproblems: {{p: {{tiny: train, count: 64}}}}\nstages:\n  - {stage}\n")
    recipe = load_recipe(file).recipe
    return Case(recipe.stages[0], recipe.model, recipe, find_shape(recipe.model).config, device, Lengths(16))


@pytest.mark.parametrize(
    ("model", "device", "sampled"),
    [
        ("{path: tiny}", CARD, torch.bfloat16),
        ("{path: tiny, lora: {r: 4, alpha: 8}}", CARD, torch.bfloat16),
        ("{path: tiny, dtype: bfloat16, lora: {r: 4, alpha: 8}}", CARD, torch.bfloat16),
        ("{path: tiny, dtype: bfloat16, lora: {r: 4, alpha: 8, target_modules: [q_proj]}}", CARD, torch.bfloat16),
        ("{path: tiny}", CPU, None),
        ("{path: tiny, lora: {r: 4, alpha: 8}}", CPU, None),
    ],
)
def test_the_plan_counts_the_copy_that_is_made(tmp_path, model, device, sampled):
    case = case_of(tmp_path, model, device)
    made = RolloutCopy(load_model(case.model, trainable=True), sampled)
    assert copy_bytes(case) == made.nbytes
    assert (made.nbytes > 0) == (device is CARD or "lora" in model)


def test_no_copy_where_none_is_made(tmp_path):
    nf4 = "{path: tiny, dtype: bfloat16, quantization: nf4, lora: {r: 4, alpha: 8}}"
    for model, rollouts in ((nf4, "{}"), ("{path: tiny}", "{backend: vllm}"), ("{path: tiny}", "{weights: trained}")):
        case = case_of(tmp_path, model, rollouts=rollouts)
        assert copy_bytes(case) == 0
        assert (kept_cache_bytes(case) == 0) == ("vllm" in rollouts)


def test_the_copy_is_there_at_every_moment_and_the_kept_cache_while_training(tmp_path):
    case = case_of(tmp_path, "{path: tiny}")
    training, rollouts = stage_memory(case).moments[:2]
    cache = cache_bytes_a_token(case.trained()) * rollout_batch(case).tokens
    assert training.parts[COPY] == rollouts.parts[COPY] == copy_bytes(case) > 0
    assert training.parts[CACHE] == rollouts.parts[CACHE] == cache
    assert kept_cache_bytes(case_of(tmp_path, "{path: tiny}", rollouts="{backend: generate}")) == 0
