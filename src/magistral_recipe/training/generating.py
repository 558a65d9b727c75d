"""Rounds of generation: TRL generates and calls rewards, this class sees to what comes in and what comes out.

Text keeps its thinking tags, a batch too large for the KV cache is generated in chunks that are verified
meanwhile, and what TRL returns as one padded batch becomes rollouts without padding, known to every rank.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate.utils import gather_object
from torch import Tensor
from trl import GRPOTrainer

from magistral_recipe.training import checks
from magistral_recipe.training.batching import Microbatch, TokenSequence, generation_chunks
from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.contract import check_scored
from magistral_recipe.training.forward import row_logps, unpadded_logps
from magistral_recipe.training.rollouts import Completion, Rollout
from magistral_recipe.training.rounds import Round
from magistral_recipe.training.scoring import Scorer, check_columns
from magistral_recipe.training.vllm import in_place_of_trls
from magistral_recipe.writing.chat_format import decode_completion


@dataclass
class Stash:
    """What a round's parts leave for each other while TRL runs between them; this rank's rows.

    Attributes:
        inputs: the data set's row of each completion.
        prompt_ids, completion_ids: token ids.
        texts: completions as rewards see them.
        rewards: `[N, F]`, those of all ranks.
        parts: columns that rewards logged.
    """

    inputs: list[dict[str, Any]] = field(default_factory=list)
    prompt_ids: list[list[int]] = field(default_factory=list)
    completion_ids: list[list[int]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    rewards: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    parts: dict[str, list[Any]] = field(default_factory=dict)


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

    def generate_round(self, problems: list[dict[str, Any]]) -> Round:
        """Generate and score one round over all ranks."""
        everything = [dict(problem) for problem in problems for _ in range(self.num_generations)]
        size = len(everything) // self.accelerator.num_processes
        first = size * self.accelerator.process_index
        self._stash = Stash(everything[first : first + size])
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
            self._stash.texts, completions = self._shaped(prompts, completion_ids)
        self._stash.prompt_ids, self._stash.completion_ids = prompt_ids, completion_ids
        self._spent("generating", time.perf_counter() - started)
        return (prompt_ids, completion_ids, tool_mask, completions, *rest)

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, multimodal_fields: Any, num_generations: int, has_tool_images: bool = False
    ) -> Any:
        chunks = self._chunks(prompt_ids) if self._may_chunk(images) else [range(len(prompt_ids))]
        if len(chunks) == 1:
            return super()._generate_single_turn(
                prompt_ids, images, multimodal_fields, num_generations, has_tool_images
            )
        completion_ids: list[list[int]] = []
        for chunk in chunks:
            ids, _ = super()._generate_single_turn([prompt_ids[i] for i in chunk], None, {}, num_generations)
            completion_ids += ids
            if self._scorer.all_plain:
                inputs = self._stash.inputs[chunk.start : chunk.stop]
                completions = self._shaped([row["prompt"] for row in inputs], ids)[1]
                arguments = checks.reward_arguments(inputs, completions, ids, self._stop_ids, self.state)
                self._scorer.submit(len(chunk), arguments)
        return completion_ids, None

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> Tensor:
        started = time.perf_counter()
        scores = self._scorer.collect(len(prompts))
        if scores is None:
            arguments = checks.reward_arguments(inputs, completions, completion_ids_list, self._stop_ids, self.state)
            if self.environments is not None:
                arguments["environments"] = self.environments
            scores = self._scorer.score(len(prompts), arguments)
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

    def _shaped(self, prompts: list[Any], completion_ids: list[list[int]]) -> tuple[list[str], list[Any]]:
        """Decode completions with their tags; in the shape that rewards know from TRL, too."""
        texts = [decode_completion(self._tokenizer, ids, self.eos_token_ids) for ids in completion_ids]
        if prompts and isinstance(prompts[0], list):
            return texts, [[{"role": "assistant", "content": text}] for text in texts]
        return texts, list(texts)

    def _may_chunk(self, images: Any) -> bool:
        return (
            self.model.training
            and images is None
            and not (self.use_vllm or self.use_transformers_continuous_batching or self.tools)
            and self.environments is None
        )

    def _chunks(self, prompt_ids: list[list[int]]) -> list[range]:
        lengths = [len(ids) for ids in prompt_ids]
        lengths[-1] = max(lengths[-1], self._most(max(lengths)))  # so that all ranks cut alike
        return generation_chunks(
            lengths, self.max_completion_length, self.args.max_tokens_per_generation, self.num_generations
        )

    def _spent(self, where: str, seconds: float) -> None:
        if self.model.training:  # an evaluation between two steps is neither's
            self._seconds[where] += seconds

    def _most(self, number: int) -> int:
        """Return the largest of the ranks' numbers."""
        return max(gather_object([number])) if self.accelerator.num_processes > 1 else number
