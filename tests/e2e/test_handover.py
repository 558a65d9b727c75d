"""From SFT to RL: what RL starts from has the log-probabilities of what SFT trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from magistral_recipe.chain.run_folder import RunFolder
from magistral_recipe.chain.stage_process import run_stage
from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.recipe.sections import StageContext
from magistral_recipe.stages.work import load_start

RECIPE = """\
name: handover
model: {path: tiny MODEL}
thinking: {system_prompt: none}
problems:
  train: {tiny: train, count: 8}
stages:
  - sft:
      traces: {tiny: true, count: 32}
      trainer: {max_steps: 3, per_device_train_batch_size: 8, learning_rate: RATE, save_steps: 3}
  - grpo: {problems: train}
"""


def log_probabilities(model, ids, prompt_length):
    """Of each token of the completion, in float32, from the model's own logits."""
    model.eval()
    with torch.no_grad():
        logits = model(input_ids=ids).logits.float()
    logps = torch.log_softmax(logits[:, :-1], -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    return logps[:, prompt_length - 1 :]


def trained(checkpoint: Path, model_section: str):
    """The model as SFT's last checkpoint has it, loaded with transformers and PEFT alone."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from magistral_recipe.data import tiny

    if "lora" not in model_section:
        return AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    options = {}
    if "nf4" in model_section:
        nf4 = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.float32,
        )
        options = {"quantization_config": nf4, "device_map": {"": "cpu"}}
    base = AutoModelForCausalLM.from_pretrained(tiny.model_path(), dtype=torch.float32, **options)
    return PeftModel.from_pretrained(base, checkpoint)


@pytest.mark.parametrize(
    ("section", "rate", "bound"),
    [
        ("", 1e-3, 1e-5),
        (", lora: {r: 4, alpha: 8, handover: merge}", 1e-3, 1e-5),
        (", lora: {r: 4, alpha: 8, handover: carry}", 1e-3, 1e-5),
        (", quantization: nf4, lora: {r: 4, alpha: 8, handover: carry}", 2e-2, 1e-2),
    ],
    ids=["full", "lora-merged", "lora-carried", "qlora-carried"],
)
def test_rl_starts_from_what_sft_trained(tmp_path, section, rate, bound):
    loaded, events = run_sft(tmp_path, section, rate)
    run = tmp_path / "run"
    plan = RunFolder(run, loaded).stage_plans()[1]
    plan.folder.mkdir()
    models = {"base": None, "sft": run / "01-sft" / "model"}
    start = load_start(StageContext(loaded.recipe, loaded.folder, plan.folder, models, "sft", events.append))
    before = trained(run / "01-sft" / "checkpoints" / "checkpoint-3", section)
    prompt = torch.tensor([start.chat.prompt_ids(start.tokenizer, "What is 17 plus 25?")])
    ids = before.generate(input_ids=prompt, max_new_tokens=24, do_sample=False)  # what a first rollout holds
    reference = log_probabilities(before, ids, prompt.shape[1])
    gap = (log_probabilities(start.model, ids, prompt.shape[1]) - reference).abs().max().item()
    assert gap <= bound
    untrained = load_start(StageContext(loaded.recipe, loaded.folder, plan.folder, models, "base", events.append))
    moved = (log_probabilities(untrained.model, ids, prompt.shape[1]) - reference).abs().max().item()
    assert moved > 10 * bound, "SFT changed nothing"


def test_a_merged_quantized_adapter_says_how_far_it_moved(tmp_path):
    _, events = run_sft(tmp_path, ", quantization: nf4, lora: {r: 4, alpha: 8, handover: merge}")
    notes = [event["text"] for event in events if event["type"] == "note"]
    assert any("merging changed" in note and "nats" in note for note in notes), notes


def run_sft(folder: Path, section: str, rate: float = 1e-3):
    (folder / "r.yaml").write_text(RECIPE.replace(" MODEL", section).replace("RATE", str(rate)))
    loaded = load_recipe(folder / "r.yaml")
    events: list[dict] = []
    run = RunFolder(folder / "run", loaded)
    plan = run.stage_plans()[0]
    run.path.mkdir()
    run.prepare(plan)
    run.complete(plan, run_stage(loaded, run.path, 0, events.append), 1.0, "code")
    return loaded, events
