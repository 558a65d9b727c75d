"""Rounds of generation: TRL tokenizes and calls rewards, this class sees to what comes in and what comes out.

Without vLLM completions come from `RolloutSource`, and are verified while others are still being written: each as soon
as it has ended, or with its group where a reward does not say that it looks at one completion at a time. Text keeps
its thinking tags, and what TRL returns as one padded batch becomes rollouts without padding, known to every rank.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOTrainer

from magistral_recipe.generation.rollouts.interface import Sample
from magistral_recipe.sharded import generate_in_step, is_sharded
from magistral_recipe.training import checks
from magistral_recipe.training.batching import Microbatch, TokenSequence
from magistral_recipe.training.best import untouched_randomness
from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.contract import check_scored
from magistral_recipe.training.forward import row_logps, unpadded_logps
from magistral_recipe.training.roll_call import RollCall
from magistral_recipe.training.rollouts import Completion, Rollout
from magistral_recipe.training.rounds import Round
from magistral_recipe.training.sampling import RolloutSource, drawing_of
from magistral_recipe.training.scoring import Scorer, check_columns
from magistral_recipe.training.vllm import in_place_of_trls
from magistral_recipe.writing.chat_format import decode_completion

_PARTS = 16
"""Rewards are called early for at least this part of a round: a call may take long to start."""


@dataclass
class Stash:
    """What a round's parts leave for each other while TRL runs between them; this rank's rows.

    Attributes:
        inputs: the data set's row of each completion.
        prompt_ids, completion_ids: token ids.
        texts: completions as rewards see them.
        rewards: `[N, F]`, those of all ranks.
        parts: columns that rewards logged.
        groups: each completion's group.
        early: text of each row, in the order in which they went to the rewards, where that was before all had ended.
    """

    inputs: list[dict[str, Any]] = field(default_factory=list)
    prompt_ids: list[list[int]] = field(default_factory=list)
    completion_ids: list[list[int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    rewards: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    parts: dict[str, list[Any]] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)
    early: dict[int, str] = field(default_factory=dict)


class RoundGenerator(GRPOTrainer):
    """The half of the trainer that produces completions: `generate_round`, and TRL's methods under it."""

    args: MagistralGRPOConfig
    reward_funcs: list[Any]

    def __init__(self, **arguments: Any) -> None:
        args = arguments["args"]
        with in_place_of_trls(args.vllm_sync, args.vllm_step_seconds):
            super().__init__(**arguments)
        if self.use_vllm:
            self.vllm_generation.stop_on(self.eos_token_ids)
        self._stash = Stash()
        self._skip_logps = False
        self._scorer = Scorer(self.reward_funcs, self.reward_func_names, self.args.reward_seconds or None)
        self._seconds: dict[str, float] = defaultdict(float)
        self._source: RolloutSource | None = None
        self._roll_call = RollCall(self.args.ddp_timeout)

    def generate_round(self, problems: list[dict[str, Any]]) -> Round:
        """Generate and score one round over all ranks."""
        everything = [dict(problem) for problem in problems for _ in range(self.num_generations)]
        size = len(everything) // self.accelerator.num_processes
        first = size * self.accelerator.process_index
        rows = range(first, first + size)
        self._stash = Stash([everything[row] for row in rows], groups=[row // self.num_generations for row in rows])
        outer, self._metrics["train"] = self._metrics["train"], defaultdict(list)
        # TRL would compute the old log-probabilities of all rows now; only rows that train need them.
        self._skip_logps = self.args.steps_per_generation * self.num_iterations > 1
        try:
            output = self._generate_and_score_completions(self._stash.inputs)
        finally:
            figures, self._metrics["train"] = self._metrics["train"], outer
            self._skip_logps = False
        check_scored(set(output))
        sequences = self._sequences(output)
        return Round(self._gathered(problems, sequences, first), self.num_generations, figures)

    def _sequences(self, output: dict[str, Any]) -> list[TokenSequence]:
        """Take TRL's padded batch apart."""
        mask = output["completion_mask"] * output.get("tool_mask", 1)
        padded = {
            "ref_logps": output.get("ref_per_token_logps"),
            "sampler_logps": output.get("sampling_per_token_logps"),
        }
        mask = mask.float().cpu()
        columns: dict[str, Tensor] = {k: v.float().cpu() for k, v in padded.items() if v is not None}
        sequences = []
        for i, (prompt, completion) in enumerate(zip(self._stash.prompt_ids, self._stash.completion_ids, strict=True)):
            own = {name: table[i, : len(completion)] for name, table in columns.items()}
            counts = mask[i, : len(completion)]
            sequences.append(TokenSequence(torch.tensor(prompt), torch.tensor(completion), counts, **own))
        return sequences

    def _gathered(self, problems: list[dict[str, Any]], sequences: list[TokenSequence], first: int) -> list[Rollout]:
        """Make the round's rollouts known to every rank; this one's, from the first on, with their sequences."""
        stash, stop_ids = self._stash, self._stop_ids
        told = [
            Completion(
                text,
                sequence.length,
                len(ids),
                int(sequence.mask.sum()),
                ids[-1] not in stop_ids,
                {name: column[i] for name, column in stash.parts.items()},
            )
            for i, (sequence, ids, text) in enumerate(zip(sequences, stash.completion_ids, stash.texts, strict=True))
        ]
        if self.accelerator.num_processes > 1:
            told = gather_object(told)
        columns = sorted({name for each in told for name in each.parts})
        rewards = stash.rewards.float().cpu()  # TRL has gathered them
        totals = (rewards * self.reward_weights.cpu()).nansum(dim=1)
        totals[rewards.isnan().all(dim=1)] = torch.nan
        rollouts = [
            Rollout(
                each.text,
                each.length,
                each.completion_length,
                each.counted,
                each.truncated,
                {name: each.parts.get(name) for name in columns},
                problem=problems[i // self.num_generations],
                rewards=dict(zip(self.reward_func_names, values, strict=True)),
                reward=total,
            )
            for i, (each, values, total) in enumerate(zip(told, rewards.tolist(), totals.tolist(), strict=True))
        ]
        for rollout, sequence in zip(rollouts[first : first + len(sequences)], sequences, strict=True):
            rollout.sequence = sequence
        return rollouts

    def _generate(self, prompts: list[Any]) -> tuple[Any, ...]:
        started = time.perf_counter()
        prompt_ids, completion_ids, tool_mask, completions, *rest = super()._generate(prompts)
        if self.tools:  # TRL's parsed messages are what an environment needs
            self._stash.texts = [str(completion) for completion in completions]
        else:
            early = self._stash.early if self.model.training else {}  # an evaluation finds the last round's
            texts = [early[row] for row in range(len(completion_ids))] if early else self._decoded(completion_ids)
            self._stash.texts, completions = texts, _shaped(prompts, texts)
        self._stash.prompt_ids, self._stash.completion_ids = prompt_ids, completion_ids
        self._spent("generating", time.perf_counter() - started)
        return (prompt_ids, completion_ids, tool_mask, completions, *rest)

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> Any:
        seed = self._rounds_seed(images)
        if seed is None:
            if is_sharded(self.model):
                generate_in_step(self.model)
            found = super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
            self._roll_call("the end of its rollouts")
            return found
        source = self._source = self._source or self._make_source()
        done: dict[int, Sample] = {}
        groups = self._make_groups() if self._may_score_early() else None
        first = self.accelerator.process_index * len(prompt_ids)
        for samples in source.sample(prompt_ids, self.max_completion_length, seed, first):
            done |= {sample.row: sample for sample in samples}
            if groups is not None:
                groups.ended(sample.row for sample in samples)
                if len(done) < len(prompt_ids) and (rows := groups.take()):
                    self._score_early(rows, done)
        if groups is not None and self._stash.early:
            self._score_early(groups.take(all_of_them=True), done)
        for name, value in source.sampler.figures.items():
            self._metrics["train" if self.model.training else "eval"][name].append(value)
        self._roll_call("the end of its rollouts")
        return [done[row].ids for row in range(len(done))], [done[row].logps for row in range(len(done))]

    def complete(self, prompts: list[list[int]], new_tokens: int, seed: int) -> list[list[int]]:
        """Complete prompts as rollouts are, outside of any round; not with vLLM. No random state changes.

        Args:
            prompts: token ids.
            new_tokens: most tokens of a completion.
            seed: of the noise.

        Returns:
            Token ids.
        """
        source = self._source = self._source or self._make_source()
        with untouched_randomness():
            torch.manual_seed(seed)
            parts = source.sample(prompts, new_tokens, _drawn_seed())
            done = {sample.row: sample.ids for part in parts for sample in part}
        return [done[row] for row in range(len(prompts))]

    def _rounds_seed(self, images: Any) -> int | None:
        """The number that the round's noise hangs on, the first process's: a completion is that of its place in the
        round, whoever writes it. ``None`` where TRL samples: with vLLM, and where a process has images."""
        if self.use_vllm:
            return None
        drawn = [_drawn_seed() if images is None else None]
        told = gather_object(drawn) if self.accelerator.num_processes > 1 else drawn
        return None if None in told else told[0]

    @property
    def _sampled_exactly(self) -> bool:
        return self._source is not None and self._source.exact

    def _make_groups(self) -> _WholeGroups:
        rows = len(self._stash.groups)
        if self._scorer.by_completion:
            return _WholeGroups(list(range(rows)), rows // _PARTS)
        return _WholeGroups(self._stash.groups, rows // _PARTS)

    def _make_source(self) -> RolloutSource:
        args = self.args
        return RolloutSource(
            self.accelerator.unwrap_model(self.model_wrapped),
            args.rollout_backend,
            args.rollout_weights,
            drawing_of(self.generation_kwargs, self.eos_token_ids, self._tokenizer.pad_token_id),
            self.accelerator.mixed_precision,
            args.max_tokens_per_generation,
        )

    def _score_early(self, rows: list[int], done: dict[int, Sample]) -> None:
        """Hand completions to the rewards while others are still being written."""
        inputs, ids = [self._stash.inputs[row] for row in rows], [done[row].ids for row in rows]
        texts = self._decoded(ids)
        self._stash.early |= zip(rows, texts, strict=True)
        completions = _shaped([row["prompt"] for row in inputs], texts)
        arguments = checks.reward_arguments(inputs, completions, ids, self._stop_ids, self.state)
        self._scorer.submit(len(rows), arguments)

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Tensor:
        started = time.perf_counter()
        scores = self._scorer.collect(len(prompts))
        if scores is not None:
            scores = scores.in_order(list(self._stash.early))
        else:
            arguments = checks.reward_arguments(inputs, completions, completion_ids_list, self._stop_ids, self.state)
            if self.environments is not None:
                arguments["environments"] = self.environments
            scores = self._scorer.score(len(prompts), arguments)
        self._roll_call("the end of its rewards")
        functions = self.reward_funcs
        self.reward_funcs = self._scorer.replay(functions, scores)
        try:
            rewards = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        finally:
            self.reward_funcs = functions
        self._stash.rewards = rewards
        self._stash.parts = {name: list(values) for name, values in self._pending_extra_logs.items()}
        check_columns(self._stash.parts, len(prompts), "rewards have logged")
        self._spent("waiting", time.perf_counter() - started)
        self._spent("verifying", scores.seconds)
        return rewards

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **vision: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        if compute_entropy or not self.model.training:  # TRL's own loss, in its evaluation
            return super()._get_per_token_logps_and_entropies(
                model,
                input_ids,
                attention_mask,
                logits_to_keep,
                batch_size,
                compute_entropy,
                compute_aux_loss,
                **vision,
            )
        if self._skip_logps:
            self._skip_logps = False
            return torch.zeros(len(input_ids), logits_to_keep, device=input_ids.device), None, None

        def forward(microbatch: Microbatch) -> Tensor:
            with self.accelerator.autocast():
                return row_logps(model, microbatch)[0]

        budget, pad = self.args.max_tokens_per_microbatch, self._tokenizer.pad_token_id
        return (
            unpadded_logps(forward, input_ids, attention_mask, logits_to_keep, budget, pad, self._most),
            None,
            None,
        )

    @property
    def _stop_ids(self) -> set[int]:
        return {*self.eos_token_ids, self._tokenizer.pad_token_id}

    def _decoded(self, completion_ids: list[list[int]]) -> list[str]:
        """Completions as text, with their tags."""
        return [decode_completion(self._tokenizer, ids, self.eos_token_ids) for ids in completion_ids]

    def _may_score_early(self) -> bool:
        return (
            self.model.training
            and self._scorer.all_plain
            and not self.tools
            and self.environments is None
            and bool(self._stash.groups)
        )

    def _spent(self, where: str, seconds: float) -> None:
        if self.model.training:  # an evaluation between two steps is neither's
            self._seconds[where] += seconds

    def _most(self, number: int) -> int:
        """Return the largest of the ranks' numbers."""
        return max(gather_object([number])) if self.accelerator.num_processes > 1 else number


def _drawn_seed() -> int:
    """A number by which noise hangs on torch's random state, which checkpoints keep."""
    return int(torch.randint(2**62, ()))


def _shaped(prompts: list[Any], texts: list[str]) -> list[Any]:
    """Completions in the shape that rewards know from TRL."""
    if prompts and isinstance(prompts[0], list):
        return [[{"role": "assistant", "content": text}] for text in texts]
    return list(texts)


class _WholeGroups:
    """Tells which groups have ended: a reward may compare the completions of one.

    Args:
        groups: the group of each row.
        least: rows to hand over at once, at least: a reward may take long to start.
    """

    def __init__(self, groups: list[int], least: int) -> None:
        self._group, self._least = groups, least
        self._rows: dict[int, list[int]] = {}
        for row, group in enumerate(groups):
            self._rows.setdefault(group, []).append(row)
        self._left = {group: len(rows) for group, rows in self._rows.items()}
        self._whole: list[int] = []

    def ended(self, rows: Iterable[int]) -> None:
        """Take note of rows that have ended, each once."""
        for group in map(self._group.__getitem__, rows):
            self._left[group] -= 1
            if not self._left[group]:
                self._whole += self._rows[group]

    def take(self, all_of_them: bool = False) -> list[int]:
        """Return the rows of groups that have ended and were not returned before.

        Args:
            all_of_them: also if they are few.
        """
        if not all_of_them and len(self._whole) < max(self._least, 1):
            return []
        rows, self._whole = self._whole, []
        return rows
