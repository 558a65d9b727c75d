"""SFT and GRPO with all weights, with LoRA and with QLoRA, under the cap: do they train, and is the plan right?"""

from __future__ import annotations

import math
import shutil
from typing import Any

from gpu_check import stage
from gpu_check.bench import Bench, need
from gpu_check.outcome import Findings

FULL: dict[str, Any] = {"dtype": "float32"}
LORA: dict[str, Any] = {"dtype": "bfloat16", "lora": {"r": 64, "alpha": 128, "handover": "carry"}}
QLORA: dict[str, Any] = {**LORA, "quantization": "nf4"}
"""Adapters are carried on: merging has a section of its own, and takes seconds here that no mark needs."""


def sft_full(bench: Bench, found: Findings) -> None:
    """All weights of 0.6 billion."""
    _train(bench, found, "sft-full", "0.6b", FULL, stage.sft(bench, learning_rate=1e-5))


def grpo_full(bench: Bench, found: Findings) -> None:
    """All weights of 0.6 billion."""
    _train(bench, found, "grpo-full", "0.6b", FULL, stage.grpo(bench, learning_rate=1e-6))


def sft_lora(bench: Bench, found: Findings) -> None:
    """Adapters on 1.7 billion in bfloat16."""
    _train(bench, found, "sft-lora", "1.7b", LORA, stage.sft(bench))


def grpo_lora(bench: Bench, found: Findings) -> None:
    """Adapters on 1.7 billion in bfloat16."""
    _train(bench, found, "grpo-lora", "1.7b", LORA, stage.grpo(bench))


def sft_qlora(bench: Bench, found: Findings) -> None:
    """Adapters on 1.7 billion in 4 bits."""
    need("bitsandbytes")
    _train(bench, found, "sft-qlora", "1.7b", QLORA, stage.sft(bench))


def grpo_qlora(bench: Bench, found: Findings) -> None:
    """Adapters on 1.7 billion in 4 bits."""
    need("bitsandbytes")
    _train(bench, found, "grpo-qlora", "1.7b", QLORA, stage.grpo(bench))


def grpo_qlora_8b(bench: Bench, found: Findings) -> None:
    """Adapters on 8 billion in 4 bits; some 20 GB on the disk."""
    need("bitsandbytes")
    _train(bench, found, "8b-qlora", "8b", QLORA, stage.grpo(bench, prompts_per_batch=4))


def _train(
    bench: Bench, found: Findings, name: str, shape: str, model: dict[str, Any], section: dict[str, Any]
) -> None:
    ran = stage.run(bench, name, stage.recipe(bench, shape, model, section))
    steps = [record for record in ran.records if "grad_norm" in record]
    wanted = next(iter(section.values()))["trainer"]["max_steps"]
    losses = [record["loss"] for record in steps]
    norms = [record["grad_norm"] for record in steps]
    sound = all(math.isfinite(value) for value in [*losses, *norms]) and min(norms, default=0.0) > 0
    found.mark(len(steps) == wanted and sound, f"{len(steps)} steps with finite losses and gradients")
    stage.judge_memory(bench, found, ran)
    last = ran.records[-2] if len(ran.records) > 1 else ran.records[-1]
    speeds = {key: last[key] for key in ("tokens_per_second/generated", "tokens_per_second/trained") if key in last}
    found.figures |= {"losses": losses, "gradient_norms": norms, **speeds, "notes": ran.notes}
    found.told += [f"{value:,.0f} {key.partition('/')[2]} tokens a second" for key, value in speeds.items()]
    shutil.rmtree(ran.folder, ignore_errors=True)  # gigabytes that nobody reads
