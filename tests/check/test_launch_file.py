"""What an Accelerate config asks for that can't train: told by `check`, with the way out."""

from __future__ import annotations

import re

import pytest
from check_document import document
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from magistral_recipe.data import tiny

RECIPE = """\
name: shared
model: {path: tiny%s}
launch: {num_processes: 2, config_file: launch.yaml}
stages:
  - sft: {traces: {tiny: true, count: 8}}
"""
NF4 = ", quantization: nf4, lora: {r: 4, alpha: 8}"
FSDP2 = "distributed_type: FSDP\nfsdp_config: {fsdp_version: 2}\n"


def mistakes(folder, launch, model=""):
    (folder / "launch.yaml").write_text(launch)
    return document(folder, RECIPE % model)["mistakes"]


@pytest.mark.parametrize(
    ("launch", "model", "told"),
    [
        ("distributed_type: DEEPSPEED\n", "", "DeepSpeed is not available: .* Use FSDP2"),
        ("distributed_type: FSDP\n", "", "fsdp_version: 1 .* set fsdp_version: 2"),
        (FSDP2, NF4, r"quantization: nf4: .* \(they need bnb_4bit_quant_storage: bfloat16\)\. Leave config_file out"),
    ],
)
def test_what_can_not_train_is_told_with_the_way_out(tmp_path, launch, model, told):
    (mistake,) = mistakes(tmp_path, launch, model)
    assert (mistake["key"], mistake["line"]) == ("launch.config_file", 3)
    assert re.search(told, mistake["message"])
    assert "\n" not in mistake["message"]


@pytest.mark.parametrize(("launch", "model"), [(FSDP2, ""), ("distributed_type: MULTI_GPU\n", NF4)])
def test_a_copy_a_card_and_parts_of_whole_weights_can(tmp_path, launch, model):
    assert mistakes(tmp_path, launch, model) == []


GRPO = """\
  - grpo:
      problems: train
      rewards: [math]
      rollouts: {%s}
      trainer: {max_completion_length: 32, prompts_per_batch: 4, num_generations: 4}
problems: {train: {tiny: train, count: 8}}
"""


@pytest.mark.parametrize(
    ("backend", "shared", "refused"),
    [("compiled", True, True), ("continuous", True, True), ("generate", True, False), ("compiled", False, False)],
)
def test_a_backend_that_needs_whole_weights_is_told_the_others(tmp_path, backend, shared, refused):
    (tmp_path / "launch.yaml").write_text(FSDP2 if shared else "distributed_type: MULTI_GPU\n")
    found = document(tmp_path, RECIPE % "" + GRPO % f"backend: {backend}")["mistakes"]
    assert len(found) == refused, found
    if refused:
        assert found[0]["key"] == "stages[1].grpo.rollouts.backend"
        assert found[0]["message"].endswith("use generate or vllm")


@pytest.mark.parametrize(("sync", "shared"), [("adapter", True), ("merged", True), ("adapter", False)])
def test_an_adapter_that_is_shared_out_is_not_handed_over_alone(tmp_path, sync, shared):
    (tmp_path / "launch.yaml").write_text(FSDP2 if shared else "distributed_type: MULTI_GPU\n")
    text = RECIPE % ", lora: {r: 4, alpha: 8}" + GRPO % f"backend: vllm, mode: colocate, sync: {sync}"
    told = {mistake["key"]: mistake["message"] for mistake in document(tmp_path, text)["mistakes"]}
    key = "stages[1].grpo.rollouts.sync"
    assert (key in told) == (sync == "adapter" and shared)
    if key in told:
        assert "each process holds the whole adapter (DDP)" in told[key]


def adapter(folder, saved):
    """An adapter on the embedded model, whose head is tied, that trains modules whole beside it."""
    base = AutoModelForCausalLM.from_pretrained(tiny.model_path())
    config = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=saved)
    get_peft_model(base, config).save_pretrained(folder)
    return folder


def test_a_tied_end_that_an_adapter_trains_whole_is_not_shared_out(tmp_path):
    """Accelerate ties it again: the loss of the first step is another model's already."""
    (tmp_path / "launch.yaml").write_text(FSDP2)
    ends, norm = (adapter(tmp_path / name, [name]) for name in ("embed_tokens", "norm"))

    def told(path, keys="", launch="launch.yaml"):
        text = RECIPE.replace("{path: tiny%s}", f"{{path: {path}{keys}}}").replace("launch.yaml", launch)
        return [(mistake["key"], mistake["message"]) for mistake in document(tmp_path, text)["mistakes"]]

    ((key, message),) = told(ends)
    assert key == "launch.config_file"
    assert message.startswith("the adapter trains model.embed_tokens whole (modules_to_save)")
    assert message.endswith("each process holds the whole model (DDP); or set model.adapter: merge")
    assert told(norm) == told(ends, ", adapter: merge") == []
    (tmp_path / "copies.yaml").write_text("distributed_type: MULTI_GPU\n")
    assert told(ends, launch="copies.yaml") == []
