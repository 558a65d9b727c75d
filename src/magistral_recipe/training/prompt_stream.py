"""The order of prompts, owned by one object with a state that fits into a checkpoint.

The trainer's data loader only ticks; prompts come from here, since a step that refills its batch uses more of
them than a loader could foresee. The order is a function of seed and pass alone, so a resume continues it
exactly, in the first pass over the data and in later ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from magistral_recipe.errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

Band = tuple[float | None, float | None]


class PromptStream:
    """An endless stream of rows that shuffles anew in every pass and remembers where it is.

    Args:
        dataset: rows of any columns; a mapped data set or an iterable one, which is read again from its start
            after a resume.
        seed: together with the number of the pass it determines the order.
        shuffle: whether to permute a mapped data set, or buffer-shuffle an iterable one.
        band: lowest and highest `difficulty` to let through, both inclusive; ``None`` leaves a side open.

    Raises:
        DataError: if there are no rows, or none in the band.
    """

    def __init__(
        self, dataset: Dataset | IterableDataset, seed: int, shuffle: bool = True, band: Band = (None, None)
    ) -> None:
        self._dataset = dataset
        self._seed = seed
        self._shuffle = shuffle
        self._mapped = hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")
        if self._mapped and len(dataset) == 0:
            raise DataError("the training data set is empty")
        self._pass = 0
        self._position = 0  # rows read in this pass, those outside the band included
        self._drawn = 0
        self._reader: Iterator[Any] | None = None
        self._difficulty: np.ndarray | None = None
        self.band: Band = (None, None)
        self.set_band(band)

    def set_band(self, band: Band) -> None:
        """Let through only rows of this difficulty from now on.

        Args:
            band: lowest and highest, inclusive; a row without a difficulty passes only an open band.

        Raises:
            DataError: if the data set has no `difficulty` column, or no row is in the band.
        """
        self.check_band(band)
        self.band = (band[0], band[1])

    def check_band(self, band: Band) -> None:
        """Refuse a band without rows; of an iterable data set nothing can be known.

        Args:
            band: lowest and highest, inclusive.

        Raises:
            DataError: if the data set has no `difficulty` column, or no row is in the band.
        """
        if tuple(band) == (None, None) or not self._mapped:
            return
        if self._difficulty is None:
            if "difficulty" not in (self._dataset.column_names or ()):
                raise DataError("a difficulty band needs a `difficulty` column in the training data set")
            column = self._dataset["difficulty"]
            self._difficulty = np.array([np.nan if value is None else float(value) for value in column])
        if not any(_inside(value, band) for value in self._difficulty):
            raise DataError(f"no row of the training data set has a difficulty in {_text(band)}")

    def take(self, count: int) -> list[dict[str, Any]]:
        """Draw the next rows.

        Args:
            count: how many.

        Returns:
            Copies of the rows.
        """
        return [self._next() for _ in range(count)]

    @property
    def epoch(self) -> float:
        """Passes over the data so far."""
        size = len(self._dataset) if self._mapped else 0
        return self._pass + (self._position / size if size else 0.0)

    @property
    def drawn(self) -> int:
        """Rows handed out so far."""
        return self._drawn

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: plain numbers."""
        return {"pass": self._pass, "position": self._position, "drawn": self._drawn, "band": list(self.band)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state_dict` was taken.

        Args:
            state: what `state_dict` returned.
        """
        self._pass, self._position, self._drawn = state["pass"], state["position"], state["drawn"]
        self._reader = None
        self.set_band(tuple(state["band"]))

    def _next(self) -> dict[str, Any]:
        first_pass = self._pass
        while True:
            if self._reader is None:
                self._reader = self._read(self._pass, self._position)
            for row in self._reader:
                self._position += 1
                if row is not None:
                    self._drawn += 1
                    return row
            if self._pass > first_pass:  # one whole pass went by without a row
                raise DataError(f"no row of the training data set has a difficulty in {_text(self.band)}")
            if not self._mapped and self._position == 0:
                raise DataError("the training data set is empty")
            self._pass, self._position, self._reader = self._pass + 1, 0, None

    def _read(self, number: int, skip: int) -> Iterator[dict[str, Any] | None]:
        """Yield the rows of a pass, ``None`` for one outside the band."""
        if self._mapped:
            size = len(self._dataset)
            order = np.random.default_rng([self._seed, number]).permutation(size) if self._shuffle else range(size)
            for index in order[skip:]:
                if self._difficulty is None or _inside(self._difficulty[index], self.band):
                    yield dict(self._dataset[int(index)])
                else:
                    yield None
            return
        dataset = self._dataset.shuffle(seed=self._seed) if self._shuffle else self._dataset
        dataset.set_epoch(number)
        for position, row in enumerate(dataset):
            if position >= skip:
                yield dict(row) if _inside(row.get("difficulty"), self.band) else None


def _inside(difficulty: float | None, band: Band) -> bool:
    low, high = band
    if low is None and high is None:
        return True
    if difficulty is None or np.isnan(difficulty):
        return False
    return (low is None or difficulty >= low) and (high is None or difficulty <= high)


def _text(band: Band) -> str:
    low, high = band
    return f"[{'-inf' if low is None else low}, {'inf' if high is None else high}]"
