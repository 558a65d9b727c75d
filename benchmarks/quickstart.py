"""The quickstart over several seeds: scores before and after each stage, with intervals, minutes and memory.

    python benchmarks/quickstart.py                    seeds 1, 2, 3; prints the README's table
    python benchmarks/quickstart.py --seeds 4 5        others

Each seed is a run of `recipes/quickstart.yaml` through the public command in `runs/quickstart-seed-N`; a finished one
is read, not repeated. The table's numbers are those that the command itself prints, read from `scores.json`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from magistral_recipe.report.evaluations import finished_evaluations

ROOT = Path(__file__).parent.parent
HARD = "multiplication"
NAMES = {"base": "base", "sft": "after SFT", "grpo": "after RL"}


def main() -> None:
    """Run the seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    rows = []
    for seed in options.seeds:
        run = options.runs / f"quickstart-seed-{seed}"
        command = [sys.executable, "-m", "magistral_recipe", "run", str(ROOT / "recipes" / "quickstart.yaml")]
        subprocess.run([*command, "--set", f"seed={seed}", "--output", str(run)], check=True)
        rows += table_rows(run, seed)
    scores = ["pass@1", "greedy", "same language", f"{HARD} (hard)", "greedy, hard"]
    head = ["seed", "model", *scores, "clipped", "minutes"]
    print("\n| " + " | ".join(head) + " |\n|" + " --- |" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    peak = max(
        stage["results"]["peak_memory_gib"]
        for seed in options.seeds
        for stage in json.loads((options.runs / f"quickstart-seed-{seed}" / "manifest.json").read_text())["stages"]
    )
    print(f"\npeak memory of a stage's process: {peak:.2f} GiB")


def table_rows(run: Path, seed: int) -> list[list[str]]:
    """One row an evaluated model of a finished run."""
    manifest = json.loads((run / "manifest.json").read_text())
    minutes = sum(stage["seconds"] for stage in manifest["stages"]) / 60
    rows = []
    for label, scores in finished_evaluations(run):
        hard = scores["groups"]["category"][HARD]["scores"]
        rows.append(
            [
                str(seed),
                NAMES[label],
                cell(scores["overall"]["pass@1"]),
                cell(scores["overall"]["greedy_pass@1"]),
                cell(scores["overall"]["language_fidelity"]),
                cell(hard["pass@1"]),
                cell(hard["greedy_pass@1"]),
                f"{clipped(run):.2%}" if label == "grpo" else "",
                f"{minutes:.1f}" if label == "grpo" else "",
            ]
        )
    return rows


def clipped(run: Path) -> float:
    """The mean clipped share of tokens over RL's steps."""
    lines = [json.loads(line) for line in next(run.glob("*-grpo/metrics.jsonl")).read_text().splitlines()]
    shares = [line["clip_ratio/region_mean"] for line in lines if "clip_ratio/region_mean" in line]
    return sum(shares) / len(shares)


def cell(interval: dict[str, Any]) -> str:
    """A percentage with its interval."""
    mean, low, high = (100 * interval[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
