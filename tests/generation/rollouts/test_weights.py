"""The rollout copy: what it holds, and that the weights that train are never touched by it."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_policy import policy, weights
from transformers import BitsAndBytesConfig

from magistral_recipe.generation.rollouts.weights import RolloutCopy, copy_obstacle

IDS = torch.tensor([[3, 5, 7, 4, 9]])


def adapted(seed=0, dtype=torch.float32, **changes):
    """The policy with adapters that do something."""
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "exclude_modules": ["lm_head"]}
    model = get_peft_model(policy().to(dtype), LoraConfig(task_type="CAUSAL_LM", **{**options, **changes}))
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=noise) * 0.2)
    return model.eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


def test_a_copy_with_adapters_folded_in_computes_what_the_trained_model_does():
    trained = adapted()
    made = RolloutCopy(trained)
    assert (logits(made.model) - logits(trained)).abs().max() < 1e-5
    assert (logits(made.model) - logits(policy())).abs().max() > 0.1  # the adapters count
    assert not any("lora" in name for name, _ in made.model.named_parameters())


def test_an_update_is_taken_in_place_and_rounded_once():
    trained = adapted(dtype=torch.bfloat16)
    made = RolloutCopy(trained, torch.bfloat16)
    addresses = {name: p.data_ptr() for name, p in made.model.named_parameters()}
    with torch.no_grad():
        for name, parameter in trained.named_parameters():
            if "lora_B" in name:
                parameter.mul_(-1.7)
    assert made.refresh() is False
    assert {name: p.data_ptr() for name, p in made.model.named_parameters()} == addresses
    layer = trained.get_base_model().model.layers[1].mlp.up_proj
    up, down = layer.lora_B["default"].weight.double(), layer.lora_A["default"].weight.double()
    expected = (layer.base_layer.weight.double() + 8 / 4 * up @ down).bfloat16()
    assert torch.equal(made.model.model.layers[1].mlp.up_proj.weight, expected)


def test_training_weights_are_bit_equal_after_a_hundred_rounds():
    trained = adapted(dtype=torch.bfloat16)
    before = weights(trained)
    made = RolloutCopy(trained, torch.bfloat16)
    for _ in range(100):
        made.refresh()
        logits(made.model)
    assert all(torch.equal(weight, before[name]) for name, weight in weights(trained).items())


def test_what_needs_no_copy_has_none():
    trained = policy()
    same, half = RolloutCopy(trained), RolloutCopy(trained, torch.bfloat16)
    assert same.nbytes == 0
    assert half.nbytes == 2 * sum(p.numel() for p in trained.parameters())
    with torch.no_grad():
        trained.lm_head.weight.add_(1)
    assert torch.equal(same.model.lm_head.weight, trained.lm_head.weight)
    assert not torch.equal(half.model.lm_head.weight.float(), trained.lm_head.weight.bfloat16().float())
    half.refresh()
    assert torch.equal(half.model.lm_head.weight, trained.lm_head.weight.bfloat16())
    trained.lm_head.weight.data = trained.lm_head.weight.data.clone()  # as a trainer may that moves its weights
    assert same.refresh() is True
    assert same.refresh() is False


def test_tied_weights_stay_tied():
    trained = policy()
    trained.config.tie_word_embeddings = True
    trained.tie_weights()
    made = RolloutCopy(trained, torch.bfloat16)
    assert made.model.lm_head.weight is made.model.model.embed_tokens.weight
    assert made.nbytes == 2 * sum(p.numel() for p in trained.parameters())


def test_modules_that_train_whole_beside_adapters_are_taken():
    trained = adapted(target_modules=["q_proj"], modules_to_save=["lm_head"])
    with torch.no_grad():
        trained.get_base_model().lm_head.modules_to_save["default"].weight.add_(0.5)
    assert (logits(RolloutCopy(trained).model) - logits(trained)).abs().max() < 1e-5


@pytest.mark.filterwarnings("ignore")
def test_what_can_not_be_copied_is_named(tmp_path):
    from transformers import AutoModelForCausalLM

    assert copy_obstacle(policy()) is None
    assert copy_obstacle(adapted()) is None
    assert "DoRA" in copy_obstacle(adapted(use_dora=True)) or "Dora" in copy_obstacle(adapted(use_dora=True))
    policy().save_pretrained(tmp_path)
    int8 = BitsAndBytesConfig(load_in_8bit=True)
    quantized = AutoModelForCausalLM.from_pretrained(tmp_path, quantization_config=int8, device_map={"": "cpu"})
    assert copy_obstacle(quantized) == "its base is quantized"
