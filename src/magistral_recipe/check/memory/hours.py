"""How long a stage takes: from a probe of the machine at hand, else from a card's data sheet. An estimate, and said so.

Passes are taken to reach a stated share of the card's dense 16-bit rate, a decoded token to wait for the weights and
the keys and values to be read once, or for each layer's kernels to be launched from Python, whichever is longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from magistral_recipe.check.memory.case import Case, evaluation_batch, largest_pass, longest_row, rollout_batch
from magistral_recipe.check.memory.generation import cache_bytes_a_token
from magistral_recipe.check.memory.moments import StageMemory
from magistral_recipe.models.precision import BYTES
from magistral_recipe.recipe.sections import Draws
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.sft import SftStage
from magistral_recipe.stages.training import TrainingStage

PASS_SHARE = 0.4
"""Share of the data sheet's rate that training passes are taken to reach."""
READ_SHARE = 0.6
"""Share of the data sheet's bandwidth that decoding is taken to reach."""
LAUNCH_SECONDS = 0.001
"""Seconds to launch one layer's kernels from Python while decoding, once more half of it with adapters."""
FILL = 0.5
"""Mean length of rows and completions as a share of the longest, where it isn't known."""


@dataclass(frozen=True)
class Speed:
    """What a machine does.

    Attributes:
        token: seconds a token of a training pass takes.
        step: seconds a decoded token takes, for all sequences of a batch together.
        origin: where the figures come from, in words.
    """

    token: float
    step: float
    origin: str


class Work(NamedTuple):
    """What a stage has to do.

    Attributes:
        tokens: tokens that go through training passes, recomputed ones and forward-only ones in proportion.
        steps: decoding steps, one token for each sequence of a batch.
        unknown: why it can't be told, or nothing.
    """

    tokens: float
    steps: float
    unknown: str = ""


class Hours(NamedTuple):
    """How long a stage takes.

    Attributes:
        hours: ``None`` where it can't be told.
        how: where the figure comes from, or why there is none.
    """

    hours: float | None
    how: str


def hours(case: Case, memory: StageMemory, drawn: Mapping[str, Any], speed: Speed | None) -> Hours:
    """Estimate a stage's time.

    Args:
        case: the stage.
        memory: its moments.
        drawn: sampling of a stage that evaluates or samples.
        speed: from a probe; by default from the device's data sheet.

    Returns:
        The hours, and what they rest on.
    """
    work = work_of(case, drawn)
    if work.unknown:
        return Hours(None, work.unknown)
    speed = speed or sheet_speed(case, memory)
    if speed is None:
        return Hours(None, f"no speed is known for {case.device.name}: --probe measures it")
    return Hours((work.tokens * speed.token + work.steps * speed.step) / 3600, speed.origin)


def work_of(case: Case, drawn: Mapping[str, Any]) -> Work:
    """Count what a stage has to do."""
    if isinstance(case.stage, GrpoStage):
        return _rl_work(case)
    if isinstance(case.stage, SftStage):
        return _sft_work(case)
    if case.stage.draws is not None:
        return _sampling_work(case, case.stage.draws, drawn)
    return Work(0, 0, "no training and no generation")


def _sft_work(case: Case) -> Work:
    assert isinstance(case.stage, SftStage)
    values, traces = case.arguments, case.stage.traces
    batch = int(values["per_device_train_batch_size"]) * int(values.get("gradient_accumulation_steps") or 1)
    packed = bool(values.get("packing"))
    length = longest_row(case) * (1.0 if packed else FILL)
    steps = int(values.get("max_steps") or 0)
    if steps > 0:
        return Work(steps * batch * length, _within_steps(case, steps))
    count = case.lengths.counts.get(case.stage.name) or traces.count
    if not count:
        return Work(0, 0, "how many traces there are isn't known before they are read: set max_steps or traces.count")
    epochs = float(values.get("num_train_epochs") or 3)
    tokens = epochs * count * longest_row(case) * FILL
    return Work(tokens / case.processes, _within_steps(case, int(tokens / case.processes / (batch * length))))


def _within_steps(case: Case, steps: int) -> float:
    """Decoding steps of a stage's `evaluate:` section, were one batch enough each time."""
    assert isinstance(case.stage, TrainingStage)
    section = case.stage.evaluate
    return 0.0 if section is None else (steps // section.every + 1) * section.max_new_tokens


def _rl_work(case: Case) -> Work:
    values = case.arguments
    steps = int(values.get("max_steps") or 0)
    if steps <= 0:
        return Work(0, 0, "how many steps there are isn't known before the problems are read: set max_steps")
    minibatches, iterations = int(values["minibatches_per_batch"]), int(values.get("num_iterations") or 1)
    group = int(values["num_generations"])
    batch = rollout_batch(case)
    tokens = decoded = 0.0
    for count, length, prompts in segments(values, steps):
        batches = count / (minibatches * iterations)
        rows = prompts * group / case.processes
        per_row = case.prompt + FILL * length
        # Later minibatches' old log-probabilities are a forward pass, about a third of a training pass's work.
        again = (minibatches - 1) / minibatches / 3 if minibatches * iterations > 1 else 0.0
        tokens += batches * rows * per_row * (iterations + again)
        decoded += batches * length * max(rows / batch.rows, 1.0)
    return Work(tokens, decoded + _within_steps(case, steps))


def segments(values: Mapping[str, Any], steps: int) -> list[tuple[int, int, int]]:
    """Cut a run at its schedule's steps: how many steps, longest completion, prompts a batch.

    Entries that wait for a condition are taken to come into force halfway through what is left.
    """
    length, prompts = int(values["max_completion_length"]), int(values["prompts_per_batch"])
    cuts: list[tuple[int, int, int]] = []
    begun = 0
    for entry in values.get("schedule") or []:
        start = entry.get("from_step")
        start = (begun + steps) // 2 if start is None else min(int(start), steps)
        if start > begun:
            cuts.append((start - begun, length, prompts))
            begun = start
        length = int(entry.get("max_completion_length") or length)
        prompts = int(entry.get("prompts_per_batch") or prompts)
    return [*cuts, (steps - begun, length, prompts)]


def _sampling_work(case: Case, draws: Draws, drawn: Mapping[str, Any]) -> Work:
    """An evaluation's or a curating stage's; what the steps before the samples drop isn't known, so all rows count."""
    name = case.recipe.origin_of(draws.problems)
    source = case.recipe.problems.get(name)
    count = case.lengths.counts.get(name) or (source.count if source is not None else None)
    if not count:
        return Work(0, 0, "how many problems there are isn't known before they are read: set their count")
    completions = count * (int(drawn["samples"]) + bool(drawn["greedy"])) / case.processes
    batch = evaluation_batch(case, drawn)
    return Work(0, draws.models * max(completions / batch.rows, 1.0) * batch.new)


# ------------------------------------------------------------------------------------------------------------ speeds


def sheet_speed(case: Case, memory: StageMemory) -> Speed | None:
    """Speeds from a card's data sheet; ``None`` where there is none."""
    device = case.device
    if device.tflops is None or device.bandwidth is None:
        return None
    token = 0.0
    if isinstance(case.stage, TrainingStage):
        token = pass_flops_a_token(case, memory) / (PASS_SHARE * device.tflops * 1e12)
    share, read = round(PASS_SHARE * 100), round(READ_SHARE * 100)
    rates = f"{device.tflops:g} TFLOP/s at {share}%, {device.bandwidth:,.0f} GB/s at {read}%"
    origin = f"estimated from the data sheet of the {device.name} ({rates}), nothing measured"
    return Speed(token, _step_seconds(case, memory), origin)


def pass_flops_a_token(case: Case, memory: StageMemory) -> float:
    """Floating-point operations of a training pass a token (Kaplan et al., arXiv 2001.08361 §2.1).

    Two a weight for the forward pass, two for the inputs' gradients, two for each trained weight's own, and the forward
    pass once more where activations are recomputed; attention to half the row, on average.
    """
    text = case.shape.get_text_config()
    trained, spec = case.trained(), largest_pass(case)
    table = 0 if getattr(text, "tie_word_embeddings", False) else text.vocab_size * text.hidden_size
    weights = memory.parameters - table
    width = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    attention = 2 * text.num_hidden_layers * spec.width * text.num_attention_heads * width
    forward = 1 + trained.checkpointing
    return 2 * weights * (forward + 1) + 2 * memory.learned + attention * (forward + 2)


def _step_seconds(case: Case, memory: StageMemory) -> float:
    """Seconds of one decoding step: the longer of reading and launching."""
    assert case.device.bandwidth is not None
    values = case.arguments if isinstance(case.stage, TrainingStage) else {}
    width = 2.0 if values.get("use_vllm") else BYTES[case.model.dtype]
    kept = max((moment.parts.get("KV cache", 0.0) for moment in memory.moments), default=0.0)
    if values.get("use_vllm"):
        batch = rollout_batch(case)
        kept = min(batch.tokens * cache_bytes_a_token(case.read()), max((m.share for m in memory.moments), default=0.0))
    reading = (memory.parameters * width + kept / 2) / (READ_SHARE * case.device.bandwidth * 1e9)
    if values.get("use_vllm"):
        return reading
    layers = int(case.shape.get_text_config().num_hidden_layers)
    adapted = 1.5 if isinstance(case.stage, TrainingStage) and case.model.lora is not None else 1.0
    return max(reading, layers * LAUNCH_SECONDS * adapted)
