"""What an Accelerate config asks for that can't train: told by `check`, with the way out."""

from __future__ import annotations

import re

import pytest
from check_document import document

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


@pytest.mark.parametrize(
    ("backend", "shared", "refused"),
    [("compiled", True, True), ("continuous", True, True), ("generate", True, False), ("compiled", False, False)],
)
def test_a_backend_that_needs_whole_weights_is_told_the_others(tmp_path, backend, shared, refused):
    (tmp_path / "launch.yaml").write_text(FSDP2 if shared else "distributed_type: MULTI_GPU\n")
    text = (
        RECIPE % ""
        + f"""\
  - grpo:
      problems: train
      rewards: [math]
      rollouts: {{backend: {backend}}}
      trainer: {{max_completion_length: 32, prompts_per_batch: 4, num_generations: 4}}
problems: {{train: {{tiny: train, count: 8}}}}
"""
    )
    found = document(tmp_path, text)["mistakes"]
    assert len(found) == refused, found
    if refused:
        assert found[0]["key"] == "stages[1].grpo.rollouts.backend"
        assert found[0]["message"].endswith("use generate or vllm")
