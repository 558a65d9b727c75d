"""Verification beside generation: the wall time of a generation batch with a slow reward.

A reward that takes as long as the generation itself is called on chunks while the next chunk is generated. Printed
are seconds for the batch generated alone, scored alone, and both together in chunks and in one piece, with the
ratio of each to the longer of the two.

    python benchmarks/overlap.py
"""

from __future__ import annotations

import argparse
import json
import logging
import os
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

PROMPTS, GROUP, NEW_TOKENS, PROMPT = 16, 8, 64, "a prompt"


class SlowReward:
    """Sleeps so long for each completion: a verifier that waits for programs."""

    __name__ = "slow"

    def __init__(self) -> None:
        self.seconds_each = 0.0

    def __call__(self, completions: list[str], **_: object) -> list[float]:
        time.sleep(self.seconds_each * len(completions))
        return [float(i % 2) for i in range(len(completions))]


def trainer(reward: SlowReward, chunks: int) -> MagistralGRPOTrainer:
    """Make a trainer whose batch is generated in so many chunks."""
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
    rows = PROMPTS * GROUP // chunks
    args = MagistralGRPOConfig(
        tempfile.mkdtemp(),
        use_cpu=True,
        bf16=False,
        prompts_per_batch=PROMPTS,
        num_generations=GROUP,
        max_completion_length=NEW_TOKENS,
        max_tokens_per_generation=None if chunks == 1 else rows * (len(PROMPT) + NEW_TOKENS),
        generation_kwargs={"min_new_tokens": NEW_TOKENS},
        max_tokens_per_microbatch=4096,
        probe_rewards=False,
        rollouts_every=0,
        max_steps=2,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
    )
    data = Dataset.from_dict({"prompt": [PROMPT] * PROMPTS})
    return MagistralGRPOTrainer(model, reward, args, data, processing_class=tokenizer)


def seconds_of_a_round(made: MagistralGRPOTrainer) -> float:
    """Generate and score one batch."""
    problems = [dict(row, id=str(i)) for i, row in enumerate(made.train_dataset)]
    started = time.perf_counter()
    made.generate_round(problems)
    return time.perf_counter() - started


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    reward = SlowReward()
    chunked, whole = trainer(reward, options.chunks), trainer(reward, 1)
    seconds_of_a_round(chunked)  # warms up
    seconds_of_a_round(whole)
    alone = statistics.median(seconds_of_a_round(chunked) for _ in range(options.repeats))
    reward.seconds_each = alone / (PROMPTS * GROUP)
    times: dict[str, list[float]] = {"in chunks": [], "in one piece": []}
    for _ in range(options.repeats):
        times["in chunks"].append(seconds_of_a_round(chunked))
        times["in one piece"].append(seconds_of_a_round(whole))
    print(
        json.dumps(
            {"chunks": options.chunks, "generation_alone": alone, "reward_alone": alone}
            | {f"both_{name}": statistics.median(values) for name, values in times.items()}
            | {f"ratio_{name}": statistics.median(values) / alone for name, values in times.items()}
        )
    )


if __name__ == "__main__":
    main()
