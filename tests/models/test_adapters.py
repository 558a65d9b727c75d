"""An adapter that somebody brings as `model:`: gone on with or folded in, and what is left equals what was trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.chain.stage_process import run_stage
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.data import tiny
from magistral_recipe.errors import RecipeError
from magistral_recipe.models.config import LoraSettings, ModelConfig
from magistral_recipe.models.load import load_model, load_tokenizer, merge_gap
from magistral_recipe.models.quantization import is_adapter
from magistral_recipe.stages.training import base_model_config

WORDS = "7 + 8 = 15, so write 5 and carry 1."


@pytest.fixture(scope="module")
def adapter(tmp_path_factory) -> Path:
    """An adapter of another program's: no tokenizer beside it, a rank of its own, and values that do something."""
    base = AutoModelForCausalLM.from_pretrained(tiny.model_path(), dtype=torch.float32)
    model = get_peft_model(base, LoraConfig(r=4, lora_alpha=12, target_modules=["q_proj", "v_proj"]))
    noise = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=noise) * 0.05
    folder = tmp_path_factory.mktemp("brought") / "adapter"
    model.save_pretrained(folder)
    return folder


def whole(adapter: Path):
    """The model that the adapter stands for, by PEFT alone."""
    base = AutoModelForCausalLM.from_pretrained(tiny.model_path(), dtype=torch.float32)
    return PeftModel.from_pretrained(base, adapter)


def ids():
    return load_tokenizer("tiny")(WORDS, return_tensors="pt")["input_ids"]


def recipe_file(folder: Path, adapter: Path, keys: str = "") -> Path:
    file = folder / "r.yaml"
    file.write_text(
        f"name: r\nmodel: {{path: {adapter}{keys}}}\nthinking: {{system_prompt: none}}\nstages:\n"
        "  - sft: {traces: {tiny: true, count: 16}, trainer: {max_steps: 2, learning_rate: 1.0e-2}}\n"
        "  - sft: {name: more, traces: {tiny: true, count: 16}, trainer: {max_steps: 1, learning_rate: 1.0e-2}}\n"
    )
    return file


@pytest.mark.parametrize(
    ("keys", "wrapped"),
    [
        ("", True),
        (", lora: {handover: carry}", True),
        (", adapter: merge", False),
        (", adapter: merge, lora: {r: 2, alpha: 4}", True),
        (", adapter: merge, lora: {r: 2, handover: carry}", True),
    ],
)
def test_a_chain_starts_from_it_and_each_stage_where_the_last_one_ended(tmp_path, adapter, keys, wrapped):
    loaded = load_recipe(recipe_file(tmp_path, adapter, keys))
    config = base_model_config(loaded.recipe, loaded.folder)
    start = load_model(config, trainable=True)
    assert is_adapter(start) == wrapped
    trained = {name for name, weight in start.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained) == wrapped
    if "adapter: merge" not in keys:
        assert config.lora == LoraSettings(
            r=4, alpha=12, target_modules=["q_proj", "v_proj"], handover="carry" if "carry" in keys else "merge"
        )
    assert merge_gap(whole(adapter), start, ids()) < 1e-4
    assert merge_gap(whole(adapter), load_model(config), ids()) < 1e-4  # as an evaluation of the base reads it
    run = RunFolder(tmp_path / "run", loaded)
    run.path.mkdir()
    ended = None
    for index, plan in enumerate(run.stage_plans()):
        run.prepare(plan)
        before = load_model(config, plan.folder.parent / "01-sft" / "model" if index else None, trainable=True)
        if ended is not None:
            assert merge_gap(ended, before, ids()) < 1e-4
        results = run_stage(loaded, run.path, index, lambda event: None)
        assert results["steps"] == 2 - index
        ended = load_model(config, plan.folder / "model")
        assert merge_gap(before, ended, ids()) > 1e-3
        run.complete(plan, results, 1.0, "code")


def test_what_cannot_be_started_from_is_told_when_the_recipe_is_loaded(tmp_path, adapter):
    def told(keys: str, path: Path = adapter) -> str:
        with pytest.raises(RecipeError) as caught:
            load_recipe(recipe_file(tmp_path, path, keys))
        assert len(caught.value.problems) == 1
        return str(caught.value)

    assert "brings its own r, alpha: leave them out to go on training it, or set adapter: merge" in told(
        ", lora: {r: 8, alpha: 8}"
    )
    assert "merge does not go with quantization: nf4" in told(", adapter: merge, quantization: nf4, lora: {}")
    assert "adapter: goes with the folder of an adapter" in told(", adapter: merge", tiny.model_path())
    settings = json.loads((adapter / "adapter_config.json").read_text())
    for change, line in {
        "base_model_name_or_path": (
            "/nowhere/base",
            "names as its base: model '/nowhere/base': no such file or folder",
        ),
        "peft_type": ("IA3", "the adapter is PEFT's IA3"),
    }.items():
        other = tmp_path / change
        other.mkdir()
        (other / "adapter_config.json").write_text(json.dumps({**settings, change: line[0]}))
        assert line[1] in told("", other)


def test_both_the_adapter_and_its_base_are_read_by_the_first_stage(tmp_path, adapter):
    plans = RunFolder(tmp_path / "run", load_recipe(recipe_file(tmp_path, adapter))).stage_plans()
    assert {"adapter", "the adapter's base"} <= {*plans[0].reads}
    assert ModelConfig(path="x").model_dump().keys() == ModelConfig(path="x", adapter="attach").model_dump().keys()
