"""Verification beside generation: the wall time of a generation batch with a slow reward.

A reward that takes as long as the generation itself is called for completions as they end, while others are still
being written; their lengths are ragged, as those of reasoning. Printed are seconds for the batch generated alone,
scored alone, and both together: completion by completion, group by group and in one piece, with the ratio of each to
the longer of the two.

    python benchmarks/overlap.py
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import random
import statistics
import tempfile
import time

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from datasets import Dataset
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from magistral_recipe.training.config import MagistralGRPOConfig
from magistral_recipe.training.grpo import MagistralGRPOTrainer

PROMPTS, GROUP, PROMPT = 16, 8, "a prompt"
LENGTHS = [
    max(2, min(256, round(math.exp(3.2 + 1.015 * statistics.NormalDist().inv_cdf((i + 0.5) / (PROMPTS * GROUP))))))
    for i in range(PROMPTS * GROUP)
]
"""Log-normal, as in `grpo_step.py`, divided by 15."""


class SlowReward:
    """Sleeps so long for each completion: a verifier that waits for programs."""

    __name__ = "slow"

    def __init__(self) -> None:
        self.seconds_each = 0.0
        self.by_completion = False

    def __call__(self, completions: list[str], **_: object) -> list[float]:
        time.sleep(self.seconds_each * len(completions))
        return [float(i % 2) for i in range(len(completions))]


def trainer(reward: SlowReward) -> MagistralGRPOTrainer:
    """Make a trainer whose completions have given lengths."""
    letters = [chr(code) for code in range(32, 127)]
    core = Tokenizer(models.WordLevel({t: i for i, t in enumerate(["<pad>", "<eos>", "<unk>", *letters])}, "<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>", padding_side="left"
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tokenizer), hidden_size=256, intermediate_size=1024, num_hidden_layers=6)
    )
    args = MagistralGRPOConfig(
        tempfile.mkdtemp(),
        use_cpu=True,
        bf16=False,
        prompts_per_batch=PROMPTS,
        num_generations=GROUP,
        max_completion_length=max(LENGTHS),
        max_tokens_per_microbatch=4096,
        probe_rewards=False,
        rollouts_every=0,
        max_steps=2,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    data = Dataset.from_dict({"prompt": [PROMPT] * PROMPTS})
    made = MagistralGRPOTrainer(model, reward, args, data, processing_class=tokenizer)
    made.eos_token_ids = []  # given lengths alone end a completion
    made._source = source = made._make_source()
    lengths = random.Random(0).sample(LENGTHS, len(LENGTHS))
    source.sample = lambda prompts, *_: source.sampler.sample(prompts, lengths, 0)
    return made


def seconds_of_a_round(made: MagistralGRPOTrainer) -> float:
    """Generate and score one batch."""
    problems = [dict(row, id=str(i)) for i, row in enumerate(made.train_dataset)]
    started = time.perf_counter()
    made.generate_round(problems)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    reward = SlowReward()
    made = trainer(reward)
    early = made._may_score_early
    seconds_of_a_round(made)  # warms up
    alone = statistics.median(seconds_of_a_round(made) for _ in range(options.repeats))
    reward.seconds_each = alone / (PROMPTS * GROUP)
    times: dict[str, list[float]] = {"by_completion": [], "by_group": [], "in_one_piece": []}
    for _ in range(options.repeats):
        for name, taken in times.items():
            reward.by_completion = name == "by_completion"
            made._may_score_early = early if name != "in_one_piece" else lambda: False
            taken.append(seconds_of_a_round(made))
    print(
        json.dumps(
            {"generation_alone": alone, "reward_alone": alone}
            | {f"both_{name}": statistics.median(values) for name, values in times.items()}
            | {f"ratio_{name}": statistics.median(values) / alone for name, values in times.items()}
        )
    )


if __name__ == "__main__":
    main()
