"""Helpers of the end-to-end tests: a small chain on the embedded model, run as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import preloaded

RECIPE = """\
name: chain
seed: 7
model: {path: tiny}
thinking: {system_prompt: none}
problems:
  train: {tiny: train, count: 64}
  heldout: {tiny: heldout, count: 16}
stages:
  - sft:
      traces: {tiny: true, count: 120}
      trainer: {max_steps: 9, per_device_train_batch_size: 16, learning_rate: 1.0e-3, save_steps: 3, logging_steps: 1}
      evaluate: {every: 4, problems: heldout, count: 4, max_new_tokens: 24}
  - grpo:
      problems: train
      rewards: [length_of_text, {format: {}}]
      trainer:
        max_steps: 8
        prompts_per_batch: 4
        num_generations: 4
        max_completion_length: 24
        learning_rate: 1.0e-3
        save_steps: 2
      rollouts: {log_every: 2}
"""
REWARD = '''\
"""A reward that always differs within a group, so that an untrained model has something to learn."""


def length_of_text(completions, **_):
    """Fewer letters e are better."""
    texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
    return [-text.count("e") / 10 - len(text) / 1000 for text in texts]
'''


def write_recipe(folder: Path, text: str = RECIPE) -> Path:
    """Write the chain's recipe and its reward into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chain_rewards.py").write_text(REWARD)
    file = folder / "chain.yaml"
    file.write_text(text.replace("length_of_text", "chain_rewards:length_of_text"))
    return file


def environment(folder: Path) -> dict[str, str]:
    """A stage's environment: one thread, so that sums are taken in one order, and the reward importable."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])),
        "HF_HUB_OFFLINE": "1",
        "CI": "1",
    }


def start(recipe: Path, output: Path, *words: str, anew: bool = False) -> subprocess.Popen[str] | preloaded.Forked:
    """Start `magistral-recipe run` in a process group of its own.

    Args:
        recipe: the file.
        output: the run folder.
        words: more of the command line.
        anew: start the interpreter anew, and each stage's, as a person does; else they are forked from one that has
            loaded the libraries.
    """
    begin = preloaded.start_anew if anew else preloaded.start
    return begin(["run", str(recipe), "--output", str(output), *words], environment(recipe.parent))


def run(recipe: Path, output: Path, *words: str, anew: bool = False) -> tuple[int, str]:
    """Run to the end; exit code and output."""
    process = start(recipe, output, *words, anew=anew)
    text, _ = process.communicate(timeout=600)
    return process.returncode, text


def kill_when(
    process: subprocess.Popen[str] | preloaded.Forked, moment: Callable[[], bool], *, only_runner: bool = False
) -> None:
    """Kill -9 the whole process group, or the runner alone, at a moment; fail if the run ends before it."""
    while not moment():
        if process.poll() is not None:
            raise AssertionError(f"the run ended before the moment to kill it:\n{process.communicate()[0]}")
        time.sleep(0.001)
    (os.kill if only_runner else os.killpg)(process.pid, signal.SIGKILL)
    process.communicate()


def steps(stage: Path) -> int:
    """The last step in a stage's metrics."""
    try:
        lines = (stage / "metrics.jsonl").read_text().splitlines()
        return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)
    except (OSError, ValueError):
        return 0


def weights_hash(stage: Path) -> str:
    """A hash of the stage's final weights."""
    return hashlib.sha256((stage / "model" / "model.safetensors").read_bytes()).hexdigest()


def metrics_without_time(stage: Path) -> list[dict]:
    """The stage's metrics but for what depends on the clock, or is counted by a library since its process started."""
    timed = ("time", "seconds", "runtime", "per_second", "step_time", "train_loss")
    if stage.name.endswith("sft"):
        timed += ("num_tokens",)
    lines = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) > 1, "nothing but the summary was logged"
    return [{key: value for key, value in line.items() if not any(word in key for word in timed)} for line in lines]
