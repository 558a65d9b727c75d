"""Handing an adapter over leaves the weights under it as they are, and what arrives is those weights with it added."""

from __future__ import annotations

import copy
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from tiny_policy import policy, weights

from magistral_recipe.lora import engine_rank
from magistral_recipe.models.merge import fold
from magistral_recipe.training import handing_over
from magistral_recipe.training.handing_over import adapter_folder, merge_mistake, merged_weights

SCALE = 16 / 4


def adapted(**lora):
    model = policy().to(torch.bfloat16)
    torch.manual_seed(3)
    return get_peft_model(model, LoraConfig(r=4, lora_alpha=16, target_modules="all-linear", **lora))


def move(model, generator):
    """A step of training: every number of the adapter goes somewhere else."""
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data += 0.01 * torch.randn(weight.shape, generator=generator)


def test_200_hand_overs_leave_a_bfloat16_base_bit_equal_where_merging_in_place_wears_it_away():
    ours, in_place = adapted(), adapted()
    before = {name: value for name, value in weights(ours).items() if "base_layer" in name}
    assert len(before) == 14
    for model, steps in ((ours, torch.Generator().manual_seed(1)), (in_place, torch.Generator().manual_seed(1))):
        for _ in range(200):
            move(model, steps)
            if model is ours:
                handed = dict(merged_weights(model))
            else:
                model.merge_adapter()
                model.unmerge_adapter()
    after, worn = weights(ours), weights(in_place)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    changed = sum(int((worn[name] != value).sum()) for name, value in before.items())
    assert changed / sum(value.numel() for value in before.values()) > 0.2

    # What arrives, and what is exported after all of it, is base + adapter, worked out in float64.
    plain = {name.removeprefix("base_model.model."): value for name, value in after.items()}
    exported = fold(copy.deepcopy(ours)).state_dict()
    assert set(handed) == {name for name, _ in policy().named_parameters()}
    for name, value in handed.items():
        path = name.removesuffix(".weight")
        if (base := plain.get(f"{path}.base_layer.weight")) is None:
            assert torch.equal(value, plain[name])
        else:
            down, up = plain[f"{path}.lora_A.default.weight"], plain[f"{path}.lora_B.default.weight"]
            exact = base.double() + SCALE * (up.double() @ down.double())
            assert value.dtype == torch.bfloat16
            assert torch.allclose(value.double(), exact, rtol=2**-8, atol=1e-6)  # rounded once: half a unit of 8 bits
        assert torch.equal(value, exported[name])


def test_modules_trained_beside_an_adapter_go_under_their_own_name():
    model = adapted(modules_to_save=["norm"])
    model.base_model.model.model.norm.modules_to_save["default"].weight.data.fill_(3.0)
    handed = dict(merged_weights(model))
    assert set(handed) == {name for name, _ in policy().named_parameters()}
    assert torch.equal(handed["model.norm.weight"], torch.full((32,), 3.0, dtype=torch.bfloat16))


@pytest.mark.parametrize("memory", ["roomy", "missing", "full"])
def test_an_adapters_folder_is_what_peft_loads_and_is_gone_afterwards(memory, tmp_path, monkeypatch):
    monkeypatch.setattr(handing_over, "_MEMORY", tmp_path / "shm")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "disk"))
    monkeypatch.setattr(handing_over.tempfile, "tempdir", None)
    (tmp_path / "disk").mkdir()
    if memory != "missing":
        (tmp_path / "shm").mkdir()
    if memory == "full":
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_000))
    model = adapted()
    move(model, torch.Generator().manual_seed(2))
    with adapter_folder(model, torch.bfloat16) as folder:
        assert folder.parent.name == ("shm" if memory == "roomy" else "disk")
        assert json.loads((folder / "adapter_config.json").read_text())["r"] == 4
        tensors = load_file(folder / "adapter_model.safetensors")
        assert {value.dtype for value in tensors.values()} == {torch.bfloat16}
        again = weights(PeftModel.from_pretrained(policy().to(torch.bfloat16), str(folder)))
    mine = weights(model)
    assert set(again) == set(mine)
    assert all(torch.equal(value.bfloat16(), again[name].bfloat16()) for name, value in mine.items())
    assert not folder.exists()


def test_ranks_are_rounded_up_to_those_that_vllm_has_kernels_for():
    assert [engine_rank(rank) for rank in (1, 2, 8, 9, 64, 65, 300, 512)] == [1, 8, 8, 16, 64, 128, 320, 512]


def test_quantized_weights_are_not_merged():
    model = adapted()
    model.get_base_model().is_loaded_in_4bit = True
    assert "quantized anew at every step" in merge_mistake(model)
