"""How fast each backend samples rollouts, on ragged lengths, with the same model, prompts and weights.

Lengths are quantiles of a log-normal (mean 600, 95% below 2,000, cut at 4,096; on a CPU divided by 16), forced by each
row's own limit without a stop token: by `max_new_tokens` of a request, or in `generate` by a stopping criterion. Rows
come in groups that share a prompt. Weights are random. Useful tokens are those of completions; `generate` computes
padding beside them. The first round of each backend warms up and is shown apart: it holds what compiling, capturing or
starting takes. Later rounds take turns; printed are medians, a JSON line a backend.

    python benchmarks/rollouts.py                    # CPU: 9M parameters, float32
    python benchmarks/rollouts.py --device cuda      # 135M, bfloat16; --model 0.6b for Qwen3-0.6B's shape
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import random
import resource
import statistics
import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen3Config

from magistral_recipe.generation.rollouts.compiled import CompiledSampler
from magistral_recipe.generation.rollouts.continuous import ContinuousSampler
from magistral_recipe.generation.rollouts.generate import GenerateSampler
from magistral_recipe.generation.rollouts.interface import Drawing, Sampler
from magistral_recipe.generation.rollouts.weights import RolloutCopy

GROUP = 8
KINDS: dict[str, type[Sampler]] = {
    "generate": GenerateSampler,
    "compiled": CompiledSampler,
    "continuous": ContinuousSampler,
}
SHAPES = {
    "9m": lambda: LlamaConfig(
        vocab_size=2048, hidden_size=256, intermediate_size=1024, num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=8, max_position_embeddings=8192,
    ),
    # the published config.json of HuggingFaceTB/SmolLM2-135M and Qwen/Qwen3-0.6B-Base, what decides the shape
    "135m": lambda: LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, max_position_embeddings=8192, tie_word_embeddings=True,
    ),
    "0.6b": lambda: Qwen3Config(
        vocab_size=151936, hidden_size=1024, intermediate_size=3072, num_hidden_layers=28, num_attention_heads=16,
        num_key_value_heads=8, head_dim=128, max_position_embeddings=32768, tie_word_embeddings=True,
    ),
}  # fmt: skip


def lengths(rows: int, scale: int, longest: int) -> list[int]:
    """Completion lengths: see `grpo_step.py`; the distribution's own quantiles, in random order."""
    ranks = [statistics.NormalDist().inv_cdf((i + 0.5) / rows) for i in range(rows)]
    random.Random(0).shuffle(ranks)
    return [max(min(int(math.exp(5.882 + 1.015 * z)), longest) // scale, 2) for z in ranks]


def prompts(rows: int, vocabulary: int, scale: int) -> list[list[int]]:
    """Prompts of 60 to 250 tokens, divided by the scale; the rows of a group share one."""
    noise = random.Random(1)
    each = [
        [noise.randrange(3, vocabulary) for _ in range(max(noise.randrange(60, 250) // scale, 2))]
        for _ in range(-(-rows // GROUP))
    ]
    return [each[row // GROUP] for row in range(rows)]


def round_of(sampler: Sampler, asked: list[list[int]], limits: list[int], seed: int) -> tuple[float, float]:
    """Seconds that a round takes: by the clock, and of this process's processor time, which other work leaves alone."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started, worked = time.perf_counter(), time.process_time()
    drawn = [sample for batch in sampler.sample(asked, limits, seed) for sample in batch]
    seconds = time.perf_counter() - started, time.process_time() - worked
    assert sorted((sample.row, len(sample.ids)) for sample in drawn) == list(enumerate(limits))
    return seconds


def peak_gib(device: str) -> float:
    """Peak memory since the last call: of the GPU's allocator, or of this process so far."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    peak = torch.cuda.max_memory_reserved() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return peak


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Time the backends in turns."""
    torch.manual_seed(0)
    trained = AutoModelForCausalLM.from_config(SHAPES[options.model]()).to(options.device)
    model = RolloutCopy(trained, torch.bfloat16 if options.device == "cuda" else None).model
    limits = lengths(options.rows, options.scale, options.longest)
    asked = prompts(options.rows, model.config.vocab_size, options.scale)
    useful, padding = sum(limits), 1 - sum(limits) / (len(limits) * max(limits))
    # A GPU holds one backend at a time, so that each one's memory is its own; on a CPU they take turns.
    turns = [[name] for name in options.backends] if options.device == "cuda" else [options.backends]
    results = []
    for names in turns:
        gc.collect()
        if options.device == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        samplers = {name: KINDS[name](model, Drawing(), token_budget=options.token_budget) for name in names}
        first = {name: round_of(sampler, asked, limits, 0) for name, sampler in samplers.items()}
        captures = {name: sampler.figures.get("sampling/captures", 0.0) for name, sampler in samplers.items()}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        for repeat in range(1, options.repeats + 1):
            for name, sampler in samplers.items():
                taken[name].append(round_of(sampler, asked, limits, repeat))
        for name, sampler in samplers.items():
            seconds, processor = (statistics.median(each) for each in zip(*taken[name], strict=True))
            results.append(
                {
                    "backend": name,
                    "parameters": sum(p.numel() for p in model.parameters()),
                    "rows": options.rows,
                    "longest": max(limits),
                    "padding_of_generate": round(padding, 3),
                    "first_round_seconds": round(first[name][0], 2),
                    "seconds": round(seconds, 2),
                    "all_seconds": [round(each, 2) for each, _ in taken[name]],
                    "processor_seconds": round(processor, 2),
                    "useful_tokens_per_second": round(useful / seconds, 1),
                    "samples_per_second": round(options.rows / seconds, 2),
                    "captures_in_first_round": captures[name],
                    "captures_in_last_round": sampler.figures.get("sampling/captures", 0.0),
                    "peak_gib": round(peak_gib(options.device), 2),
                }
            )
            sampler.close()
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--model", choices=tuple(SHAPES), default=None)
    parser.add_argument("--rows", type=int, default=None)
    parser.add_argument("--longest", type=int, default=4096, help="tokens of the longest completion, before scaling")
    parser.add_argument("--token-budget", type=int, default=None)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--backends", nargs="+", choices=tuple(KINDS), default=list(KINDS))
    options = parser.parse_args()
    cpu = options.device == "cpu"
    options.model = options.model or ("9m" if cpu else "135m")
    options.rows = options.rows or (64 if cpu else 256)
    options.scale = 16 if cpu else 1
    results = measure(options)
    reference = next((each for each in results if each["backend"] == "generate"), None)
    for each in results:
        if reference:
            each["times_generate"] = round(each["useful_tokens_per_second"] / reference["useful_tokens_per_second"], 2)
        print(json.dumps(each), flush=True)


if __name__ == "__main__":
    main()
