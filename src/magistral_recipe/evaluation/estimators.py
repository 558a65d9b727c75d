"""The figures of an evaluation as plain functions: pass@k, maj@k, rates, lengths.

pass@k and maj@k ask what k samples would give, averaged over every choice of k from the n there are: an unbiased
estimate, where simply scoring the first k wastes the others. The evaluation and the metrics for Hugging Face
`evaluate` both call these.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from magistral_recipe.evaluation.voting import drawn_vote, exact_vote

Equivalent = Callable[[str, str], bool]
EXACT_SAMPLES = 256
"""Up to how many samples maj@k is exact; above, it is the mean over drawn choices."""


def pass_at_k(n: int, right: int, k: int) -> float:
    """Chance that at least one of k samples is right: ``1 - C(n - right, k) / C(n, k)`` (Chen et al. 2021, §2.1).

    Args:
        n: samples drawn.
        right: those that are right.
        k: samples allowed.

    Returns:
        A share in [0, 1].

    Raises:
        ValueError: unless ``0 <= right <= n`` and ``1 <= k <= n``.
    """
    if not 0 <= right <= n:
        raise ValueError(f"{right} of {n} samples cannot be right")
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples (and k at least 1), there are {n}")
    # One division of whole numbers is rounded once: pass@1 is right / n to the last digit.
    every = math.comb(n, k)
    return (every - math.comb(n - right, k)) / every


def pass_at_k_of_problems(verdicts: Sequence[Sequence[float | None]], k: Sequence[int]) -> dict[str, float]:
    """Mean of pass@k over problems, each of equal weight.

    Args:
        verdicts: per problem its samples' verdicts; None is undecided and lowers the problem's n, a problem without
            any other verdict is left out.
        k: which k.

    Returns:
        ``pass@k`` for each k, NaN where no problem is left, and ``undecided``, the number of None.

    Raises:
        ValueError: where k is above a problem's n, naming the problem.
    """
    figures: dict[str, float] = {}
    decided = [[verdict for verdict in problem if verdict is not None] for problem in verdicts]
    for each in k:
        for number, problem in enumerate(decided):
            if problem and each > len(problem):
                raise ValueError(f"pass@{each}: problem {number} has {len(problem)} decided samples")
        values = [pass_at_k(len(problem), sum(v == 1 for v in problem), each) for problem in decided if problem]
        figures[f"pass@{each}"] = math.fsum(values) / len(values) if values else math.nan
    undecided = sum(verdict is None for problem in verdicts for verdict in problem)
    return {**figures, "undecided": undecided}


def rate(flags: Sequence[float | None]) -> dict[str, float]:
    """Share of flags that are 1.

    Args:
        flags: 0, 1, or None, which is left out.

    Returns:
        ``rate``, NaN where there is none, and ``n``.
    """
    known = [flag for flag in flags if flag is not None]
    return {"rate": math.fsum(known) / len(known) if known else math.nan, "n": len(known)}


def length_stats(lengths: Sequence[int]) -> dict[str, float]:
    """Mean, median, 95th percentile (interpolated) and maximum of lengths; NaN where there are none."""
    if not len(lengths):
        return dict.fromkeys(("mean", "median", "p95", "max"), math.nan)
    values = np.asarray(lengths, dtype=np.float64)
    median, p95 = np.quantile(values, [0.5, 0.95])
    return {"mean": float(values.mean()), "median": float(median), "p95": float(p95), "max": float(values.max())}


UNDECIDED = "undecided"


def fidelity(asked: Sequence[str], found: Sequence[str]) -> dict[str, Any]:
    """How faithfully languages were kept.

    Args:
        asked: the language of each problem.
        found: the language of each completion: a code, or a word such as ``undecided`` that is none.

    Returns:
        ``fidelity``, whatever isn't the language asked for counting as a failure (NaN without completions),
        ``undecided``, and ``confusion``: for each language asked for how often each was found.
    """
    confusion: dict[str, dict[str, int]] = {}
    for wanted, seen in zip(asked, found, strict=True):
        row = confusion.setdefault(wanted, {})
        row[seen] = row.get(seen, 0) + 1
    kept = sum(row.get(wanted, 0) for wanted, row in confusion.items())
    return {
        "fidelity": kept / len(found) if len(found) else math.nan,
        "undecided": sum(row.get(UNDECIDED, 0) for row in confusion.values()),
        "confusion": confusion,
    }


def clusters(answers: Sequence[str | None], equivalent: Equivalent | None = None) -> list[int | None]:
    """Group answers that mean the same.

    Args:
        answers: final answers; ``None`` where a sample has none.
        equivalent: whether two answers mean the same; by default equal up to outer white space.

    Returns:
        For each answer the number of its group, in order of first appearance; ``None`` for none.
    """
    found: list[str] = []
    groups: list[int | None] = []
    known: dict[str, int] = {}
    for answer in answers:
        if answer is None:
            groups.append(None)
            continue
        text = answer.strip()
        if text not in known:
            same = (i for i, first in enumerate(found) if equivalent is not None and equivalent(first, text))
            known[text] = next(same, len(found))
            if known[text] == len(found):
                found.append(text)
        groups.append(known[text])
    return groups


def vote(groups: Sequence[int | None], right: Sequence[bool]) -> float:
    """Score a majority vote: 1 or 0, and where several groups lead, the share of the leaders that are right.

    Args:
        groups: each sample's group of answers, ``None`` without one, which never wins.
        right: whether each sample is right; a group is when one of its samples is.

    Returns:
        A score in [0, 1]; 0 where no sample has an answer.
    """
    counts: dict[int, int] = {}
    is_right: dict[int, bool] = {}
    for group, good in zip(groups, right, strict=True):
        if group is not None:
            counts[group] = counts.get(group, 0) + 1
            is_right[group] = is_right.get(group, False) or bool(good)
    if not counts:
        return 0.0
    most = max(counts.values())
    leaders = [group for group, count in counts.items() if count == most]
    return sum(is_right[group] for group in leaders) / len(leaders)


def maj_at_k(groups: Sequence[int | None], right: Sequence[bool], k: int, seed: int = 0) -> float:
    """Mean score of the vote over all choices of k samples without replacement.

    Args:
        groups: see `vote`.
        right: see `vote`.
        k: voters.
        seed: of the drawn choices, where there are too many samples to count all choices.

    Returns:
        A score in [0, 1], exact up to `EXACT_SAMPLES` samples, the mean of `DRAWS` choices above.

    Raises:
        ValueError: unless ``1 <= k <= n``.
    """
    n = len(groups)
    if not 1 <= k <= n:
        raise ValueError(f"maj@{k} needs at least {k} samples (and k at least 1), there are {n}")
    if k == n:
        return vote(groups, right)
    counts = Counter(groups)
    good = {group for group, each in zip(groups, right, strict=True) if each}
    silent = counts.pop(None, 0)
    sizes = sorted((count, group in good) for group, count in counts.items())
    if n <= EXACT_SAMPLES:
        return exact_vote(tuple(sizes), silent, k)
    return drawn_vote(sizes, silent, k, seed)
