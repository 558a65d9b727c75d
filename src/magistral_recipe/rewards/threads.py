"""Threads in which rewards score beside an event loop.

Not the loop's own, `asyncio.to_thread`: the loop looks up hosts in those, and hundreds of completions that wait for
their verification would keep a client's requests waiting behind them.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

_T = TypeVar("_T")


async def in_thread(function: Callable[[], _T]) -> _T:
    """Run a function in a thread of ours, with the caller's context variables.

    Args:
        function: takes no arguments.

    Returns:
        What it returns.
    """
    run = contextvars.copy_context().run
    return await asyncio.get_running_loop().run_in_executor(_threads(os.getpid()), run, function)


@lru_cache(maxsize=1)
def _threads(process: int) -> ThreadPoolExecutor:
    """One set of threads a process: a forked child has none of its parent's."""
    return ThreadPoolExecutor(thread_name_prefix="reward")
