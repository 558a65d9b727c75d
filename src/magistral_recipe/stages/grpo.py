"""RL with verifiable rewards: `MagistralGRPOTrainer` on the recipe's problems and rewards (Magistral §2, §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from magistral_recipe import layout
from magistral_recipe.data.problems import PROBLEM_FIELDS
from magistral_recipe.data.sources import ProblemsSource, first_rows, load_problems
from magistral_recipe.foreign import only_names
from magistral_recipe.generation.rollouts.names import Source, Weights
from magistral_recipe.recipe.sections import Inputs, Mistakes, Recipe, StageContext
from magistral_recipe.rewards import registry
from magistral_recipe.schema import StrictModel, without_unset
from magistral_recipe.stages.before_rl import tell_baseline
from magistral_recipe.stages.held_out import compare_with_evaluations
from magistral_recipe.stages.training import TrainingStage, check_problems, run_arguments
from magistral_recipe.stages.work import best_keeper, load_start, problem_rows, train_and_save
from magistral_recipe.training.correction import Correction
from magistral_recipe.training.schedule import ScheduleEntry
from magistral_recipe.writing.thinking import Thinking

if TYPE_CHECKING:
    from datasets import Dataset

    from magistral_recipe.data.problems import Problem
    from magistral_recipe.models.config import ModelConfig
    from magistral_recipe.writing.chat_format import ChatFormat


class RolloutsConfig(StrictModel):
    """Who generates the completions that RL learns from."""

    backend: Source = "auto"
    """`generate` is transformers' own, `compiled` a loop that drops rows which have ended and captures its step as a
    CUDA graph, `continuous` transformers' continuous batching; `auto` takes the fastest of these that works with the
    model. `vllm` runs under TRL's integration; it needs a GPU and the extra `magistral-recipe[vllm]`."""
    weights: Weights = "copy"
    """Without vLLM: sampled from a copy of the weights in the precision of sampling, adapters folded in, or from the
    `trained` ones as they stand, which takes no memory and more time."""
    mode: Literal["colocate", "server"] = "colocate"
    """vLLM inside the training process, or a server of its own."""
    sync: Literal["adapter", "merged"] | None = None
    """What vLLM is handed after a step: the adapter alone, which leaves its weights as they are, or weights with the
    adapter added; by default the adapter, where it is one that vLLM takes as it is."""
    correction: Correction = "token_truncate"
    """What becomes of a token's importance weight, the trainer's probability over the sampler's, outside its bounds
    (`vllm_importance_sampling_clip_max`, 3): `token_truncate` the bound, `token_mask` 0, `sequence_…` the same of the
    whole completion's; `none` corrects nothing."""
    log_every: int = Field(10, ge=1)
    """Optimizer steps between batches of rollouts written to `rollouts.jsonl`."""

    @model_serializer(mode="wrap")
    def _as_known(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what an earlier version knew as it wrote it: the fingerprints of its runs are made of this."""
        fields = without_unset(handler(self), {"weights": "copy", "sync": None, "correction": "token_truncate"})
        if fields.get("backend") == "auto":
            fields["backend"] = "transformers"
        return fields


class GrpoStage(TrainingStage):
    """The `grpo` stage."""

    kind = "grpo"
    role = "reinforcement"
    libraries = ("magistral_recipe.training.grpo",)
    costs = (
        *TrainingStage.costs,
        "trainer.max_tokens_per_microbatch",
        "trainer.max_tokens_per_generation",
        "trainer.vllm_gpu_memory_utilization",
        "trainer.vllm_enable_sleep_mode",
    )

    problems: str
    """Name of the set of problems to train on."""
    rewards: list[str | dict[str, dict[str, Any] | None]] = Field(["magistral"], min_length=1)
    """Rewards by name (`magistral-recipe rewards --list`), your own as `my_rewards.py:name` (beside the recipe, or in
    the working folder) or `package.module:name`, each with options where it takes any:
    `- magistral: {weights: {language: 1.0}}`."""
    rollouts: RolloutsConfig = RolloutsConfig()
    """Who generates."""
    schedule: list[ScheduleEntry] = Field(default_factory=list)
    """Changes of length, batch and difficulty during the run, by step or by a measured condition (§5)."""

    @field_validator("rewards")
    @classmethod
    def _one_name_each(cls, rewards: list[Any]) -> list[Any]:
        for reward in rewards:
            if isinstance(reward, dict) and len(reward) != 1:
                raise ValueError(f"each reward with options is one name and its options; found {sorted(reward)}")
        return rewards

    def named_rewards(self) -> list[tuple[str, dict[str, Any]]]:
        """The rewards as (name, options)."""
        pairs = [next(iter(reward.items())) if isinstance(reward, dict) else (reward, {}) for reward in self.rewards]
        return [(name, dict(options or {})) for name, options in pairs]

    def mistakes(self, recipe: Recipe, models: Sequence[str], folder: Path) -> Mistakes:
        """Mistakes that need the rest of the recipe."""
        yield from check_problems(("problems",), self.problems, recipe)
        yield from super().mistakes(recipe, models, folder)
        for index, (name, options) in enumerate(self.named_rewards()):
            if wrong := registry.mistake(name, options, folder, PROBLEM_FIELDS):
                yield ("rewards", index), wrong
        yield from vllm_mistakes(self.rollouts, recipe.model)

    def warnings(self, folder: Path) -> Mistakes:
        """Rewards that would punish length, had anybody told them from where on (§2.2.3)."""
        zones = [self.trainer.get("overlong_cache"), *(entry.overlong_cache for entry in self.schedule)]
        if any(zone is not None for zone in zones):
            return
        for name, options in self.named_rewards():
            if only_names() and name not in registry.TABLE:
                continue
            reward = registry.build(name, options, Thinking(), folder)
            if hasattr(reward, "set_limits") and getattr(reward, "limits", None) is None:
                text = (
                    f"'{name}' punishes no length: set it, e.g. to a quarter of max_completion_length, or give the "
                    "reward max_length and cache"
                )
                yield ("trainer", "overlong_cache"), text

    def inputs(self, start: str) -> Inputs:
        """What flows into the stage."""
        rewards = tuple(name for name, _ in self.named_rewards())
        return Inputs((start,), (self.problems, *self.watched()), named=self.named(), rewards=rewards)

    def learns_from(self, recipe: Recipe) -> tuple[str, ProblemsSource | None]:
        """Its problems."""
        return f"'{self.problems}'", recipe.problems.get(self.problems)

    def describe(self, recipe: Recipe) -> str:
        """The stage in a few words, for the plan."""
        section = self.trainer
        prompts, group = section.get("prompts_per_batch", 32), section.get("num_generations", 8)
        minibatches = section.get("minibatches_per_batch", 2)
        rewards = ", ".join(name for name, _ in self.named_rewards())
        clipping = "" if minibatches > 1 else "; one minibatch: the ratio is 1 and clipping cannot act"
        return (
            f"{section.get('max_steps', 'all')} steps on '{self.problems}', rewards: {rewards}; a batch is {prompts} "
            f"prompts x {group} completions in {minibatches} minibatches of {prompts * group // minibatches}{clipping}"
        )

    def trainer_class(self) -> type:
        """The class that `trainer:` goes to."""
        from magistral_recipe.training.config import MagistralGRPOConfig

        return MagistralGRPOConfig

    def arguments(self, given: dict[str, Any]) -> dict[str, Any]:
        """The trainer's arguments: what the run decides, the section's own, and the recipe's."""
        own: dict[str, Any] = {
            "rollouts_every": self.rollouts.log_every,
            "rollouts_file": str(Path(given["output_dir"]).parent / layout.ROLLOUTS),
            "sampler_correction": self.rollouts.correction,
        }
        if self.rollouts.backend == "vllm":
            own |= {"use_vllm": True, "vllm_mode": self.rollouts.mode, "vllm_sync": self.rollouts.sync}
        else:
            own |= {"rollout_backend": self.rollouts.backend, "rollout_weights": self.rollouts.weights}
        if self.schedule:
            own["schedule"] = [entry.model_dump(by_alias=True, exclude_none=True) for entry in self.schedule]
        return {**given, **own, **self.trainer}

    def same_in(self, began: Mapping[str, Any], processes: int) -> bool:
        """Always: a batch is given in prompts, however many processes share it."""
        return True

    def build_rewards(self, thinking: Thinking, base: Path) -> list[Callable[..., Any]]:
        """Make the stage's rewards for the tags of the run, own ones from the recipe's folder."""
        named = self.named_rewards()
        if only_names():
            named = [(name, options) for name, options in named if name in registry.TABLE]
        return [registry.build(name, options, thinking, base) for name, options in named]

    def proof_problems(self, recipe: Recipe, base: Path, count: int) -> Sequence[Problem]:
        """Load its first problems; what cannot be used is counted and kept by the stage when it trains."""
        source = recipe.source_of(self.problems)
        assert source is not None  # a reference that the schema held
        return load_problems(first_rows(source, count), base, None).rows

    def run(self, context: StageContext) -> dict[str, Any]:
        """Train with RL.

        Args:
            context: where it runs.

        Returns:
            Steps and the last metrics.
        """
        from magistral_recipe.training.config import MagistralGRPOConfig
        from magistral_recipe.training.grpo import MagistralGRPOTrainer

        args = self.arguments(run_arguments(context.folder / layout.CHECKPOINTS, context.recipe, self.trainer))
        # First: under FSDP, processes that know one another read the weights once.
        config = MagistralGRPOConfig(**args)
        start = load_start(context)
        problems = problem_rows(context, self.problems)
        rewards = self.build_rewards(start.chat.thinking, context.base)
        require_sandboxes(rewards, problems)
        shared = compare_with_evaluations(self, context, problems)
        trainer = MagistralGRPOTrainer(
            model=start.model,
            reward_funcs=rewards,
            args=config,
            train_dataset=prompt_dataset(problems, start.chat),
            processing_class=start.tokenizer,
            callbacks=best_keeper(self, context, start, shared),
        )
        trainer.health.tell = lambda line: context.emit({"type": "warning", "text": line})
        baseline = tell_baseline(trainer, context, start, problems)
        results = train_and_save(trainer, context, start)
        return {**results, "problems": len(problems), **shared, **baseline}


def vllm_mistakes(rollouts: RolloutsConfig, model: ModelConfig | None) -> Mistakes:
    """What of a model vLLM can't be handed as a recipe asks.

    Args:
        rollouts: who generates.
        model: the recipe's model section.

    Yields:
        Keys below the stage, and what is wrong with them.
    """
    if rollouts.backend != "vllm":
        if rollouts.sync is not None:
            yield ("rollouts", "sync"), f"says what vLLM is handed; {rollouts.backend} generates with the trainer's own"
        return
    if model is None:
        return
    alone = "needs model.lora: all weights are trained here" if model.lora is None else None
    if model.lora is not None and rollouts.mode == "server":
        alone = "a server is handed weights, no adapters: leave it out, or use mode: colocate"
    if rollouts.sync == "adapter" and alone:
        yield ("rollouts", "sync"), f"adapter: {alone}"
    if model.quantization == "int8":
        text = "vllm quantizes what it loads to 4 bits, not to 8: use model.quantization: nf4, or backend: auto"
        yield ("rollouts", "backend"), text
    elif model.quantization == "nf4" and (rollouts.mode == "server" or rollouts.sync == "merged"):
        key, value = ("mode", "server") if rollouts.mode == "server" else ("sync", "merged")
        yield (
            ("rollouts", key),
            f"{value} hands over weights, which on a 4-bit model would have to be quantized anew at every step: use "
            "mode: colocate with sync: adapter, which hands over the adapter alone",
        )


def require_sandboxes(rewards: Sequence[Any], problems: Sequence[Problem]) -> None:
    """Try the sandbox of every reward that will run programs, before anything depends on it.

    Args:
        rewards: the stage's.
        problems: what it trains on; without one of kind `code` nothing is tried.

    Raises:
        RunError: if a sandbox does not work here, with the remedy.
    """
    if all(problem.kind != "code" for problem in problems):
        return
    from magistral_recipe.rewards import CodeCorrectness, MagistralReward
    from magistral_recipe.verifiers.sandbox import probe

    for reward in rewards:
        grader = (reward.correctness or CodeCorrectness()) if isinstance(reward, MagistralReward) else reward
        if isinstance(grader, CodeCorrectness):
            probe.require_sandbox(grader.runner.mode)


def prompt_dataset(problems: Sequence[Problem], chat: ChatFormat) -> Dataset:
    """Make TRL's dataset: a `prompt` of messages, and the columns that rewards read.

    Args:
        problems: what to train on.
        chat: the run's format.

    Returns:
        One row a problem; columns that no problem fills are left out.
    """
    from datasets import Dataset

    rows: list[dict[str, Any]] = [problem.model_dump() for problem in problems]
    if any(isinstance(row["answer"], list) for row in rows):  # Arrow wants one type a column
        for row in rows:
            if isinstance(row["answer"], str):
                row["answer"] = [row["answer"]]
    filled = [key for key in rows[0] if any(row[key] is not None for row in rows)]
    return Dataset.from_list(
        [{"prompt": chat.messages(row["problem"], row["system"]), **{key: row[key] for key in filled}} for row in rows]
    )
