"""The quickstart's RL on stock `trl.GRPOTrainer`, at equal wall time, from the same SFT model, seed by seed.

    python benchmarks/quickstart.py                    first: runs/quickstart-seed-1 to 3
    python benchmarks/quickstart_stock.py

Stock gets what `stock.py` says, TRL's own normalisation (by group) or this project's (by batch: `--scale batch`), and
as many seconds as this project's RL took. Both are then evaluated by the same command on the same held-out problems.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from stock import WallTime, at_quarters, overall, own_curves, text, train_stock

from magistral_recipe.check.recipe_file import load_recipe

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "quickstart.yaml"


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
        loaded = load_recipe(RECIPE, [f"seed={seed}"])
        config: Any = next(stage for stage in loaded.recipe.stages if stage.kind == "grpo")
        ours, _ = own_curves(run)
        seconds = ours[-1][0]
        clock = WallTime(seconds, config.trainer["learning_rate"])
        train_stock(loaded, run / "01-sft" / "model", clock, output, scale=options.scale)
        stock = evaluate((output / "model").resolve(), seed, output)
        scores = overall(run, "grpo")
        for name, found, curve in (("this trainer", scores, ours), ("stock TRL", stock, clock.rewards)):
            row = [str(seed), name, text(found["pass@1"]), text(found["greedy_pass@1"]), f"{seconds:.0f}"]
            lines.append([*row, str(len(curve)), at_quarters(curve, seconds)])
    head = ["seed", "trainer", "pass@1", "greedy", "seconds", "batches", "reward by quarter of the time"]
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for line in lines:
        print("| " + " | ".join(line) + " |")


if __name__ == "__main__":
    main()
