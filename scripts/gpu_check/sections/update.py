"""The update alone beside stock TRL's, on ragged lengths, at equal gradients and memory (`benchmarks/grpo_step.py`)."""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from typing import Any

from gpu_check.bench import GIB, Bench
from gpu_check.outcome import Findings, MissingPieceError
from gpu_check.supervisor import SCRIPTS

TIMES = 2.0
"""How many times faster it must be on a GPU."""


def beside_stock(bench: Bench, found: Findings) -> None:
    """64 completions, mean 600 tokens, 95% below 2,000; stock at two per-device sizes."""
    benchmarks = SCRIPTS.parent / "benchmarks"
    if not (benchmarks / "grpo_step.py").is_file():
        raise MissingPieceError("benchmarks/grpo_step.py is not beside this script")
    sys.path.insert(0, str(benchmarks))
    import grpo_step
    import torch

    options = _options(bench)
    given = grpo_step.Given(grpo_step.lengths("ragged", options.scale), options.vocabulary)
    width = max(map(len, given.completions)) + len(grpo_step.prompt_of(options))
    model = grpo_step.new_model(options)
    gradients = {}
    sizes = (2, 4)
    options.budget = sizes[0] * width
    for which, size, changes in (("ours", None, grpo_step.ABLATION), ("stock", sizes[0], {})):
        made, clock = grpo_step.build(model, given, options, size, minibatches=1, **changes)
        made.train()
        gradients[which] = clock.gradient
    apart = grpo_step.distance(gradients["ours"], gradients["stock"])
    gradients.clear()
    del made, clock  # with its optimizer's states, which would count in the peaks
    seconds: dict[str, float] = {}
    peaks: dict[str, float] = {}
    for which, size, repeats in (("ours", None, 3), *((f"stock {size}", size, 1) for size in sizes)):
        try:
            seconds[which], peaks[which] = _timed(bench, grpo_step, model, given, options, size, repeats)
        except torch.OutOfMemoryError:
            if size in (None, sizes[0]):
                raise
            seconds[which] = peaks[which] = math.inf  # a size that does not fit the card is none that stock can take
    fair = [f"stock {size}" for size in sizes if peaks[f"stock {size}"] <= 1.05 * peaks["ours"]]
    stock = min(fair or [f"stock {sizes[0]}"], key=seconds.__getitem__)
    times = seconds[stock] / seconds["ours"]
    tokens = sum(map(len, given.completions))
    found.figures |= {
        "parameters": sum(p.numel() for p in model.parameters()),
        "completion_tokens": tokens,
        "seconds": seconds,
        "peaks_gib": peaks,
        "times_faster": times,
        "gradients_differ_by": apart,
        "peak_gib": peaks["ours"],
    }
    text = f"{tokens:,} ragged tokens in {seconds['ours']:.2f} s, {stock} in {seconds[stock]:.2f} s: {times:.1f} times"
    if bench.gpu:
        found.mark(times >= TIMES, text)
        found.mark(peaks["ours"] <= 1.05 * peaks[stock], f"{peaks['ours']:.1f} GiB to {peaks[stock]:.1f}")
    else:
        found.told.append(text)
    # In bfloat16 a sum's order shows; in float32 it does not.
    found.mark(apart <= (0.1 if bench.gpu else 1e-5), f"gradients differ by {apart:.1e}")


def _options(bench: Bench) -> argparse.Namespace:
    if bench.tiny:
        return argparse.Namespace(device="cpu", scale=64, hidden=64, layers=2, vocabulary=64, budget=None)
    return argparse.Namespace(device="cuda", scale=1, hidden=1024, layers=28, vocabulary=53_248, budget=None)


def _timed(
    bench: Bench, grpo_step: Any, model: Any, given: Any, options: Any, size: int | None, repeats: int
) -> tuple[float, float]:
    """Seconds of one batch (the median of some), and the most memory PyTorch's allocator handed out."""
    made, clock = grpo_step.build(model, given, options, size)
    if size is None:
        made.train()  # the first warms up; stock's kernels have the same shapes in every pass
    taken = []
    with bench.peak() as peak:
        for _ in range(repeats):
            clock.seconds = 0.0
            made.train()
            taken.append(clock.seconds)
    return statistics.median(taken), (peak.allocated if bench.gpu else peak.device) / GIB
