"""What a sandbox uses, read from outside in ``/proc``: processes, CPU time, memory, whether it is asleep.

Resource limits inside count one process each; this sees the whole tree below one process, which a program
cannot leave (its namespace's init adopts every orphan). Where the kernel keeps an account (`cgroup`), its
figures are exact; these are estimates that err against programs which start many short-lived processes.
"""

from __future__ import annotations

import math
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_BYTES_PER_FILE = 1024
"""What the kernel keeps of a file in memory beside its content: an inode, a name, a few lists."""

_Key = tuple[int, str]


@dataclass(frozen=True)
class Process:
    """One process at one look.

    Attributes:
        own: CPU time of all its threads, ended ones included, in seconds.
        waited: CPU time of the ended children that it, or they, waited for.
        runs: whether a thread runs or waits for a core.
        space: the number under which ``/proc`` shows its memory: its own, or a thread's where its first has ended.
    """

    own: float
    waited: float
    runs: bool
    space: int


@dataclass(frozen=True)
class Usage:
    """One look at a tree of processes.

    Attributes:
        pids: its processes, the root first.
        cpu: CPU time of those alive, in seconds.
        resident: their resident memory, in bytes; shared pages count for each.
        awake: whether a thread runs, waits for a core or for a disk.
        processes: each process, by its number and the time it started.
    """

    pids: tuple[int, ...]
    cpu: float
    resident: int
    awake: bool
    processes: dict[_Key, Process]

    @property
    def spaces(self) -> tuple[int, ...]:
        """The numbers under which ``/proc`` shows the processes' memory."""
        return tuple(process.space for process in self.processes.values())


def observe(root: int) -> Usage:
    """Look at a process and everything below it; what ended meanwhile is left out."""
    pids, resident, awake = list[int](), 0, False
    processes: dict[_Key, Process] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            state = _stat(f"/proc/{pid}/stat")
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        pids.append(pid)
        runs, space, pages = False, pid, int(state[21])
        for task in tasks:
            try:
                each = _stat(f"/proc/{pid}/task/{task}/stat")
                children = Path(f"/proc/{pid}/task/{task}/children").read_text("ascii")
            except OSError:
                continue
            runs = runs or each[0] == "R"
            awake = awake or each[0] in "RD"
            if state[0] == "Z" and each[0] not in "ZX":  # its first thread has ended and shows no memory: others do
                space, pages = int(task), int(each[21])
            waiting.extend(int(child) for child in children.split())
        resident += pages * _PAGE
        times = [int(ticks) / _TICKS for ticks in state[11:15]]
        processes[pid, state[19]] = Process(times[0] + times[1], times[2] + times[3], runs, space)
    cpu = sum(process.own for process in processes.values())
    return Usage(tuple(pids), cpu, resident, awake, processes)


class Meter:
    """Adds up the CPU time of a tree of processes, of those that have ended too.

    An ended process counts with what its parent's wait brought to light, or with what was last seen of it. Nobody
    may have waited, and short lives pass between two looks: so each process that is new and runs is taken to stand
    for one such life after another since the last look.

    Args:
        root: the topmost process.
        cores: how many processes can have run at once; by default as many as there are cores to use.
        clock: in seconds.
        look: what to look with.
    """

    def __init__(
        self,
        root: int,
        cores: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        look: Callable[[int], Usage] = observe,
    ) -> None:
        self._root, self._clock, self._look = root, clock, look
        self._cores = cores or len(os.sched_getaffinity(0))
        self._seen: dict[_Key, Process] | None = None
        self._looked = 0.0
        self._gone = self._unseen = self._waited = self._waited_before = 0.0

    def look(self) -> tuple[Usage, float]:
        """Return the processes there are, and the CPU time used so far, in seconds."""
        usage, now = self._look(self._root), self._clock()
        waited = sum(process.waited for process in usage.processes.values())
        if self._seen is None:
            self._waited_before = waited
        else:
            self._gone += sum(process.own for key, process in self._seen.items() if key not in usage.processes)
            new = [process for key, process in usage.processes.items() if process.runs and key not in self._seen]
            most = (now - self._looked) * min(len(new), self._cores)
            self._unseen += max(0.0, most - sum(process.own for process in new))
        self._waited = max(self._waited, waited - self._waited_before)
        self._seen, self._looked = usage.processes, now
        return usage, usage.cpu + max(self._gone + self._unseen, self._waited)


def proportional_memory(spaces: tuple[int, ...]) -> int:
    """Return the memory of processes in bytes, shared pages counted once (slow: walks their mappings).

    One that started a file it may not read hides its mappings from its own user: it counts with all that is resident.
    """
    total = 0
    for space in spaces:
        try:
            lines = Path(f"/proc/{space}/smaps_rollup").read_text("ascii").splitlines()
        except PermissionError:
            total += _resident(space)
            continue
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("Pss:", "SwapPss:")))
    return total


def _resident(space: int) -> int:
    try:
        return int(Path(f"/proc/{space}/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        return 0


def swapped_memory(spaces: tuple[int, ...]) -> int:
    """Return what of the processes' memory lies in swap, in bytes; nothing is read where there is no swap."""
    try:
        if Path("/proc/swaps").read_text("utf-8").count("\n") < 2:
            return 0
    except OSError:
        return 0
    total = 0
    for space in spaces:
        try:
            lines = Path(f"/proc/{space}/status").read_text("utf-8", "replace").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmSwap:"))
    return total


def files_in_memory(pid: int, folders: tuple[str, ...]) -> int:
    """Return what the kernel keeps of the files in a process's folders in memory, beside their content, in bytes.

    A file system in memory bounds what its files hold and hardly how many there are: a million empty ones take a
    gigabyte.
    """
    total = 0
    for folder in folders:
        try:
            found = os.statvfs(f"/proc/{pid}/root{folder}")
        except OSError:
            continue
        total += (found.f_files - found.f_ffree) * _BYTES_PER_FILE
    return total


def files_on_disk(folder: Path, pids: tuple[int, ...]) -> float:
    """Return what a folder's files take on the disk, and those without a name that processes hold open, in bytes.

    Infinite where they are too many to count, or a process hides what it holds open.
    """
    total, seen, device = 0, 0, -1
    waiting = [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if (seen := seen + 1) > _MOST_FILES:
                        return math.inf
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    found = entry.stat(follow_symlinks=False)
                    total, device = total + found.st_blocks * 512, found.st_dev
        except FileNotFoundError:  # it changes as it is looked at; the next look is near
            continue
        except OSError:  # closed to us, or deeper than a path is long: nothing honest
            return math.inf
    nameless: dict[int, int] = {}
    for pid in pids:
        try:
            for number in os.listdir(f"/proc/{pid}/fd"):
                found = os.stat(f"/proc/{pid}/fd/{number}")
                if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and found.st_dev == device:
                    nameless[found.st_ino] = found.st_blocks * 512
        except PermissionError:
            if _resident(pid):  # one that has ended is closed to all and holds nothing
                return math.inf
        except OSError:
            continue
    return total + sum(nameless.values())


_MOST_FILES = 20_000


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
