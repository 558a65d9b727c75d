"""A GRPO step in which the rows of one process give a part of the reward no value: a script, to run in two processes.

It uses nothing that TRL 1.0 does not have, and keeps to the tiny model of `tiny_grpo`.
"""

import json
import sys
from pathlib import Path

import trl
from datasets import Dataset
from preloaded import join
from tiny_grpo import model_and_tokenizer

from magistral_recipe.rewards import CodeCorrectness, LanguageConsistency, MagistralReward, MathCorrectness


def train(output: Path) -> trl.GRPOTrainer:
    """Train for two steps: one process has rows of mathematics, the other of prose, and neither has code."""
    model, tokenizer = model_and_tokenizer()
    rows = [
        {"prompt": "2+2?", "answer": "4", "kind": "math", "tests": None, "problem": "What is the sum of two and two?"},
        {"prompt": "Say hi.", "answer": None, "kind": "text", "tests": None, "problem": "Say hello to everybody."},
    ]  # fmt: skip
    arguments = trl.GRPOConfig(
        output_dir=str(output), per_device_train_batch_size=4, num_generations=4, max_completion_length=8, max_steps=2,
        logging_steps=1, report_to="none", use_cpu=True, save_strategy="no", bf16=False, disable_tqdm=True,
        shuffle_dataset=False,
    )  # fmt: skip
    rewards = [MagistralReward(), MathCorrectness(), CodeCorrectness(), LanguageConsistency(thinking=None)]
    trainer = trl.GRPOTrainer(
        model=model, reward_funcs=rewards, args=arguments, train_dataset=Dataset.from_list(rows * 4),
        processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    return trainer


if __name__ == "__main__":
    join()
    trainer = train(Path(sys.argv[1]))
    log = [entry for entry in trainer.state.log_history if "reward" in entry]
    record = {"trl": trl.__version__, "log": log, "processes": trainer.accelerator.num_processes}
    (Path(sys.argv[1]) / f"rank{trainer.accelerator.process_index}.json").write_text(json.dumps(record))
