"""What a program uses, as the kernel itself charges it: a control group of its own, where one can be made.

Processes' own figures miss much: pages that are shared and unmapped, buffers of sockets and pipes, files in
memory, the CPU time of children that nobody waited for. A control group misses none of it, and its bound on
memory holds at every instant. It takes root, or a delegated part of the hierarchy (a systemd scope of one's
own); version 2 and version 1 both do. Where there is none, `usage` estimates from outside and the filter of
system calls refuses what it could not see.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from magistral_recipe.verifiers.sandbox.terms import MEBIBYTE

logger = logging.getLogger(__name__)

SWITCH = "MAGISTRAL_RECIPE_CGROUPS"
"""Set to ``off``, this variable of the environment has programs accounted for as where no group can be made."""
_PREFIX = "magistral"
_PATIENCE = 0.2
"""Seconds to wait for killed processes to leave their group."""
_numbers = itertools.count()
_left: deque[Path] = deque()


@dataclass(frozen=True)
class Places:
    """Folders in which groups can be made.

    Attributes:
        memory: of the hierarchy that has the memory controller.
        cpu: of the one that counts CPU time; in version 2 the same.
        version: of the memory controller's interface.
    """

    memory: Path
    cpu: Path
    version: int


class Account:
    """A group for one program after another; making one costs more than a small program.

    Args:
        places: where to make it.

    Raises:
        OSError: where it cannot be made.
    """

    def __init__(self, places: Places) -> None:
        name = f"{_PREFIX}-{os.getpid()}-{next(_numbers)}"
        self._version = places.version
        self._memory, self._cpu = places.memory / name, places.cpu / name
        self._bound, self._events, self._killed = 0, -1, 0
        try:
            for folder in self._folders():
                folder.mkdir()
        except OSError:
            self.close()
            raise

    def admit(self, pid: int) -> None:
        """Charge a process, and all that it will start, to this group; raise OSError where that is refused."""
        for folder in self._folders():
            _write(folder / "cgroup.procs", pid)

    def bound(self, memory: int) -> None:
        """Set how much memory the group may hold, in bytes; beyond it the kernel ends one of its processes.

        Raises:
            OSError: where the kernel refuses.
        """
        if memory == self._bound:
            return
        if self._version == 2:
            _write(self._memory / "memory.max", memory)
            _try_write(self._memory / "memory.swap.max", 0)
        else:
            # Memory with swap may never be bounded below memory alone: whichever way it moves, one order works.
            swap = self._memory / "memory.memsw.limit_in_bytes"
            _try_write(swap, memory)
            _write(self._memory / "memory.limit_in_bytes", memory)
            _try_write(swap, memory)
            _try_write(self._memory / "memory.kmem.tcp.limit_in_bytes", min(memory, 64 * MEBIBYTE))  # counted apart
        self._bound = memory

    def cpu(self) -> float:
        """Return the CPU time of all that ever ran in the group, in seconds."""
        with contextlib.suppress(OSError, ValueError):
            return int((self._cpu / "cpuacct.usage").read_text("ascii")) / 1e9
        return _figure_in((self._cpu / "cpu.stat").read_bytes(), "usage_usec") / 1e6

    def starved(self) -> bool:
        """Whether the kernel ended a process of the group for its memory, since it was last emptied."""
        return self._kills() > self._killed

    def _kills(self) -> int:
        if self._events < 0:  # asked after every test: opened once
            name = "memory.events" if self._version == 2 else "memory.oom_control"
            self._events = os.open(self._memory / name, os.O_RDONLY)
        return _figure_in(os.pread(self._events, 4096, 0), "oom_kill")

    def empty(self) -> bool:
        """Wait a moment until those that were killed have left; whether the group can be another program's."""
        deadline = time.monotonic() + _PATIENCE
        try:
            while any((folder / "cgroup.procs").read_bytes() for folder in self._folders()):
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.001)
            self._killed = self._kills()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Remove the group; its processes must have been killed. What is slow to leave is removed with the next."""
        if self._events >= 0:
            os.close(self._events)
            self._events = -1
        deadline = time.monotonic() + _PATIENCE
        waiting = self._folders() + [_left.popleft() for _ in range(len(_left))]
        while waiting := [folder for folder in waiting if not _removed(folder)]:
            if time.monotonic() > deadline:
                _left.extend(waiting)
                break
            time.sleep(0.001)

    def _folders(self) -> list[Path]:
        return list(dict.fromkeys((self._memory, self._cpu)))


def open_account() -> Account | None:
    """Make a group for a program; ``None`` where none can be made, or none is wanted."""
    if os.environ.get(SWITCH) == "off":
        return None
    places = find_places()
    if places is None:
        return None
    with _lock:
        if _free:
            return _free.pop()
    try:
        return Account(places)
    except OSError as error:
        logger.debug("no control group for a program: %s", error)
        return None


def close_account(account: Account) -> None:
    """Give a group back whose processes have been killed."""
    if account.empty():
        with _lock:
            if len(_free) < _MOST_FREE:
                _free.append(account)
                return
    account.close()


_free: list[Account] = []
_MOST_FREE = 64
_lock = threading.Lock()


@atexit.register
def _close_free() -> None:
    while _free:
        _free.pop().close()


def _forget() -> None:
    """In a forked child: the groups, and whoever held the lock, are the parent's."""
    global _lock
    _lock = threading.Lock()
    _free.clear()
    _left.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@cache
def find_places() -> Places | None:
    """Return where groups can be made, found by making one; ``None`` where that is nowhere."""
    for places in _candidates(Path("/proc/self")):
        with contextlib.suppress(OSError):
            account = Account(places)
            try:
                account.bound(64 * MEBIBYTE)
                account.cpu()
                account.starved()
                _sweep(places)
                return places
            finally:
                account.close()
    return None


def _sweep(places: Places) -> None:
    """Remove the groups of processes that were killed before they could."""
    for folder in {places.memory, places.cpu}:
        for group in folder.glob(f"{_PREFIX}-*-*"):
            maker = group.name.split("-")[1]
            if maker.isdigit() and not Path(f"/proc/{maker}").exists():
                _removed(group)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        return error.errno != errno.EBUSY
    return True


def _candidates(process: Path) -> Iterator[Places]:
    """Places to try: this process's own groups and those above them, version 2 before version 1."""
    try:
        mounts = _mounts((process / "mountinfo").read_text("utf-8"))
        own = dict(line.split(":", 2)[1:] for line in (process / "cgroup").read_text("utf-8").splitlines())
    except (OSError, ValueError):
        return
    unified = mounts.get("")
    if unified is not None:
        for folder in _upwards(unified, own.get("", "/")):
            if _hands_down_memory(folder):
                yield Places(folder, folder, 2)
    if "memory" in mounts:
        groups = {name: path for names, path in own.items() for name in names.split(",")}
        memory = _upwards(mounts["memory"], groups.get("memory", "/"))[0]
        counters = [(mounts[name], groups.get(name, "/")) for name in ("cpuacct", "") if name in mounts]
        for root, path in counters:
            yield Places(memory, _upwards(root, path)[0], 1)


def _mounts(text: str) -> dict[str, Path]:
    """Controller to where its hierarchy is mounted; version 2's is called by no name."""
    found: dict[str, Path] = {}
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        kind, *_, options = after.split() if separator else ("", "")
        place = Path(before.split()[4].replace("\\040", " "))
        if kind == "cgroup2":
            found.setdefault("", place)
        elif kind == "cgroup":
            for name in options.split(","):
                found.setdefault(name, place)
    return found


def _upwards(root: Path, path: str) -> list[Path]:
    """The folder of a group and those above it; only the root where the group is not to be seen from here."""
    folder = root / path.lstrip("/")
    if ".." in path or not folder.is_dir():
        return [root]
    return [folder, *(each for each in folder.parents if each == root or root in each.parents)]


def _hands_down_memory(folder: Path) -> bool:
    """Whether groups made in a folder of version 2 have the memory controller; the root's may be switched on."""
    try:
        if "memory" in (folder / "cgroup.subtree_control").read_text("ascii").split():
            return os.access(folder / "cgroup.procs", os.W_OK)
        # Only the true root may have processes beside groups; it alone has no events.
        if "memory" not in (folder / "cgroup.controllers").read_text("ascii").split():
            return False
        if (folder / "cgroup.events").exists():
            return False
        _write(folder / "cgroup.subtree_control", "+memory")
    except OSError:
        return False
    return True


def _write(path: Path, value: object) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, str(value).encode("ascii"))
    finally:
        os.close(descriptor)


def _try_write(path: Path, value: object) -> None:
    with contextlib.suppress(OSError):  # not every kernel has the file
        _write(path, value)


def _figure_in(text: bytes, name: str) -> int:
    for line in text.decode("ascii").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    raise OSError(f"a control group without the figure {name}")
