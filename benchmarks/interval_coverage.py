"""How often the intervals of `magistral_recipe.evaluation.statistics` cover the truth.

    python benchmarks/interval_coverage.py --repeats 3000

Simulates evaluations: each problem's success rate is drawn from a population with a known mean, its samples from that
rate. A 95% interval should cover the population's mean 95% of the time. Prints Markdown: for each kind of population
the worst and the best of all combinations of rates, problems and samples, beside the interval that most harnesses
print (mean ± 1.96 standard errors, clustered by problem) and Wilson's with the effective n that the variance gives.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from magistral_recipe.evaluation.estimators import pass_at_k
from magistral_recipe.evaluation.statistics import bootstrap_interval, paired_difference, share_interval, t_quantile

Array = NDArray[np.float64]
Population = Callable[[np.random.Generator, float, tuple[int, ...]], Array]

MIDDLE = (0.1, 0.15, 0.2, 0.3, 0.5, 0.8, 0.9)
EDGES = (0.01, 0.02, 0.03, 0.05, 0.07, 0.95, 0.98, 0.99)
PROBLEMS = (30, 60, 100, 200, 500)
SAMPLES = (1, 4, 16, 64)
METHODS = ("this package", "mean ± 1.96 standard errors", "Wilson, variance alone")


class Cell(NamedTuple):
    """One combination, and how often each method covered."""

    mean: float
    problems: int
    samples: int
    covered: dict[str, float]


def beta(concentration: float) -> Population:
    """Rates that lie between problems' by a Beta distribution; the smaller the concentration, the further apart."""
    return lambda rng, mean, shape: rng.beta(mean * concentration, (1 - mean) * concentration, shape)


def two_kinds(low: float, high: float) -> Population:
    """Two kinds of problems, of so low and so high a rate."""
    return lambda rng, mean, shape: np.where(rng.random(shape) < (mean - low) / (high - low), high, low)


def log_odds(deviation: float) -> Population:
    """Rates whose log-odds are normal: a few problems far easier than the rest, or far harder."""
    # The mean of any function of them is that over their quantiles.
    quantiles = np.array([NormalDist().inv_cdf((i + 0.5) / 20_000) for i in range(20_000)])

    def draw(rng: np.random.Generator, mean: float, shape: tuple[int, ...]) -> Array:
        low, high = -60.0, 60.0
        for _ in range(60):
            centre = (low + high) / 2
            reached = float((1 / (1 + np.exp(-centre - deviation * quantiles))).mean())
            low, high = (centre, high) if reached < mean else (low, centre)
        drawn: Array = 1 / (1 + np.exp(-centre - deviation * rng.standard_normal(shape)))
        return drawn

    return draw


POPULATIONS: dict[str, tuple[Population, float, float]] = {
    "every problem alike": (lambda rng, mean, shape: np.full(shape, mean), 0, 1),
    **{f"Beta, concentration {each:g}": (beta(each), 0, 1) for each in (30, 10, 5, 2, 1, 0.3)},
    **{f"log-odds, deviation {each:g}": (log_odds(each), 0, 1) for each in (2, 3, 4)},
    "solved always or never": (two_kinds(0, 1), 0, 1),
    "half the time or never": (two_kinds(0, 0.5), 0, 0.35),
    "a fifth or four fifths": (two_kinds(0.2, 0.8), 0.3, 0.7),
}
"""Each with the lowest and the highest mean that it is simulated for."""


def ends(method: str, means: Array, samples: int) -> tuple[Array, Array]:
    """The lower and upper ends of each row's interval."""
    count = means.shape[1]
    centre, error = means.mean(1), means.std(1, ddof=1) / math.sqrt(count)
    if method == METHODS[0]:
        found = np.array([share_interval(row, 1 / samples) for row in means])
        return found[:, 1], found[:, 2]
    if method == METHODS[1]:
        return centre - 1.96 * error, centre + 1.96 * error
    quantile, spread = t_quantile(0.975, count - 1), centre * (1 - centre)
    most = count * samples
    n = np.where(spread > 0, np.minimum(spread / np.maximum(error**2, 1e-18), most), count)
    shrink = 1 + quantile**2 / n
    half = quantile * np.sqrt(spread / n + (quantile / (2 * n)) ** 2) / shrink
    middle = (centre + quantile**2 / (2 * n)) / shrink
    return middle - half, middle + half


def cells(population: Population, rates: tuple[float, ...], repeats: int, seed: int) -> Iterator[Cell]:
    """Simulate each combination."""
    rng = np.random.default_rng(seed)
    for mean in rates:
        for problems in PROBLEMS:
            drawn = population(rng, mean, (repeats, problems))
            for samples in SAMPLES:
                means = rng.binomial(samples, drawn) / samples
                covered = {}
                for method in METHODS:
                    low, high = ends(method, means, samples)
                    covered[method] = float(((low <= mean + 1e-12) & (mean - 1e-12 <= high)).mean())
                yield Cell(mean, problems, samples, covered)


def means_table(rates: tuple[float, ...], repeats: int, seed: int) -> list[str]:
    """Coverage of `mean_interval`, one row a population."""
    rows = [
        f"| success rates of the problems | worst | where (rate, problems, samples) | best | {METHODS[1]}: worst | "
        f"{METHODS[2]}: worst |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, (population, lowest, highest) in POPULATIONS.items():
        chosen = tuple(rate for rate in rates if lowest <= rate <= highest)
        if not chosen:
            continue
        found = list(cells(population, chosen, repeats, seed))
        worst = min(found, key=lambda cell: cell.covered[METHODS[0]])
        others = [f"{min(cell.covered[method] for cell in found):.1%}" for method in METHODS[1:]]
        best = max(cell.covered[METHODS[0]] for cell in found)
        where = f"{worst.mean:g}, {worst.problems}, {worst.samples}"
        rows.append(f"| {name} | {worst.covered[METHODS[0]]:.1%} | {where} | {best:.1%} | {' | '.join(others)} |")
        print(f"... {name}", flush=True)
    return rows


def rare_table(repeats: int, seed: int) -> list[str]:
    """Problems solved a twentieth of the time, and a few of another kind: samples without any of those are blind."""
    rows = ["| rate | problems | samples | no problem of the rare kind among them | covered |", "| --- " * 5 + "|"]
    low, high = 0.05, 0.95
    for cell in cells(two_kinds(low, high), (0.07, 0.1, 0.15, 0.2), repeats, seed):
        if cell.samples in (4, 64) and cell.problems in (30, 100):
            unseen = (1 - (cell.mean - low) / (high - low)) ** cell.problems
            values = f"{cell.mean:g} | {cell.problems} | {cell.samples} | {unseen:.1%} | {cell.covered[METHODS[0]]:.1%}"
            rows.append(f"| {values} |")
    return rows


def differences_table(repeats: int, seed: int) -> list[str]:
    """Coverage of `paired_difference`: model b's odds of each problem are a multiple of model a's."""
    rng = np.random.default_rng(seed)
    rows = ["| odds of b to a | problems | worst | best |", "| --- | --- | --- | --- |"]
    for odds in (1.0, 1.5, 3.0):
        for problems in (30, 100, 500):
            covered = []
            for mean in (0.1, 0.4, 0.8):
                for concentration in (1.0, 5.0):
                    population = beta(concentration)
                    many = population(rng, mean, (1_000_000,))
                    true = float((many * odds / (1 - many + many * odds) - many).mean())
                    for samples in (1, 4, 64):
                        rates = population(rng, mean, (repeats, problems))
                        a = rng.binomial(samples, rates) / samples
                        b = rng.binomial(samples, rates * odds / (1 - rates + rates * odds)) / samples
                        found = [
                            paired_difference(x[:, None].tolist(), y[:, None].tolist())
                            for x, y in zip(a, b, strict=True)
                        ]
                        covered.append(sum(each.low <= true <= each.high for each in found) / repeats)
            rows.append(f"| {odds:g} | {problems} | {min(covered):.1%} | {max(covered):.1%} |")
    return rows


def pass_table(repeats: int, seed: int) -> list[str]:
    """Coverage for pass@k: each problem's score is the unbiased estimate from its samples."""
    rng = np.random.default_rng(seed)
    rows = ["| pass@k | samples | k | worst | best |", "| --- " * 5 + "|"]
    for middle in (True, False):
        for samples, k in ((8, 4), (16, 2), (16, 8), (64, 32)):
            table = np.array([pass_at_k(samples, right, k) for right in range(samples + 1)])
            covered = []
            for concentration in (0.5, 1.0, 2.0, 5.0, 1e6):
                for mean in (0.02, 0.1, 0.3, 0.5, 0.8):
                    true = float((1 - (1 - beta(concentration)(rng, mean, (1_000_000,))) ** k).mean())
                    if middle != (0.1 <= true <= 0.9):
                        continue
                    for problems in (30, 100):
                        rates = beta(concentration)(rng, mean, (repeats, problems))
                        found = [share_interval(row) for row in table[rng.binomial(samples, rates)]]
                        covered.append(sum(each.low <= true <= each.high for each in found) / repeats)
            range_ = "0.1 to 0.9" if middle else "below, above"
            rows.append(f"| {range_} | {samples} | {k} | {min(covered):.1%} | {max(covered):.1%} |")
    return rows


def votes_table(repeats: int, seed: int) -> list[str]:
    """Coverage for maj@k: each problem's vote is right, wrong, or a tie between right and wrong."""
    rng = np.random.default_rng(seed)
    rows = ["| maj@k | problems | bootstrap_interval | mean_interval |", "| --- | --- | --- | --- |"]
    for right in (0.1, 0.5, 0.85):
        for problems in (30, 100):
            ties, true = 0.1, right + 0.05
            scores = rng.choice([0.0, 0.5, 1.0], (repeats, problems), p=[1 - right - ties, ties, right])
            votes = [
                bootstrap_interval(row.tolist(), lambda drawn: sum(drawn) / len(drawn), draws=500) for row in scores
            ]
            plain = [share_interval(row) for row in scores]
            rates = [sum(each.low <= true <= each.high for each in found) / repeats for found in (votes, plain)]
            rows.append(f"| {true:g} | {problems} | {rates[0]:.1%} | {rates[1]:.1%} |")
    return rows


def main() -> None:
    """Simulate and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3000, help="simulated evaluations a combination")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    few = max(1, arguments.repeats // 6)
    tables = {
        "rates from 0.1 to 0.9": lambda: means_table(MIDDLE, arguments.repeats, arguments.seed),
        "rates of 1 to 7% and 95 to 99%": lambda: means_table(EDGES, arguments.repeats, arguments.seed),
        "a rare kind of problem": lambda: rare_table(arguments.repeats, arguments.seed),
        "paired differences": lambda: differences_table(few, arguments.seed),
        "pass@k": lambda: pass_table(few, arguments.seed),
        "votes": lambda: votes_table(few, arguments.seed),
    }
    for title, table in tables.items():
        started = time.perf_counter()
        rows = table()
        print(f"\n{title} ({time.perf_counter() - started:.0f} s)\n", *rows, "", sep="\n", flush=True)


if __name__ == "__main__":
    main()
