"""Precision: the table of what computes in what, and the reasons that it gives, tried out."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch

from magistral_recipe.errors import DataError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model
from magistral_recipe.models.precision import adapter_dtype, full_training_mistake
from magistral_recipe.recipe.sections import Recipe
from magistral_recipe.stages.training import run_arguments

MACHINES = {"cpu": (False, False), "T4": (True, False), "H100": (True, True)}
"""Whether there is a GPU, and whether it has bfloat16 in its hardware."""
ROWS = [
    *((dtype, lora, "none") for dtype in ("float32", "bfloat16", "float16") for lora in (False, True)),
    ("float32", True, "nf4"),
    ("bfloat16", True, "int8"),
]


@pytest.fixture
def on(monkeypatch):
    """Make torch report another machine's GPU."""

    def pretend(machine: str) -> None:
        gpu, bfloat16 = MACHINES[machine]
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
        # A T4 emulates bfloat16, and says so unless it is asked for its hardware's.
        monkeypatch.setattr(
            torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or bfloat16
        )

    return pretend


def model(dtype: str, lora: bool, quantization: str) -> ModelConfig:
    return ModelConfig(path="tiny", dtype=dtype, quantization=quantization, lora=LoraSettings(r=2) if lora else None)


@pytest.mark.parametrize(("machine", "row"), [*itertools.product(MACHINES, ROWS)], ids=str)
def test_a_gpu_with_bfloat16_computes_in_it_whatever_the_weights(on, machine, row):
    on(machine)
    config = model(*row)
    given = run_arguments(Path("out"), Recipe(name="r", model=config, stages=[]), {})
    assert given["bf16"] is (machine == "H100")
    assert "fp16" not in given
    assert given["use_cpu"] is (machine == "cpu")
    dtype, lora, _ = row
    refused = not lora and dtype != "float32"
    assert [key for key, _ in config.training_mistakes()] == (["dtype"] if refused else [])


def test_a_recipes_own_choice_wins(on):
    on("H100")
    recipe = Recipe(name="r", model=model("float32", True, "none"), stages=[])
    for trainer, bf16 in (({"bf16": False}, False), ({"fp16": True}, False), ({"fp16": False}, True), ({}, True)):
        assert ({**run_arguments(Path("out"), recipe, trainer), **trainer})["bf16"] is bf16


def test_the_refusal_gives_reason_and_ways_out_wherever_a_model_is_loaded_to_be_trained():
    assert full_training_mistake("float32") is None
    for dtype in ("bfloat16", "float16"):
        with pytest.raises(DataError, match=rf"model\.dtype: {dtype} weights can't all be trained") as caught:
            load_model(model(dtype, False, "none"), trainable=True)
        for part in ("rounded away", "dtype: float32", "add `lora:`"):
            assert part in str(caught.value)
        assert load_model(model(dtype, False, "none")).dtype == getattr(torch, dtype)  # to be read it may be so


def test_an_optimizer_changes_nothing_of_bfloat16_weights_at_the_learning_rate_of_rl():
    """The reason for the refusal: a weight of 0.02, a hundred steps of AdamW at 1e-6."""
    moved = {}
    for dtype in (torch.float32, torch.bfloat16):
        weight = torch.nn.Parameter(torch.full((4,), 0.02, dtype=dtype))
        start = weight.detach().clone()
        optimizer = torch.optim.AdamW([weight], lr=1e-6, weight_decay=0.0)
        for _ in range(100):
            weight.grad = torch.ones_like(weight)
            optimizer.step()
        moved[dtype] = (start - weight.detach()).abs().max().item()
    assert moved[torch.bfloat16] == 0.0
    assert moved[torch.float32] == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_adapters_are_float32_on_weights_of_any_type(dtype):
    adapted = load_model(model(dtype, True, "none"), trainable=True)
    types = {weight.requires_grad: weight.dtype for weight in adapted.parameters()}
    assert types == {False: getattr(torch, dtype), True: torch.float32}
    assert adapter_dtype(quantized=False) == "float32"
