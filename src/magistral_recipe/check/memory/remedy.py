"""The key to change: what would make a stage fit, found by trying and not by rule of thumb."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from magistral_recipe.check.memory.case import (
    Case,
    evaluation_batch,
    longest_completion,
    longest_row,
    rollout_batch,
)
from magistral_recipe.check.memory.copied import copy_bytes
from magistral_recipe.check.memory.engine import engine_needs, hands_over_adapters
from magistral_recipe.check.memory.moments import (
    ROLLOUTS,
    STEP,
    TRAINING,
    Moment,
    stage_memory,
)
from magistral_recipe.check.memory.verdict import Fit, Verdict, judge, worst
from magistral_recipe.models.config import LoraSettings
from magistral_recipe.recipe.sections import Draws
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.sft import SftStage
from magistral_recipe.stages.training import TrainingStage

_MOST_CHANGES = 4
_SHORTEST_ROW = 2048
"""Traces of reasoning are cut out below it, so that shorter rows are no remedy."""
_WORTH = 0.97
"""A change that does not make a stage fit is kept only if it takes the need below this part of what it was."""
_LOWER = 0.8
"""What is left of the need of a moment that has run out of memory."""


class Harm(IntEnum):
    """What a change costs."""

    TIME = 0
    """The same training, slower."""
    DATA = 1
    """Rows that are too long are left out."""
    ROUNDING = 2
    """The optimizer's states are kept in fewer bits."""
    METHOD = 3
    """Something else is trained: adapters, or adapters on weights of fewer bits."""


@dataclass(frozen=True)
class Change:
    """One key with another value.

    Attributes:
        key: its path, as `--set` takes it.
        value: what to set.
        was: what it is.
        apply: make the change in a case.
        beside: other keys that change with it, so that the training stays the same.
    """

    key: str
    value: Any
    was: Any
    apply: Callable[[Case], Case] = field(repr=False, compare=False)
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, Any]:
        """All keys and their new values."""
        return {self.key: self.value, **self.beside}

    def __str__(self) -> str:
        """The key, its new value and its old one."""
        beside = "".join(f" with {key.rpartition('.')[2]}: {_shown(value)}" for key, value in self.beside.items())
        return f"{self.key}: {_shown(self.value)} (now {_shown(self.was)}){beside}"


Ladder = Sequence[Change]
"""Values of one key, from the mildest to the strongest."""


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_shown(part)}" for key, part in value.items()) + "}"
    return str(value).lower() if isinstance(value, bool | None) else str(value)


def find_remedy(case: Case, drawn: Mapping[str, Any] | None = None) -> tuple[Change, ...] | None:
    """Find keys to change so that a stage fits with room to spare, the least harmful that do.

    Args:
        case: a stage that does not fit, or is tight.
        drawn: sampling of a stage that evaluates or samples.

    Returns:
        The changes, which were tried together; ``None`` where those known here do not suffice.
    """
    for allowed in Harm:
        found = _search(case, drawn, allowed)
        if found is not None:
            return _relaxed(case, drawn, found)
    return None


def lower(case: Case, moment: Moment, drawn: Mapping[str, Any] | None = None, section: str = "") -> Change | None:
    """Find the key that makes a moment of a stage need less, whatever the device: it ran out of memory there.

    Args:
        case: the stage.
        moment: the moment that needs less.
        drawn: sampling of a stage that evaluates or samples.
        section: how the keys begin that may be changed.

    Returns:
        The least harmful change that takes a fifth off, else the one that takes off most; ``None`` without one.
    """
    now = judge(moment, case.device).needed
    best: tuple[float, Change] | None = None
    for _, ladder in sorted(_ladders(case, moment, drawn), key=lambda pair: pair[0]):
        for change in ladder:
            if not change.key.startswith(section):
                continue
            found = _again(change.apply(case), moment.name, drawn)
            needed = 0.0 if found is None else found.needed
            if needed <= _LOWER * now:
                return change
            if needed < _WORTH * now and (best is None or needed < best[0]):
                best = needed, change
    return best[1] if best else None


def _search(case: Case, drawn: Mapping[str, Any] | None, allowed: Harm) -> list[tuple[Ladder, Change]] | None:
    """Change one key after another, of those that harm no more than is allowed, each time where it fits worst."""
    chosen: list[tuple[Ladder, Change]] = []
    for _ in range(_MOST_CHANGES + 1):
        moment, verdict = _worst(case, drawn)
        if verdict.fit is Fit.FITS:
            return chosen
        step = _best(case, moment, verdict, drawn, allowed)
        if step is None:
            return None
        chosen = [pair for pair in chosen if pair[1].key != step[1].key] + [step]
        case = step[1].apply(case)
    return None


def _best(
    case: Case, moment: Moment, verdict: Verdict, drawn: Mapping[str, Any] | None, allowed: Harm
) -> tuple[Ladder, Change] | None:
    """The mildest value of the first key that makes the moment fit; else the change that brings it lowest."""
    lowest: tuple[float, Ladder, Change] | None = None
    for harm, ladder in _ladders(case, moment, drawn):
        if not ladder or harm > allowed:
            continue
        strongest = _again(ladder[-1].apply(case), moment.name, drawn)
        if strongest is None or strongest.fit is Fit.FITS:
            mild = (change for change in ladder if _fits(change.apply(case), moment.name, drawn))
            return ladder, next(mild, ladder[-1])
        if strongest.needed < _WORTH * verdict.needed and (lowest is None or strongest.needed < lowest[0]):
            lowest = strongest.needed, ladder, ladder[-1]
    return lowest[1:] if lowest else None


def _relaxed(case: Case, drawn: Mapping[str, Any] | None, found: list[tuple[Ladder, Change]]) -> tuple[Change, ...]:
    """Give each key back the mildest value that will do beside the others."""
    changes = [change for _, change in found]
    for index, (ladder, _) in enumerate(found if len(found) > 1 else []):
        for milder in ladder:
            tried = [*changes[:index], milder, *changes[index + 1 :]]
            if milder.value == changes[index].value or _worst(_all(case, tried), drawn)[1].fit is Fit.FITS:
                changes = tried
                break
    return tuple(changes)


def _all(case: Case, changes: Sequence[Change]) -> Case:
    for change in changes:
        case = change.apply(case)
    return case


def _worst(case: Case, drawn: Mapping[str, Any] | None) -> tuple[Moment, Verdict]:
    memory = stage_memory(case, drawn)
    assert memory is not None
    return worst(memory.moments, case.device)


def _fits(case: Case, name: str, drawn: Mapping[str, Any] | None) -> bool:
    verdict = _again(case, name, drawn)
    return verdict is None or verdict.fit is Fit.FITS


def _again(case: Case, name: str, drawn: Mapping[str, Any] | None) -> Verdict | None:
    """A moment's verdict in a changed case; ``None`` where it is no more."""
    memory = stage_memory(case, drawn)
    assert memory is not None
    training = {TRAINING, STEP}
    alike = tuple(m for m in memory.moments if m.name == name or (name in training and m.name in training))
    return worst(alike, case.device)[1] if alike else None


# --------------------------------------------------------------------------------------------------------- what to try


def _ladders(case: Case, moment: Moment, drawn: Mapping[str, Any] | None) -> Iterator[tuple[Harm, Ladder]]:
    """Keys that could help at a moment."""
    stage = case.stage
    if (draws := stage.draws) is not None:
        yield Harm.TIME, _smaller_batches(case, draws, drawn or draws.sampling)
    elif isinstance(stage, TrainingStage):
        if isinstance(stage, GrpoStage):
            yield from _of_rl(case, moment)
        if isinstance(stage, SftStage) and moment.name in {TRAINING, STEP}:
            yield from _of_sft(case)
        if moment.name in {TRAINING, STEP} and not case.trained().checkpointing:
            yield Harm.TIME, [_trainer(case, "gradient_checkpointing", True)]
        yield from _less_held(case)


def _trainer(case: Case, key: str, value: Any, **more: Any) -> Change:
    def apply(case: Case) -> Case:
        assert isinstance(case.stage, TrainingStage)
        trainer = {**case.stage.trainer, key: value, **more}
        return replace(case, stage=case.stage.model_copy(update={"trainer": trainer}))

    path = f"{case.stage.name}.trainer"
    beside = {f"{path}.{other}": setting for other, setting in more.items()}
    return Change(f"{path}.{key}", value, case.arguments.get(key), apply, beside)


def _model(case: Case, key: str, value: Any) -> Change:
    def apply(case: Case) -> Case:
        return replace(case, model=case.model.model_copy(update={key: value}))

    return Change(f"model.{key}", value, getattr(case.model, key), apply)


def _of_rl(case: Case, moment: Moment) -> Iterator[tuple[Harm, Ladder]]:
    values = case.arguments
    if moment.name in {TRAINING, STEP}:
        budgets = _halves(int(values["max_tokens_per_microbatch"]), longest_completion(case))
        yield Harm.TIME, [_trainer(case, "max_tokens_per_microbatch", budget) for budget in budgets]
    if not values.get("use_vllm"):
        if copy_bytes(case):
            yield Harm.TIME, [_without_copy(case)]
        if moment.name == ROLLOUTS:
            batch = rollout_batch(case)
            budgets = _halves(batch.tokens, batch.prompt + batch.new)
            yield Harm.TIME, [_trainer(case, "max_tokens_per_generation", budget) for budget in budgets]
    elif values.get("vllm_mode") == "colocate" and case.device.gpu:
        share, least = float(values["vllm_gpu_memory_utilization"]), engine_needs(case) / case.device.total
        steps = [percent / 100 for percent in range(5, 100, 5) if percent / 100 >= least]
        key = "vllm_gpu_memory_utilization"
        if share < least:
            yield Harm.TIME, [_trainer(case, key, step) for step in steps[:1]]
        if not values.get("vllm_enable_sleep_mode"):
            yield Harm.TIME, [_trainer(case, "vllm_enable_sleep_mode", True)]
        yield Harm.TIME, [_trainer(case, key, step) for step in reversed(steps) if step < share]
        yield Harm.TIME, [_without_vllm(case)]


def _without_copy(case: Case) -> Change:
    def apply(case: Case) -> Case:
        assert isinstance(case.stage, GrpoStage)
        rollouts = case.stage.rollouts.model_copy(update={"weights": "trained"})
        return replace(case, stage=case.stage.model_copy(update={"rollouts": rollouts}))

    return Change(f"{case.stage.name}.rollouts.weights", "trained", "copy", apply)


def _without_vllm(case: Case) -> Change:
    def apply(case: Case) -> Case:
        assert isinstance(case.stage, GrpoStage)
        rollouts = case.stage.rollouts.model_copy(update={"backend": "auto"})
        trainer = {key: value for key, value in case.stage.trainer.items() if key != "use_vllm"}
        return replace(case, stage=case.stage.model_copy(update={"rollouts": rollouts, "trainer": trainer}))

    return Change(f"{case.stage.name}.rollouts.backend", "auto", "vllm", apply)


def _of_sft(case: Case) -> Iterator[tuple[Harm, Ladder]]:
    values = case.arguments
    rows, steps = int(values["per_device_train_batch_size"]), int(values.get("gradient_accumulation_steps") or 1)
    yield (
        Harm.TIME,
        [
            _trainer(case, "per_device_train_batch_size", fewer, gradient_accumulation_steps=steps * rows // fewer)
            for fewer in _halves(rows, 1)
        ],
    )
    yield Harm.DATA, [_trainer(case, "max_length", shorter) for shorter in _halves(longest_row(case), _SHORTEST_ROW)]


def _less_held(case: Case) -> Iterator[tuple[Harm, Ladder]]:
    """What is held all the time: optimizer and weights."""
    values, model = case.arguments, case.model
    optim = str(values.get("optim"))
    if case.device.gpu and "8bit" not in optim and optim != "adafactor":
        yield Harm.ROUNDING, [_trainer(case, "optim", "paged_adamw_8bit")]
    if model.lora is None:
        lora = LoraSettings(r=64, alpha=128)

        def apply(case: Case) -> Case:
            return replace(case, model=case.model.model_copy(update={"lora": lora}))

        yield Harm.METHOD, [Change("model.lora", {"r": lora.r, "alpha": lora.alpha}, None, apply)]
        return
    if case.device.gpu and case.device.bfloat16 and model.dtype == "float32":
        yield Harm.ROUNDING, [_model(case, "dtype", "bfloat16")]
    sampled = not values.get("use_vllm") or hands_over_adapters(case)
    if case.device.gpu and model.quantization != "nf4" and not model.is_gguf and sampled:
        yield Harm.METHOD, [_model(case, "quantization", "nf4")]


def _smaller_batches(case: Case, draws: Draws, drawn: Mapping[str, Any]) -> Ladder:
    batch, was = evaluation_batch(case, drawn), draws.tokens_per_batch
    key = ".".join(draws.key("tokens_per_batch"))

    def change(tokens: int) -> Change:
        def apply(case: Case) -> Case:
            update: dict[str, Any] = {"tokens_per_batch": tokens}
            if draws.section:
                update = {draws.section: getattr(case.stage, draws.section).model_copy(update=update)}
            return replace(case, stage=case.stage.model_copy(update=update))

        return Change(f"{case.stage.name}.{key}", tokens, was, apply)

    return [change(tokens) for tokens in _halves(min(was, batch.tokens), batch.prompt + batch.new)]


def _halves(value: int, least: int) -> Iterator[int]:
    """Half of a value, half of that, down to a bound, which comes last."""
    while value > least:
        value = max(value // 2, least)
        yield value
