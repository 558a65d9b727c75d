"""Which learning rate and batch RL of SmolLM2-135M wants: short runs on a CPU, all from one SFT model, side by side.

    OMP_NUM_THREADS=1 python benchmarks/rl_rates.py --out runs/rl-rates     # an hour of one core
    OMP_NUM_THREADS=1 python benchmarks/rl_rates.py --out runs/rl-rates --arms 1e-4@12 full:5e-5
    python benchmarks/rl_rates.py --out runs/tried --tiny                   # this script alone: a model of random words

`recipes/smollm2_135m_gpu.yaml` with fewer terms and smaller batches, so that one takes a minute of a core: SFT once on
traces that forget as many carries as the recipe's, or `--forget` of them (give that a folder of its own); RL from it
at each rate by the public command, each evaluated on the same held-out sums. What is finished is read, not repeated.
An arm is a learning rate of its adapters, `RATE`, or `full:RATE` for all weights; `@PROMPTS` gives it another batch at
as many completions in all. The rate is constant after two steps of warm-up, where the recipe's falls: a short run is
to show what a rate does at its full height.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from magistral_recipe.evaluation.comparison import compare_runs
from magistral_recipe.evaluation.paired import Paired
from magistral_recipe.report.evaluations import latest_scores

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "smollm2_135m_gpu.yaml"
ARMS = ["3e-5", "1e-4", "3e-4", "1e-3"]
MINIBATCHES = 2
CORRECT = "magistral_reward/correctness"


@dataclass(frozen=True)
class Size:
    """How much is run: `problems` held-out sums, and batches of `prompts` groups of `completions`, `groups` in all."""

    model: dict[str, Any]
    terms: list[int]
    traces: int
    forget: float
    sft_steps: int
    problems: int
    prompts: int
    completions: int
    groups: int
    tokens: int


SMALL = Size({}, [2, 4], 600, 0.3, 60, 192, 6, 6, 60, 96)
TINY = Size({"path": "tiny", "lora": {"r": 4, "alpha": 8, "handover": "merge"}}, [2, 3], 32, 0.3, 2, 4, 2, 2, 4, 16)


@dataclass(frozen=True)
class Arm:
    """One RL run: its rate, whether all weights train, and the prompts of a batch."""

    name: str
    rate: float
    full: bool
    prompts: int

    @classmethod
    def read(cls, text: str, size: Size) -> Arm:
        """Read `[full:]RATE[@PROMPTS]`.

        Raises:
            ValueError: if it is something else, or the batch doesn't divide the groups.
        """
        rate, _, prompts = text.removeprefix("full:").partition("@")
        arm = cls(text, float(rate), text.startswith("full:"), int(prompts or size.prompts))
        if arm.prompts < 1 or size.groups % arm.prompts or arm.prompts * size.completions % MINIBATCHES:
            raise ValueError(f"{text}: {size.groups} groups of {size.completions} do not make batches of {arm.prompts}")
        return arm

    @property
    def folder(self) -> str:
        """The name of its run's folder."""
        return self.name.replace(":", "-").replace("@", "-batch-")


def problems(size: Size) -> dict[str, Any]:
    """The sums to train on, and those held out."""
    return {
        "train": {"sums": "train", "count": 2 * size.traces, "terms": size.terms, "seed": 1},
        "heldout": {"sums": "heldout", "count": size.problems, "terms": size.terms},
    }


def evaluation(model: str, size: Size) -> dict[str, Any]:
    """The stage that scores a model, at the temperature that RL samples at."""
    return {
        "evaluate": {
            "problems": "heldout",
            "models": [model],
            "samples": 1,
            "temperature": 1.0,
            "greedy": False,
            "max_new_tokens": size.tokens,
        }
    }


def sft_recipe(size: Size) -> dict[str, Any]:
    """The recipe of the model that all arms start from."""
    trainer = {
        "max_steps": size.sft_steps,
        "per_device_train_batch_size": 8,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "linear",
        "warmup_steps": 5,
        "save_steps": size.sft_steps,
    }
    traces = {"sums": "train", "count": size.traces, "terms": size.terms, "seed": 2, "forget": size.forget}
    return {
        "extends": str(RECIPE),
        "name": "rl-rates-sft",
        "model": size.model,
        "problems": problems(size),
        "stages": [{"sft": {"traces": traces, "trainer": trainer}}, evaluation("sft", size)],
    }


def rl_recipe(arm: Arm, start: Path, size: Size) -> dict[str, Any]:
    """The recipe of one arm."""
    trainer = {
        "max_steps": MINIBATCHES * size.groups // arm.prompts,
        "prompts_per_batch": arm.prompts,
        "num_generations": size.completions,
        "minibatches_per_batch": MINIBATCHES,
        "max_completion_length": size.tokens,
        "overlong_cache": size.tokens // 4,
        "learning_rate": arm.rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": 2,
        "max_grad_norm": 0.5,
        "max_refill_rounds": 1,
        "save_steps": 10_000,
    }
    if size is TINY:
        trainer["keep_uninformative_groups"] = True  # nothing that it says is right
    model = {**size.model, "path": str(start), **({"lora": None} if arm.full else {})}
    rewards = [{"magistral": {"weights": {"language": 0.0}}}]
    return {
        "extends": str(RECIPE),
        "name": f"rl-rates-{arm.folder}",
        "model": model,
        "problems": problems(size),
        "stages": [{"grpo": {"problems": "train", "rewards": rewards, "trainer": trainer}}, evaluation("grpo", size)],
    }


def run(recipe: dict[str, Any], folder: Path) -> bool:
    """Run a recipe by the public command, which reads what is finished; says whether it came to its end."""
    file = folder.parent / f"{folder.name}.json"
    file.write_text(json.dumps(recipe, indent=1))
    environment = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", **os.environ}
    words = [sys.executable, "-m", "magistral_recipe", "run", str(file), "--output", str(folder)]
    return subprocess.run(words, env=environment, check=False).returncode == 0


def row_of(arm: Arm, sft: Path, folder: Path, done: bool) -> dict[str, Any]:
    """What an arm came to."""
    lines = [json.loads(line) for line in (folder / "01-grpo" / "metrics.jsonl").read_text().splitlines()]
    batches = [line for line in lines if "reward" in line]
    found: dict[str, Any] = {
        "arm": arm.name,
        "prompts": arm.prompts,
        "right": [batch.get(CORRECT) for batch in batches],
        "uninformative": [batch.get("groups/uninformative") for batch in batches],
        "clipped": [line.get("clip_ratio/low_mean", 0.0) + line.get("clip_ratio/high_mean", 0.0) for line in lines],
        "gap": [batch["sampling/gap"] for batch in batches if "sampling/gap" in batch],
        "entropy": [line["entropy"] for line in lines if "entropy" in line],
        "seconds": sum(line.get("step_time", 0.0) for line in lines),
        "steps": max(int(line["step"]) for line in lines),
    }
    if done:
        paired = compared(sft, folder)
        found |= {
            "before": latest_scores(sft)["sft"]["overall"]["pass@1"],
            "after": latest_scores(folder)["grpo"]["overall"]["pass@1"],
            "difference": dict(zip(("mean", "low", "high"), paired.difference, strict=True)),
        }
    return found


def compared(sft: Path, folder: Path) -> Paired:
    """The held-out scores before and after, problem by problem."""
    (found,) = compare_runs(sft / "02-evaluate" / "sft", folder / "02-evaluate" / "grpo")
    return found.differences["all"]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All arms, one a line; shares in percent."""
    head = ["rate", "prompts a batch", "right in training, by quarters", "held out before", "held out after"]
    head += ["after - before, paired", "clipped, most", "gap, most", "entropy", "seconds of steps"]
    out = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in rows:
        ended = "before" in row
        scores = [_score(row[key]) if ended else f"stopped at step {row['steps']}" for key in ("before", "after")]
        cells = [row["arm"], str(row["prompts"]), " → ".join(f"{100 * share:.0f}" for share in quarters(row["right"]))]
        cells += [*scores, _score(row["difference"], "+") if ended else "–"]
        cells += [f"{100 * max(row['clipped'], default=0.0):.1f}%", f"{max(row['gap'], default=float('nan')):.1e}"]
        cells += [f"{row['entropy'][0]:.2f} → {row['entropy'][-1]:.2f}", f"{row['seconds']:.0f}"]
        out.append("| " + " | ".join(cells) + " |")
    return "\n".join(out)


def quarters(values: Sequence[float]) -> list[float]:
    """The mean of each quarter of some values; of fewer than four, the values."""
    parts = min(4, len(values))
    cuts = [len(values) * part // parts for part in range(parts + 1)]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(cuts)]


def _score(interval: dict[str, float], sign: str = "") -> str:
    mean, low, high = (format(100 * interval[key], f"{sign}.1f") for key in ("mean", "low", "high"))
    return f"{mean} [{low}, {high}]"


def main() -> None:
    """SFT once, RL for every arm, a table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "rl-rates")
    parser.add_argument("--arms", nargs="+", metavar="[full:]RATE[@PROMPTS]", default=ARMS)
    parser.add_argument(
        "--batches", type=int, default=10, help=f"of {SMALL.prompts} groups, or as many groups of others"
    )
    parser.add_argument("--forget", type=float, default=SMALL.forget, help="share of the carries that traces forget")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and a few steps: tries this script alone")
    options = parser.parse_args()
    size = TINY if options.tiny else replace(SMALL, forget=options.forget, groups=options.batches * SMALL.prompts)
    try:
        arms = [Arm.read(text, size) for text in options.arms]
    except ValueError as error:
        parser.error(str(error))
    out = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not run(sft_recipe(size), out / "sft"):
        raise SystemExit(f"failed: {out / 'sft'}")
    rows = []
    for arm in arms:
        done = run(rl_recipe(arm, out / "sft" / "01-sft" / "model", size), out / arm.folder)
        if not (done or (out / arm.folder / "01-grpo" / "metrics.jsonl").is_file()):
            raise SystemExit(f"failed before its first step: {out / arm.folder}")
        rows.append(row_of(arm, out / "sft", out / arm.folder, done))
        (out / "rows.json").write_text(json.dumps(rows, indent=1))
        print(f"\n{table(rows)}\n", flush=True)


if __name__ == "__main__":
    main()
