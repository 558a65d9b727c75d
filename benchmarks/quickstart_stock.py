"""The quickstart's RL on stock `trl.GRPOTrainer`, at equal wall time, from the same SFT model, seed by seed.

    python benchmarks/quickstart.py                    first: runs/quickstart-seed-1 to 3
    python benchmarks/quickstart_stock.py

Stock gets the same model, problems, reward, sampling, clipping, optimizer and learning rate, TRL's own normalisation
(by group) or this project's (by batch: `--scale batch`), as many seconds as this project's RL took, and a learning rate
that falls to 0 over those seconds. Both are then evaluated by the same command on the same held-out problems.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from magistral_recipe.check.recipe_file import load_recipe
from magistral_recipe.data.sources import load_problems
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.report.evaluations import finished_evaluations
from magistral_recipe.rewards import registry
from magistral_recipe.stages.grpo import prompt_dataset
from magistral_recipe.stages.training import chat_format

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "quickstart.yaml"


class WallTime(TrainerCallback):
    """Stops after so many seconds, and lets the learning rate fall to 0 on the way there."""

    def __init__(self, seconds: float, rate: float) -> None:
        self.seconds, self.rate = seconds, rate
        self.curve: list[tuple[float, float]] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.started = time.perf_counter()

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        left = max(1 - (time.perf_counter() - self.started) / self.seconds, 0.0)
        for group in kwargs["optimizer"].param_groups:
            group["lr"] = self.rate * left

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "reward" in (logs or {}):
            self.curve.append((time.perf_counter() - self.started, logs["reward"]))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        control.should_training_stop = time.perf_counter() - self.started >= self.seconds


def own_curve(run: Path) -> list[tuple[float, float]]:
    """Seconds and reward of this project's RL stage; its first step's own seconds count too."""
    records = [json.loads(line) for line in (run / "02-grpo" / "metrics.jsonl").read_text().splitlines()]
    rewards = [record for record in records if "reward" in record]
    began = rewards[0]["time"] - rewards[0]["step_time"]
    return [(record["time"] - began, record["reward"]) for record in rewards]


def train_stock(loaded: LoadedRecipe, run: Path, seed: int, seconds: float, scale: str, output: Path) -> WallTime:
    """Train stock TRL from the run's SFT model, and save its model."""
    recipe = loaded.recipe
    config: Any = next(stage.config for stage in recipe.stages if stage.kind == "grpo")
    settings = config.trainer
    start = run / "01-sft" / "model"
    tokenizer = AutoTokenizer.from_pretrained(start)
    chat = chat_format(recipe, loaded.folder).install(tokenizer)
    rows = load_problems(recipe.problems[config.problems], loaded.folder, None).rows
    size = settings["prompts_per_batch"] * settings["num_generations"] // settings["minibatches_per_batch"]
    clock = WallTime(seconds, settings["learning_rate"])
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(start, dtype="float32"),
        reward_funcs=[registry.build(name, options, chat.thinking) for name, options in config.named_rewards()],
        args=GRPOConfig(
            str(output / "checkpoints"),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            seed=seed,
            max_steps=100_000,
            per_device_train_batch_size=size // 2,
            gradient_accumulation_steps=2,
            steps_per_generation=2 * settings["minibatches_per_batch"],
            num_generations=settings["num_generations"],
            max_completion_length=settings["max_completion_length"],
            learning_rate=settings["learning_rate"],
            lr_scheduler_type="constant",
            max_grad_norm=settings["max_grad_norm"],
            temperature=1.0,
            beta=0.0,
            epsilon=0.2,
            epsilon_high=0.28,
            loss_type="dapo",
            scale_rewards=scale,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        ),
        train_dataset=prompt_dataset(rows, chat),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    trainer.save_model(str(output / "model"))
    return clock


def evaluate(model: Path, seed: int, output: Path) -> dict[str, Any]:
    """Evaluate a model by the public command, with the quickstart's own settings."""
    recipe = output / "evaluate.yaml"
    stages = (
        "stages:\n  - evaluate: {problems: heldout, models: [base], samples: 4, temperature: 0.7, max_new_tokens: 80}\n"
    )
    recipe.write_text(f"extends: {RECIPE}\nmodel: {{path: {model}, dtype: float32}}\nseed: {seed}\n{stages}")
    words = [sys.executable, "-m", "magistral_recipe", "run", str(recipe), "--output", str(output / "evaluation")]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return overall(output / "evaluation", "base")


def overall(run: Path, model: str) -> dict[str, Any]:
    """The scores of an evaluated model over all problems."""
    scores: dict[str, Any] = dict(finished_evaluations(run))[model]["overall"]
    return scores


def text(interval: dict[str, float]) -> str:
    """A score in percent with its interval."""
    return f"{100 * interval['mean']:.1f} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"


def at_quarters(curve: list[tuple[float, float]], seconds: float) -> str:
    """Mean reward of each quarter of the time."""
    quarters = [[r for t, r in curve if q * seconds / 4 <= t < (q + 1) * seconds / 4] for q in range(4)]
    return " → ".join(f"{sum(q) / len(q):.2f}" if q else "–" for q in quarters)


def main() -> None:
    """Train and evaluate seed by seed, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--scale", choices=("group", "batch"), default="group")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    lines = []
    for seed in options.seeds:
        run = options.runs / f"quickstart-seed-{seed}"
        if not (run / "manifest.json").is_file():
            raise SystemExit(f"{run} is not a finished run: python benchmarks/quickstart.py --seeds {seed}")
        output = options.runs / f"stock-{options.scale}-seed-{seed}"
        output.mkdir(parents=True, exist_ok=True)
        ours = own_curve(run)
        seconds = ours[-1][0]
        clock = train_stock(load_recipe(RECIPE, [f"seed={seed}"]), run, seed, seconds, options.scale, output)
        stock = evaluate((output / "model").resolve(), seed, output)
        scores = overall(run, "grpo")
        for name, found, curve in (("this trainer", scores, ours), ("stock TRL", stock, clock.curve)):
            row = [str(seed), name, text(found["pass@1"]), text(found["greedy_pass@1"]), f"{seconds:.0f}"]
            lines.append([*row, str(len(curve)), at_quarters(curve, seconds)])
    head = ["seed", "trainer", "pass@1", "greedy", "seconds", "batches", "reward by quarter of the time"]
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
