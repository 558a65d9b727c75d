"""How well the votes of samples tell wrong references: precision and recall of what `curate` sets aside for them.

    python benchmarks/curate_labels.py                            the embedded base after SFT on flawless traces
    python benchmarks/curate_labels.py --quickstart runs/quickstart     a quickstart's SFT and RL models beside it

A seeded script takes training problems of the embedded task and gives a tenth of them a wrong answer, some units or a
ten off, one set a seed; the recipe sees no word of which. A model draws 16 samples a problem at temperature 0.7; where
three quarters agree on an answer that is not the reference, the problem goes. All runs through the public command.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

from curate import wilson

from magistral_recipe.curation.ratings import WRONG_LABEL
from magistral_recipe.data import tiny
from magistral_recipe.data.tiny import Flaws
from magistral_recipe.data.tiny.language import LANGUAGES
from magistral_recipe.jsonlines import read_lines

ROOT = Path(__file__).parent.parent
FLAWLESS = Flaws(forget=0.0, malformed=0.0, foreign=tuple((code, 0.0) for code in LANGUAGES))
SFT = """\
  - sft:
      traces: {{path: traces.jsonl}}
      trainer:
        {{max_steps: {steps}, per_device_train_batch_size: 32, learning_rate: 2.0e-3, lr_scheduler_type: linear,
         warmup_steps: 20, save_steps: 100}}
"""
CURATE = """\
  - curate:
      name: seed-{seed}
      problems: labels-{seed}
      clean: null
      duplicates: null
      leaks: null
      difficulty: {{samples: 16, temperature: 0.7, max_new_tokens: 80, above: null, at_most: 1.0}}
      labels: {{agreement: {agreement}}}
"""


def main() -> None:
    """Make the sets, run the recipes, count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=300, help="of each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=300, help="of SFT on flawless traces")
    parser.add_argument("--agreement", type=float, default=0.75)
    parser.add_argument(
        "--quickstart", type=Path, metavar="RUN", help="a run of a quickstart recipe: its first models vote, too"
    )
    parser.add_argument(
        "--base", action=argparse.BooleanOptionalAction, default=True, help="the embedded base after SFT, or only RUN's"
    )
    parser.add_argument("--models", type=int, default=2, help="how many of RUN's models, those that are finished")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    options = parser.parse_args()
    folder = options.runs.resolve() / "labels"
    folder.mkdir(parents=True, exist_ok=True)
    wrong = {seed: plant(folder, options.problems, seed) for seed in options.seeds}
    rows = tiny.traces(6000, flaws=FLAWLESS)
    (folder / "traces.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    models = {"SFT on flawless traces": ("tiny", SFT.format(steps=options.steps))} if options.base else {}
    trained = sorted(options.quickstart.resolve().glob("??-*/model")) if options.quickstart else []
    if options.quickstart and not trained:
        parser.error(f"{options.quickstart}: no stage of it has a model yet")
    for model in trained[: options.models]:
        models[f"the quickstart's {model.parent.name[3:]}"] = (str(model), "")
    print(f"{options.problems} problems, a tenth of them wrong, seeds {options.seeds}, agreement {options.agreement}\n")
    for number, (name, (model, first)) in enumerate(models.items(), start=not options.base):
        run = run_of(folder, number, model, first, options.seeds, options.agreement)
        told(name, run, 1 if first else 0, wrong)


def plant(folder: Path, count: int, seed: int) -> set[str]:
    """Write a set, a tenth of whose answers are wrong; returns the ids of those."""
    random_, wrong, lines = Random(f"labels:{seed}"), set[str](), list[str]()
    rows = tiny.problems("train", count, seed=1000 + seed)
    chosen = set(random_.sample(range(count), count // 10))
    for number, row in enumerate(rows):
        answer = int(row["answer"])
        if number in chosen:
            wrong.add(row["id"])
            answer = max(answer + random_.choice((-10, -2, -1, 1, 2, 10)), 0) or answer + 1
        lines.append(json.dumps({**row, "answer": str(answer)}) + "\n")
    (folder / f"labels-{seed}.jsonl").write_text("".join(lines), "utf-8")
    return wrong


def run_of(folder: Path, number: int, model: str, first: str, seeds: list[int], agreement: float) -> Path:
    """Run the recipe of one model, or go on with it."""
    sets = "".join(f"  labels-{seed}: {{path: labels-{seed}.jsonl}}\n" for seed in seeds)
    stages = first + "".join(CURATE.format(seed=seed, agreement=agreement) for seed in seeds)
    head = f"name: labels\nmodel: {{path: {model}, dtype: float32}}\nthinking: {{system_prompt: none}}\n"
    recipe = folder / f"recipe-{number}.yaml"
    recipe.write_text(f"{head}problems:\n{sets}stages:\n{stages}", "utf-8")
    run = folder / f"model-{number}"
    subprocess.run([sys.executable, "-m", "magistral_recipe", "run", str(recipe), "--output", str(run)], check=True)
    return run


def told(name: str, run: Path, before: int, wrong: dict[int, set[str]]) -> None:
    """Print how many of those set aside are wrong, and how many of the wrong ones are set aside."""
    count: Counter[str] = Counter()
    for place, (seed, those) in enumerate(wrong.items()):
        (file,) = (run / f"{before + place + 1:02d}-seed-{seed}" / "steps").glob("??-labels.dropped.jsonl")
        gone = {str(row["id"]) for _, row in read_lines(file) if row["dropped"]["reason"] == WRONG_LABEL}
        count.update({"gone": len(gone), "wrong": len(those), "found": len(gone & those)})
        each = f"precision {len(gone & those)}/{len(gone)}, recall {len(gone & those)}/{len(those)}"
        print(f"  {name}, seed {seed}: {each}", flush=True)
    for what, of in (("precision", "gone"), ("recall", "wrong")):
        low, high = wilson(count["found"], count[of]) if count[of] else (0.0, 1.0)
        share = count["found"] / max(1, count[of])
        print(
            f"{name:28} {what:10} {count['found']:4} of {count[of]:4}  {share:6.1%} [{low:.1%}, {high:.1%}]", flush=True
        )


if __name__ == "__main__":
    main()
