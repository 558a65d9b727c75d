"""How fast this machine is: passes and decoding steps of a model of two and of three layers, extended to the whole.

The model has random weights of the real shape; nothing is fetched. Quantized layers and vLLM are not probed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from magistral_recipe.check.memory.case import Case, evaluation_batch, largest_pass, rollout_batch
from magistral_recipe.check.memory.dry_run import (
    Pass,
    Trained,
    autocast,
    build,
    depths_of,
    forward,
    materialize,
    prepare,
)
from magistral_recipe.check.memory.hours import Speed
from magistral_recipe.check.memory.stand_ins import quiet
from magistral_recipe.machine import best_device
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import TrainingStage

_TOKENS = (128, 512, 2_048, 8_192)
"""Tokens of probed passes: the first two, and on until one keeps the machine busy."""
_ROWS = (8, 32, 128, 256)
"""Sequences of probed decoding steps, likewise."""
_BUSY = 0.4
"""Seconds of a run that is long enough."""
_STEPS = 2
"""Decoding steps that are timed together."""


def probe(case: Case, drawn: Mapping[str, Any] | None = None) -> Speed | None:
    """Time a stage's pass and decoding step on the machine at hand.

    Args:
        case: the stage, on the device at hand.
        drawn: sampling of a stage that evaluates or samples.

    Returns:
        Its speeds; ``None`` where the stage can't be probed.
    """
    device = best_device()
    training = isinstance(case.stage, TrainingStage)
    engine = case.stage.draws is not None and case.stage.draws.backend == "vllm"
    if case.model.quantization != "none" or engine or (training and case.arguments.get("use_vllm")):
        return None
    began = time.perf_counter()
    token = step = 0.0
    with quiet():
        if training:
            token = _token_seconds(case.trained(), largest_pass(case), device)
        if rows := _rows(case, drawn):
            step = _step_seconds(case.trained() if training else case.read(), rows, device)
    spent = time.perf_counter() - began
    return Speed(token, step, f"from a probe of {spent:.0f} s on {case.device.name}, random weights, layers extended")


def _rows(case: Case, drawn: Mapping[str, Any] | None) -> int:
    if isinstance(case.stage, GrpoStage):
        return rollout_batch(case).rows
    if (draws := case.stage.draws) is not None:
        return evaluation_batch(case, drawn or draws.sampling).rows
    if isinstance(case.stage, TrainingStage) and case.stage.evaluate is not None:
        return min(case.stage.evaluate.count * case.stage.evaluate.samples, 256)
    return 0


def _token_seconds(trained: Trained, spec: Pass, device: str) -> float:
    """Seconds a token of a training pass."""

    def ready(layers: int) -> Callable[[int], float]:
        model = _filled(trained, layers, device)
        prepare(model, trained, spec)

        def seconds(tokens: int) -> float:
            width = min(spec.width, tokens)
            part = replace(spec, width=width, rows=max(min(spec.rows, tokens // width), 1))
            return _timed(lambda: forward(model, trained, part, device).backward(), device)

        return seconds

    return _extended(trained, ready, _TOKENS, spec.tokens) / spec.tokens


def _step_seconds(trained: Trained, rows: int, device: str) -> float:
    """Seconds of a decoding step of so many sequences."""

    def ready(layers: int) -> Callable[[int], float]:
        model = _filled(trained, layers, device).eval()

        def seconds(count: int) -> float:
            ids = torch.zeros(count, 1, dtype=torch.long, device=device)
            with torch.no_grad(), autocast(trained, torch.device(device).type):
                cache = model(input_ids=ids.expand(-1, 32), use_cache=True, logits_to_keep=1).past_key_values

                def run() -> None:
                    for _ in range(_STEPS):
                        logits = model(input_ids=ids, past_key_values=cache, use_cache=True).logits[:, -1]
                        logits.float().softmax(-1).argmax(-1)

                return _timed(run, device) / _STEPS

        return seconds

    return _extended(trained, ready, _ROWS, rows)


def _extended(
    trained: Trained, ready: Callable[[int], Callable[[int], float]], sizes: Sequence[int], full: int
) -> float:
    """Seconds of a run of full size on the whole model, from smaller runs at two depths.

    A run takes a fixed time, and a time for each token or row: a line through its last two sizes says what the full
    size takes.
    """
    depths = depths_of(trained.shape)
    probed = sorted({min(size, full) for size in sizes})
    shallow = ready(depths[0])
    times: dict[int, float] = {}
    for size in probed:
        times[size] = shallow(size)
        if len(times) > 1 and times[size] >= _BUSY:
            break
    del shallow
    low = _line(times, full)
    if len(depths) == 1:
        return low
    deeper = ready(depths[-1])
    high = _line({size: deeper(size) for size in list(times)[-2:]}, full)
    return low + (trained.layers - depths[0]) * max(high - low, 0.0) / (depths[-1] - depths[0])


def _line(times: Mapping[int, float], full: int) -> float:
    """Extend the last two of several sizes to a full one; a larger size never takes less."""
    (size, seconds), *before = list(times.items())[::-1]
    if not before:
        return seconds
    slope = max(seconds - before[0][1], 0.0) / (size - before[0][0])
    return seconds + slope * (full - size)


def _filled(trained: Trained, layers: int, device: str) -> Any:
    """A model with small random weights: those of uninitialised memory would take the time of odd numbers."""
    model = build(trained, layers)
    materialize(model, device)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                tensor.normal_(0.0, 0.02)
    return model


def _timed(run: Callable[[], None], device: str) -> float:
    """Seconds of a run that is not the first, which pays for what is prepared once."""
    run()
    _finish(device)
    seconds = []
    for _ in range(2):  # the faster one: nothing makes a run too fast
        began = time.perf_counter()
        run()
        _finish(device)
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _finish(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()
