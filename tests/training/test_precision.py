"""Mixed precision in a real step of both trainers: bfloat16 products, float32 weights, no update rounded away."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from tiny_policy import letters_reward, policy, problems, settings, tokenizer
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model
from magistral_recipe.models.precision import adapter_dtype
from magistral_recipe.training.grpo import MagistralGRPOTrainer

RATE = 1e-6
"""A learning rate of RL; of plain gradient descent, so that an update is its gradient times this."""
ROWS = [
    {"input_ids": [5, 6, 7, 8, 9, 1], "labels": [-100, -100, 7, 8, 9, 1]},
    {"input_ids": [4, 3, 1], "labels": [-100, 3, 1]},
]
PLAIN = {"bf16": True, "use_cpu": True, "optim": "sgd", "learning_rate": RATE, "lr_scheduler_type": "constant"}


class Watched(TrainerCallback):
    """Keeps the gradients that the optimizer is about to take, and what type a linear layer computes in."""

    def __init__(self) -> None:
        self.gradients: dict[str, torch.Tensor] = {}
        self.computed: set[torch.dtype] = set()

    def watch(self, model: torch.nn.Module) -> None:
        layer = model.model.layers[0].mlp.up_proj
        layer.register_forward_hook(lambda module, given, made: self.computed.add(made.dtype))

    def on_pre_optimizer_step(self, args, state, control, *, model, **_):
        self.gradients = {name: weight.grad.clone() for name, weight in model.named_parameters()}


def sft(folder, watched):
    options = {"per_device_train_batch_size": 2, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}
    return SFTTrainer(
        model=policy(),
        args=SFTConfig(output_dir=str(folder), max_steps=1, max_grad_norm=0.0, max_length=None, **options, **PLAIN),
        train_dataset=Dataset.from_list(ROWS),
        processing_class=tokenizer(),
        callbacks=[watched],
    )


def grpo(folder, watched):
    return MagistralGRPOTrainer(
        model=policy(),
        reward_funcs=letters_reward,
        args=settings(folder, max_steps=1, max_grad_norm=0.0, **PLAIN),
        train_dataset=problems(),
        processing_class=tokenizer(),
        callbacks=[watched],
    )


@pytest.mark.parametrize("trainer", [sft, grpo])
def test_products_are_bfloat16_and_weights_take_float32_updates(tmp_path, trainer):
    watched = Watched()
    run = trainer(tmp_path, watched)
    watched.watch(run.model)
    before = {name: weight.detach().clone() for name, weight in run.model.named_parameters()}
    run.train()
    assert watched.computed == {torch.bfloat16}
    after = dict(run.model.named_parameters())
    assert {weight.dtype for weight in after.values()} == {torch.float32}
    assert set(watched.gradients) == set(before)
    kept = lost = 0
    for name, gradient in watched.gradients.items():
        assert gradient.dtype == torch.float32
        assert torch.equal(after[name], before[name] - RATE * gradient)
        kept += int((after[name] != before[name]).sum())
        rounded = before[name].bfloat16()
        lost += int(((rounded - RATE * gradient.bfloat16()) == rounded).sum())
    assert kept > 1000
    assert lost > 0.99 * sum(weight.numel() for weight in after.values())  # had the weights been bfloat16


def test_sft_takes_the_gradient_of_the_loss_under_autocast(tmp_path):
    watched = Watched()
    sft(tmp_path, watched).train()
    model = policy()
    losses = []
    with torch.autocast("cpu", torch.bfloat16):
        for row in ROWS:
            logits = model(torch.tensor([row["input_ids"]])).logits[0, :-1].float()
            labels = torch.tensor(row["labels"])[1:]
            trained = labels >= 0
            losses.append(-logits.log_softmax(-1)[trained].gather(-1, labels[trained, None]))
    torch.cat(losses).mean().backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None
        distance = (watched.gradients[name] - weight.grad).norm() / weight.grad.norm()
        assert distance < 2e-2, name  # two bfloat16 computations in another order of rows and sums


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_trl_trains_adapters_on_quantized_weights_in_bfloat16(tmp_path, quantization):
    config = ModelConfig(path="tiny", quantization=quantization, lora=LoraSettings(r=2))
    run = SFTTrainer(
        model=load_model(config, trainable=True),
        args=SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none"),
        train_dataset=Dataset.from_list(ROWS),
        processing_class=tokenizer(),
    )
    trained = {weight.dtype for weight in run.model.parameters() if weight.requires_grad}
    assert trained == {getattr(torch, adapter_dtype(quantized=True))}
