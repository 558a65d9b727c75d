"""Sums of many terms, and their working line by line: problems whose completions are of ragged lengths, from a seed.

    What is 47 + 8 + 93?        47 + 8 = 55        55 + 93 = 148        The sum is \\boxed{148}.

A sum of n terms takes n - 1 lines, each right or wrong by itself: with few terms nearly everything is solved by a model
that has seen the working, with many nearly nothing, and lengths differ by a factor of ten. That is what batching by
length, dropping groups without signal, and learning itself are tried on. Made of code; no data set has them.

Workings may forget a share of the carries (47 + 8 = 45), as a careless teacher's do. Who imitates them adds in two
ways, and RL, which pays for sums that are right, can choose between these.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Literal
from zlib import crc32

Split = Literal["train", "heldout"]

TERMS = (2, 16)
"""Fewest and most terms of a sum."""
LARGEST = 99
"""The largest term."""

_WORDINGS = ("What is {}?", "Work out {}.", "Add up: {}", "Compute {}.")
_HELD_OUT = 8
"""One sum in so many is held out, whichever it is; training never shows it."""
_TRIES = 1000


def problems(split: Split, count: int, seed: int = 0, terms: tuple[int, int] = TERMS) -> list[dict[str, Any]]:
    """Make different sums, as many of each number of terms.

    Args:
        split: `train`, or `heldout`, of which no sum is ever in `train`, whatever the seeds.
        count: how many.
        seed: equal seeds give equal problems; a longer list begins with the shorter one.
        terms: fewest and most terms.

    Returns:
        `Problem` rows.

    Raises:
        ValueError: if there are fewer different ones.
    """
    return [_row(addends, wording) for addends, wording in _drawn(split, count, seed, terms)]


def traces(count: int, seed: int = 0, terms: tuple[int, int] = TERMS, forget: float = 0.0) -> list[dict[str, Any]]:
    """Make worked sums to imitate.

    Args:
        count: how many.
        seed: see `problems`.
        terms: see `problems`.
        forget: the share of the carries from units to tens that the workings forget; a total goes on as it was written,
            to the answer that is given.

    Returns:
        `Trace` rows, whose `answer` is right.
    """
    rows, careless = [], Random(f"sums:forget:{seed}")
    for addends, wording in _drawn("train", count, seed, terms):
        lines, total = _worked(addends, forget, careless)
        response = f"The sum is \\boxed{{{total}}}."
        rows.append({**_row(addends, wording), "thoughts": "\n".join(lines), "response": response})
    return rows


def _worked(addends: tuple[int, ...], forget: float, careless: Random) -> tuple[list[str], int]:
    """Work a sum out, a line for each term after the first; the lines, and what they come to."""
    lines, total = [], addends[0]
    for term in addends[1:]:
        carries = total % 10 + term % 10 >= 10
        found = total + term - (10 if carries and careless.random() < forget else 0)
        lines.append(f"{total} + {term} = {found}")
        total = found
    return lines, total


def _drawn(split: Split, count: int, seed: int, terms: tuple[int, int]) -> Iterator[tuple[tuple[int, ...], str]]:
    fewest, most = terms
    if not 2 <= fewest <= most:
        raise ValueError(f"a sum has two terms at least, and no fewer at most: {fewest} to {most}")
    rng = Random(f"sums:{split}:{seed}")
    seen: set[tuple[int, ...]] = set()
    sizes: list[int] = []
    for _ in range(count):
        if not sizes:
            sizes = list(range(fewest, most + 1))
            rng.shuffle(sizes)
        size = sizes.pop()
        for _ in range(_TRIES):
            addends = tuple(rng.randint(1, LARGEST) for _ in range(size))
            if addends not in seen and _held_out(addends) == (split == "heldout"):
                break
        else:
            raise ValueError(f"there are no {count} different sums of {fewest} to {most} terms")
        seen.add(addends)
        yield addends, rng.choice(_WORDINGS)


def _held_out(addends: tuple[int, ...]) -> bool:
    return crc32(" ".join(map(str, sorted(addends))).encode()) % _HELD_OUT == 0


def _row(addends: tuple[int, ...], wording: str) -> dict[str, Any]:
    written = " + ".join(map(str, addends))
    return {
        "id": f"sums/{'-'.join(map(str, addends))}/{_WORDINGS.index(wording)}",
        "problem": wording.format(written),
        "answer": str(sum(addends)),
        "kind": "math",
        "language": "en",
        "source": "sums",
        "difficulty": float(len(addends)),
        "category": _category(len(addends)),
    }


def _category(size: int) -> str:
    fewest = size // 4 * 4
    return f"{max(fewest, 2)} to {fewest + 3} terms"
