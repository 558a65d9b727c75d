"""A chain in one process, killed (SIGKILL) as it writes a named file; forked from a warm interpreter, to be quick.

Also a script: `python write_points.py FOLDER` reads cases from standard input, one JSON object a line (`{"run",
"stage", "schedule", "kill"}`), and answers each with how the chain ended. One process imports torch; each case is a
fork of it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

SFT = """\
name: points
seed: 7
model: {path: tiny}
thinking: {system_prompt: none}
problems: {train: {tiny: train, count: 8}}
stages:
  - sft:
      traces: {tiny: true, count: 24}
      trainer: {max_steps: 4, per_device_train_batch_size: 4, learning_rate: 1.0e-3, save_steps: 2, logging_steps: 1,
                lr_scheduler_type: SCHEDULE}
"""
GRPO = """\
name: points
seed: 7
model: {path: tiny}
thinking: {system_prompt: none}
problems: {train: {tiny: train, count: 8}}
stages:
  - grpo:
      problems: train
      rewards: ["write_points:fewer_letters"]
      rollouts: {log_every: 1}
      trainer: {max_steps: 4, prompts_per_batch: 2, num_generations: 2, max_completion_length: 8, learning_rate: 1.0e-3,
                save_steps: 2, lr_scheduler_type: SCHEDULE}
"""
BEST = (
    SFT
    + """\
      evaluate: {every: 1, problems: train, count: 2, max_new_tokens: 4}
"""
)
RECIPES = {"sft": SFT, "grpo": GRPO, "best": BEST}
FOLDERS = {"sft": "01-sft", "grpo": "01-grpo", "best": "01-sft"}

POINTS = {
    "the run's own name": ("rename", r"/\.run\.json$"),
    "the resolved recipe": ("rename", r"run/recipe\.yaml$"),
    "the first manifest": ("rename", r"manifest\.json$"),
    "the stage's record, begun": ("rename", r"stage\.json$"),
    "the first checkpoint, half of it": ("open", r"checkpoint-2/trainer_state\.json$"),
    "the first checkpoint's mark": ("rename", r"checkpoint-2/complete\.json$"),
    "the second checkpoint, half of it": ("open", r"checkpoint-4/trainer_state\.json$"),
    "the last checkpoint's mark": ("rename", r"checkpoint-4/complete\.json$"),
    "the model, its first file": ("open", r"\.model\.tmp/config\.json$"),
    "the model, half of it": ("open", r"\.model\.tmp/tokenizer_config\.json$"),
    "the model's name": ("rename", r"/model$"),
    "the stage's record, complete": ("rename", r"stage\.json$", 2),
    "the manifest, at the end": ("rename", r"manifest\.json$", 2),
    "the scores beside the best weights": ("rename", r"best/scores\.json$", 2),
}
"""What is about to be written as the kill comes: a kind of event, a path, and which time, where not the first."""


def fewer_letters(completions: list[Any], **_: Any) -> list[float]:
    """A reward that differs within a group."""
    texts = [each if isinstance(each, str) else each[-1]["content"] for each in completions]
    return [-text.count("e") / 10 - len(text) / 1000 for text in texts]


def run_chain(folder: Path, stage: str, schedule: str) -> None:
    """Run one stage's chain in this process, as under `accelerate launch`."""
    import warnings

    from magistral_recipe.chain import run
    from magistral_recipe.check.recipe_file import load_recipe
    from magistral_recipe.terminal.console import quieten_libraries

    warnings.filterwarnings("ignore")
    quieten_libraries()
    run._report = lambda path, display: None  # type: ignore[assignment]  # a page of its own, drawn from what is there
    folder.mkdir(exist_ok=True)
    recipe = folder / "points.yaml"
    recipe.write_text(RECIPES[stage].replace("SCHEDULE", schedule))
    run.run_recipe(load_recipe(recipe), run.RunOptions(output=folder / "run", prove=False))


def kill_at(point: str) -> None:
    """Die as a file is written."""
    event, pattern, *times = POINTS[point]
    left = times[0] if times else 1

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if name != {"open": "open", "rename": "os.rename"}[event]:
            return
        path = str(arguments[1] if event == "rename" else arguments[0])
        writes = event == "rename" or (isinstance(arguments[1], str) and arguments[1][0] in "wax")
        if writes and re.search(pattern, path):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _case(root: Path, case: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        log = os.open(root / "log.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            if case["kill"]:
                kill_at(case["kill"])
            run_chain(root / case["run"], case["stage"], case["schedule"])
        except BaseException:  # noqa: BLE001 - the child's outermost frame
            import traceback

            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Answer cases until there are no more."""
    root = Path(sys.argv[1])
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no"
    import torch
    import trl  # noqa: F401
    from peft import PeftModel  # noqa: F401
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer  # noqa: F401

    import magistral_recipe.stages.grpo
    import magistral_recipe.training.grpo  # noqa: F401

    torch.set_num_threads(1)
    for line in sys.stdin:
        sys.stdout.write(f"{_case(root, json.loads(line))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
