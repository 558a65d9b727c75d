"""How sure a score is: intervals for means over problems, for differences, and for votes.

The figure estimated is the mean over the problems of a population, each of equal weight. Samples of one problem
resemble each other, so problems are the independent observations, not samples (Miller 2024, "Adding error bars to
evals", arXiv 2411.00640, clusters standard errors the same way). Scores near 0 or 1 and few problems break the usual
normal interval; Wilson's (1927), with the number of samples replaced by an effective one and t quantiles, holds there
(compared by Franco et al. 2019, J. Survey Statistics and Methodology 7(3)).

What neither survives is a sample in which next to nothing happens: one problem of thirty that is solved once in 64
tries has a tiny variance, and says nothing of how rare problems of another kind are. The variance is therefore drawn
towards the largest possible one, that of problems solved always or never, as long as few problems carry the score.
docs/statistics.md has the derivation, the alternatives that were measured, and how often the intervals cover.
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
    if bounds is not None:
        low, high = bounds
        unit = share_interval((means - low) / (high - low), _least_factor(scores, bounds), level)
        return Interval(math.fsum(means) / len(means), *(low + (high - low) * end for end in unit[1:]))
    count, mean = len(means), math.fsum(means) / len(means)
    if count == 1:
        return Interval(mean, -math.inf, math.inf)
    half = t_quantile(0.5 + _checked(level) / 2, count - 1) * float(means.std(ddof=1)) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


def share_interval(means: NDArray[np.float64], least_factor: float = 0.0, level: float = 0.95) -> Interval:
    """Estimate the mean over problems from the mean of each: what `mean_interval` does once samples are averaged.

    Args:
        means: [problems], each in [0, 1].
        least_factor: the smallest share of the largest variance that is possible: the mean of 1/n over problems where
            each mean is one of n verdicts, right or wrong; 0 where the means are fractions of another kind.
        level: how often the interval shall cover the population's mean.

    Returns:
        Mean and interval, [0, 1] for one problem.

    Raises:
        ValueError: without means, or for a level outside (0, 1).
    """
    count = len(means)
    if not count:
        raise ValueError("no problem has a score")
    mean = math.fsum(means) / count
    quantile = t_quantile(0.5 + _checked(level) / 2, max(1, count - 1))
    if count == 1:
        return Interval(mean, 0.0, 1.0)
    return Interval(mean, *_wilson(mean, count / _design_factor(means, least_factor), quantile))


def _wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's interval for a share of n."""
    q2 = quantile**2 / n
    centre = (share + q2 / 2) / (1 + q2)
    half = quantile / (1 + q2) * math.sqrt(share * (1 - share) / n + q2 / (4 * n))
    # Rounding must not push an end past the estimate.
    return (0.0 if share == 0 else min(centre - half, share)), (1.0 if share == 1 else max(centre + half, share))


def _design_factor(means: NDArray[np.float64], least: float) -> float:
    """The variance between problems' means in [0, 1], as a share of that of problems solved always or never.

    One, the largest, is the prior. Its weight falls with the square of the number of problems that carry the score
    (or, near 1, what is missing from it): four problems' worth where one does, a twenty-fifth of one where ten do.
    """
    count, mean = len(means), float(means.mean())
    weight = 4 / _carriers(means) ** 2 + 4 / _carriers(1 - means) ** 2
    factor = (count * float(means.var(ddof=1)) + weight) / (count * mean * (1 - mean) + weight)
    return max(factor, least)


def _carriers(values: NDArray[np.float64]) -> float:
    """Kish's effective number of problems that make up a sum; 1 where there is nothing to make up."""
    squares = float((values**2).sum())
    return float(values.sum()) ** 2 / squares if squares > 0 else 1.0


def _least_factor(scores: Sequence[Sequence[float]], bounds: Bounds) -> float:
    """What independent samples of one rate would give: no mean of right and wrong can be more certain than that."""
    if any(score not in bounds for problem in scores for score in problem):
        return 0.0
    inverse = [1 / len(problem) for problem in scores if len(problem)]
    return math.fsum(inverse) / len(inverse)


def paired_difference(
    scores_a: Sequence[Sequence[float]], scores_b: Sequence[Sequence[float]], level: float = 0.95
) -> Interval:
    """Estimate how much better b is than a on the same problems: the mean of b minus the mean of a.

    Pairing removes what the problems' difficulty adds to the variance. The interval is Agresti and Min's (2005,
    Statistics in Medicine 24) for matched pairs, carried over to means: to the differences, one of +1, one of -1 and
    two of 0 are added, of weight a half each, so that few problems on which both agree don't claim certainty. That is
    for single answers, where little else is known; the weight falls, by the square, as more than two problems differ.

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
    mean = math.fsum(differences) / len(differences)
    values = {float(score) for a, b in pairs for score in (*a, *b)}
    if len(values) == 1:
        return Interval(0.0, 0.0, 0.0)
    squares = float((differences**2).sum())
    weight = min(1.0, 4 / _carriers(np.abs(differences)) ** 2)
    n = len(differences) + 2 * weight
    centre = math.fsum(differences) / n
    # Of weight 1 it is theirs, of weight 0 Student's interval.
    variance = ((squares + weight) / n - centre**2) / (n - 1 + weight)
    half = t_quantile(0.5 + _checked(level) / 2, max(1, math.floor(n - 1))) * math.sqrt(variance)
    return Interval(mean, max(-1.0, min(centre - half, mean)), min(1.0, max(centre + half, mean)))


def bootstrap_interval(
    items: Sequence[Item],
    statistic: Callable[[Sequence[Item]], float],
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
    bounds: Bounds | None = (0.0, 1.0),
) -> Interval:
    """Percentile bootstrap over problems, for statistics without a closed form.

    Resamples of few problems vary too little: the percentiles taken are those that make the interval of a plain mean
    as wide as Student's (Hesterberg 2015, The American Statistician 69(4), the expanded percentile interval). No
    resample can leave a bound on which all problems lie; there the other end is Wilson's.

    Args:
        items: one item a problem.
        statistic: from resampled items to a figure.
        level: of confidence.
        draws: resamples.
        seed: of the resampling alone.
        bounds: the range of the statistic; ``None`` where it has none.

    Returns:
        The statistic of all items and its interval. One item alone gives the bounds.

    Raises:
        ValueError: without items, without draws, or for a statistic outside the bounds.
    """
    count = len(items)
    if not count:
        raise ValueError("no problems to resample")
    if draws < 1:
        raise ValueError(f"draws must be at least 1, not {draws}")
    quantile = t_quantile(0.5 + _checked(level) / 2, max(1, count - 1))
    figure = float(statistic(items))
    if bounds is not None and not bounds[0] <= figure <= bounds[1]:
        raise ValueError(f"the statistic is {figure}, outside {list(bounds)}; bounds=None says that it has none")
    if count == 1:
        return Interval(figure, *(bounds or (-math.inf, math.inf)))
    rng = np.random.default_rng(seed)
    figures = [statistic([items[row] for row in rng.integers(count, size=count)]) for _ in range(draws)]
    tail = NormalDist().cdf(-math.sqrt(count / (count - 1)) * quantile)
    low, high = (float(end) for end in np.quantile(figures, [tail, 1 - tail]))
    if bounds is not None and figure in bounds:
        span = (bounds[1] - bounds[0]) * _wilson(0.0, count, quantile)[1]
        low, high = min(low, max(bounds[0], figure - span)), max(high, min(bounds[1], figure + span))
    return Interval(figure, min(low, figure), max(high, figure))


def problems_needed(
    difference: float,
    *,
    samples: int = 1,
    rate: float = 0.5,
    within: float = 0.5,
    correlation: float = 0.8,
    power: float = 0.8,
    level: float = 0.95,
) -> int:
    """How many problems a paired comparison needs to tell a difference between two models (Miller 2024, §5).

    More samples take away the chance within problems alone: what is left is how unevenly the models differ from
    problem to problem, and only more problems help there.

    Args:
        difference: the one to tell, in (0, 1].
        samples: samples of each problem and model.
        rate: share of right answers about which the models lie.
        within: share of the variance of one sample that is chance within a problem; the rest lies between problems.
        correlation: of the two models' rates over problems; pairing takes away what they share.
        power: how often a true difference of this size shall be told.
        level: of confidence.

    Returns:
        The number of problems, at least 2.

    Raises:
        ValueError: for an argument outside its range.
    """
    if not 0 < difference <= 1:
        raise ValueError(f"difference must lie in (0, 1], not {difference}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, not {samples}")
    for name, value in {"rate": rate, "within": within, "correlation": correlation}.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must lie in [0, 1], not {value}")
    if not 0.5 <= power < 1:
        raise ValueError(f"power must lie in [0.5, 1), not {power}")
    variance = 2 * rate * (1 - rate) * (within / samples + (1 - within) * (1 - correlation))
    beta, alpha = NormalDist().inv_cdf(power), 0.5 + _checked(level) / 2
    needed = max(2, math.ceil(variance * ((NormalDist().inv_cdf(alpha) + beta) / difference) ** 2))
    # The interval will use t quantiles, which are larger: a few problems more.
    while needed < variance * ((t_quantile(alpha, needed - 1) + beta) / difference) ** 2:
        needed += 1
    return needed


@lru_cache(maxsize=4096)
def t_quantile(probability: float, freedom: int) -> float:
    """Return a quantile of Student's t distribution.

    Written by hand: neither the standard library nor numpy has it, and SciPy would be a large dependency for this one
    function. The distribution function is the finite trigonometric series of Abramowitz & Stegun 26.7.3-4, inverted
    by bisection; above 300 degrees of freedom the expansion 26.7.5. For probabilities up to 0.995, those of 99%
    intervals, the relative error is below 1e-12 with the series and the absolute one below 2e-9 with the expansion;
    both lose digits further out.

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
        if not low < high:
            raise ValueError(f"bounds must be a lower and a higher number, not {list(bounds)}")
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
