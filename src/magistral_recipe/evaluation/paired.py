"""One paired comparison: two models on the problems that both were asked, for the report and `compare` alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from magistral_recipe.evaluation.statistics import Interval, paired_difference


class Paired(NamedTuple):
    """Two models on the problems that both have.

    Attributes:
        problems: how many those are.
        a: mean of the first model over them.
        b: mean of the second.
        difference: b minus a, with its interval.
    """

    problems: int
    a: float
    b: float
    difference: Interval

    @property
    def told(self) -> bool:
        """Whether the interval leaves out 0: the models can be told apart."""
        return self.difference.low > 0 or self.difference.high < 0


def compare_paired(a: Mapping[str, Sequence[float]], b: Mapping[str, Sequence[float]]) -> Paired | None:
    """Compare two models problem by problem.

    Args:
        a: each problem's values of the first model, one a sample, at least one.
        b: those of the second.

    Returns:
        The comparison on the problems of both; ``None`` where there is none.
    """
    common = [problem for problem in a if problem in b]
    if not common:
        return None
    scores_a, scores_b = [a[problem] for problem in common], [b[problem] for problem in common]
    means = [sum(sum(each) / len(each) for each in scores) / len(scores) for scores in (scores_a, scores_b)]
    return Paired(len(common), means[0], means[1], paired_difference(scores_a, scores_b))
