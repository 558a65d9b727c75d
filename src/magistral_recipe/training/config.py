"""The trainer's settings: TRL's `GRPOConfig`, sized in prompts and tokens, with the paper's objective as default.

Batch sizes are said once, in prompts; what TRL and transformers want to know in their own terms (per-device
size, accumulation, steps a generation) is derived. Settings of TRL's that this trainer's loss does not have
are refused, not ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from trl import GRPOConfig

from magistral_recipe.generation.rollouts.names import BACKENDS, WEIGHTS, Backend, Weights
from magistral_recipe.machine import World
from magistral_recipe.training.correction import CORRECTIONS, Correction
from magistral_recipe.training.schedule import Schedule, ScheduleEntry

_CORRECTED = "use `sampler_correction`, in a recipe `rollouts: {correction: …}`"

_FIXED: dict[str, tuple[Any, str]] = {
    "loss_type": ("dapo", "the loss is the paper's; `loss_normalization` chooses what it is divided by"),
    "scale_rewards": ("none", "use `advantage_normalization`"),
    "importance_sampling_level": ("token", "the paper's ratio is per token"),
    "multi_objective_aggregation": ("sum_then_normalize", "rewards are summed, then centred in their group"),
    "top_entropy_quantile": (1.0, "every token of a completion trains"),
    "use_adaptive_entropy": (False, "`epsilon_high` keeps the entropy up"),
    "off_policy_mask_threshold": (None, "not part of this objective"),
    "delta": (None, "not part of this objective"),
    "vllm_importance_sampling_correction": (False, _CORRECTED),
    "vllm_importance_sampling_mode": ("sequence_mask", _CORRECTED),
    "auto_find_batch_size": (False, "lower `max_tokens_per_microbatch` instead"),
    "ignore_data_skip": (False, "an exact resume needs it off"),
    "logging_nan_inf_filter": (False, "it would hide a broken loss"),
    "group_by_length": (False, "microbatches are collated by length anyway"),
    "use_transformers_continuous_batching": (False, "it casts the weights that train; use `rollout_backend`"),
}

_WHOLE_DISTRIBUTION: dict[str, tuple[Any, ...]] = {
    "top_p": (1, None),
    "top_k": (0, -1, None),
    "min_p": (0, None),
    "repetition_penalty": (1, None),
    "presence_penalty": (0, None),
    "frequency_penalty": (0, None),
    "typical_p": (1, None),
    "epsilon_cutoff": (0, None),
    "eta_cutoff": (0, None),
    "top_h": (None,),
    "no_repeat_ngram_size": (0, None),
    "min_new_tokens": (0, None),
    "min_tokens": (0, None),
    "bad_words_ids": (None,),
    "suppress_tokens": (None,),
    "sequence_bias": (None,),
    "logit_bias": (None,),
    "do_sample": (True, None),
    "num_beams": (1, None),
}
"""Settings of sampling, transformers' and vLLM's, and the values with which every token keeps its probability."""


@dataclass
class MagistralGRPOConfig(GRPOConfig):
    """Arguments of `MagistralGRPOTrainer`.

    Args:
        prompts_per_batch: prompts of a generation batch, over all processes.
        minibatches_per_batch: optimizer steps made from one generation batch. With 1 the data are on-policy, the
            ratio is 1 and clipping cannot act; the paper's are off-policy because it generates asynchronously,
            and 2 is a synchronous trainer's stand-in for that.
        max_tokens_per_microbatch: most tokens of one forward and backward pass, prompts, completions and padding
            together. A single longer sequence still trains, alone.
        rollout_backend: what samples rollouts without vLLM: `auto` takes the fastest that works with the model; see
            `generation.rollouts`.
        rollout_weights: what they are sampled from: a `copy` of the weights in the precision of sampling, adapters
            folded in, or the `trained` ones as they stand, which takes no memory and more time.
        max_tokens_per_generation: most tokens of KV cache while generating with transformers: completions of a batch
            that needs more wait for a place. ``None``: all at once, or half of them where memory runs out.
        overlong_cache: width in tokens of the soft penalty zone below `max_completion_length`, handed to rewards
            that have `set_limits`. ``None`` leaves the rewards their own limits.
        advantage_normalization: `minibatch` (Magistral §2.1), `group` (GRPO: over the group's std), or `none`.
        keep_uninformative_groups: train on groups whose rewards are all equal too, and never refill.
        signal: what must differ within a group for it to be kept: `total`, the name of one reward, or a column
            that a reward logs.
        max_refill_rounds: how many times missing groups are drawn again before a smaller batch is taken.
        max_empty_batches: stop after this many generation batches in a row without one informative group.
        loss_normalization: `minibatch` divides by all its completion tokens; `group` is the formula as printed (§2.1),
            each group over its own tokens.
        schedule: changes of length, penalty zone, batch and difficulty; see `Schedule`.
        rollouts_every: write the rollouts of the first generation batch at or after every n-th step; 0 never does.
        rollouts_groups: how many groups of that batch are written.
        rollouts_file: where; `rollouts.jsonl` in `output_dir` by default. `rewards.json` beside it says what each
            reward is.
        probe_rewards: call every reward function once on an empty completion before anything is generated, so that
            one which raises or returns the wrong length is found at once; not with environments.
        reward_seconds: how long a reward may take for one call (a batch, or a chunk of one): one that hangs ends the
            run by its name. 0 for as long as it likes.
        ddp_timeout: how long one process waits for another that is still generating, verifying or saving, in seconds,
            before the run ends with the late one's name; longer than `reward_seconds`.
        sampler_gap_limit: mean absolute distance in nats between the sampler's log-probabilities and the trainer's
            above which the run stops, before the batch has trained; measured where the sampler records its own.
            ``None``: 0.05, on quantized weights 0.15.
        sampler_correction: what a token's importance weight, the trainer's probability over the sampler's, becomes
            outside `vllm_importance_sampling_clip_min` and `_max`: `token_truncate` the bound, `token_mask` 0,
            `sequence_truncate` and `sequence_mask` the same of the whole completion's product; `none` corrects nothing.
        vllm_sync: what vLLM is handed after a step: the `adapter` alone, or `merged` weights. ``None``: the adapter
            where it is one that vLLM takes as it is.
        vllm_step_seconds: longest that a vLLM server may take for one batch or one hand-over of weights before the run
            ends. 0 for as long as it likes.

    Raises:
        ValueError: if sizes do not divide, or a setting is one that this trainer does not have.
    """

    # Derived: given as well, they must agree.
    per_device_train_batch_size: int | None = field(default=None, metadata={"help": "Derived; see prompts_per_batch."})
    gradient_accumulation_steps: int | None = field(default=None, metadata={"help": "Derived: 1."})

    # Other defaults than TRL's, all written out, since TRL's move between releases.
    beta: float = field(default=0.0, metadata={"help": "Weight of the KL term; 0 keeps no reference model."})
    epsilon: float = field(default=0.2, metadata={"help": "Lower clipping bound."})
    epsilon_high: float | None = field(default=0.28, metadata={"help": "Upper clipping bound (Clip-Higher)."})
    temperature: float = field(default=1.0, metadata={"help": "Sampling temperature."})
    num_generations: int = field(default=8, metadata={"help": "Completions a prompt: the group."})
    loss_type: str = field(default="dapo", metadata={"help": "Fixed."})
    scale_rewards: str = field(default="none", metadata={"help": "Fixed; see advantage_normalization."})
    disable_dropout: bool = field(default=True, metadata={"help": "Dropout would make ratios noisy."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Fixed: it hides a broken loss."})
    activation_checkpointing: bool | None = field(default=True, metadata={"help": "Recompute activations."})
    gradient_checkpointing: bool | None = field(default=None, metadata={"help": "Older name of the same."})
    remove_unused_columns: bool | None = field(default=False, metadata={"help": "Rewards read the columns."})

    prompts_per_batch: int = field(default=32, metadata={"help": "Prompts of a generation batch."})
    minibatches_per_batch: int = field(default=2, metadata={"help": "Optimizer steps a generation batch."})
    max_tokens_per_microbatch: int = field(default=16_384, metadata={"help": "Token budget of a microbatch."})
    rollout_backend: Backend = field(
        default="auto", metadata={"help": "What samples rollouts without vLLM; auto: the fastest that works."}
    )
    rollout_weights: Weights = field(default="copy", metadata={"help": "What rollouts without vLLM are sampled from."})
    max_tokens_per_generation: int | None = field(default=None, metadata={"help": "Token budget of the KV cache."})
    overlong_cache: int | None = field(default=None, metadata={"help": "Width of the soft length penalty."})
    advantage_normalization: Literal["minibatch", "group", "none"] = field(
        default="minibatch", metadata={"help": "What advantages are divided by."}
    )
    keep_uninformative_groups: bool = field(default=False, metadata={"help": "Keep groups without signal."})
    signal: str = field(default="total", metadata={"help": "What must differ within a group."})
    max_refill_rounds: int = field(default=4, metadata={"help": "Rounds of refill."})
    max_empty_batches: int = field(default=5, metadata={"help": "Empty batches in a row that stop a run."})
    loss_normalization: Literal["minibatch", "group"] = field(
        default="minibatch", metadata={"help": "What the token sum is divided by."}
    )
    loss_normalizer: Literal["minibatch", "group"] | None = field(
        default=None, metadata={"help": "Older name of the same."}
    )
    schedule: list[dict[str, Any]] | None = field(default=None, metadata={"help": "Changes while training."})
    rollouts_every: int = field(default=10, metadata={"help": "Steps between written rollouts."})
    rollouts_groups: int = field(default=8, metadata={"help": "Groups written each time."})
    rollouts_file: str | None = field(default=None, metadata={"help": "Where rollouts are written."})
    probe_rewards: bool = field(default=True, metadata={"help": "Try each reward once at the start."})
    reward_seconds: float = field(default=1800.0, metadata={"help": "Longest call of a reward; 0: no limit."})
    sampler_gap_limit: float | None = field(default=None, metadata={"help": "Gap in nats that stops a run."})
    sampler_correction: Correction = field(
        default="token_truncate", metadata={"help": "What becomes of importance weights out of bounds."}
    )
    vllm_importance_sampling_correction: bool = field(default=False, metadata={"help": "See sampler_correction."})
    vllm_sync: Literal["adapter", "merged"] | None = field(default=None, metadata={"help": "What vLLM is handed."})
    ddp_timeout: int = field(default=7200, metadata={"help": "Longest wait of a process for another, in seconds."})
    vllm_step_seconds: float = field(default=3600.0, metadata={"help": "Longest step of a vLLM server; 0: no limit."})

    def __post_init__(self) -> None:
        """Derive TRL's sizes, and refuse what does not fit, all at once."""
        # transformers knows the newer name from 5.23 on, and warns of the older one alone; before, it reads no other.
        if self.gradient_checkpointing is not None:
            self.activation_checkpointing = self.gradient_checkpointing
        self.gradient_checkpointing = self.activation_checkpointing
        if self.loss_normalizer is not None:
            self.loss_normalization, self.loss_normalizer = self.loss_normalizer, None
        if isinstance(self.scale_rewards, bool):
            self.scale_rewards = "group" if self.scale_rewards else "none"
        processes = World.from_environment().size
        mistakes = [*self._range_mistakes(), *self._fixed_mistakes(), *self._sampling_mistakes()]
        if processes > 1 and self.ddp_timeout <= self.reward_seconds:
            mistakes.append(
                f"ddp_timeout={self.ddp_timeout} ends the others' wait before a reward's own deadline, "
                f"reward_seconds={self.reward_seconds:g}, can name it: make it longer, or the deadline shorter"
            )
        mistakes = mistakes or self._schedule_mistakes() or self._size_mistakes(processes)
        if mistakes:
            raise ValueError("; ".join(mistakes))
        rows = self.prompts_per_batch * self.num_generations
        derived = {
            "per_device_train_batch_size": rows // (processes * self.minibatches_per_batch),
            "gradient_accumulation_steps": 1,
            "steps_per_generation": self.minibatches_per_batch,
            "generation_batch_size": rows,
        }
        for name, value in derived.items():
            given = getattr(self, name)
            if given is not None and given != value:
                raise ValueError(f"{name}={given} disagrees with the batch's settings, from which follows {value}")
            setattr(self, name, value)
        self.generation_batch_size = None  # TRL wants one of the two, and works this one out
        super().__post_init__()
        if self.world_size != processes:
            raise ValueError(
                f"the environment says WORLD_SIZE={processes}, but {self.world_size} process(es) found each other; "
                "start CPU processes with `accelerate launch --multi_gpu --num_processes N` or torchrun, "
                "and set use_cpu=True"
            )

    def describe(self) -> str:
        """Say in one line what a step is made of."""
        return (
            f"{self.prompts_per_batch} prompts x {self.num_generations} completions a batch, "
            f"{self.minibatches_per_batch} optimizer step(s) of "
            f"{self.prompts_per_batch * self.num_generations // self.minibatches_per_batch} completions each, "
            f"microbatches of at most {self.max_tokens_per_microbatch:,} tokens, {self.world_size} process(es)"
        )

    def _range_mistakes(self) -> list[str]:
        least = {
            "prompts_per_batch": 1,
            "minibatches_per_batch": 1,
            "max_completion_length": 1,
            "max_tokens_per_microbatch": 1,
            "max_tokens_per_generation": 1,
            "max_refill_rounds": 0,
            "max_empty_batches": 1,
            "rollouts_every": 0,
            "rollouts_groups": 1,
            "num_iterations": 1,
        }
        if self.max_tokens_per_generation is None:
            del least["max_tokens_per_generation"]
        mistakes = [
            f"{name} must be a whole number of at least {lowest}, not {getattr(self, name)}"
            for name, lowest in least.items()
            if not isinstance(getattr(self, name), int) or getattr(self, name) < lowest
        ]
        mistakes += [
            f"{name} must be above 0, not {getattr(self, name)}"
            for name in ("temperature", "sampler_gap_limit")
            if getattr(self, name) is not None and not getattr(self, name) > 0
        ]
        mistakes += [
            f"{name} must be at least 0, not {getattr(self, name)}"
            for name in ("reward_seconds", "vllm_step_seconds")
            if not getattr(self, name) >= 0
        ]
        if not isinstance(self.num_generations, int) or self.num_generations < 2:
            mistakes.append(f"a group of {self.num_generations} has no advantages: num_generations must be at least 2")
        choices = {
            "advantage_normalization": ("minibatch", "group", "none"),
            "loss_normalization": ("minibatch", "group"),
            "rollout_backend": BACKENDS,
            "rollout_weights": WEIGHTS,
            "sampler_correction": CORRECTIONS,
            "vllm_sync": (None, "adapter", "merged"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                mistakes.append(f"{name}={getattr(self, name)!r} is not one of {', '.join(map(str, allowed))}")
        if not 0 <= self.epsilon <= 1:
            mistakes.append(f"epsilon must be in [0, 1], not {self.epsilon}")
        if self.epsilon_high is not None and self.epsilon_high < 0:
            mistakes.append(f"epsilon_high must not be negative, not {self.epsilon_high}")
        if self.overlong_cache is not None and not 0 <= self.overlong_cache < (self.max_completion_length or 0):
            mistakes.append(
                f"overlong_cache={self.overlong_cache} must be at least 0 and below "
                f"max_completion_length={self.max_completion_length}"
            )
        return mistakes

    def _sampling_mistakes(self) -> list[str]:
        """Settings with which completions would be drawn from another distribution than the one that trains."""
        others = dict(self.generation_kwargs or {})
        given = {name: getattr(self, name, None) for name in _WHOLE_DISTRIBUTION} | others
        mistakes = []
        if others.get("temperature", self.temperature) != self.temperature:
            mistakes.append(
                f"generation_kwargs: temperature={others['temperature']!r} is another one than trains, "
                f"{self.temperature!r}: set trainer.temperature"
            )
        return mistakes + [
            f"{name}={given[name]!r} does not go with RL: completions are drawn from the whole distribution, whose "
            "log-probabilities train; only temperature shapes it. Leave it out"
            for name, neutral in _WHOLE_DISTRIBUTION.items()
            if given.get(name) not in neutral
        ]

    def _fixed_mistakes(self) -> list[str]:
        mistakes = [
            f"{name}={getattr(self, name)!r} is not available here, only {value!r}: {why}"
            for name, (value, why) in _FIXED.items()
            if getattr(self, name, value) != value
        ]
        if self.deepspeed is not None:
            mistakes.append("deepspeed is not available: its engine steps at every backward pass; use DDP or FSDP")
        return mistakes

    def _size_mistakes(self, processes: int) -> list[str]:
        return [
            f"{prefix}{line}"
            for prefix, prompts in self._batch_sizes()
            for line in self._division_mistakes(prompts, processes)
        ] + self._budget_mistakes()

    def _batch_sizes(self) -> list[tuple[str, int]]:
        later = [
            (f"schedule[{i}]: ", entry.prompts_per_batch)
            for i, entry in enumerate(self._entries)
            if entry.prompts_per_batch is not None
        ]
        return [("", self.prompts_per_batch), *later]

    def _division_mistakes(self, prompts: int, processes: int) -> list[str]:
        minibatches, group = self.minibatches_per_batch, self.num_generations
        if prompts % minibatches:
            near = max(round(prompts / minibatches), 1) * minibatches
            return [f"prompts_per_batch={prompts} does not divide into {minibatches} minibatches; {near} would"]
        if prompts * group // minibatches % processes:
            return [
                f"a minibatch of {prompts * group // minibatches} completions "
                f"({prompts} prompts x {group} / {minibatches}) does not divide over {processes} processes"
            ]
        return []

    def _budget_mistakes(self) -> list[str]:
        longest = max([self.max_completion_length or 0] + [e.max_completion_length or 0 for e in self._entries])
        if longest > self.max_tokens_per_microbatch:
            return [
                f"max_tokens_per_microbatch={self.max_tokens_per_microbatch} is below the longest completion, "
                f"{longest} tokens"
            ]
        return []

    @property
    def _entries(self) -> list[ScheduleEntry]:
        return [ScheduleEntry.model_validate(entry) for entry in self.schedule or []]

    def _schedule_mistakes(self) -> list[str]:
        return Schedule.mistakes(self.schedule or [], self.max_completion_length or 0, self.overlong_cache)
