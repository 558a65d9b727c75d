"""vLLM: merged and adapter-only hand-over in training, evaluation, and 4-bit weights on both sides."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from gpu_check import stage
from gpu_check.bench import GIB, Bench, need
from gpu_check.made import model_folder, problem_file
from gpu_check.outcome import Findings, MissingPieceError
from gpu_check.sections.training import LORA, QLORA
from magistral_recipe.training.checks import GAP_LIMIT, QUANTIZED_GAP_LIMIT

GAPS = {"none": GAP_LIMIT, "nf4": QUANTIZED_GAP_LIMIT}
"""Nats a token between sampler and trainer, by the base's quantization: beyond them the trainer itself stops."""


def merged(bench: Bench, found: Findings) -> None:
    """RL with vLLM in the training process, handed merged weights."""
    _train(bench, found, "merged", "0.6b", LORA)


def adapter(bench: Bench, found: Findings) -> None:
    """RL with vLLM in the training process, handed the adapter alone."""
    _train(bench, found, "adapter", "1.7b", LORA)


def quantized(bench: Bench, found: Findings) -> None:
    """RL on 4-bit weights, with vLLM's 4-bit loader beside them."""
    need("bitsandbytes")
    _train(bench, found, "adapter", "1.7b", QLORA)


def _train(bench: Bench, found: Findings, sync: str, shape: str, model: dict[str, Any]) -> None:
    if bench.gpu:
        need("vllm")
    share = 0.35 * bench.cap_share
    rollouts = {"backend": "vllm", "mode": "colocate", "sync": sync}
    section = stage.grpo(
        bench,
        rollouts,
        max_steps=6,
        vllm_gpu_memory_utilization=round(share, 4),
        vllm_max_model_length=1024,
        vllm_enable_sleep_mode=True,
    )
    kind = model.get("quantization", "none")
    name, given = f"vllm-{sync}-{kind}", stage.recipe(bench, shape, model, section)
    if not bench.gpu:
        stage.load(bench, name, given)  # a recipe that is refused is a failure
        raise MissingPieceError("vLLM in training needs a GPU")
    ran = stage.run(bench, name, given)
    steps = [record for record in ran.records if "grad_norm" in record]
    gaps = [record["sampling/gap"] for record in steps if "sampling/gap" in record]
    speeds = [r["tokens_per_second/generated"] for r in steps if "tokens_per_second/generated" in r]
    found.figures |= {"gaps": gaps, "generated_tokens_per_second": speeds, "notes": ran.notes}
    found.mark(len(steps) == 6, f"{len(steps)} steps")
    found.mark(bool(gaps) and max(gaps) <= GAPS[kind], f"gap {max(gaps, default=float('nan')):.4f} nats at most")
    # The first batch is sampled before the adapter has moved: stale weights show in the later ones alone.
    if len(gaps) > 2:
        found.told.append(f"gap {gaps[0]:.4f} at first, {gaps[-1]:.4f} at last")
    stage.judge_memory(bench, found, ran, by_allocator=False)
    if speeds:
        found.told.append(f"{speeds[-1]:,.0f} tokens a second")
    shutil.rmtree(ran.folder, ignore_errors=True)


def evaluation(bench: Bench, found: Findings) -> None:
    """`evaluate --backend vllm` gives every sample of every problem, of a model and of an adapter on it."""
    if bench.gpu:
        need("vllm")
    peaks = []
    for name, model in (("model", model_folder(bench, "0.6b")), ("adapter", _adapter(bench))):
        out = bench.out / "vllm-evaluation" / name
        shutil.rmtree(out, ignore_errors=True)
        words = ["evaluate", "--model", str(model), "--benchmark", str(problem_file(bench)), "--samples", "4"]
        words += ["--max-new-tokens", "8" if bench.tiny else "64", "--dtype", "bfloat16", "--output", str(out)]
        with bench.peak() as peak:
            _command(bench, [*words, "--backend", "vllm" if bench.gpu else "hf"])
        peaks.append(peak.device / GIB)
        lines = next(out.rglob("samples.jsonl")).read_text("utf-8").splitlines()
        found.figures[f"samples_of_{name}"] = len(lines)
        found.mark(len(lines) == 64 * 4 and all(json.loads(line) for line in lines), f"{name}: {len(lines)} of 256")
    found.figures["peak_gib"] = max(peaks)
    if bench.gpu:
        found.mark(max(peaks) * GIB <= bench.cap, f"the device held {max(peaks):.2f} GiB")


def _adapter(bench: Bench) -> Path:
    """An adapter that moves its model, as PEFT saves it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = bench.out / "models" / "adapter"
    base = AutoModelForCausalLM.from_pretrained(model_folder(bench, "0.6b"), dtype="bfloat16")
    adapted = get_peft_model(base, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, value in adapted.named_parameters():
            if "lora_B" in name:
                value.normal_(std=0.01)
    adapted.save_pretrained(folder)
    return folder


def _command(bench: Bench, words: list[str]) -> None:
    """Run this package's command line, where vLLM takes nine tenths of the cap instead of the card."""
    code = "import sys; from magistral_recipe.cli import main; sys.argv[0] = 'magistral-recipe'; main()"
    if bench.gpu:
        share = f"functools.partial(vllm.LLM, gpu_memory_utilization={0.9 * bench.cap_share:.4f})"
        code = f"import functools, vllm; vllm.LLM = {share}; {code}"
    bench.python(["-c", code, *words])
