"""How long the statistics of an evaluation take, and how much memory.

    python benchmarks/evaluation.py --samples 100000

Makes up an evaluation of the paper's kind, 64 samples a problem, and computes pass@k, maj@k, intervals, lengths,
rates and a paired comparison with a second one from answers and verdicts. Verification and language identification
are left out: `benchmarks/rewards.py` and `benchmarks/language.py` measure those. Prints one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import time
from collections.abc import Callable
from typing import TypeVar

from magistral_recipe.evaluation.estimators import length_stats, maj_at_k, pass_at_k, pass_at_k_of_problems, rate
from magistral_recipe.evaluation.statistics import bootstrap_interval, mean_interval, paired_difference
from magistral_recipe.evaluation.votes import group_answers, right_answers

Result = TypeVar("Result")

A_PROBLEM = 64
K = (1, 2, 4, 8, 16, 32, 64)
FORMS = ("{}", r"\frac{{{}}}{{1}}", "{}.0", " {} ")
"""The same number, written in as many ways as models do."""


def answers_of(problem: int, source: random.Random) -> list[str | None]:
    """The answers of one problem's samples: right at the problem's own rate, else spread over wrong ones."""
    rate_right, wrong = source.betavariate(0.6, 0.6), source.randint(1, 40)

    def answer() -> str | None:
        if source.random() < 0.05:
            return None
        value = problem if source.random() < rate_right else problem + source.randint(1, wrong)
        return source.choice(FORMS).format(value)

    return [answer() for _ in range(A_PROBLEM)]


def main() -> None:
    """Measure each figure and the whole."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000)
    arguments = parser.parse_args()
    source = random.Random(0)
    problems = max(2, arguments.samples // A_PROBLEM)
    answers = [answers_of(problem, source) for problem in range(problems)]
    references = [[str(problem)] for problem in range(problems)]
    lengths = [[source.randint(100, 32_000) for _ in range(A_PROBLEM)] for _ in range(problems)]
    print(json.dumps({"machine": platform.platform(), "python": platform.python_version(), "cores": os.cpu_count()}))
    print(json.dumps({"problems": problems, "samples": problems * A_PROBLEM, "load": round(os.getloadavg()[0], 2)}))
    started, cpu = time.perf_counter(), time.process_time()
    right = measured("answers judged by the rules", lambda: right_answers(answers, references))
    groups = measured("answers grouped by meaning", lambda: group_answers(answers))
    verdicts = [[float(each) for each in problem] for problem in right]
    measured(f"pass@k, k = {K}", lambda: pass_at_k_of_problems(verdicts, K))
    votes = measured(
        f"maj@k, k = {K}",
        lambda: {k: [maj_at_k(g, r, k) for g, r in zip(groups, right, strict=True)] for k in K},
    )
    measured("interval of pass@1", lambda: mean_interval(verdicts))
    measured(
        "intervals of pass@k and maj@k",
        lambda: [
            (
                mean_interval([[pass_at_k(A_PROBLEM, int(sum(problem)), k)] for problem in verdicts]),
                mean_interval([[vote] for vote in votes[k]]),
            )
            for k in K
        ],
    )
    measured("bootstrap interval of maj@64", lambda: bootstrap_interval(votes[64], lambda rows: sum(rows) / len(rows)))
    measured("paired difference", lambda: paired_difference(verdicts, verdicts[1:] + verdicts[:1]))
    measured("interval of lengths", lambda: mean_interval(lengths, bounds=None))
    flat = [length for problem in lengths for length in problem]
    measured("lengths and truncation", lambda: (length_stats(flat), rate([int(length > 31_000) for length in flat])))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        json.dumps(
            {"measured": "all", "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_GiB": round(peak, 2)}
        )
    )


def measured(name: str, compute: Callable[[], Result]) -> Result:
    """Compute, and print how long it took."""
    started, cpu = time.perf_counter(), time.process_time()
    result = compute()
    seconds = {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}
    print(json.dumps({"measured": name, **{key: round(value, 3) for key, value in seconds.items()}}), flush=True)
    return result


if __name__ == "__main__":
    main()
