"""One verifying process (`magistral_recipe.verifiers.worker`) as the pool sees it: what it works on, and what it says.

Where pipes can be waited for, as on Linux and macOS, they are; on Windows a thread a worker reads them.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

START_SECONDS = 120.0
"""How long a worker may take to import SymPy on a machine that is busy or whose disk is far away."""
HAS_CLOCK = hasattr(signal, "setitimer")
"""Whether the kernel ends a worker that has had its CPU time; Windows has no such clock."""
WALL_FACTOR = 3
"""So many times its CPU time a pair may take by the clock on the wall."""
LEAST_WALL = 60.0 if HAS_CLOCK else 0.0
"""Seconds by the wall at least, where the kernel counts CPU time: what is left to bound is a machine without any."""
SELECTS_PIPES = os.name != "nt"
"""Whether the system tells which pipe has something to read; Windows does so for sockets alone."""


class Outcome(StrEnum):
    """What became of one item."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    FAILED = "failed"  # the machine's fault: no worker could be started


@dataclass
class Unit:
    """Pairs for one worker, one after the other, on one clock.

    Attributes:
        group: whose clock.
        indices: the pairs that are still to be compared, the one in work first.
        seconds: CPU time that the clock had when this unit was made.
        fresh: whether nothing of it has been used yet for another pair.
        spent: CPU time used, in seconds.
        ending: what the worker died of, if it did; `FAILED` where the machine had given it no time.
    """

    group: int
    indices: deque[int]
    seconds: float
    fresh: bool = True
    spent: float = 0.0
    ending: Outcome | None = None


class Worker:
    """One process and the unit it works on."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            # -P: modules in the caller's working folder must not shadow the standard library
            [sys.executable, "-P", "-m", "magistral_recipe.verifiers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is the parent's to handle
        )
        self.unit: Unit | None = None
        self.pairs: Sequence[tuple[str, str]] = ()
        self.started = 0.0
        self.used: float | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self.ready = False
        self.served = 0
        self._buffer = b""
        self.bell = threading.Event()  # rung where a thread reads
        self._chunks: queue.SimpleQueue[bytes] | None = None
        if not SELECTS_PIPES:
            self._chunks = queue.SimpleQueue()
            threading.Thread(target=self._listen, args=(self._chunks,), daemon=True, name="verifier").start()

    def start(self, unit: Unit, pairs: Sequence[tuple[str, str]]) -> None:
        self.unit, self.pairs = unit, pairs
        self.send()

    def send(self) -> None:
        """Hand over the unit's next pair, with what is left on its clock."""
        assert self.process.stdin is not None
        assert self.unit is not None
        index, seconds = self.unit.indices[0], max(0.01, self.unit.seconds - self.unit.spent)
        self.served, self.started = self.served + 1, time.monotonic()
        self.used = self._cpu_seconds()
        self.deadline = self.started + max(seconds * WALL_FACTOR, LEAST_WALL)
        reference, answer = self.pairs[index]
        message = {"id": index, "reference": reference, "answer": answer, "seconds": seconds, "timed": True}
        with contextlib.suppress(BrokenPipeError):  # it died idle: its end of file is read next
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def taken(self) -> float:
        """CPU time that the pair in work has taken, in seconds; where that can't be told, the time that went by."""
        now = self._cpu_seconds()
        if now is None or self.used is None:
            return time.monotonic() - self.started
        return max(0.0, now - self.used)

    def _cpu_seconds(self) -> float | None:
        """CPU time of the process so far, also of one that has died and was not waited for yet."""
        import psutil

        try:
            times = psutil.Process(self.process.pid).cpu_times()
        except psutil.Error:
            return None
        return float(times.user + times.system)

    def read(self) -> dict[str, Any] | None:
        """The next reply; None where there is none yet. Raises EOFError when the worker is gone."""
        assert self.process.stdout is not None
        chunk = os.read(self.process.stdout.fileno(), 65536) if self._chunks is None else self._chunks.get()
        if not chunk:
            raise EOFError
        self._buffer += chunk
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        return json.loads(line)

    def readable(self) -> bool:
        """Whether it has said something, or is gone."""
        if self._chunks is not None:
            return not self._chunks.empty()
        with selectors.DefaultSelector() as selector:
            assert self.process.stdout is not None
            selector.register(self.process.stdout, selectors.EVENT_READ)
            return bool(selector.select(0))

    def _listen(self, chunks: queue.SimpleQueue[bytes]) -> None:
        assert self.process.stdout is not None
        chunk = b"."
        while chunk:
            try:
                chunk = os.read(self.process.stdout.fileno(), 65536)
            except (OSError, ValueError):
                chunk = b""
            chunks.put(chunk)
            self.bell.set()

    def end(self, kill: bool = True) -> int:
        """Close the pipes, end the process and wait for it: no zombie stays behind."""
        if kill:
            self.process.kill()
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self.process.stdout is not None:
            with contextlib.suppress(OSError):
                self.process.stdout.close()
        return status


@dataclass
class Crew:
    """The workers that one call has for now.

    Attributes:
        members: each with its unit, or without one.
        bell: rung by threads that read, where pipes can't be waited for.
    """

    members: list[Worker] = field(default_factory=list)
    bell: threading.Event = field(default_factory=threading.Event)

    def add(self, worker: Worker) -> None:
        """Take a worker in."""
        worker.bell = self.bell
        self.members.append(worker)

    def signalled(self) -> list[Worker]:
        """Wait until a worker has said something, has died, or is out of time; return those."""
        busy = [worker for worker in self.members if worker.unit is not None or not worker.ready]
        nearest = min(worker.deadline for worker in busy)
        ready = (_selected if SELECTS_PIPES else self._heard)(busy, nearest)
        now = time.monotonic()
        return ready or [worker for worker in busy if worker.deadline <= now]

    def _heard(self, busy: Sequence[Worker], deadline: float) -> list[Worker]:
        while True:
            self.bell.clear()
            ready = [worker for worker in busy if worker.readable()]
            left = deadline - time.monotonic()
            if ready or left <= 0:
                return ready
            self.bell.wait(left)


def _selected(busy: Sequence[Worker], deadline: float) -> list[Worker]:
    with selectors.DefaultSelector() as selector:
        for worker in busy:
            assert worker.process.stdout is not None
            selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        return [key.data for key, _ in selector.select(max(0.0, deadline - time.monotonic()))]


def _environment() -> dict[str, str]:
    """The caller's environment, with this package importable however the caller found it."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root, "OMP_NUM_THREADS": "1"}
