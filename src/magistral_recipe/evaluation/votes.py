"""Majority votes over answers that are compared by what they mean: ``1/2`` and ``0.5`` are one candidate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from magistral_recipe.evaluation.estimators import clusters, maj_at_k
from magistral_recipe.verifiers.answers import compare


@lru_cache(maxsize=65_536)
def same_answer(first: str, second: str) -> bool:
    """Whether two final answers mean the same by the rules of the maths reward, read either way round.

    What those rules leave to SymPy counts as different: a vote must not wait for a worker.
    """
    return bool(compare(first, second).right or compare(second, first).right)


def maj_at_k_of_problems(
    answers: Sequence[Sequence[str | None]], references: Sequence[Sequence[str]], k: int, seed: int = 0
) -> float:
    """Mean of maj@k over problems, each of equal weight.

    Args:
        answers: per problem the final answers of its samples.
        references: per problem the right answers.
        k: voters.
        seed: of the choices drawn, where there are too many to go through all.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: where a problem has fewer than k samples, naming it; without problems.
    """
    if not answers:
        raise ValueError("no problems to vote on")
    scores = []
    for number, (given, right) in enumerate(zip(answers, references, strict=True)):
        if k > len(given):
            raise ValueError(f"maj@{k}: problem {number} has {len(given)} samples")
        verdicts = [each is not None and any(same_answer(one, each) for one in right) for each in given]
        scores.append(maj_at_k(clusters(given, same_answer), verdicts, k, seed))
    return math.fsum(scores) / len(scores)
