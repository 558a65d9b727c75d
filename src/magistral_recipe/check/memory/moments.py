"""A stage's memory at each of its moments, by part: training, rollouts, evaluation, hand-over."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from magistral_recipe.check.memory.case import (
    Case,
    evaluated_batch,
    evaluation_batch,
    largest_pass,
    rollout_batch,
)
from magistral_recipe.check.memory.copied import copy_bytes, kept_cache_bytes
from magistral_recipe.check.memory.dry_run import (
    ACTIVATIONS,
    ADAPTERS,
    GRADIENTS,
    WEIGHTS,
    DryRun,
    Measured,
    dry_run,
)
from magistral_recipe.check.memory.engine import engine_needs, engine_weights, hands_over_adapters
from magistral_recipe.check.memory.generation import CACHE, Batch, cache_bytes_a_token, generation_bytes
from magistral_recipe.check.memory.optimizer import OptimizerBytes, optimizer_bytes
from magistral_recipe.check.memory.quantized import DEQUANTIZED
from magistral_recipe.check.memory.sharding import GATHERED, MASTER, Sharding, shares
from magistral_recipe.check.memory.stand_ins import LOGPROBS
from magistral_recipe.machine import GIB
from magistral_recipe.models.precision import BYTES
from magistral_recipe.models.shape import empty_model
from magistral_recipe.recipe.sections import Draws
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import TrainingStage

OPTIMIZER, BUCKETS, REFERENCE, VLLM, WORK = "optimizer", "DDP buckets", "reference", "vLLM", "work"
COPY = "rollout copy"
PARTS = (
    *(
        WEIGHTS,
        ADAPTERS,
        GATHERED,
        GRADIENTS,
        BUCKETS,
        OPTIMIZER,
        REFERENCE,
        COPY,
        ACTIVATIONS,
        DEQUANTIZED,
        LOGPROBS,
        CACHE,
        WORK,
    ),
    VLLM,
)
"""Every part, in the order in which they are shown."""

TRAINING, ROLLOUTS, EVALUATION, STEP = "training", "rollouts", "evaluation", "optimizer step"
SAMPLING = "sampling"


@dataclass(frozen=True)
class Moment:
    """What is alive at one moment of a stage.

    Attributes:
        name: which.
        parts: bytes by part.
        about: what happens then, in words.
        lacking: bytes that vLLM's share lacks for the weights and one sequence.
    """

    name: str
    parts: Mapping[str, float]
    about: str = ""
    lacking: float = 0.0

    @property
    def allocated(self) -> float:
        """Bytes that PyTorch's allocator has handed out; vLLM's share is its own."""
        return sum(size for part, size in self.parts.items() if part != VLLM)

    @property
    def share(self) -> float:
        """Bytes that vLLM keeps for itself."""
        return self.parts.get(VLLM, 0.0)


@dataclass(frozen=True)
class StageMemory:
    """A stage's moments.

    Attributes:
        moments: at least one.
        optimizer: the optimizer's states; ``None`` for a stage that does not train.
        trained: bytes of what is trained.
        parameters: how many weights the model has, adapters left out.
        learned: how many numbers are trained.
        notes: what is worth knowing.
    """

    moments: tuple[Moment, ...]
    optimizer: OptimizerBytes | None = None
    trained: float = 0.0
    parameters: float = 0.0
    learned: float = 0.0
    notes: tuple[str, ...] = field(default=())


def stage_memory(case: Case, drawn: Mapping[str, Any] | None = None) -> StageMemory | None:
    """Count a stage's memory.

    Args:
        case: the stage on its device.
        drawn: sampling of a stage that evaluates or samples.

    Returns:
        Its moments; ``None`` for a stage that neither trains nor generates.
    """
    if isinstance(case.stage, TrainingStage):
        return _training(case)
    if (draws := case.stage.draws) is not None:
        return _sampling(case, draws, drawn or draws.sampling)
    return None


def _training(case: Case) -> StageMemory:
    values = case.arguments
    trained, spec = case.trained(), largest_pass(case)
    run = dry_run(trained, spec)
    optimizer = _optimizer(str(values.get("optim")), run, case.sharding)
    resting, gradients, buckets, peak = _held(case, run)
    ranks = case.sharding.ranks if case.sharding else 1
    gathered = buckets if case.sharding else {}
    resting[OPTIMIZER] = optimizer.gpu / ranks
    if values.get("beta") and case.model.lora is None and isinstance(case.stage, GrpoStage):
        resting[REFERENCE] = resting[WEIGHTS]
    if copied := copy_bytes(case):
        resting[COPY] = copied
    kept = {CACHE: held} if (held := kept_cache_bytes(case)) else {}
    share = _vllm_share(case)
    asleep = bool(values.get("vllm_enable_sleep_mode"))
    beside = {} if asleep or share is None else {VLLM: share}
    chunk = run.chunk()
    words = f"a pass of {spec.rows} × {spec.width:,} tokens"
    if spec.dense_mask:
        words += ", with a dense attention mask"
    if peak.get(LOGPROBS, 0.0) < chunk / 2:
        words += f"; the log-probabilities' chunk of {chunk / GIB:.2f} GiB is gone by then"
    moments = [
        Moment(TRAINING, {**resting, **peak, **buckets, **kept, **beside}, words),
        Moment(
            STEP,
            {**resting, GRADIENTS: gradients, WORK: optimizer.step / ranks, **buckets, **kept, **beside},
            str(values["optim"]),
        ),
        *_rollouts(case, {**resting, **gathered}, share),
        *_evaluation_within(case, {**resting, **gathered}, beside),
    ]
    shown = tuple(moment for moment in moments if moment.name != STEP or _highest(moments) is moment)
    return StageMemory(
        shown,
        optimizer,
        gradients * ranks,
        _count(case),
        run.whole(lambda depth: sum(tensor.numbers for tensor in depth.trained)),
    )


def _highest(moments: list[Moment]) -> Moment:
    return max(moments, key=lambda moment: moment.allocated + moment.share)


def _held(case: Case, run: DryRun) -> tuple[dict[str, float], float, dict[str, float], Mapping[str, float]]:
    """What one card holds: at rest, of gradients, besides while it trains, and at the pass's highest point."""
    if case.sharding is not None:
        part = shares(run, case.sharding, case.model.dtype, full=case.model.lora is None)
        return {WEIGHTS: part.weights, ADAPTERS: part.adapters}, part.gradients, {GATHERED: part.gathered}, part.peak
    resting = {label: run.whole(_held_of(label)) for label in (WEIGHTS, ADAPTERS)}
    gradients = run.whole(lambda depth: depth.gradients)
    return resting, gradients, {BUCKETS: gradients} if case.processes > 1 else {}, run.peak()


def _held_of(label: str) -> Callable[[Measured], float]:
    return lambda depth: depth.held[label]


def _optimizer(name: str, run: DryRun, sharding: Sharding | None) -> OptimizerBytes:
    def of(depth: Measured) -> OptimizerBytes:
        tensors = depth.trained
        if sharding is not None:
            tensors = tuple(tensor._replace(itemsize=MASTER) for tensor in tensors)
        return optimizer_bytes(name, tensors)

    return OptimizerBytes(
        run.whole(lambda depth: of(depth).gpu),
        run.whole(lambda depth: of(depth).host),
        run.whole(lambda depth: of(depth).step),
    )


def _vllm_share(case: Case) -> float | None:
    """What vLLM takes in the training process: its share of the whole card."""
    if not isinstance(case.stage, GrpoStage) or not case.device.gpu:
        return None
    values = case.arguments
    if not values.get("use_vllm") or values.get("vllm_mode") != "colocate":
        return None
    return float(values["vllm_gpu_memory_utilization"]) * case.device.total


def _rollouts(case: Case, resting: Mapping[str, float], share: float | None) -> Iterator[Moment]:
    if not isinstance(case.stage, GrpoStage):
        return
    if share is not None:
        token = cache_bytes_a_token(case.read())
        fits = max(share - engine_weights(case, hands_over_adapters(case)), 0) / token
        about = f"vLLM's share holds the weights and keys and values of {fits:,.0f} tokens"
        yield Moment(ROLLOUTS, {**resting, VLLM: share}, about, max(engine_needs(case) - share, 0.0))
    elif not case.arguments.get("use_vllm"):
        yield _generating(ROLLOUTS, case, resting, rollout_batch(case))


def _evaluation_within(case: Case, resting: Mapping[str, float], beside: Mapping[str, float]) -> Iterator[Moment]:
    room = case.device.free - sum(resting.values()) - sum(beside.values())
    batch = evaluated_batch(case, max(room, 0), cache_bytes_a_token(case.trained()))
    if batch is not None:
        yield _generating(EVALUATION, case, {**resting, **beside}, batch)


def _generating(name: str, case: Case, resting: Mapping[str, float], batch: Batch) -> Moment:
    taken = generation_bytes(case.trained(), batch)
    about = f"{batch.rows} completions at once, {batch.prompt:,} + {batch.new:,} tokens each"
    return Moment(name, {**resting, CACHE: taken.cache, WORK: taken.work}, about)


def _sampling(case: Case, draws: Draws, drawn: Mapping[str, Any]) -> StageMemory:
    name = EVALUATION if case.stage.role == "evaluation" else SAMPLING
    if draws.backend == "vllm":
        weights = engine_weights(case, False, BYTES[case.model.dtype])
        about = "vLLM takes 90% of the card for itself"
        share = max(0.9 * case.device.total, weights)
        return StageMemory((Moment(name, {VLLM: share}, about),), parameters=_count(case))
    batch = evaluation_batch(case, drawn)
    taken = generation_bytes(case.read(), batch)
    about = f"{batch.rows} completions at once, {batch.prompt:,} + {batch.new:,} tokens each"
    noise = 8.0 * batch.rows * batch.new  # float64, one number a token that may be drawn
    parts = {WEIGHTS: taken.held, CACHE: taken.cache, WORK: taken.work + noise}
    return StageMemory((Moment(name, parts, about),), parameters=_count(case))


def _count(case: Case) -> float:
    """How many weights the model has."""
    return parameter_count(case.shape)


def parameter_count(shape: Any) -> int:
    """Count a model's weights, tied ones once."""
    return sum(_weights(_Shape(shape, shape.to_json_string())))


def largest_weight(shape: Any) -> int:
    """Count the numbers of a model's largest weight."""
    return max(_weights(_Shape(shape, shape.to_json_string())))


@dataclass(frozen=True)
class _Shape:
    config: Any = field(compare=False)
    key: str


@functools.lru_cache(maxsize=32)
def _weights(shape: _Shape) -> tuple[int, ...]:
    return tuple(parameter.numel() for parameter in empty_model(shape.config).parameters())
