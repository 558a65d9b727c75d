"""How sure a score is: intervals for means over problems, for differences, and for votes.

The figure estimated is the mean over the problems of a population, each of equal weight. Samples of one problem
resemble each other, so problems are the independent observations, not samples (Miller 2024, "Adding error bars to
evals", arXiv 2411.00640, clusters standard errors the same way). Scores near 0 or 1 and few problems break the usual
normal interval; Wilson's (1927), with the number of samples replaced by an effective one and t quantiles, holds there
(compared by Franco et al. 2019, J. Survey Statistics and Methodology 7(3)).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Bounds = tuple[float, float]


class Interval(NamedTuple):
    """An estimate with its confidence interval.

    Attributes:
        mean: the estimate.
        low: lower end.
        high: upper end.
    """

    mean: float
    low: float
    high: float

    def overlaps(self, other: Interval) -> bool:
        """Whether the two intervals share a value."""
        return self.low <= other.high and other.low <= self.high


def mean_interval(
    scores: Sequence[Sequence[float]], level: float = 0.95, bounds: Bounds | None = (0.0, 1.0)
) -> Interval:
    """Estimate the mean over problems, each of equal weight.

    Args:
        scores: ``scores[i]`` holds the samples of problem i; a problem without samples is left out.
        level: how often the interval shall cover the population's mean.
        bounds: the range of a score; ``None`` where it has none (lengths).

    Returns:
        Mean and interval. One problem alone says nothing of the spread: the interval is then the bounds.

    Raises:
        ValueError: without any sample, for a score outside the bounds, or a level outside (0, 1).
    """
    means = _problem_means(scores, bounds)
    mean = float(means.mean())
    if len(means) == 1:
        return Interval(mean, *(bounds or (-math.inf, math.inf)))
    quantile = t_quantile(0.5 + _checked(level) / 2, len(means) - 1)
    variance = float(means.var(ddof=1)) / len(means)
    if bounds is None:
        half = quantile * math.sqrt(variance)
        return Interval(mean, mean - half, mean + half)
    low, high = bounds
    width = high - low
    samples = sum(len(problem) for problem in scores)
    ends = _wilson((mean - low) / width, variance / width**2, len(means), samples, quantile)
    return Interval(mean, low + width * ends[0], low + width * ends[1])


def _wilson(share: float, variance: float, problems: int, samples: int, quantile: float) -> tuple[float, float]:
    """Wilson's interval for a share, its effective n chosen so that share·(1 - share)/n is the measured variance."""
    spread = share * (1 - share)
    n = _effective_n(spread, variance, problems, samples)
    q2 = quantile**2 / n
    centre = (share + q2 / 2) / (1 + q2)
    half = quantile / (1 + q2) * math.sqrt(spread / n + q2 / (4 * n))
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # Rounding must not push an end past the estimate.
    return (0.0 if share == 0 else min(low, share)), (1.0 if share == 1 else max(high, share))


def _effective_n(spread: float, variance: float, problems: int, samples: int) -> float:
    if spread <= 0:
        return problems  # all right or all wrong: each problem may be a cluster without inner variation
    # Independent samples are the best case: no clustering can make the mean more certain than that.
    return min(spread / variance, samples) if variance > 0 else samples


def paired_difference(
    scores_a: Sequence[Sequence[float]], scores_b: Sequence[Sequence[float]], level: float = 0.95
) -> Interval:
    """Estimate how much better b is than a on the same problems: the mean of b minus the mean of a.

    Pairing removes what the problems' difficulty adds to the variance. The interval is Agresti and Min's (2005,
    Statistics in Medicine 24) for matched pairs, carried over to means: one observation of +1, one of -1 and two of 0,
    each of weight a half, are added, so that few problems on which both agree don't claim certainty.

    Args:
        scores_a: ``scores_a[i]`` holds model a's samples of problem i, in [0, 1].
        scores_b: model b's samples of the same problems, in the same order.
        level: of confidence.

    Returns:
        The difference, in [-1, 1]. No width where nothing varies: every score of both models is the same.

    Raises:
        ValueError: for different numbers of problems, or none that both have samples of.
    """
    if len(scores_a) != len(scores_b):
        raise ValueError(f"the models must be scored on the same problems: {len(scores_a)} and {len(scores_b)}")
    pairs = [(a, b) for a, b in zip(scores_a, scores_b, strict=True) if len(a) and len(b)]
    means_a = _problem_means([a for a, _ in pairs], (0.0, 1.0))
    means_b = _problem_means([b for _, b in pairs], (0.0, 1.0))
    differences = means_b - means_a
    mean = float(differences.mean())
    values = {float(score) for a, b in pairs for score in (*a, *b)}
    if len(values) == 1:
        return Interval(0.0, 0.0, 0.0)
    n = len(differences) + 2
    centre = float(differences.sum()) / n
    variance = ((float((differences**2).sum()) + 1) / n - centre**2) / n
    half = t_quantile(0.5 + _checked(level) / 2, n - 1) * math.sqrt(variance)
    return Interval(mean, max(-1.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)))


def bootstrap_interval(
    items: Sequence[Item],
    statistic: Callable[[Sequence[Item]], float],
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over problems, for statistics without a closed form.

    Args:
        items: one item a problem.
        statistic: from resampled items to a figure.
        level: of confidence.
        draws: resamples.
        seed: of the resampling alone.

    Returns:
        The statistic of all items and its interval.

    Raises:
        ValueError: without items.
    """
    if not len(items):
        raise ValueError("no problems to resample")
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(items), size=(draws, len(items)))
    figures = [statistic([items[row] for row in drawn]) for drawn in rows]
    tail = (1 - _checked(level)) / 2
    low, high = np.quantile(figures, [tail, 1 - tail])
    return Interval(float(statistic(items)), float(low), float(high))


def problems_needed(
    difference: float,
    *,
    samples: int = 1,
    rate: float = 0.5,
    within: float = 0.5,
    power: float = 0.8,
    level: float = 0.95,
) -> int:
    """How many problems a paired comparison needs to tell a difference between two models.

    Args:
        difference: the one to tell, in (0, 1].
        samples: samples of each problem and model.
        rate: share of right answers about which the models lie.
        within: share of the variance of one sample that is chance within a problem; the rest lies between problems
            and is taken out by pairing.
        power: how often a true difference of this size shall be told.
        level: of confidence.

    Returns:
        The number of problems, at least 2.

    Raises:
        ValueError: for a difference outside (0, 1] or fewer than one sample.
    """
    if not 0 < difference <= 1:
        raise ValueError(f"difference must lie in (0, 1], not {difference}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    variance = 2 * rate * (1 - rate) * within / samples
    quantiles = NormalDist().inv_cdf(0.5 + _checked(level) / 2) + NormalDist().inv_cdf(power)
    return max(2, math.ceil(variance * (quantiles / difference) ** 2))


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution.

    The distribution function is the finite trigonometric series of Abramowitz & Stegun 26.7.3-4, inverted by
    bisection; above 300 degrees of freedom the expansion 26.7.5, whose error is then below 1e-10.

    Args:
        probability: in [0.5, 1).
        freedom: degrees of freedom, at least 1.
    """
    if not 0.5 <= probability < 1 or freedom < 1:
        raise ValueError(
            f"needs a probability in [0.5, 1) and at least one degree of freedom: {probability}, {freedom}"
        )
    if freedom > 300:
        return _t_expansion(NormalDist().inv_cdf(probability), freedom)
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        angle = (low + high) / 2
        if 0.5 + _t_series(angle, freedom) / 2 < probability:
            low = angle
        else:
            high = angle
    return math.sqrt(freedom) * math.tan(low)


def _t_series(angle: float, freedom: int) -> float:
    """P(|T| <= t) where t = sqrt(freedom) * tan(angle)."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = total = cosine if odd and freedom > 1 else float(not odd)
    for step in range(2 + odd, freedom - 1, 2):
        term *= cosine**2 * (step - 1) / step
        total += term
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def _t_expansion(z: float, freedom: int) -> float:
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))


def _problem_means(scores: Sequence[Sequence[float]], bounds: Bounds | None) -> NDArray[np.float64]:
    means = np.array([math.fsum(problem) / len(problem) for problem in scores if len(problem)], dtype=np.float64)
    if not len(means):
        raise ValueError("no problem has a score")
    if bounds is not None:
        low, high = bounds
        extremes = [score for problem in scores for score in problem if not low <= score <= high]
        if extremes:
            raise ValueError(f"score {extremes[0]} lies outside [{low}, {high}]")
        means = means.clip(low, high)
    elif not np.isfinite(means).all():
        raise ValueError("scores must be finite")
    return means


def _checked(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), not {level}")
    return level
