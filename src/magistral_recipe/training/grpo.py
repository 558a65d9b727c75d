"""`MagistralGRPOTrainer`: TRL's `GRPOTrainer` with the paper's update and token-budget microbatches.

What it is not: a copy. TRL tokenizes, generates, calls rewards, keeps the reference model, talks to vLLM, logs
and saves; this class wraps those methods with `super()` and decides which groups train (Magistral §2.1), how they
are cut up (§3), and what the loss is. `contract.py` names the wrapped methods and checks that they are still
what they were.

One call of `training_step` is one optimizer step; `minibatches_per_batch` of them use up a generation batch.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor
from torch.utils.data import DataLoader
from trl import GRPOTrainer

from magistral_recipe import layout
from magistral_recipe.errors import RunError
from magistral_recipe.files import write_json
from magistral_recipe.jsonlines import append_lines
from magistral_recipe.sharded import read_head_whole
from magistral_recipe.training import checks
from magistral_recipe.training.assembly import Minibatch, Plan, build_minibatches, exchange
from magistral_recipe.training.batching import Microbatch, collate, masked_sequence
from magistral_recipe.training.checkpoints import CheckpointGuard, latest_complete_checkpoint, sweep
from magistral_recipe.training.collector import Collector, GenerationBatch
from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.contract import check_trl
from magistral_recipe.training.correction import weigh
from magistral_recipe.training.forward import cut_window, kl_penalty, row_logps
from magistral_recipe.training.generating import RoundGenerator
from magistral_recipe.training.health import SCHEDULE
from magistral_recipe.training.memory import TrainerMemory, saved_state, take_first_random_state
from magistral_recipe.training.metrics import MetricsWriter, StepSums, cut_after
from magistral_recipe.training.objective import clipped_policy_loss
from magistral_recipe.training.prompt_stream import PromptStream
from magistral_recipe.training.rollouts import Group, Rollout, broken_step_records, rollout_records
from magistral_recipe.training.schedule import Schedule, Settings
from magistral_recipe.training.scoring import reward_records
from magistral_recipe.training.watch import HealthWatch, reward_metrics

logger = logging.getLogger(__name__)


class MagistralGRPOTrainer(RoundGenerator):
    """Trains a causal language model by the paper's variant of GRPO (Magistral §2.1).

    Args:
        model: a model, a path, or a PEFT model, as for `trl.GRPOTrainer`.
        reward_funcs: one or several rewards.
        args: the settings.
        train_dataset: rows with a `prompt` and the columns that rewards need.
        **trl_arguments: the other arguments of `trl.GRPOTrainer`.

    Attributes:
        health: warns while it trains of a reward that falls, entropy that is gone and the like; set its `tell`.

    Raises:
        DataError: if the data cannot train.
        RunError: if a reward fails on an empty completion, or TRL has moved.

    Example:
        >>> trainer = MagistralGRPOTrainer(
        ...     model="Qwen/Qwen3-0.6B", reward_funcs=magistral_reward,
        ...     args=MagistralGRPOConfig(output_dir="out", max_steps=100), train_dataset=problems,
        ... )  # doctest: +SKIP
    """

    _tag_names = ("trl", "grpo", "magistral-recipe")
    args: MagistralGRPOConfig

    def __init__(
        self,
        model: Any,
        reward_funcs: Any = None,
        args: MagistralGRPOConfig | None = None,
        train_dataset: Any = None,
        **trl_arguments: Any,
    ) -> None:
        check_trl(GRPOTrainer)
        args = args if args is not None else MagistralGRPOConfig("magistral-grpo")
        if not isinstance(args, MagistralGRPOConfig):
            raise TypeError(f"args must be a MagistralGRPOConfig, not {type(args).__name__}")
        checks.check_dataset(train_dataset)
        args.max_steps = checks.steps_of(args, train_dataset)
        super().__init__(
            model=model, reward_funcs=reward_funcs, args=args, train_dataset=train_dataset, **trl_arguments
        )
        if self.aux_loss_enabled:
            raise ValueError("the router's auxiliary loss is not part of this objective: set router_aux_loss_coef=0")
        read_head_whole(self.model)
        self._pending: list[Minibatch] = []
        self._limits: tuple[int, int | None] | None = None
        self._updates = 0
        self._collector = self._make_collector()
        self._memory = TrainerMemory(self._own_state, lambda: not self._pending)
        self._minibatch: Minibatch | None = None
        self._last_rollouts: int | None = None
        self._told_of_cuts = False
        self._sums = StepSums(self.accelerator.device)
        if not any(isinstance(callback, CheckpointGuard) for callback in self.callback_handler.callbacks):
            self.add_callback(CheckpointGuard())
        self.health = HealthWatch(reward_metrics(self.reward_funcs, self.reward_func_names))
        self.add_callback(self.health)
        self._say_how()

    # ---- before the first step

    def train(self, resume_from_checkpoint: str | bool | Path | None = None, **kwargs: Any) -> Any:
        """Train, from the start or from a complete checkpoint.

        Args:
            resume_from_checkpoint: a checkpoint's folder, or True for the newest complete one; unfinished ones
                are deleted then.
            **kwargs: as for `transformers.Trainer.train`.

        Returns:
            transformers' `TrainOutput`.

        Raises:
            RunError: if there is nothing to resume from, or no step had anything to train on.
        """
        checkpoint = self._checkpoint(resume_from_checkpoint)
        if checkpoint is not None:
            state = saved_state(checkpoint)
            self._collector.load_state_dict(state["collector"])
            self._updates = state["updates"]
            self._step = state["step"]
            self._last_rollouts = state["last_rollouts"]
        else:
            self._check_before_training()
        self._pending = []
        if self.accelerator.is_main_process:
            cut_after(self._rollouts_file, self._step - 1)  # a batch bears the step at which it began
            self._write_reward_facts()
        # A save asked for by any other callback must be seen before it is let through.
        with contextlib.suppress(ValueError):
            self.remove_callback(self._memory)
        self.add_callback(self._memory)
        if not any(isinstance(callback, MetricsWriter) for callback in self.callback_handler.callbacks):
            self.add_callback(MetricsWriter(Path(self.args.output_dir) / layout.METRICS))
        output = super().train(resume_from_checkpoint=str(checkpoint) if checkpoint else None, **kwargs)
        if not self._updates:
            raise RunError(self._nothing_trained())
        return output

    def _load_rng_state(self, checkpoint: str | None) -> None:
        super()._load_rng_state(checkpoint)
        if checkpoint and self.accelerator.is_main_process:
            take_first_random_state(Path(checkpoint), self.accelerator.num_processes)

    def _nothing_trained(self) -> str:
        text = f"{self.state.global_step} steps went by and none had anything to train on"
        showed = self._collector.showed
        return f"{text}: in the last batch {showed}{self._collector.samples()}" if showed else text

    def get_train_dataloader(self) -> DataLoader:
        """Return a loader that only ticks, once an optimizer step; prompts come from the prompt stream."""
        return DataLoader(range(self.args.max_steps), batch_size=1, collate_fn=list)  # type: ignore[arg-type]

    # ---- one optimizer step

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Take the next minibatch, generating a batch where none is left, and accumulate its gradient."""
        started = time.perf_counter()
        model.train()
        if not self._pending:
            self._begin_batch()
        minibatch = self._pending.pop(0)
        self._sums = StepSums(self.accelerator.device)
        generated = time.perf_counter()
        loss = torch.zeros((), device=self.accelerator.device)
        bins = minibatch.shares[self.accelerator.process_index].bins
        for number, chosen in enumerate(bins):
            with self._gradient_sync(model, last=number == len(bins) - 1):
                # Past GRPOTrainer's own training_step: it would count every microbatch as a step.
                loss += super(GRPOTrainer, self).training_step(model, self._microbatch(minibatch, chosen), None)
        self._step += 1
        self._updates += bool(minibatch.rollouts)
        self._stop_if_broken(loss, "loss", minibatch)
        self._minibatch = minibatch
        now = time.perf_counter()
        self._report_step(minibatch, trained=now - generated, whole=now - started)
        return loss

    def _prepare_inputs(self, generation_batch: Any) -> Any:
        if isinstance(generation_batch, Microbatch):
            return generation_batch
        return super()._prepare_inputs(generation_batch)

    def _compute_loss(self, model: Any, inputs: Any) -> Tensor:
        if not isinstance(inputs, Microbatch):
            return super()._compute_loss(model, inputs)
        with self.accelerator.autocast():
            logps, entropy = row_logps(model, inputs)
        old = logps.detach() if inputs.old_logps is None else inputs.old_logps
        weights = inputs.mask if inputs.weight is None else inputs.mask * inputs.weight
        # Gradients are averaged over ranks, so that each divides by its part of the normalizer.
        normalizer = inputs.normalizer / self.accelerator.num_processes
        result = clipped_policy_loss(
            logps, old, inputs.advantages, weights, self.epsilon_low, self.epsilon_high, normalizer
        )
        loss = result.loss
        tokens = inputs.mask.sum()
        if self.beta:
            ratio = torch.exp(logps - old) if self.args.use_bias_correction_kl else None
            divergence = kl_penalty(logps, inputs.ref_logps, ratio) * inputs.mask
            loss = loss + self.beta * (divergence / normalizer).sum()
            self._sums.add(kl=divergence.sum())
        if self.entropy_coef:
            share = inputs.tokens / self.accelerator.num_processes
            loss = loss - self.entropy_coef * (entropy * inputs.mask).sum() / share
        self._sums.add(
            tokens=tokens,
            entropy=(entropy * inputs.mask).sum(),
            low=result.clipped_low * tokens,
            high=result.clipped_high * tokens,
        )
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        # With fp16 an overflow is the scaler's business: it skips the step and lowers the scale.
        if norm is not None and self.accelerator.scaler is None:
            self._stop_if_broken(torch.as_tensor(norm), "gradient", self._minibatch)
        elif norm is not None:
            skipped = not bool(torch.isfinite(torch.as_tensor(norm)))
            self._metrics["train"]["optimizer/skipped_steps"].append(float(skipped))
        return norm

    def _gradient_sync(self, model: Any, last: bool) -> contextlib.AbstractContextManager[Any]:
        if last or self.accelerator.distributed_type == DistributedType.FSDP:
            return contextlib.nullcontext()
        return self.accelerator.no_sync(model)

    # ---- one generation batch

    def _begin_batch(self) -> None:
        self._seconds.clear()
        settings = self._collector.advance(self._step)
        self._apply(settings)
        if self.args.schedule:
            self._metrics["train"][SCHEDULE].append(float(self._collector.entries_in_force))
        batch = self._collector.fill(settings, self.generate_round, self._write_flat_batch)
        minibatches = build_minibatches(batch.groups, self._plan)
        exchange(minibatches, self.accelerator.process_index, self.accelerator.num_processes)
        scored = any(row.sequence is not None and row.sequence.sampler_logps is not None for row in _rows(minibatches))
        recorded = bool(self._most(int(scored)))
        # A sampler in the trainer's own precision has nothing to correct: the later minibatches' gap suffices.
        all_of_them = recorded and (len(minibatches) == 1 or not self._sampled_exactly)
        for number, minibatch in enumerate(minibatches):
            # The first minibatch is trained by the weights that generated it: its ratio is 1 as it stands.
            if number or self.num_iterations > 1 or all_of_them:
                self._remember_logps(minibatch)
        if recorded:
            self._correct(minibatches)
        self._pending = minibatches * self.num_iterations
        metrics = self._metrics["train"]
        for name, value in batch.figures.items():
            metrics[name].append(value)
        if self._seconds["generating"]:
            metrics["tokens_per_second/generated"].append(batch.tokens / self._seconds["generating"])
        metrics["num_tokens"] = [self.state.num_input_tokens_seen]
        metrics["max_completion_length"].append(settings.max_completion_length)
        self._write_rollouts(batch)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _remember_logps(self, minibatch: Minibatch) -> None:
        """Note the log-probabilities under the weights that generated, before any step changes them."""
        started = time.perf_counter()
        self.model.train()
        for chosen in minibatch.shares[self.accelerator.process_index].bins:
            sequences = minibatch.sequences(chosen)
            if all(sequence.old_logps is not None for sequence in sequences) and sequences:
                continue
            with self.accelerator.autocast():
                logps, _ = row_logps(self.model, self._microbatch(minibatch, chosen))
            for sequence, values in zip(sequences, cut_window(logps, sequences) if sequences else [], strict=True):
                sequence.old_logps = values
        self._seconds["old_logps"] += time.perf_counter() - started

    def _correct(self, minibatches: list[Minibatch]) -> None:
        """Weigh what a sampler of its own has drawn, and stop before it trains if that is another policy's."""
        args, sums = self.args, StepSums(self.accelerator.device)
        rank, how = self.accelerator.process_index, args.sampler_correction
        bounds = args.vllm_importance_sampling_clip_min, args.vllm_importance_sampling_clip_max
        for minibatch in minibatches:
            sums.add(**weigh(minibatch.sequences(minibatch.shares[rank].rows), how, *bounds))
        totals, metrics = sums.reduced(self.accelerator), self._metrics["train"]
        gap, cut = totals["gap"] / max(totals["gap_tokens"], 1), totals["cut"] / max(totals["tokens"], 1)
        metrics["sampling/gap"].append(gap)
        limit = args.sampler_gap_limit or checks.gap_limit(self.model)
        checks.check_gap(gap, limit, self.state.global_step)
        if how != "none":
            metrics["sampling/cut_share"].append(cut)
            line = checks.cut_warning(cut, gap, how)
            if line and not self._told_of_cuts and self.accelerator.is_main_process:
                self._told_of_cuts = True
                self.health.tell(f"step {self.state.global_step}: {line}")

    def _microbatch(self, minibatch: Minibatch, chosen: list[int]) -> Microbatch:
        pad, device = self._tokenizer.pad_token_id, self.accelerator.device
        if not chosen:
            return collate([masked_sequence(pad)], [0.0], pad, device, tokens=max(minibatch.tokens, 1))
        return collate(
            minibatch.sequences(chosen),
            [minibatch.rollouts[i].advantage for i in chosen],
            pad,
            device,
            normalizers=[minibatch.normalizers[i] for i in chosen],
            tokens=minibatch.tokens,
        )

    # ---- settings, state, what is written down

    @property
    def _plan(self) -> Plan:
        args = self.args
        return Plan(
            args.minibatches_per_batch,
            self.accelerator.num_processes,
            args.max_tokens_per_microbatch,
            args.advantage_normalization,
            args.loss_normalization,
        )

    def _make_collector(self) -> Collector:
        args = self.args
        base = Settings(args.max_completion_length, args.overlong_cache, args.prompts_per_batch)
        seed = args.data_seed if args.data_seed is not None else args.seed
        stream = PromptStream(self.train_dataset, seed, bool(args.shuffle_dataset))
        # A reward that does not say what it reaches is taken to reach 1, and so is a logged column.
        tops = [getattr(reward, "maximum", 1.0) for reward in self.reward_funcs]
        if args.signal == "total":
            top = sum(weight * each for weight, each in zip(self.reward_weights.tolist(), tops, strict=True))
        else:
            top = dict(zip(self.reward_func_names, tops, strict=True)).get(args.signal, 1.0)
        schedule = Schedule(args.schedule or [], base)
        processes = self.accelerator.num_processes
        collector = Collector(args, stream, schedule, processes, top, self._rollouts_file)
        if self.tools or self.environment_factories:
            logger.warning("tools and environments: groups without signal are dropped, but not replaced")
            collector.rounds_allowed = 0
        return collector

    def _apply(self, settings: Settings) -> None:
        """Hand new limits to the generator and to rewards that have limits."""
        length = settings.max_completion_length
        self.max_completion_length = length
        if self.use_vllm:
            self.vllm_generation.max_completion_length = length
        else:
            self.generation_config.max_new_tokens = length
            self.generation_kwargs["max_new_tokens"] = length
        limits = (length, settings.overlong_cache)
        if settings.overlong_cache is not None and limits != self._limits:
            for reward in self.reward_funcs:
                if hasattr(reward, "set_limits"):
                    reward.set_limits(max_length=length, cache=settings.overlong_cache)
        self._limits = limits

    def _own_state(self) -> dict[str, Any]:
        return {
            "collector": self._collector.state_dict(),
            "updates": self._updates,
            "step": self._step,
            "last_rollouts": self._last_rollouts,
        }

    def _checkpoint(self, wanted: str | bool | Path | None) -> Path | None:
        if wanted is True:
            newest = latest_complete_checkpoint(self.args.output_dir)
            if newest is None:
                raise RunError(f"no complete checkpoint to resume from in {self.args.output_dir}")
            self.accelerator.wait_for_everyone()  # all have chosen
            if self.accelerator.is_main_process:
                sweep(self.args.output_dir)
            return newest
        return Path(wanted) if wanted else None

    def _check_before_training(self) -> None:
        args = self.args
        row = checks.first_row(self.train_dataset)
        longest = self._collector.check_schedule()
        if self.environment_factories is not None:
            return  # they write parts of the prompt and rewards need them, but they exist only while generating
        config = self.model.config.get_text_config()
        context = args.vllm_max_model_length if self.use_vllm else getattr(config, "max_position_embeddings", None)
        checks.check_lengths(
            self.train_dataset,
            lambda prompt: len(self._tokenize_prompts([prompt])[0][0]),
            context,
            longest,
            {name: getattr(args, name) for name in ("max_tokens_per_microbatch", "max_tokens_per_generation")},
        )
        if args.probe_rewards:
            loop = getattr(self, "async_loop", None)
            checks.probe_rewards(self._scorer, row, self.num_generations, self.eos_token_ids[0], self.state, loop)

    def _say_how(self) -> None:
        logger.info(self.args.describe())
        if self.args.minibatches_per_batch * self.num_iterations == 1:
            logger.warning("one minibatch a batch: the data are on-policy, so epsilon and epsilon_high cannot act")

    def _stop_if_broken(self, value: Tensor, what: str, minibatch: Minibatch | None) -> None:
        finite = bool(torch.isfinite(value))
        if self._most(int(not finite)) == 0:
            return
        path = Path(self.args.output_dir) / f"broken-step-{self.state.global_step}.jsonl"
        records = broken_step_records(minibatch.rollouts) if minibatch else []
        if self.accelerator.is_main_process:
            append_lines(path, records)
        raise RunError(
            f"step {self.state.global_step}: the {what} is {float(value)}; the weights were not changed by it. "
            f"Its {len(records)} rows were written to {path}"
        )

    @property
    def _rollouts_file(self) -> Path:
        return Path(self.args.rollouts_file or Path(self.args.output_dir) / layout.ROLLOUTS)

    def _write_reward_facts(self) -> None:
        path = self._rollouts_file.with_name(layout.REWARDS)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, reward_records(self.reward_funcs, self.reward_func_names))

    def _write_flat_batch(self, batch: GenerationBatch) -> None:
        """Keep a batch without signal at once, whatever `rollouts_every` says: it may be the last, and says why."""
        if not batch.groups:
            self._last_rollouts = self._step
            self._append_rollouts(batch.dropped[: self.args.rollouts_groups])

    def _write_rollouts(self, batch: GenerationBatch) -> None:
        every = self.args.rollouts_every
        if not every or (self._last_rollouts is not None and self._last_rollouts // every == self._step // every):
            return
        self._last_rollouts = self._step
        most = self.args.rollouts_groups
        trained = batch.groups[: max(most - min(len(batch.dropped), most // 4), 0)]
        self._append_rollouts([*trained, *batch.dropped[: most - len(trained)]])

    def _append_rollouts(self, groups: list[Group]) -> None:
        if self.accelerator.is_main_process:
            records = rollout_records(groups, self._step)
            versions = (getattr(reward, "version", None) for reward in self.reward_funcs)
            grader = next((version for version in versions if isinstance(version, str)), None)
            append_lines(self._rollouts_file, [{**record, "grader": grader} for record in records])

    def _report_step(self, minibatch: Minibatch, trained: float, whole: float) -> None:
        metrics = self._metrics["train"]
        sums = self._sums.reduced(self.accelerator)
        tokens = max(sums["tokens"], 1.0)
        figures = {
            "entropy": sums["entropy"] / tokens,
            "clip_ratio/low_mean": sums["low"] / tokens,
            "clip_ratio/high_mean": sums["high"] / tokens,
            "clip_ratio/region_mean": (sums["low"] + sums["high"]) / tokens,
            "advantage_std": minibatch.spread_before,
            "padding_share": minibatch.padding_share,
            "tokens_per_second/trained": sum(minibatch.lengths) / trained,
            "seconds/training": trained,
            "step_time": whole,
        }
        if self.beta:
            figures["kl"] = sums["kl"] / tokens
        for name, seconds in self._seconds.items():
            figures[f"seconds/{name}"] = seconds
        self._seconds.clear()
        for name, value in figures.items():
            metrics[name].append(value)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the passes over the data as the epoch, since the loader only ticks."""
        if self.model.training:
            self.state.epoch = self._collector.epoch
        super().log(logs, start_time)


def _rows(minibatches: list[Minibatch]) -> Iterator[Rollout]:
    return (rollout for minibatch in minibatches for rollout in minibatch.rollouts)
