"""The stand-ins for bitsandbytes' layers, held against the real ones on a CPU."""

from __future__ import annotations

import inspect

import bitsandbytes as bnb
import pytest
import torch
from bitsandbytes.autograd._functions import MatMul4Bit, MatMul8bitLt
from shapes import qwen3, trained
from torch import nn
from torch.utils.checkpoint import checkpoint

from magistral_recipe.check.memory.dry_run import (
    ACTIVATIONS,
    ADAPTERS,
    WEIGHTS,
    Pass,
    build,
    dry_run,
    materialize,
    measure_pass,
)
from magistral_recipe.check.memory.live import LiveStorages
from magistral_recipe.check.memory.quantized import DEQUANTIZED, quantize_layers, replace_layers
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.load import load_model
from magistral_recipe.models.shape import empty_model, find_shape


def stand_in(kind, features, compute=torch.bfloat16):
    model = nn.ModuleDict({"layer": nn.Linear(*features, bias=False, device="meta")})
    return replace_layers(model, kind, compute, kept=())


def bytes_of(module):
    tensors = [*module.parameters(), *module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def test_four_bit_layers_hold_what_bitsandbytes_layers_hold():
    real = bnb.nn.Linear4bit(1024, 512, bias=False, compute_dtype=torch.bfloat16, quant_type="nf4")
    real.to("cpu")
    state = real.weight.quant_state
    held = [real.weight, state.absmax, state.code, state.offset, state.state2.absmax, state.state2.code]
    true = sum(tensor.numel() * tensor.element_size() for tensor in held)
    assert bytes_of(stand_in("nf4", (1024, 512))) == true


def test_eight_bit_layers_hold_what_bitsandbytes_layers_hold():
    real = bnb.nn.Linear8bitLt(1024, 512, bias=False, has_fp16_weights=False)
    real.to("cpu")
    real(torch.zeros(1, 1024))
    true = real.weight.numel() * real.weight.element_size() + real.state.SCB.numel() * 4
    assert bytes_of(stand_in("int8", (1024, 512))) == true


@pytest.mark.parametrize("kind", ["nf4", "int8"])
def test_the_layers_that_are_replaced_are_those_that_transformers_replaces(kind):
    config = ModelConfig(path="tiny", dtype="bfloat16", quantization=kind, lora={"r": 4})
    real = load_model(config)
    names = {
        name for name, module in real.named_modules() if isinstance(module, bnb.nn.Linear4bit | bnb.nn.Linear8bitLt)
    }
    stood_in = quantize_layers(empty_model(find_shape(config).config, "bfloat16"), kind, torch.bfloat16)
    found = {name for name, module in stood_in.named_modules() if isinstance(module, nn.Linear)} - {"lm_head"}
    assert found == names
    assert names


def test_an_eight_bit_layer_keeps_its_input_out_of_a_checkpoints_reach():
    """It is an attribute of the node, not a saved tensor, in bitsandbytes as in its stand-in."""
    assert "ctx.tensors = (CAt, subA, A)" in inspect.getsource(MatMul8bitLt.forward)
    real = bnb.nn.Linear8bitLt(256, 256, bias=False, has_fp16_weights=False)
    real.to("cpu")
    held = stand_in("int8", (256, 256), torch.float32)
    materialize(held)

    def kept(layer):
        with LiveStorages() as live:
            for tensor in [*layer.parameters(), *layer.buffers()]:
                live.count(tensor, WEIGHTS)
            inputs = torch.zeros(64, 256, requires_grad=True)
            out = checkpoint(lambda x: layer(x * 2), inputs, use_reentrant=False)
            alive = live.live[ACTIVATIONS]
        del out
        return alive

    assert kept(nn.Linear(256, 256, bias=False)) == 2 * 64 * 256 * 4  # what goes in and what comes out
    assert kept(real) == pytest.approx(3 * 64 * 256 * 4, rel=0.02)  # and the product of the inside
    assert kept(held["layer"]) == 3 * 64 * 256 * 4


def test_a_four_bit_layer_keeps_nothing_but_its_weights():
    assert "ctx.tensors = (None, B)" in inspect.getsource(MatMul4Bit.forward)
    model = trained(qwen3(), r=4, dtype="bfloat16", quantization="nf4", autocast="bfloat16", checkpointing=True)
    plain = trained(qwen3(), r=4, dtype="bfloat16", autocast="bfloat16", checkpointing=True)
    growth = []
    for each in (model, plain):
        runs = dry_run(each, Pass(2, 64)).runs
        low, high = (run.peaks["backward, top"][ACTIVATIONS] for run in runs)
        growth.append(high - low)
    assert growth[0] == pytest.approx(growth[1], abs=4096)


def test_a_dequantized_layer_is_a_part_of_its_own_and_as_large_as_the_layer():
    model = trained(
        qwen3(hidden_size=512, intermediate_size=4096), r=4, dtype="bfloat16", quantization="nf4", autocast="bfloat16"
    )
    live = LiveStorages()
    built = build(model, 2)
    with live:
        materialize(built)
        measured = measure_pass(built, model, Pass(1, 8), live, 2)
    largest = max(parts.get(DEQUANTIZED, 0) for parts in measured.peaks.values())
    assert largest == pytest.approx(512 * 4096 * 2, rel=0.1)


@pytest.mark.parametrize(
    ("quantization", "dtype", "expected"),
    [("none", "bfloat16", torch.float32), ("none", "float32", torch.float32), ("nf4", "bfloat16", torch.bfloat16)],
)
def test_adapters_have_the_precision_that_peft_and_trl_give_them(quantization, dtype, expected, tmp_path):
    """A real model, real adapters and TRL's own trainer, beside what the dry run builds."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from magistral_recipe.models.load import load_tokenizer

    config = ModelConfig(path="tiny", dtype=dtype, quantization=quantization, lora={"r": 4})
    rows = Dataset.from_list([{"input_ids": [1, 2, 3], "labels": [1, 2, 3]}])
    arguments = SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", max_length=None)
    trainer = SFTTrainer(
        load_model(config, trainable=True), arguments, train_dataset=rows, processing_class=load_tokenizer("tiny")
    )
    real = {name: p for name, p in trainer.model.named_parameters() if p.requires_grad}
    assert {p.dtype for p in real.values()} == {expected}
    shape = find_shape(config).config
    lora = config.lora.model_dump_json()
    model = trained(shape, dtype=dtype, quantization=quantization)
    model = type(model)(shape, model.key, dtype, quantization, lora)
    built = {name: p for name, p in build(model, shape.num_hidden_layers).named_parameters() if p.requires_grad}
    assert {name: (p.shape, p.dtype) for name, p in built.items()} == {n: (p.shape, p.dtype) for n, p in real.items()}
    held = dry_run(model, Pass(1, 16)).whole(lambda run: run.held[ADAPTERS])
    assert held == pytest.approx(sum(p.numel() * p.element_size() for p in real.values()), rel=0.05)


def test_weights_in_four_bits_take_about_half_a_byte_each():
    shape = qwen3(hidden_size=1024, intermediate_size=3072, num_hidden_layers=8, head_dim=64, vocab_size=64)
    held = [
        dry_run(trained(shape, r=4, dtype="bfloat16", quantization=kind), Pass(1, 8)).whole(
            lambda run: run.held[WEIGHTS]
        )
        for kind in ("none", "nf4")
    ]
    # 4 bits and, with double quantization, 0.127 bit of constants a weight (QLoRA, arXiv 2305.14314 §3)
    assert held[1] / held[0] == pytest.approx((4 + 0.127) / 16, rel=0.02)
