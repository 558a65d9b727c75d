"""How well curation finds planted faults, and how fast it is.

    python benchmarks/curate.py                    faults in 2,000 problems, three seeds
    python benchmarks/curate.py --rows 1000000 --workers 2     rows a second and memory of the steps without a model

A seeded script plants ten percent of each fault into problems that are made here, with near misses that must stay. What
was planted is kept apart from what curation sees: it is told by the problem's id alone, and compared afterwards.
"""

from __future__ import annotations

import argparse
import math
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from curate_faults import Planted, heldout_and_train, plant, worded

from magistral_recipe.curation.clean import clean
from magistral_recipe.curation.duplicates import deduplicate
from magistral_recipe.curation.funnel import Count, Funnel
from magistral_recipe.curation.leaks import Heldout, Leaks, drop_leaks
from magistral_recipe.curation.rows import Row
from magistral_recipe.data.problems import Problem


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--rows", type=int, help="measure speed and memory on so many rows instead")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the rows")
    arguments = parser.parse_args()
    if arguments.rows:
        speed(arguments.rows, arguments.workers)
    else:
        faults(arguments.problems, arguments.seeds)


def faults(problems: int, seeds: list[int]) -> None:
    """Plant faults, curate, and say what was found of each kind."""
    totals: dict[str, Counter[str]] = {}
    for seed in seeds:
        heldout, train = heldout_and_train(problems, seed)
        planted = plant(train, heldout, seed)
        for kind, (found, of) in measured(planted, heldout).items():
            totals.setdefault(kind, Counter()).update({"found": found, "of": of})
    print(f"{problems:,} problems, seeds {seeds}: share of the rows of each kind that went (95% interval)\n")
    print(f"{'kind':34} {'went':>6} {'of':>6}  share")
    for kind, count in totals.items():
        low, high = wilson(count["found"], count["of"])
        share = count["found"] / count["of"]
        print(f"{kind:34} {count['found']:6,} {count['of']:6,}  {share:6.1%} [{low:.1%}, {high:.1%}]")


def wilson(found: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share."""
    share, middle = found / of, z * z / of
    half = z * math.sqrt(share * (1 - share) / of + middle / (4 * of)) / (1 + middle)
    centre = (share + middle / 2) / (1 + middle)
    return max(0.0, centre - half), min(1.0, centre + half)


def measured(planted: Planted, heldout: list[Problem]) -> dict[str, tuple[int, int]]:
    """Curate a planted set, and count by kind how many rows are gone."""
    with tempfile.TemporaryDirectory() as folder:
        left = {row.problem.id for row in curated(planted.rows, heldout, Path(folder))}
    gone: dict[str, tuple[int, int]] = {}
    for id_, kind in planted.kinds.items():
        found, of = gone.get(kind, (0, 0))
        gone[kind] = (found + (id_ not in left), of + 1)
    return dict(sorted(gone.items()))


def curated(
    rows: Iterable[Problem],
    heldout: list[Problem],
    folder: Path,
    tell: Callable[[Count, bool], None] | None = None,
    workers: int = 1,
) -> Iterable[Row]:
    """Run the steps that need no model, as the stage does; what is left is read from a file in the folder."""
    funnel = Funnel(folder, tell)
    leaks = Leaks([Heldout(problem.id, problem.problem, "heldout") for problem in heldout])
    funnel.start("loaded", map(Row, rows))
    funnel.run("clean", lambda before: clean(before, workers=workers))
    funnel.run("duplicates", lambda before: deduplicate(before, folder=folder, workers=workers))
    funnel.run("leaks", lambda before: drop_leaks(before, leaks, workers))
    return funnel.rows


def speed(rows: int, workers: int) -> None:
    """Rows a second of each step, by the clock and of processor time, and the most memory that all processes held."""
    started = [time.perf_counter(), processor_seconds()]

    def tell(count: Count, before: bool) -> None:
        now, used = time.perf_counter(), processor_seconds()
        others = workers * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # each as much as the largest
        peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + others) / 2**20
        clock, processor = count.rows_in / (now - started[0]), count.rows_in / (used - started[1])
        print(f"{count.line():58} {clock:8,.0f} rows/s {processor:8,.0f} a CPU second {peak:5.2f} GiB", flush=True)
        started[:] = now, used

    random_ = random.Random(0)
    heldout = [worded(random_, f"heldout-{number}") for number in range(2000)]
    with tempfile.TemporaryDirectory() as folder:
        curated((worded(random_, f"row-{number}") for number in range(rows)), heldout, Path(folder), tell, workers)


def processor_seconds() -> float:
    """Processor time of this process and of those that have ended."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    main()
