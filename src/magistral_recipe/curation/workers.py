"""Several processes for what is done to each row by itself: in order, bounded, and the same as in one process."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

ALONE = 4096
"""Items that are done here first: starting processes takes seconds, and most sets are small."""
_CHUNK = 256
_AHEAD = 4  # chunks under way for each process


def each_in(workers: int, function: Callable[[T], R], items: Iterable[T], alone: int | None = None) -> Iterator[R]:
    """Apply a function to each item, in several processes where there are many.

    Args:
        workers: processes; 1 for none but this one.
        function: of the item alone; it and the items can be pickled. Each process gets it once.
        items: read some ahead of what is yielded.
        alone: items that this process does before it starts others; `ALONE` by default.

    Yields:
        The results, in the items' order.
    """
    items = iter(items)
    yield from map(function, islice(items, ALONE if alone is None else alone))
    if workers < 2:
        yield from map(function, items)
        return
    first = list(islice(items, _CHUNK))
    if not first:
        return
    # Spawned, since a fork would inherit threads' locks; they import what the function needs and nothing more.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _install, (function,))
    waiting: deque[Future[list[R]]] = deque([pool.submit(_apply, first)])
    try:
        while waiting:
            while len(waiting) < _AHEAD * workers and (chunk := list(islice(items, _CHUNK))):
                waiting.append(pool.submit(_apply, chunk))
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


_function: Callable[[Any], Any]


def _install(function: Callable[[Any], Any]) -> None:
    global _function
    _function = function


def _apply(chunk: list[Any]) -> list[Any]:
    return [_function(item) for item in chunk]
