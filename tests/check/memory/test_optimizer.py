"""Optimizers' states, held against what the real optimizers keep."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import Trainer, TrainingArguments

from magistral_recipe.check.memory.optimizer import (
    OptimizerBytes,
    TrainedTensor,
    known_optimizer,
    optimizer_bytes,
)


class Net(nn.Module):
    def __init__(self, dtype=torch.float32):
        super().__init__()
        self.table = nn.Embedding(300, 64, dtype=dtype)
        self.wide = nn.Linear(64, 200, dtype=dtype)
        self.small = nn.Linear(8, 4, bias=False, dtype=dtype)

    def forward(self, ids):
        return self.wide(self.table(ids)).sum() + self.small(torch.ones(1, 8, dtype=self.table.weight.dtype)).sum()


def tensors_of(model):
    return [
        TrainedTensor(tuple(p.shape), p.element_size(), isinstance(m, nn.Embedding))
        for m in model.modules()
        for p in m.parameters(recurse=False)
    ]


def kept_by(name, model, tmp_path):
    trainer = Trainer(model, TrainingArguments(output_dir=str(tmp_path), optim=name, use_cpu=True, report_to="none"))
    optimizer = trainer.create_optimizer()
    model(torch.arange(300)).backward()
    optimizer.step()
    states = getattr(optimizer, "optimizer", optimizer).state.values()
    kept = {}
    for state in states:
        for key, tensor in state.items():
            if isinstance(tensor, torch.Tensor) and tensor.dim() and not key.startswith("qmap"):
                kept[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
    return sum(kept.values())


NAMES = [
    *("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop"),
    *("adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit", "paged_adamw_32bit", "lion_8bit", "lion_32bit"),
    *("paged_lion_8bit", "rmsprop_bnb_8bit"),
]


@pytest.mark.parametrize("name", NAMES)
def test_states_are_those_that_the_real_optimizer_keeps(name, tmp_path):
    model = Net()
    counted = optimizer_bytes(name, tensors_of(model))
    assert known_optimizer(name)
    assert counted.gpu + counted.host == kept_by(name, model, tmp_path)


def test_states_of_bfloat16_tensors_have_their_type_in_torchs_optimizers(tmp_path):
    model = Net(torch.bfloat16)
    kept = kept_by("adamw_torch", model, tmp_path)
    assert optimizer_bytes("adamw_torch", tensors_of(model)).gpu == kept
    assert kept == 2 * 2 * sum(p.numel() for p in model.parameters())


def test_large_states_of_a_paged_optimizer_lie_with_the_host():
    large, small = TrainedTensor((400, 256), 4), TrainedTensor((390, 256), 4)
    assert optimizer_bytes("paged_adamw_8bit", [large]) == OptimizerBytes(2 * 4 * 400, 2 * 400 * 256, 0)
    assert optimizer_bytes("paged_adamw_8bit", [small]).host == 0
    assert optimizer_bytes("adamw_8bit", [large]).host == 0


def test_a_step_of_plain_adamw_makes_a_copy_of_what_it_trains_and_a_fused_one_none():
    tensors = [TrainedTensor((1000, 10), 4)]
    assert optimizer_bytes("adamw_torch", tensors).step == 40_000
    assert optimizer_bytes("adamw_torch_fused", tensors).step == 0


def test_an_unknown_optimizer_counts_as_adamw_and_is_known_to_be_unknown():
    tensors = [TrainedTensor((1000, 10), 4)]
    assert not known_optimizer("galore_adamw")
    assert optimizer_bytes("galore_adamw", tensors).gpu == optimizer_bytes("adamw_torch", tensors).gpu
