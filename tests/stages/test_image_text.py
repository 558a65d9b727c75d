"""Mistral's image-text models through the stages: the text is trained, and all else leaves as it came."""

from __future__ import annotations

import json

import families
import pytest
import tiny_mistral
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, Mistral3ForConditionalGeneration

from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.chain.stage_process import run_stage
from magistral_recipe.check.recipe_file import load_recipe

RECIPE = """\
name: small
model: {path: BASE MODEL}
thinking: {open: "[THINK]", close: "[/THINK]", system_prompt: none}
problems:
  train: {tiny: train, count: 4}
stages:
  - sft:
      traces: {tiny: true, count: 8}
      trainer: {max_steps: 2, per_device_train_batch_size: 2, learning_rate: 1.0e-3, PACKING}
      evaluate: {every: 2, problems: train, count: 2, max_new_tokens: 4}
  - grpo:
      problems: train
      rewards: ["tiny_mistral:letters"]
      trainer:
        {max_steps: 2, prompts_per_batch: 2, num_generations: 4, max_completion_length: 12, learning_rate: 1.0e-3,
         max_tokens_per_microbatch: 512, probe_rewards: false}
  - evaluate: {problems: train, samples: 1, max_new_tokens: 6}
  - export: {}
"""


@pytest.mark.parametrize(
    ("text_type", "tied", "section", "packing"),
    [
        ("mistral", False, "", "packing: false"),
        ("ministral3", True, ", lora: {r: 4}", "packing: true, max_length: 512"),
        ("mistral", False, ", quantization: nf4, lora: {r: 4}", "packing: false"),
        ("ministral3", True, ", dtype: bfloat16, quantization: nf4, lora: {r: 4, handover: carry}", "packing: false"),
    ],
    ids=["full", "lora", "qlora", "qlora-carried"],
)
def test_a_whole_chain_trains_the_text_and_leaves_the_rest_alone(tmp_path, text_type, tied, section, packing):
    base = tiny_mistral.folder(tmp_path / "base", text_type, tied)
    text = RECIPE.replace("BASE", str(base)).replace(" MODEL", section).replace("PACKING", packing)
    (tmp_path / "r.yaml").write_text(text)
    loaded = load_recipe(tmp_path / "r.yaml")
    run = RunFolder(tmp_path / "run", loaded)
    run.path.mkdir()
    (run.path / "recipe.yaml").write_text(text)
    for index, plan in enumerate(run.stage_plans()):
        run.prepare(plan)
        run.complete(plan, run_stage(loaded, run.path, index, [].append), 1.0, "code")

    published = load_file(base / "model.safetensors")
    models = [run.path / name / "model" for name in ("01-sft", "02-grpo", "04-export")]
    if "carry" in section:
        adapters = [load_file(model / "adapter" / "adapter_model.safetensors") for model in models[:2]]
        assert adapters[0].keys() == adapters[1].keys()
        assert len(adapters[0]) == 2 * 7 * 2  # A and B, seven layers in each of two blocks
        assert all("language_model" in name for name in adapters[0])
        models = models[2:]
    for model in models:
        saved = load_file(model / "model.safetensors")
        assert saved.keys() == published.keys()
        vision = [name for name in published if name.startswith(("vision_tower", "multi_modal_projector"))]
        assert len(vision) > 15
        kind = torch.bfloat16 if "bfloat16" in section else torch.float32
        assert all(torch.equal(saved[name], published[name].to(kind)) for name in vision)
        moved = [name for name in published if not torch.equal(saved[name], published[name].to(kind))]
        assert sum("_proj" in name for name in moved) == 14
        assert json.loads((model / "config.json").read_text())["architectures"] == ["Mistral3ForConditionalGeneration"]
        assert (model / "preprocessor_config.json").read_bytes() == (base / "preprocessor_config.json").read_bytes()
        again = AutoModelForImageTextToText.from_pretrained(model)
        assert type(again) is Mistral3ForConditionalGeneration
        assert (again.lm_head.weight is again.get_input_embeddings().weight) == tied
        assert _sees(again)
    samples = (run.path / "03-evaluate").rglob("samples.jsonl")
    assert sum(len(file.read_text().splitlines()) for file in samples) == 8  # drawn and greedy


def _sees(model) -> bool:
    """Whether an image still goes through tower and projector into the text."""
    patch = model.config.vision_config.patch_size
    side = 4 * patch  # four tokens: the projector merges two by two patches
    image = torch.linspace(-1, 1, 3 * side**2).reshape(1, 3, side, side)
    ids = torch.tensor([[5, *4 * [model.config.image_token_id], 6]])
    with torch.no_grad():
        shown, other = (
            model(input_ids=ids, pixel_values=sign * image, image_sizes=[(side, side)]).logits[:, -1]
            for sign in (1, -1)
        )
    return bool((shown - other).abs().max() > 1e-6)


def test_the_tags_reach_the_rewards_as_single_tokens():
    tokenizer = families.mistral()
    opened, closed = tokenizer.convert_tokens_to_ids(["[THINK]", "[/THINK]"])
    ids = tokenizer.encode("[THINK]\n1\n[/THINK]2", add_special_tokens=False)
    assert (ids[0], ids.count(closed)) == (opened, 1)
