"""One source in two sets that share no problem: the one to train on, and the one that is held out.

A problem's side is decided by its words (`decontaminate.problem_words`), not by its place, so that no filter, order,
count or other id brings it into both sets, and rows that are added to a file later move no other. Rows that share an id
or the words belong together, and so does what they are joined to by others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Protocol

from magistral_recipe.data.decontaminate import problem_words


class Named(Protocol):
    """Anything that poses a problem under a name: a `Problem`, a `Trace`."""

    @property
    def id(self) -> str:
        """The problem's name."""
        ...

    @property
    def problem(self) -> str:
        """What is asked."""
        ...


class Partition:
    """Which problems of a source are held out.

    Args:
        share: of the problems that are held out, above 0 and below 1; the words decide, so it is met about.
        seed: another one holds out others.
        known: all problems of the source, before any filter; without them only equal words keep problems together.
    """

    def __init__(self, share: float, seed: int, known: Iterable[Named] = ()) -> None:
        self._share = share
        self._seed = seed
        self._parents: dict[str, str] = {}
        for item in known:
            self._join(_by_words(item), f"id {item.id}")
        self._lots = self._lots_of_joined()
        self._limit = share
        if len(lots := sorted(set(self._lots.values()))) > 1:  # neither side of a small source may be empty
            self._limit = min(max(share, (lots[0] + lots[1]) / 2), (lots[-1] + lots[-2]) / 2)

    def holds_out(self, item: Named) -> bool:
        """Say whether a problem belongs to the held-out set."""
        words = _by_words(item)
        lot = self._lots.get(self._root(words)) if words in self._parents else None
        return (self._lot(words) if lot is None else lot) < self._limit

    def _lot(self, key: str) -> float:
        digest = hashlib.sha256(f"{self._seed}:{key}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    def _lots_of_joined(self) -> dict[str, float]:
        """What those that are joined draw together: the lowest lot of their words, whatever the order of the rows."""
        lots: dict[str, float] = {}
        for key in self._parents:
            if not key.startswith("id "):
                root = self._root(key)
                lots[root] = min(self._lot(key), lots.get(root, 1.0))
        return lots

    def _root(self, key: str) -> str:
        while (parent := self._parents.setdefault(key, key)) != key:
            self._parents[key] = self._parents[parent]
            key = parent
        return key

    def _join(self, one: str, other: str) -> None:
        self._parents[self._root(one)] = self._root(other)


def _by_words(item: Named) -> str:
    words = problem_words(item.problem) or [item.problem.strip()]
    return hashlib.sha256("\x1f".join(words).encode("utf-8", "surrogatepass")).hexdigest()[:24]
