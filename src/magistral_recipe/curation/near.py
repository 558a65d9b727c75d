"""Pairs of rows that are nearly alike among a million: MinHash signatures on disk, joined band by band.

MinHash is datasketch's. Its index (`MinHashLSH`) holds every signature in dictionaries, three gigabytes for a million
rows; here each band's hashes are a file of eight bytes a row, and rows that share one are found by sorting one band
after another, in some tens of megabytes. What decides about a problem, its numbers and signs, is hashed into every
band: problems of one template that differ there never meet.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from magistral_recipe.curation.likeness import Likeness

if TYPE_CHECKING:
    from datasketch import MinHash

PERMUTATIONS = 128
ROWS = 4
"""Hashes a band. With 32 bands of 4, a pair that shares 0.7 of its shingles meets with probability 0.9998, one that
shares half with 0.87, one that shares a quarter with 0.12: 1 - (1 - s^4)^32."""
BANDS = PERMUTATIONS // ROWS
MOST_COMPARED = 32
"""Earlier rows of a bucket that a row is compared with: the first ones, of which the kept one is nearly always one."""

_CHUNK = 4096


class Signatures:
    """The bands of rows that come one after another, in a folder.

    Args:
        folder: an empty folder, for 256 bytes a row.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.files = [folder / f"band-{band:02d}" for band in range(BANDS)]
        self._waiting: list[NDArray[np.uint64]] = []
        for file in self.files:
            file.unlink(missing_ok=True)

    def add(self, bands: NDArray[np.uint64]) -> None:
        """Take the next row's bands (`bands_of`)."""
        self._waiting.append(bands)
        if len(self._waiting) == _CHUNK:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        block = np.stack(self._waiting, axis=1)
        for file, row in zip(self.files, block, strict=True):
            with file.open("ab") as stream:
                stream.write(row.tobytes())
        self._waiting = []

    def pairs(self) -> Iterator[NDArray[np.int64]]:
        """Yield, band by band, pairs (earlier, later) of rows that share the band, `[P, 2]`."""
        self.flush()
        for file in self.files:
            if file.exists():
                yield _shared(np.fromfile(file, np.uint64))


def bands_of(text: Likeness) -> NDArray[np.uint64]:
    """Hash a text into bands, `[BANDS]`; one without words meets nothing."""
    sketch = _empty().copy()
    sketch.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in text.shingles])
    key = repr(text.figures if text.shingles else object())
    salt = np.frombuffer(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), np.uint64)
    return _mixed(sketch.hashvalues.astype(np.uint64).reshape(BANDS, ROWS), salt)


@cache
def _empty() -> MinHash:
    from datasketch import MinHash

    return MinHash(PERMUTATIONS)


def candidates(bands: Iterable[NDArray[np.uint64]], folder: Path) -> dict[int, list[int]]:
    """Find for each row the earlier rows that may be nearly alike.

    Args:
        bands: of each row (`bands_of`), in order; read once.
        folder: an empty folder for the signatures.

    Returns:
        Row → the earlier rows that share a band with it, ascending; rows without any are left out.
    """
    signatures = Signatures(folder)
    for each in bands:
        signatures.add(each)
    known = np.empty((0, 2), np.int64)
    for pairs in signatures.pairs():
        known = np.unique(np.concatenate([known, pairs]), axis=0)
    found: dict[int, list[int]] = {}
    for earlier, later in known.tolist():
        found.setdefault(later, []).append(earlier)
    return found


def _shared(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Pairs of places that hold the same hash; of large buckets each with its first `MOST_COMPARED` alone."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sizes = np.diff(np.r_[starts, len(ordered)])
    several = sizes > 1
    found = [np.empty((0, 2), np.int64)]
    for start, size in zip(starts[several].tolist(), sizes[several].tolist(), strict=True):
        members = order[start : start + size]  # ascending, since the sort is stable
        for step in range(min(MOST_COMPARED, size - 1)):
            later = members[step + 1 :]
            found.append(np.stack([np.full(len(later), members[step]), later], axis=1))
    return np.concatenate(found)


def _mixed(bands: NDArray[np.uint64], salt: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash a band, of its rows and the salt: a multiply and a rotation each, as FNV and its like do."""
    mixed = np.broadcast_to(salt, (len(bands),)).copy()
    for column in bands.T:
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed
