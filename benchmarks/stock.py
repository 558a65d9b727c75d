"""Stock `trl.GRPOTrainer` on a recipe's RL stage, at equal wall time: what the comparisons beside this trainer share.

Stock gets the same model, adapter, problems, reward, sampling, clipping, optimizer and learning rate, which falls to 0
over its seconds as it does over the recipe's steps, and TRL's own normalisation (by group) or this project's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from magistral_recipe.data.sources import load_problems
from magistral_recipe.recipe.sections import LoadedRecipe
from magistral_recipe.report.evaluations import finished_evaluations
from magistral_recipe.rewards import registry
from magistral_recipe.stages.grpo import prompt_dataset
from magistral_recipe.stages.training import chat_format
from magistral_recipe.training.best import untouched_randomness
from magistral_recipe.writing.thinking import Thinking

Curve = list[tuple[float, float]]
"""(seconds of training, value)."""


class WallTime(TrainerCallback):
    """Stops after so many seconds of training, and lets the learning rate fall to 0 on the way there.

    Args:
        seconds: of training; what is spent on scores does not count.
        rate: the learning rate at its highest.
        score: of a model, on held-out problems; looked at `looks` times, evenly spread.
        looks: how often.
        warmup: share of the seconds in which the rate rises.
    """

    def __init__(
        self,
        seconds: float,
        rate: float,
        score: Callable[[Any], float] | None = None,
        looks: int = 0,
        warmup: float = 0.0,
    ) -> None:
        self.seconds, self.rate, self.warmup = seconds, rate, warmup
        self.rewards: Curve = []
        self.scores: Curve = []
        self._score = score
        self._due = [seconds * (look + 1) / looks for look in range(looks)] if score else []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._started = time.perf_counter()

    @property
    def gone(self) -> float:
        """Seconds of training so far."""
        return time.perf_counter() - self._started

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        gone = self.gone / self.seconds
        rising = gone / self.warmup if gone < self.warmup else 1.0
        falling = max(1 - gone, 0.0) / (1 - self.warmup)
        for group in kwargs["optimizer"].param_groups:
            group["lr"] = self.rate * min(rising, falling)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if "reward" in (logs or {}):
            self.rewards.append((self.gone, logs["reward"]))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        gone = self.gone
        if self._score is not None and self._due and gone >= self._due[0]:
            self._due = [due for due in self._due if due > gone]
            with untouched_randomness():
                self.scores.append((gone, self._score(kwargs["model"])))
            self._started = time.perf_counter() - gone
        control.should_training_stop = gone >= self.seconds


def own_curves(run: Path, stage: str = "02-grpo") -> tuple[Curve, Curve]:
    """Reward and held-out score of this project's RL stage over its seconds of training.

    The first step's own seconds count; those of an evaluation between two steps do not.
    """
    lines = [json.loads(line) for line in (run / stage / "metrics.jsonl").read_text().splitlines()]
    records = [record for record in lines if "step_time" in record]
    found = run / stage / "best" / "scores.json"
    scores = dict(json.loads(found.read_text())["scores"]) if found.is_file() else {}
    gone, at = 0.0, records[0]["time"] - records[0]["step_time"]
    rewards: Curve = []
    clock: dict[int, float] = {}
    for record in records:
        evaluated = int(record["step"]) - 1 in scores  # between this step and the one before
        gone += record["step_time"] if evaluated else record["time"] - at
        at = record["time"]
        clock[int(record["step"])] = gone
        if "reward" in record:
            rewards.append((gone, record["reward"]))
    return rewards, [(clock[step], score) for step, score in scores.items() if step in clock]


def train_stock(
    loaded: LoadedRecipe,
    start: Path,
    clock: WallTime,
    output: Path,
    *,
    scale: str = "group",
    rows_a_pass: int = 32,
    device: str = "cpu",
) -> None:
    """Train stock TRL on a recipe's `grpo` stage, and save the model.

    Args:
        loaded: the recipe, with its seed.
        start: the SFT model's folder.
        clock: when to stop.
        output: takes checkpoints and `model`.
        scale: of the advantages, TRL's `scale_rewards`.
        rows_a_pass: most completions of a forward pass.
        device: `cpu`, or `cuda` with bfloat16 autocast.
    """
    recipe = loaded.recipe
    config: Any = next(stage for stage in recipe.stages if stage.kind == "grpo")
    settings = config.trainer
    tokenizer = AutoTokenizer.from_pretrained(start)
    chat = chat_format(recipe, loaded.folder).install(tokenizer)
    rows = load_problems(recipe.problems[config.problems], loaded.folder, None).rows
    minibatches = settings.get("minibatches_per_batch", 2)
    size = settings["prompts_per_batch"] * settings["num_generations"] // minibatches
    passes = next(count for count in range(1, size + 1) if size % count == 0 and size // count <= rows_a_pass)
    torch.manual_seed(recipe.seed)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(start, dtype="float32"),
        reward_funcs=rewards_of(config, chat.thinking),
        args=GRPOConfig(
            str(output / "checkpoints"),
            use_cpu=device == "cpu",
            bf16=device != "cpu",
            gradient_checkpointing=device != "cpu",
            seed=recipe.seed,
            max_steps=100_000,
            per_device_train_batch_size=size // passes,
            gradient_accumulation_steps=passes,
            steps_per_generation=passes * minibatches,
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
        peft_config=_adapter(recipe.model.lora),
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    model = trainer.accelerator.unwrap_model(trainer.model)
    plain = model.merge_and_unload() if recipe.model.lora else model
    plain.save_pretrained(output / "model")
    tokenizer.save_pretrained(output / "model")


def rewards_of(config: Any, thinking: Thinking) -> list[Any]:
    """The stage's rewards, punishing length as they do in this trainer, which tells them its limits."""
    settings = config.trainer
    rewards = [registry.build(name, options, thinking) for name, options in config.named_rewards()]
    for reward in rewards:
        if settings.get("overlong_cache") is not None and hasattr(reward, "set_limits"):
            reward.set_limits(max_length=settings["max_completion_length"], cache=settings["overlong_cache"])
    return rewards


def _adapter(lora: Any) -> Any:
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.r,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target_modules,
        task_type="CAUSAL_LM",
    )


def overall(run: Path, model: str) -> dict[str, Any]:
    """The scores of an evaluated model over all problems."""
    scores: dict[str, Any] = dict(finished_evaluations(run))[model]["overall"]
    return scores


def text(interval: dict[str, float]) -> str:
    """A score in percent with its interval."""
    return f"{100 * interval['mean']:.1f} [{100 * interval['low']:.1f}, {100 * interval['high']:.1f}]"


def at_quarters(curve: Curve, seconds: float) -> str:
    """Mean of each quarter of the time."""
    quarters: list[list[float]] = [[], [], [], []]
    for at, value in curve:
        quarters[min(int(4 * at / seconds), 3)].append(value)
    return " → ".join(f"{sum(quarter) / len(quarter):.2f}" if quarter else "–" for quarter in quarters)
