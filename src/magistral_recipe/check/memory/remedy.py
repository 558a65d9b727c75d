"""The key to change: what would make a stage fit, found by trying and not by rule of thumb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from magistral_recipe.check.memory.case import (
    Case,
    evaluation_batch,
    largest_pass,
    longest_completion,
    longest_row,
    rollout_batch,
)
from magistral_recipe.check.memory.moments import (
    EVALUATION,
    ROLLOUTS,
    STEP,
    TRAINING,
    Moment,
    stage_memory,
    vllm_needs,
)
from magistral_recipe.check.memory.verdict import Fit, Verdict, worst
from magistral_recipe.models.config import LoraSettings
from magistral_recipe.stages.evaluate import EvaluateStage
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.sft import SftStage
from magistral_recipe.stages.training import TrainingStage

_MOST_CHANGES = 5
_SHORTEST_ROW = 2048
"""Traces of reasoning are cut out below it, so that shorter rows are no remedy."""
_WORTH = 0.97
"""A change that does not make a stage fit is kept only if it takes the need below this part of what it was."""


@dataclass(frozen=True)
class Change:
    """One key with another value.

    Attributes:
        key: its path, as `--set` takes it.
        value: what to set.
        was: what it is.
        case: the stage with it.
    """

    key: str
    value: Any
    was: Any
    case: Case

    def __str__(self) -> str:
        """The key, its new value and its old one."""
        return f"{self.key}: {_shown(self.value)} (now {_shown(self.was)})"


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(part)}" for key, part in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def find_remedy(case: Case, drawn: Mapping[str, Any] | None = None) -> tuple[Change, ...] | None:
    """Find keys to change so that a stage fits with room to spare.

    Args:
        case: a stage that does not fit, or is tight.
        drawn: sampling of an `evaluate` stage.

    Returns:
        The changes, each tried on top of those before it; ``None`` where those known here do not suffice.
    """
    if drawn is None and isinstance(case.stage, EvaluateStage):
        drawn = case.stage.model_dump()
    changes: list[Change] = []
    for _ in range(_MOST_CHANGES):
        moment, verdict = _worst(case, drawn)
        if verdict.fit is Fit.FITS:
            return tuple(changes)
        chosen = _best(case, moment, verdict, drawn)
        if chosen is None:
            return None
        changes = [change for change in changes if change.key != chosen.key] + [chosen]
        case = chosen.case
    return tuple(changes) if _worst(case, drawn)[1].fit is Fit.FITS else None


def _best(case: Case, moment: Moment, verdict: Verdict, drawn: Mapping[str, Any] | None) -> Change | None:
    """The first change that makes the moment fit; else the one that brings it lowest, if it helps at all."""
    lowest: tuple[float, Change] | None = None
    for change in _changes(case, moment, drawn):
        needed = _again(change.case, moment.name, drawn)
        if needed is None:
            continue
        if needed.fit is Fit.FITS:
            return change
        if needed.needed < _WORTH * verdict.needed and (lowest is None or needed.needed < lowest[0]):
            lowest = needed.needed, change
    return lowest[1] if lowest else None


def _worst(case: Case, drawn: Mapping[str, Any] | None) -> tuple[Moment, Verdict]:
    memory = stage_memory(case, drawn)
    assert memory is not None
    return worst(memory.moments, case.device)


def _again(case: Case, name: str, drawn: Mapping[str, Any] | None) -> Verdict | None:
    memory = stage_memory(case, drawn)
    assert memory is not None
    training = {TRAINING, STEP}
    alike = tuple(m for m in memory.moments if m.name == name or (name in training and m.name in training))
    return worst(alike, case.device)[1] if alike else None


# --------------------------------------------------------------------------------------------------------- what to try


def _changes(case: Case, moment: Moment, drawn: Mapping[str, Any] | None) -> Iterator[Change]:
    """Changes that could help at a moment, the least harmful first."""
    stage = case.stage
    if isinstance(stage, EvaluateStage):
        yield from _smaller_batches(case, drawn or {})
    elif isinstance(stage, TrainingStage):
        if moment.name == ROLLOUTS:
            yield from _fewer_at_once(case)
        if moment.name in {TRAINING, STEP}:
            yield from _smaller_passes(case)
        yield from _less_for_vllm(case)
        if moment.name != EVALUATION or moment.parts.get("weights", 0) > case.device.free / 2:
            yield from _less_held(case)


def _trainer(case: Case, key: str, value: Any, **more: Any) -> Change:
    assert isinstance(case.stage, TrainingStage)
    stage = case.stage.model_copy(update={"trainer": {**case.stage.trainer, key: value, **more}})
    return Change(f"{stage.name}.trainer.{key}", value, case.arguments.get(key), replace(case, stage=stage))


def _smaller_passes(case: Case) -> Iterator[Change]:
    values = case.arguments
    if not case.trained().checkpointing:
        yield _trainer(case, "gradient_checkpointing", True)
    if isinstance(case.stage, GrpoStage):
        for budget in _halves(int(values["max_tokens_per_microbatch"]), longest_completion(case)):
            yield _trainer(case, "max_tokens_per_microbatch", budget)
    if isinstance(case.stage, SftStage):
        rows = int(values["per_device_train_batch_size"])
        steps = int(values.get("gradient_accumulation_steps") or 1)
        for fewer in _halves(rows, 1):
            yield _trainer(
                case, "per_device_train_batch_size", fewer, gradient_accumulation_steps=steps * rows // fewer
            )
        for shorter in _halves(longest_row(case), _SHORTEST_ROW):
            yield _trainer(case, "max_length", shorter)
    if largest_pass(case).dense_mask:
        yield _model(case, "attn_implementation", "flash_attention_2")


def _fewer_at_once(case: Case) -> Iterator[Change]:
    if case.arguments.get("use_vllm"):
        return
    batch = rollout_batch(case)
    for budget in _halves(batch.tokens, batch.prompt + batch.new):
        yield _trainer(case, "max_tokens_per_generation", budget)


def _less_for_vllm(case: Case) -> Iterator[Change]:
    values = case.arguments
    if not values.get("use_vllm") or values.get("vllm_mode") != "colocate" or not case.device.gpu:
        return
    if not values.get("vllm_enable_sleep_mode"):
        yield _trainer(case, "vllm_enable_sleep_mode", True)
    share, least = float(values["vllm_gpu_memory_utilization"]), vllm_needs(case) / case.device.total
    steps = [percent / 100 for percent in range(95, 0, -5) if percent / 100 >= least]
    for smaller in [step for step in steps if step < share] + [step for step in reversed(steps) if step > share]:
        yield _trainer(case, "vllm_gpu_memory_utilization", smaller)
    assert isinstance(case.stage, GrpoStage)
    rollouts = case.stage.rollouts.model_copy(update={"backend": "transformers"})
    trainer = {key: value for key, value in case.stage.trainer.items() if not key.startswith("vllm_")}
    stage = case.stage.model_copy(update={"rollouts": rollouts, "trainer": trainer})
    yield Change(f"{stage.name}.rollouts.backend", "transformers", "vllm", replace(case, stage=stage))


def _less_held(case: Case) -> Iterator[Change]:
    """Changes of what is held all the time: they change the training itself, so they come last."""
    values = case.arguments
    optim = str(values.get("optim"))
    if case.device.gpu and "8bit" not in optim and optim != "adafactor":
        yield _trainer(case, "optim", "paged_adamw_8bit")
    if case.model.lora is None:
        lora = LoraSettings(r=64, alpha=128)
        shown = {"r": lora.r, "alpha": lora.alpha}
        dtype = "bfloat16" if case.device.bfloat16 else case.model.dtype
        model = case.model.model_copy(update={"lora": lora, "dtype": dtype})
        yield Change("model.lora", shown, None, replace(case, model=model))
    elif case.device.gpu and case.model.dtype == "float32":
        yield _model(case, "dtype", "bfloat16")
    whole = case.model.quantization == "none" and not case.model.is_gguf
    if case.model.lora is not None and whole and case.device.gpu and not values.get("use_vllm"):
        yield _model(case, "quantization", "nf4")


def _model(case: Case, key: str, value: Any) -> Change:
    model = case.model.model_copy(update={key: value})
    return Change(f"model.{key}", value, getattr(case.model, key), replace(case, model=model))


def _smaller_batches(case: Case, drawn: Mapping[str, Any]) -> Iterator[Change]:
    assert isinstance(case.stage, EvaluateStage)
    batch = evaluation_batch(case, drawn)
    was = case.stage.tokens_per_batch
    for tokens in _halves(min(was, batch.tokens), batch.prompt + batch.new):
        stage = case.stage.model_copy(update={"tokens_per_batch": tokens})
        yield Change(f"{stage.name}.tokens_per_batch", tokens, was, replace(case, stage=stage))


def _halves(value: int, least: int) -> Iterator[int]:
    """Half of a value, half of that, down to a bound, which comes last."""
    while value > least:
        value = max(value // 2, least)
        yield value
