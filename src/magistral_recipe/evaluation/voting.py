"""The vote of k among n samples, over all choices of k: counted, not drawn one by one.

A choice matters only through how many voters each answer gets, so the choices are counted by a product of
polynomials, one a group of equal answers: the coefficient of x^j in (1 + x)^c counts the ways to choose j of its c
samples. For each number M of votes that may win, groups either stay below M or reach it and lead. That is exact where
going through the choices is out of reach: C(64, 32) is 1.8e18.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

DRAWS = 20_000
"""Choices that are drawn where there are too many samples to count them all."""

Counts = NDArray[np.float64]


@lru_cache(maxsize=65_536)
def exact_vote(sizes: tuple[tuple[int, bool], ...], silent: int, k: int) -> float:
    """Mean score of the vote over all choices of k samples without replacement.

    Args:
        sizes: for each group of equal answers its number of samples and whether it is right.
        silent: samples without an answer, which never win.
        k: voters, at most as many as there are samples, of which there are at most 1,000.

    Returns:
        A score in [0, 1]: the mean share of the leaders that are right.
    """
    right = sum(good for _, good in sizes)
    total = 0.0
    for most in range(1, min(k, max((count for count, _ in sizes), default=0)) + 1):
        # ways[r, w, j]: to choose j samples so that r right and w wrong groups have `most` of them, and none has more
        ways = np.zeros((min(right, k // most) + 1, k // most + 1, k + 1))
        below = silent + sum(count for count, _ in sizes if count < most)  # these cannot lead, whatever is chosen
        ways[0, 0] = _binomials(below, k)
        for count, good in sizes:
            if count >= most:
                ways = _add_group(ways, count, good, most)
        shares = np.arange(ways.shape[0])[:, None] / np.maximum(np.add.outer(*map(np.arange, ways.shape[:2])), 1)
        total += float((shares * ways[:, :, k]).sum())
    return min(1.0, total / math.comb(sum(count for count, _ in sizes) + silent, k))


def _add_group(ways: Counts, count: int, good: bool, most: int) -> Counts:
    """Multiply by a group's polynomial: fewer than `most` of it chosen, or exactly so many, which makes it a leader."""
    k = ways.shape[2] - 1
    more = ways @ _fewer(count, most, k)
    leading = ways[:, :, : k + 1 - most] * math.comb(count, most)
    if good:
        more[1:, :, most:] += leading[:-1]
    else:
        more[:, 1:, most:] += leading[:, :-1]
    return more


@lru_cache(maxsize=8192)
def _fewer(count: int, most: int, k: int) -> Counts:
    """[k + 1, k + 1]: how many ways lead from i to j samples by choosing fewer than `most` of a group."""
    step = np.subtract.outer(np.arange(k + 1), np.arange(k + 1)).T
    return np.where((step >= 0) & (step < most), _binomials(count, k)[np.clip(step, 0, k)], 0.0)


@lru_cache(maxsize=4096)
def _binomials(n: int, k: int) -> Counts:
    """C(n, j) for j from 0 to k; 0 where j is above n."""
    row = np.array([math.comb(n, j) for j in range(k + 1)], dtype=np.float64)
    row.flags.writeable = False
    return row


def drawn_vote(sizes: Sequence[tuple[int, bool]], silent: int, k: int, seed: int) -> float:
    """Mean score of the vote over `DRAWS` choices of k samples, drawn without replacement.

    Args:
        sizes: see `exact_vote`.
        silent: see `exact_vote`.
        k: voters.
        seed: of the draws.

    Returns:
        A score in [0, 1], the same for the same seed.
    """
    rng = np.random.default_rng(seed)
    votes = rng.multivariate_hypergeometric([silent, *(count for count, _ in sizes)], k, size=DRAWS)[:, 1:]
    most = votes.max(axis=1, initial=0)[:, None]
    leaders = (votes == most) & (most > 0)
    right = np.array([good for _, good in sizes], dtype=bool)
    return float(((leaders & right).sum(axis=1) / np.maximum(leaders.sum(axis=1), 1)).mean())
