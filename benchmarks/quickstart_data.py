"""What data made in the chain is worth at equal time: the recipes `quickstart_curated` and `quickstart_bootstrap`.

    python benchmarks/quickstart_data.py curated              seeds 1, 2, 3
    python benchmarks/quickstart_data.py bootstrap --seeds 4

Each seed is a run of the recipe through the public command in `runs/quickstart-KIND-seed-N`; a finished one is read,
not repeated. An arm's seconds are those of the stages that it alone took, sampling among them; of the curated set it is
told what became of each planted fault.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from magistral_recipe.data.tiny.flawed import planted
from magistral_recipe.report.evaluations import finished_evaluations

ROOT = Path(__file__).parent.parent
ARMS = {
    "curated": {"rl_raw": ("rl_raw",), "rl_curated": ("curate", "rl_curated"), "rl_good": ("rl_good",)},
    "bootstrap": {"plain": ("plain",), "grpo2": ("grpo", "traces", "sft2", "grpo2")},
}
"""The arms of each recipe: the model that it ends with → the stages that it alone took."""
RAW = 1000
"""Rows of the flawed set in the recipe."""


def main() -> None:
    """Run the seeds and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=tuple(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    rows, faults = [], Counter[tuple[str, bool]]()
    for seed in options.seeds:
        run = options.runs / f"quickstart-{options.kind}-seed-{seed}"
        recipe = ROOT / "recipes" / f"quickstart_{options.kind}.yaml"
        command = [sys.executable, "-m", "magistral_recipe", "run", str(recipe)]
        subprocess.run([*command, "--set", f"seed={seed}", "--output", str(run)], check=True)
        rows += arms(run, ARMS[options.kind], seed)
        if options.kind == "curated":
            faults += what_became(run)
    print("\n| seed | model | pass@1 | greedy | same language | seconds of its own stages |\n|" + " --- |" * 6)
    for row in rows:
        print("| " + " | ".join(row) + " |")
    if faults:
        print("\n| rows that are | kept | dropped |\n| --- | --- | --- |")
        for kind in dict.fromkeys(kind for kind, _ in planted(RAW)):
            print(f"| {kind} | {faults[kind, True]} | {faults[kind, False]} |")


def arms(run: Path, of: dict[str, tuple[str, ...]], seed: int) -> list[list[str]]:
    """One row an evaluated model of a finished run."""
    seconds = {stage["name"]: stage["seconds"] for stage in json.loads((run / "manifest.json").read_text())["stages"]}
    rows = []
    for label, scores in finished_evaluations(run):
        overall = scores["overall"]
        took = f"{sum(seconds[stage] for stage in of[label]):.0f}" if label in of else ""
        cells = (cell(overall[name]) for name in ("pass@1", "greedy_pass@1", "language_fidelity"))
        rows.append([str(seed), label, *cells, took])
    return rows


def what_became(run: Path) -> Counter[tuple[str, bool]]:
    """How many rows of each kind the curated set kept (True) and lost."""
    folder = next(run.glob("*-curate"))
    kept = {json.loads(line)["id"] for line in (folder / "problems.jsonl").read_text().splitlines()}
    return Counter((kind, row["id"] in kept) for kind, row in planted(RAW))


def cell(interval: dict[str, Any]) -> str:
    """A percentage with its interval."""
    mean, low, high = (100 * interval[key] for key in ("mean", "low", "high"))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


if __name__ == "__main__":
    main()
