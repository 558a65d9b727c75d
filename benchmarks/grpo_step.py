"""How fast one generation batch trains, beside stock `trl.GRPOTrainer`, at equal gradients.

Same model, prompts, completions (given, not generated), hardware; the pass for old log-probabilities is counted
on both sides. Stock runs at its fastest per-device size among those whose peak memory is not above ours; ours then
takes no more tokens a pass than stock does at that size, so that memory is equal. Peaks are measured apart, each in a
process of its own on a CPU. Batches of the two are interleaved; printed are medians with 95% bootstrap intervals.

    python benchmarks/grpo_step.py                  # CPU, lengths divided by 8
    python benchmarks/grpo_step.py --device cuda    # bf16 weights, full lengths
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.grpo import MagistralGRPOTrainer

ROWS, GROUP = 64, 8
PAD = 0


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a character: only ids matter here."""
    core = Tokenizer(models.WordLevel({t: i for i, t in enumerate(["<pad>", "<eos>", "<unk>", *"abcdef"])}, "<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


def lengths(kind: str, scale: int) -> list[int]:
    """Completion lengths: ragged (log-normal, mean 600, p95 2,000, cut at 4,096), mild (cv 0.4), or equal.

    They are the distribution's own quantiles, in random order, so that no lucky draw decides.
    """
    ranks = [statistics.NormalDist().inv_cdf((i + 0.5) / ROWS) for i in range(ROWS)]
    random.Random(0).shuffle(ranks)
    if kind == "equal":
        return [600 // scale] * ROWS
    if kind == "mild":
        return [max(int(600 + 240 * z), 60) // scale for z in ranks]
    # mean exp(m + s²/2) = 600 and 95% quantile exp(m + 1.645 s) = 2000 give s = 1.015, m = 5.882
    return [max(min(int(math.exp(5.882 + 1.015 * z)), 4096) // scale, 2) for z in ranks]


class Given:
    """TRL's `rollout_func` with the same completions for everybody; the time spent in it is not training."""

    def __init__(self, sizes: list[int], vocabulary: int) -> None:
        noise = random.Random(0)
        self.completions = [[noise.randrange(3, vocabulary) for _ in range(n - 1)] + [1] for n in sizes]
        self.seconds = 0.0

    def __call__(self, prompts: list[str], trainer: GRPOTrainer) -> dict[str, object]:
        ids = [[3 + ord(c) % 6 for c in prompt] for prompt in prompts]
        return {"prompt_ids": ids, "completion_ids": self.completions[: len(prompts)], "logprobs": None}


def reward(completions: list[str], **_: object) -> list[float]:
    """Any numbers that differ within a group."""
    return [math.sin(i * 1.7) for i in range(len(completions))]


class Clock(TrainerCallback):
    """Seconds from the begin of the first optimizer step of a batch to the end of the last."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.gradient: dict[str, torch.Tensor] = {}

    def on_step_begin(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.started = time.perf_counter()

    def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):  # type: ignore[no-untyped-def]
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds += time.perf_counter() - self.started
        if not self.gradient:
            self.gradient = {n: p.grad.float().cpu().clone() for n, p in model.named_parameters()}


def prompt_of(options: argparse.Namespace) -> str:
    """The prompt that all rows share, a token a character."""
    return "prompt: " + "x" * (96 // options.scale)


def build(model: LlamaForCausalLM, given: Given, options: argparse.Namespace, stock_size: int | None, **changes):
    """Make a trainer that trains on the given completions: stock at a per-device size, or ours for ``None``."""
    longest = max(len(c) for c in given.completions)
    common = {
        "output_dir": tempfile.mkdtemp(),
        "use_cpu": options.device == "cpu",
        "bf16": options.device != "cpu",
        "num_generations": GROUP,
        "max_completion_length": longest,
        "learning_rate": 0.0,
        "weight_decay": 0.0,
        "max_grad_norm": 0.0,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": 10_000,
        "disable_tqdm": True,
        "shuffle_dataset": False,
    }
    data = Dataset.from_dict({"prompt": [prompt_of(options)] * ROWS})
    clock = Clock()
    minibatches = changes.pop("minibatches", 2)
    checkpointing = options.device != "cpu"
    if stock_size is not None:
        args = GRPOConfig(
            per_device_train_batch_size=stock_size,
            gradient_accumulation_steps=ROWS // minibatches // stock_size,
            steps_per_generation=ROWS // stock_size,
            epsilon_high=0.28,
            scale_rewards="group",
            gradient_checkpointing=checkpointing,
            max_steps=minibatches,
            **common,
        )
        made = GRPOTrainer(
            model, reward, args, data, processing_class=tokenizer(), rollout_func=given, callbacks=[clock]
        )
        made.remove_callback(PrinterCallback)
        return made, clock
    args = MagistralGRPOConfig(
        prompts_per_batch=ROWS // GROUP,
        minibatches_per_batch=minibatches,
        max_tokens_per_microbatch=options.budget,
        keep_uninformative_groups=True,
        probe_rewards=False,
        rollouts_every=0,
        activation_checkpointing=checkpointing,
        max_steps=minibatches,
        **{**common, **changes},
    )
    made = MagistralGRPOTrainer(
        model, reward, args, data, processing_class=tokenizer(), rollout_func=given, callbacks=[clock]
    )
    made.remove_callback(PrinterCallback)
    return made, clock


class Padding:
    """Counts the cells of every forward pass, and those that hold a token."""

    def __init__(self, model: LlamaForCausalLM) -> None:
        self.cells = self.tokens = 0
        model.register_forward_pre_hook(self.count, with_kwargs=True)

    def count(self, model, args, kwargs):  # type: ignore[no-untyped-def]
        self.cells += kwargs["input_ids"].numel()
        self.tokens += int((kwargs["input_ids"] != PAD).sum())  # nothing else has its id here

    def share(self) -> float:
        """Padding among the cells counted so far; counting starts anew."""
        found = 1 - self.tokens / self.cells
        self.cells = self.tokens = 0
        return found


def interval(values: list[float]) -> list[float]:
    """Bootstrap the median: 2.5% and 97.5% quantiles."""
    noise = random.Random(0)
    medians = sorted(statistics.median(noise.choices(values, k=len(values))) for _ in range(2000))
    return [medians[50], medians[1949]]


def distance(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> float:
    """Relative difference of two gradients."""
    apart = math.sqrt(sum(float((left[n] - right[n]).square().sum()) for n in right))
    return apart / math.sqrt(sum(float(g.square().sum()) for g in right.values()))


def new_model(options: argparse.Namespace) -> LlamaForCausalLM:
    """Random weights, the same ones every time."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=options.vocabulary,
            hidden_size=options.hidden,
            intermediate_size=4 * options.hidden,
            num_hidden_layers=options.layers,
            num_attention_heads=options.hidden // 64,
            num_key_value_heads=options.hidden // 64,
            max_position_embeddings=8192,
        )
    )
    return model if options.device == "cpu" else model.to(torch.bfloat16)


def peak_gib(kind: str, options: argparse.Namespace, stock_size: int | None) -> float:
    """Peak memory of two batches: of the GPU's allocator, or of a process of its own."""
    if options.device == "cpu":
        words = [sys.executable, __file__, *sys.argv[1:]]
        words += ["--budget", str(options.budget), "--peak", kind, str(stock_size or 0)]
        done = subprocess.run(words, check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1])
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    two_batches(kind, options, stock_size)
    return torch.cuda.max_memory_allocated() / 2**30


def peak_of_this_process() -> float:
    """Peak resident memory in GiB. Not ``ru_maxrss``, which Linux hands down from the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**20


def two_batches(kind: str, options: argparse.Namespace, stock_size: int | None) -> float:
    """Train two batches, and return the seconds of the second."""
    made, clock = build(
        new_model(options), Given(lengths(kind, options.scale), options.vocabulary), options, stock_size
    )
    made.train()
    clock.seconds = 0.0
    made.train()
    return clock.seconds


def fairest_size(kind: str, options: argparse.Namespace) -> tuple[int, dict[str, float]]:
    """Return stock's fastest per-device size that takes no more memory than ours, and all peaks in GiB."""
    peaks = {"ours": peak_gib(kind, options, None)}
    seconds = {}
    for size in (1, 2, 4, 8, 16, 32):
        peaks[f"stock {size}"] = peak_gib(kind, options, size)
        if peaks[f"stock {size}"] > 1.02 * peaks["ours"] and seconds:  # 2%: what two runs of the same differ by
            break
        seconds[size] = two_batches(kind, options, size)
    return min(seconds, key=seconds.__getitem__), peaks


def compare(kind: str, options: argparse.Namespace) -> dict[str, object]:
    """Time both on the same batches."""
    stock_size, peaks = fairest_size(kind, options)
    given = Given(lengths(kind, options.scale), options.vocabulary)
    # As many tokens a pass as stock has: all its rows are as wide as the longest.
    width = max(len(c) for c in given.completions) + len(prompt_of(options))
    options = argparse.Namespace(**{**vars(options), "budget": min(options.budget, stock_size * width)})
    peaks["ours"] = peak_gib(kind, options, None)
    model = new_model(options)
    # Rows of one group in one window on both sides, and one window: then the gradients must be the same.
    sizes = {"stock": stock_size, "ours": None}
    equal, padding, counted = {}, {}, Padding(model)
    for which, size in sizes.items():
        made, clock = build(model, given, options, size, minibatches=1, **({} if size else ABLATION))
        made.train()
        equal[which] = clock.gradient
        padding[which] = counted.share()
    trainers = {which: build(model, given, options, size) for which, size in sizes.items()}
    times: dict[str, list[float]] = {"stock": [], "ours": []}
    for repeat in range(options.repeats + 1):
        for which, (made, clock) in trainers.items():
            clock.seconds = 0.0
            made.train()
            if options.device != "cpu":
                torch.cuda.synchronize()
            if repeat:  # the first warms up
                times[which].append(clock.seconds)
    ratios = [s / o for s, o in zip(times["stock"], times["ours"], strict=True)]
    return {
        "lengths": kind,
        "parameters": sum(p.numel() for p in model.parameters()),
        "stock_per_device_size": stock_size,
        "tokens_a_pass": options.budget,
        "stock_seconds": statistics.median(times["stock"]),
        "ours_seconds": statistics.median(times["ours"]),
        "times_faster": statistics.median(ratios),
        "interval": interval(ratios),
        "gradient_difference": distance(equal["ours"], equal["stock"]),
        "padding_stock": padding["stock"],
        "padding_ours": padding["ours"],
        "paper_saves_padding": 0.19,
        "peak_gib_ours": peaks.pop("ours"),
        "peak_gib_stock": peaks.pop(f"stock {stock_size}"),
        "peak_gib_of_other_sizes": peaks,
    }


ABLATION = {"advantage_normalization": "group"}


def main() -> None:
    """Run the comparison and print one JSON line a kind of lengths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--vocabulary", type=int, default=2048)
    parser.add_argument("--budget", type=int, default=None, help="tokens of a microbatch")
    parser.add_argument("--kinds", nargs="+", default=["ragged", "mild", "equal"])
    parser.add_argument("--peak", nargs=2, metavar=("KIND", "SIZE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.scale = 8 if options.device == "cpu" else 1
    options.budget = options.budget or (1152 if options.device == "cpu" else 9216)
    if options.peak:
        kind, size = options.peak
        two_batches(kind, options, int(size) or None)
        print(peak_of_this_process())
        return
    for kind in options.kinds:
        print(json.dumps(compare(kind, options)), flush=True)


if __name__ == "__main__":
    main()
