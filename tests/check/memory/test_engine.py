"""What vLLM takes, held against sums over the published shapes; and 8B with QLoRA and vLLM on a card of 24 GB."""

from __future__ import annotations

import pytest

from magistral_recipe.check.memory.case import Case
from magistral_recipe.check.memory.devices import find_device
from magistral_recipe.check.memory.engine import engine_asleep, engine_weights
from magistral_recipe.check.memory.plan import plan_recipe
from magistral_recipe.check.memory.verdict import Fit
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.models.shape import find_shape

RECIPE = """\
name: r
model: {path: Qwen/Qwen3-8B-Base, dtype: bfloat16, quantization: QUANTIZATION, lora: {r: 32, alpha: 64}}
problems: {p: {tiny: train, count: 64}}
stages:
  - grpo:
      problems: p
      rollouts: {backend: vllm}
      trainer:
        max_steps: 10
        prompts_per_batch: 8
        num_generations: 16
        max_completion_length: 4096
        max_tokens_per_microbatch: 8192
        vllm_gpu_memory_utilization: 0.6
        vllm_max_model_length: 5120
        vllm_enable_sleep_mode: SLEEPS
"""


def case_of(tmp_path, quantization="nf4", sleeps="true") -> tuple[Case, object]:
    file = tmp_path / "r.yaml"
    file.write_text(RECIPE.replace("QUANTIZATION", quantization).replace("SLEEPS", sleeps))
    loaded = load_recipe(file)
    (stage,) = loaded.recipe.stages
    model = loaded.recipe.model
    return Case(stage, model, loaded.recipe, find_shape(model).config, find_device("rtx4090")), loaded


@pytest.mark.parametrize(("quantization", "width"), [("none", 2.0), ("nf4", 0.5 + 4 / 64)])
def test_weights_are_those_of_the_shape(tmp_path, quantization, width):
    """Qwen3-8B by hand: 36 layers of width 4,096, 32 heads and 8 key heads of 128, an inner width of 12,288."""
    case, _ = case_of(tmp_path, quantization)
    hidden, inner, heads, keys, words = 4096, 12_288, 32 * 128, 8 * 128, 151_936
    linear = 36 * (hidden * heads * 2 + hidden * keys * 2 + 3 * hidden * inner)
    rest = 2 * words * hidden + 36 * (2 * hidden + 2 * 128) + hidden
    assert engine_weights(case, adapters=False) == pytest.approx(linear * width + rest * 2)
    layer = 2 * (hidden + heads) + 2 * (hidden + keys) + 3 * (hidden + inner)
    room = 2 * 32 * (36 * layer + 2 * (words + hidden))
    assert engine_weights(case, adapters=True) - engine_weights(case, adapters=False) == pytest.approx(room)


def test_8b_samples_with_vllm_on_24_gb_while_the_trainer_and_vllm_take_turns(tmp_path):
    """The arithmetic of QLoRA with vLLM: what either holds, and that it fits only where vLLM sleeps."""
    case, loaded = case_of(tmp_path)
    (plan,) = plan_recipe(loaded, case.device).stages
    assert plan.verdict.fit is not Fit.DOES_NOT_FIT
    (rollouts,) = [moment for moment in plan.memory.moments if moment.name == "rollouts"]
    assert rollouts.lacking == 0
    assert rollouts.share == pytest.approx(0.6 * case.device.total)
    asleep = [item.size for item in plan.host if item.what == "vLLM's weights while it sleeps"]
    assert asleep == [engine_asleep(case)] == [engine_weights(case, adapters=True)]
    _, awake = case_of(tmp_path, sleeps="false")
    (plan,) = plan_recipe(awake, case.device).stages
    assert plan.verdict.fit is Fit.DOES_NOT_FIT
    assert not any("sleeps" in item.what for item in plan.host)
    _, whole = case_of(tmp_path, quantization="none")
    (plan,) = plan_recipe(whole, case.device).stages
    assert plan.verdict.fit is Fit.DOES_NOT_FIT
