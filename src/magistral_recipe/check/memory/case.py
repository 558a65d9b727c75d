"""A stage on a device: the settings that decide its memory, put together as the trainers will put them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from magistral_recipe.check.memory.devices import Device
from magistral_recipe.check.memory.dry_run import Pass, Trained
from magistral_recipe.check.memory.generation import Batch
from magistral_recipe.check.memory.lengths import ASSUMED_PROMPT, Lengths
from magistral_recipe.check.memory.sharding import Sharding
from magistral_recipe.generation.hf import CPU_TOKENS, LEAST_TOKENS, MAX_ROWS
from magistral_recipe.models.config import ModelConfig
from magistral_recipe.models.precision import Dtype
from magistral_recipe.recipe.sections import Recipe, Stage
from magistral_recipe.stages.grpo import GrpoStage
from magistral_recipe.stages.training import TrainingStage, run_arguments


@dataclass(frozen=True)
class Case:
    """A stage, its model and where it would run.

    Attributes:
        stage: the stage.
        model: the recipe's model section.
        recipe: the whole recipe.
        shape: the model's transformers config.
        device: where it would run.
        lengths: of the recipe's prompts and traces.
        processes: how many share the work.
        sharding: how they share the model; ``None`` where each has a copy.
        machines: how many they are spread over.
    """

    stage: Stage
    model: ModelConfig
    recipe: Recipe
    shape: Any = field(repr=False)
    device: Device
    lengths: Lengths = field(default_factory=Lengths)
    processes: int = 1
    sharding: Sharding | None = None
    machines: int = 1

    @property
    def here(self) -> int:
        """Processes on one machine."""
        return max(self.processes // self.machines, 1)

    @property
    def prompt(self) -> int:
        """Tokens of the longest prompt that is expected."""
        return self.lengths.prompt or ASSUMED_PROMPT

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The trainer's arguments on this device, defaults included; of a stage that trains."""
        assert isinstance(self.stage, TrainingStage)
        given = run_arguments(Path("checkpoints"), self.recipe, self.stage.trainer)
        bf16 = self.device.bfloat16 and not self.stage.trainer.get("fp16")
        given |= {"use_cpu": not self.device.gpu, "bf16": bf16, "gradient_checkpointing": self.device.gpu}
        fields = dataclasses.fields(self.stage.trainer_class())
        defaults = {each.name: each.default for each in fields if each.default is not dataclasses.MISSING}
        return {**defaults, **self.stage.arguments(given)}

    @property
    def flash(self) -> bool:
        """Whether attention is a kernel that needs no mask for packed or padded rows."""
        return "flash" in (self.model.attn_implementation or "") or "flex" in (self.model.attn_implementation or "")

    def trained(self) -> Trained:
        """The model as the stage's trainer has it."""
        values = self.arguments
        adapters = self.model.lora
        checkpointing = values.get("gradient_checkpointing")
        if checkpointing is None:
            checkpointing = values.get("activation_checkpointing", False)
        kwargs = values.get("gradient_checkpointing_kwargs") or {}
        autocast: Dtype | None = "bfloat16" if values.get("bf16") else "float16" if values.get("fp16") else None
        return Trained(
            shape=self.shape,
            key=self.shape.to_json_string(),
            dtype=(self.sharding and self.sharding.compute) or self.model.dtype,
            quantization=self.model.quantization,
            lora=None if adapters is None else adapters.model_dump_json(),
            autocast=autocast,
            checkpointing=bool(checkpointing),
            reentrant=bool(kwargs.get("use_reentrant", False)),
            head_float32=bool(values.get("cast_lm_head_to_fp32")),
            reference_adapter=bool(values.get("beta")) and adapters is not None and isinstance(self.stage, GrpoStage),
            gpu=self.device.gpu,
            eager=self.model.attn_implementation == "eager",
        )

    def read(self) -> Trained:
        """The model as it is loaded for reading: adapters folded in, no autocast."""
        key = self.shape.to_json_string()
        eager = self.model.attn_implementation == "eager"
        kind, gpu = self.model.quantization, self.device.gpu
        return Trained(self.shape, key, self.model.dtype, kind, checkpointing=False, gpu=gpu, eager=eager)


# ---------------------------------------------------------------------------------------------------- what it trains


def longest_completion(case: Case) -> int:
    """The longest completion that an RL stage generates at any time, in tokens."""
    values = case.arguments
    settings = [values, *(values.get("schedule") or [])]
    return max(int(each.get("max_completion_length") or 0) for each in settings)


def most_prompts(case: Case) -> int:
    """The most prompts that a generation batch of an RL stage holds at any time, over all processes."""
    values = case.arguments
    settings = [values, *(values.get("schedule") or [])]
    return max(int(each.get("prompts_per_batch") or 0) for each in settings)


def largest_pass(case: Case) -> Pass:
    """The largest forward and backward pass that a stage's settings allow."""
    return _rl_pass(case) if isinstance(case.stage, GrpoStage) else _sft_pass(case)


def _rl_pass(case: Case) -> Pass:
    values = case.arguments
    longest = case.prompt + longest_completion(case)
    budget = int(values["max_tokens_per_microbatch"])
    shared = case.processes * int(values["minibatches_per_batch"])
    minibatch = max(most_prompts(case) * int(values["num_generations"]) // shared, 1)
    if longest >= budget:  # a sequence above the budget trains alone
        return Pass(1, longest, accumulates=minibatch > 1)
    rows = -(-budget // longest)  # somewhat shorter ones fill the budget
    if rows < minibatch:
        return Pass(rows, budget // rows)
    fitting = min(budget // longest, minibatch)
    return Pass(fitting, longest, accumulates=fitting < minibatch)


def _sft_pass(case: Case) -> Pass:
    values = case.arguments
    rows = int(values["per_device_train_batch_size"])
    width = longest_row(case)
    outputs = ("log_probs", "entropy", "is_top1")
    accumulates = int(values.get("gradient_accumulation_steps") or 1) > 1
    if values.get("padding_free") or (values.get("packing") and values.get("packing_strategy") != "wrapped"):
        return Pass(1, rows * width, not case.flash, outputs, accumulates)
    # Rows of one length need no mask; others are padded, and attention gets one.
    dense = rows > 1 and not values.get("packing") and not case.flash
    return Pass(rows, width, dense, outputs, accumulates)


def longest_row(case: Case) -> int:
    """The longest row that an SFT stage takes: `max_length`, else the longest seen, else the model's context."""
    context = getattr(case.shape.get_text_config(), "max_position_embeddings", None)
    return int(case.arguments.get("max_length") or case.lengths.row or context or ASSUMED_PROMPT)


# ------------------------------------------------------------------------------------------------- what it generates


def rollout_batch(case: Case) -> Batch:
    """The sequences that RL generates at once with transformers: what waits for a place is not among them."""
    values = case.arguments
    new = longest_completion(case)
    rows = max(most_prompts(case) * int(values["num_generations"]) // case.processes, 1)
    budget = values.get("max_tokens_per_generation")
    if budget is not None:
        rows = min(max(int(budget) // (case.prompt + new), 1), rows)
    return Batch(rows, case.prompt, new)


def evaluated_batch(case: Case, room: float, token: float) -> Batch | None:
    """The sequences that a stage's `evaluate:` section generates at once (`generation.hf`).

    Args:
        case: the stage.
        room: bytes that are free beside what the stage holds; half of them go to keys and values.
        token: bytes of keys and values a token.

    Returns:
        The batch; ``None`` without such a section.
    """
    if not isinstance(case.stage, TrainingStage) or case.stage.evaluate is None:
        return None
    section = case.stage.evaluate
    shares = case.processes if case.sharding is None else 1  # those that share a model draw the same
    wanted = -(-section.count // shares) * section.samples
    budget = max(LEAST_TOKENS, int(room / 2 / token)) if case.device.gpu else CPU_TOKENS
    rows = min(MAX_ROWS, wanted, max(budget // (case.prompt + section.max_new_tokens), 1))
    return Batch(rows, case.prompt, section.max_new_tokens)


def evaluation_batch(case: Case, drawn: Mapping[str, Any]) -> Batch:
    """The sequences that a stage which evaluates or samples generates at once.

    Args:
        case: the stage.
        drawn: its sampling, a benchmark's own included.
    """
    draws = case.stage.draws
    assert draws is not None
    new = int(drawn["max_new_tokens"])
    rows = max(draws.tokens_per_batch // (case.prompt + new), 1)
    source = case.recipe.source_of(draws.problems)
    if source is not None and source.count:
        rows = min(rows, source.count * max(int(drawn["samples"]), 1))
    return Batch(min(rows, MAX_ROWS), case.prompt, new)
