"""vLLM: merged and adapter-only hand-over in training, evaluation, and 4-bit weights on both sides."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

from gpu_check import stage
from gpu_check.bench import GIB, Bench, need
from gpu_check.made import model_folder, problem_file
from gpu_check.outcome import Findings, MissingPieceError
from gpu_check.sections.training import LORA, QLORA

GAPS = {"none": 0.05, "nf4": 0.3}
"""Nats a token between sampler and trainer, by the base's quantization."""


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
    need("vllm")
    if not bench.gpu:
        raise MissingPieceError("vLLM in training needs a GPU")
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
    ran = stage.run(bench, f"vllm-{sync}-{kind}", stage.recipe(bench, shape, model, section))
    steps = [record for record in ran.records if "grad_norm" in record]
    gaps = [record["sampling/gap"] for record in steps if "sampling/gap" in record]
    speeds = [r["tokens_per_second/generated"] for r in steps if "tokens_per_second/generated" in r]
    found.figures |= {"gaps": gaps, "generated_tokens_per_second": speeds, "notes": ran.notes}
    found.mark(len(steps) == 6, f"{len(steps)} steps")
    found.mark(bool(gaps) and max(gaps) <= GAPS[kind], f"gap {max(gaps, default=float('nan')):.4f} nats at most")
    # The first batch is sampled before the adapter has moved: stale weights show in the later ones alone.
    if len(gaps) > 2:
        found.told.append(f"gap {gaps[0]:.4f} at first, {gaps[-1]:.4f} at last")
    stage.judge_memory(bench, found, ran)
    if speeds:
        found.told.append(f"{speeds[-1]:,.0f} tokens a second")
    shutil.rmtree(ran.folder, ignore_errors=True)


def evaluation(bench: Bench, found: Findings) -> None:
    """`evaluate --backend vllm` gives every sample of every problem."""
    need("vllm")
    if not bench.gpu:
        raise MissingPieceError("vLLM needs a GPU")
    out = bench.out / "vllm-evaluation"
    shutil.rmtree(out, ignore_errors=True)
    words = ["-m", "magistral_recipe", "evaluate", "--model", str(model_folder(bench, "0.6b"))]
    words += ["--problems", str(problem_file(bench)), "--samples", "4", "--max-new-tokens", "64", "--backend", "vllm"]
    words += ["--output", str(out)]
    with bench.peak() as peak:
        done = subprocess.run([sys.executable, *words], stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise RuntimeError(f"evaluate --backend vllm ended with exit code {done.returncode}")
    lines = next(out.rglob("samples.jsonl")).read_text("utf-8").splitlines()
    found.figures |= {"samples": len(lines), "peak_gib": peak.device / GIB}
    found.mark(len(lines) == 64 * 4 and all(json.loads(line) for line in lines), f"{len(lines)} samples of 256")
