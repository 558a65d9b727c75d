"""What a sandbox uses, read from outside in ``/proc``: processes, CPU time, memory, whether it is asleep.

Resource limits inside count one process each; this sees the whole tree below one process, which a program
cannot leave (its namespace's init adopts every orphan).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True)
class Usage:
    """One look at a tree of processes.

    Attributes:
        pids: its processes, the root first.
        cpu: CPU time of those alive, in seconds.
        resident: their resident memory, in bytes; shared pages count for each.
        awake: whether a thread runs, waits for a core or for a disk.
    """

    pids: tuple[int, ...]
    cpu: float
    resident: int
    awake: bool


def observe(root: int) -> Usage:
    """Look at a process and everything below it; what ended meanwhile is left out."""
    pids, cpu, resident, awake = list[int](), 0.0, 0, False
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            state = _stat(f"/proc/{pid}/stat")
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        pids.append(pid)
        cpu += (int(state[11]) + int(state[12])) / _TICKS
        resident += int(state[21]) * _PAGE
        for task in tasks:
            try:
                awake = awake or _stat(f"/proc/{pid}/task/{task}/stat")[0] in "RD"
                children = Path(f"/proc/{pid}/task/{task}/children").read_text("ascii")
            except OSError:
                continue
            waiting.extend(int(child) for child in children.split())
    return Usage(tuple(pids), cpu, resident, awake)


def proportional_memory(pids: tuple[int, ...]) -> int:
    """Return the memory of processes in bytes, shared pages counted once (slow: walks their mappings)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def threads_of_user(uid: int) -> int:
    """Return how many threads a user has on this machine, as RLIMIT_NPROC counts them."""
    total = 0
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                total += len(os.listdir(f"/proc/{entry.name}/task"))
        except OSError:
            continue
    return total


def _stat(path: str) -> list[str]:
    # The command's name, in brackets, may hold anything: fields are counted from its end.
    return Path(path).read_text("utf-8", "replace").rpartition(")")[2].split()
