"""Who is late: a call over all processes ahead of a round's first collective operations.

A collective operation waits for all processes and, when its time is over, aborts without a word of which one was
missing. Generation and verification are where ranks come apart by minutes, so the ranks meet here first, on the CPU,
where a wait that ends can say who did not come.
"""

from __future__ import annotations

import re
import socket
from datetime import timedelta
from typing import Any

import torch

from magistral_recipe.errors import RunError
from magistral_recipe.machine import World

_LATER = timedelta(seconds=30)
"""How much longer the others wait than the first process, which is the one that knows who is missing."""


class RollCall:
    """Waits for all processes, and names those that do not come. Made by all of them at once.

    Args:
        seconds: how long to wait.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._world = World.joined()
        self._group: Any = None
        self._names: list[str] = []
        if self._world.size > 1:
            # A group of its own: the trainer's may be NCCL's, which can't tell.
            self._group = torch.distributed.new_group(backend="gloo", timeout=timedelta(seconds=seconds) + 2 * _LATER)
            names: list[Any] = [None] * self._world.size
            own = f"process {self._world.rank} (number {self._world.local_rank} on {socket.gethostname()})"
            torch.distributed.all_gather_object(names, own, group=self._group)
            self._names = names

    def __call__(self, where: str) -> None:
        """Wait for the others.

        Args:
            where: what all are to have reached, in words.

        Raises:
            RunError: somebody has not, naming who.
        """
        if self._group is None:
            return
        patience = timedelta(seconds=self._seconds) + (timedelta() if self._world.first else _LATER)
        try:
            torch.distributed.monitored_barrier(self._group, timeout=patience, wait_all_ranks=True)
        except RuntimeError as error:
            raise RunError(
                f"{' and '.join(self._late(str(error)))} did not come to {where} within {self._seconds:g} s "
                "(trainer.ddp_timeout), while the others waited: was it stuck in a reward, or has it died?"
            ) from error

    def _late(self, told: str) -> list[str]:
        """Who is missing, by what torch says to the first process; the others know of that one alone."""
        found = re.search(r"Ranks? ([\d, ]+) failed to pass", told) if self._world.first else None
        return [self._names[int(rank)] for rank in re.findall(r"\d+", found[1])] if found else [self._names[0]]
