"""How long and how much memory a report takes: a run with a hundred thousand rollouts, made up for it.

    python benchmarks/report.py [--rollouts 100000] [--characters 1200]

Prints the seconds, the peak memory of the process that makes the report, the page's size, and, where Chromium is
installed, how long the page takes until it is drawn and its samples can be browsed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))

MAKE = """
import resource, sys, time
from pathlib import Path
from magistral_recipe.report.build import build_report
started = time.monotonic()
page = build_report(Path(sys.argv[1]))
print(time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, page.stat().st_size / 1e6)
"""


def make_rollouts(path: Path, count: int, characters: int) -> None:
    """Write rollouts of sixteen a group and thirty-two groups a step, with text of about the given length."""
    rng = random.Random(0)
    words = ["so", "we", "add", "the", "two", "numbers", "and", "carry", "one", "therefore", "17", "25", "x", "y"]
    with open(path, "w", encoding="utf-8") as stream:
        for index in range(count):
            step, group = divmod(index // 16, 32)
            thoughts = " ".join(rng.choices(words, k=characters // 4))
            right = rng.random() < 0.3 + 0.5 * index / count
            parts = {"magistral_reward/format": 1.0, "magistral_reward/correctness": float(right)}
            row = {
                "step": step,
                "group": group,
                "id": f"p{(step * 32 + group) % 4000}",
                "problem": f"What is {step} plus {group}?",
                "answer": str(step + group),
                "language": "en",
                "completion": f"<think>\n{thoughts}\n</think>\n\\boxed{{{step + group + (not right)}}}",
                "tokens": characters // 4,
                "truncated": False,
                "reward": 0.1 + 0.9 * right,
                "rewards": {"magistral_reward": 0.1 + 0.9 * right},
                "parts": {**parts, "magistral_reward/reason": "right" if right else "wrong"},
                "advantage": rng.gauss(0, 1),
            }
            stream.write(json.dumps(row) + "\n")


def opening_time(page: Path) -> tuple[float, float]:
    """Seconds until the page is loaded, and until its first sample is there to read."""
    from browser import browser

    with browser() as tab:
        tab.resize(1400, 1000)
        started = time.monotonic()
        tab.open(page)
        tab.until("document.querySelector('.detail h3') !== null")
        wall = time.monotonic() - started
        loaded = tab.evaluate("performance.getEntriesByType('navigation')[0].domComplete") / 1000
    return loaded, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=100_000)
    parser.add_argument("--characters", type=int, default=1_200)
    arguments = parser.parse_args()
    from fabricated import make_run

    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder) / "run", 200)
        file = run / "02-grpo" / "rollouts.jsonl"
        make_rollouts(file, arguments.rollouts, arguments.characters)
        print(f"{arguments.rollouts:,} rollouts, {file.stat().st_size / 1e6:,.0f} MB of them")
        made = subprocess.run([sys.executable, "-c", MAKE, str(run)], check=True, capture_output=True, text=True).stdout
        seconds, gib, megabytes = map(float, made.split())
        print(f"report: {seconds:.1f} s, peak memory {gib:.2f} GiB, page {megabytes:.2f} MB")
        try:
            loaded, wall = opening_time(run / "report.html")
        except StopIteration:
            print("page: not opened, Chromium is not installed")
        else:
            print(f"page: loaded in {loaded:.2f} s, first sample after {wall:.2f} s of the clock")


if __name__ == "__main__":
    main()
