"""One pool of verifying processes for everything in this process that needs SymPy.

Workers are programs of their own on pipes (`magistral_recipe.verifiers.worker`), started at first use: never
a fork of a trainer that holds threads and a GPU, never a second import of the caller's ``__main__``, so that
it works from an unguarded script, from standard input and in a notebook. A clock counts CPU time and starts
when a worker starts its work, so neither queueing nor a busy machine makes a right answer wrong. What belongs to one
completion shares one clock, however many pairs that is. What a worker crashes at is tried once more, alone, in a fresh
one; what ran out of time only if the machine was loaded, since CPU time would run out again.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from magistral_recipe.verifiers.cores import worker_count

logger = logging.getLogger(__name__)

SECONDS = 4.0
"""CPU time of one completion's pairs together."""
WALL_FACTOR = 3
LOADED = 1.5
"""So many times the CPU time, and the machine is taken to have kept a worker waiting."""
START_SECONDS = 120.0
"""How long a worker may take to import SymPy on a machine that is busy or whose disk is far away."""
ITEMS_PER_WORKER = 2000
"""SymPy's caches grow: a worker is replaced after so many items."""


class Outcome(StrEnum):
    """What became of one item."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNREADABLE = "unreadable"
    TIMEOUT = "timeout"
    CRASHED = "crashed"
    FAILED = "failed"  # the machine's fault: no worker could be started


@dataclass
class _Unit:
    """Pairs for one worker, one after the other, on one clock.

    Attributes:
        group: whose clock.
        indices: the pairs that are still to be compared, the one in work first.
        seconds: CPU time that the clock had when this unit was made.
        fresh: whether nothing of it has been used yet for another pair.
        spent: CPU time used, in seconds; where a worker died, the time that went by.
        ending: what the worker died of, if it did.
        loaded: whether the machine had kept it waiting then.
    """

    group: int
    indices: deque[int]
    seconds: float
    fresh: bool = True
    spent: float = 0.0
    ending: Outcome | None = None
    loaded: bool = False


class _Worker:
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
        self.unit: _Unit | None = None
        self.pairs: Sequence[tuple[str, str]] = ()
        self.started = 0.0
        self.deadline = time.monotonic() + START_SECONDS
        self.ready = False
        self.served = 0
        self._buffer = b""

    def start(self, unit: _Unit, pairs: Sequence[tuple[str, str]]) -> None:
        self.unit, self.pairs = unit, pairs
        self.send()

    def send(self) -> None:
        """Hand over the unit's next pair, with what is left on its clock."""
        assert self.process.stdin is not None
        assert self.unit is not None
        index, seconds = self.unit.indices[0], max(0.01, self.unit.seconds - self.unit.spent)
        self.served, self.started = self.served + 1, time.monotonic()
        self.deadline = self.started + seconds * WALL_FACTOR
        reference, answer = self.pairs[index]
        message = {"id": index, "reference": reference, "answer": answer, "seconds": seconds, "timed": True}
        with contextlib.suppress(BrokenPipeError):  # it died idle: its end of file is read next
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def read(self) -> dict[str, Any] | None:
        """The next reply; None where there is none yet. Raises EOFError when the worker is gone."""
        assert self.process.stdout is not None
        chunk = os.read(self.process.stdout.fileno(), 65536)
        if not chunk:
            raise EOFError
        self._buffer += chunk
        line, newline, rest = self._buffer.partition(b"\n")
        if not newline:
            return None
        self._buffer = rest
        return json.loads(line)

    def end(self, kill: bool = True) -> int:
        """Close the pipes, end the process and wait for it: no zombie stays behind."""
        if kill:
            self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        try:
            return self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def _environment() -> dict[str, str]:
    """The caller's environment, with this package importable however the caller found it."""
    root = str(Path(__file__).resolve().parents[2])
    path = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root, "OMP_NUM_THREADS": "1"}


class Pool:
    """Workers that compare answers; use `shared_pool` rather than one of your own.

    Args:
        workers: how many processes at most.
        seconds: CPU time of one completion, in seconds.
    """

    def __init__(self, workers: int, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._size = workers
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()

    def compare(
        self, pairs: Sequence[tuple[str, str]], together: Sequence[Sequence[int]] | None = None
    ) -> list[Outcome]:
        """Compare each reference with its answer, in parallel.

        Args:
            pairs: (reference, answer).
            together: indices of the pairs that share the CPU time of one completion, for each completion; by default
                each pair has its own. A pair of several completions is out of time once it is for all of them.

        Returns:
            One outcome a pair, in order.
        """
        if not pairs:
            return []
        groups = [[index] for index in range(len(pairs))] if together is None else together
        with self._lock:
            try:
                outcomes = self._settle(pairs, groups)
            except BaseException:
                self._end_all()  # a worker that is busy would answer the next call
                raise
        return [outcomes.get(index, Outcome.TIMEOUT) for index in range(len(pairs))]

    def _settle(self, pairs: Sequence[tuple[str, str]], groups: Sequence[Sequence[int]]) -> dict[int, Outcome]:
        """Round after round: what one group's clock left open may be another's to finish."""
        outcomes: dict[int, Outcome] = {}
        left = [self.seconds] * len(groups)
        dead: list[_Unit] = []
        while units := _units(groups, left, outcomes, self.seconds):
            if not self._run(pairs, units, outcomes, self._size):
                return outcomes | dict.fromkeys(set(range(len(pairs))) - outcomes.keys(), Outcome.FAILED)
            for unit in units:
                _book(unit, left, outcomes)
            dead += [unit for unit in units if unit.ending is Outcome.CRASHED or (unit.ending and unit.loaded)]
        # A death may be the neighbour's fault or the machine's: once more, alone, in a fresh worker.
        for unit in dead:
            if unit.ending is Outcome.TIMEOUT:
                left[unit.group] = self.seconds
            unit.indices = deque(index for index in unit.indices if outcomes.get(index) in (None, *_DEATHS))
            outcomes |= self._alone(pairs, unit, left)
        return outcomes

    def _alone(self, pairs: Sequence[tuple[str, str]], unit: _Unit, left: list[float]) -> dict[int, Outcome]:
        seconds = left[unit.group]
        if seconds <= 0 or not unit.indices:
            return {}
        again = _Unit(unit.group, unit.indices, seconds)
        found: dict[int, Outcome] = {}
        self._end_all()
        if not self._run(pairs, [again], found, 1):
            return dict.fromkeys(unit.indices, Outcome.FAILED)
        _book(again, left, found)
        return found

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._end_all(kill=False)

    def _end_all(self, kill: bool = True) -> None:
        while self._workers:
            self._workers.pop().end(kill)

    def _run(
        self, pairs: Sequence[tuple[str, str]], units: Sequence[_Unit], outcomes: dict[int, Outcome], size: int
    ) -> bool:
        """Have the units' pairs compared, as far as their clocks go; False where no worker can be had."""
        waiting, running = deque(units), len(units)
        while running:
            if not self._staff(min(size, running)):
                return False
            for worker in self._workers:
                if worker.ready and worker.unit is None and waiting:
                    worker.start(waiting.popleft(), pairs)
            for worker in self._signalled():
                before = worker.unit
                if not self._serve(worker, outcomes):
                    return False
                running -= before is not None and worker.unit is None
        return True

    def _staff(self, size: int) -> bool:
        """Have as many workers as there is work for, none of them worn out; say whether that worked."""
        for worker in [each for each in self._workers if each.unit is None and each.served >= ITEMS_PER_WORKER]:
            self._workers.remove(worker)
            worker.end()
        try:
            while len(self._workers) < size:
                self._workers.append(_Worker())
        except OSError as error:
            logger.error("cannot start a verifying process: %s", error)
            return bool(self._workers)
        return True

    def _signalled(self) -> list[_Worker]:
        """Wait until a worker has said something, has died, or is out of time; return those."""
        busy = [worker for worker in self._workers if worker.unit is not None or not worker.ready]
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                assert worker.process.stdout is not None
                selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
            nearest = min(worker.deadline for worker in busy)
            ready = [key.data for key, _ in selector.select(max(0.0, nearest - time.monotonic()))]
        now = time.monotonic()
        return ready or [worker for worker in busy if worker.deadline <= now]

    def _serve(self, worker: _Worker, outcomes: dict[int, Outcome]) -> bool:
        """Take a reply, or bury the worker; False where it never became ready, so that none will."""
        now = time.monotonic()
        if worker.deadline <= now and not _readable(worker):
            return self._bury(worker, Outcome.TIMEOUT)
        try:
            reply = worker.read()
        except EOFError:
            return self._bury(worker, Outcome.CRASHED)
        if reply is None:
            return True
        unit = worker.unit
        if "ready" in reply:
            worker.ready = bool(reply["ready"])
            if not worker.ready:
                logger.error("a verifying process cannot work: %s", reply.get("error"))
            return worker.ready
        if unit is not None and unit.indices[0] == reply["id"]:
            outcomes[unit.indices.popleft()] = _OUTCOMES[reply["equal"]]
            unit.fresh = False
            unit.spent += reply["spent"]
            if unit.indices and unit.spent < unit.seconds:
                worker.send()
            else:
                worker.unit = None
        return True

    def _bury(self, worker: _Worker, outcome: Outcome) -> bool:
        self._workers.remove(worker)
        status = worker.end()
        unit, worker.unit = worker.unit, None
        if unit is None:
            if not worker.ready:
                logger.error("a verifying process did not start (exit status %s)", status)
            return worker.ready
        timed_out = outcome is Outcome.TIMEOUT or (hasattr(signal, "SIGPROF") and status == -signal.SIGPROF)
        unit.ending = Outcome.TIMEOUT if timed_out else Outcome.CRASHED
        waited = time.monotonic() - worker.started
        unit.loaded = waited > LOADED * (unit.seconds - unit.spent)
        unit.spent += waited
        return True


def _units(
    groups: Sequence[Sequence[int]], left: Sequence[float], outcomes: Mapping[int, Outcome], seconds: float
) -> list[_Unit]:
    """What is still open, each pair once, with the smallest group that has time for it."""
    claimed = set(outcomes)
    units = []
    for group in sorted(range(len(groups)), key=lambda group: len(groups[group])):
        mine = [index for index in dict.fromkeys(groups[group]) if index not in claimed]
        if mine and left[group] > 0:
            claimed.update(mine)
            units.append(_Unit(group, deque(mine), left[group], left[group] == seconds))
    return units


def _book(unit: _Unit, left: list[float], outcomes: dict[int, Outcome]) -> None:
    """Take what a unit used off its group's clock, and note what the worker died at."""
    left[unit.group] = 0.0 if unit.ending is Outcome.TIMEOUT else left[unit.group] - unit.spent
    if not unit.indices or unit.ending is None:
        return
    # Where other pairs had used up the time, this one may have it with another group.
    if unit.ending is Outcome.CRASHED or unit.fresh:
        outcomes[unit.indices[0]] = unit.ending


_DEATHS = (Outcome.TIMEOUT, Outcome.CRASHED)
_OUTCOMES = {True: Outcome.EQUAL, False: Outcome.DIFFERENT, None: Outcome.UNREADABLE}


def _readable(worker: _Worker) -> bool:
    assert worker.process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(worker.process.stdout, selectors.EVENT_READ)
        return bool(selector.select(0))


_shared: Pool | None = None
_shared_lock = threading.Lock()


def shared_pool() -> Pool:
    """Return this process's pool; its workers are started at first use and end with the process."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Pool(worker_count())
        return _shared


def _forget() -> None:
    """In a forked child: the workers, and whoever held the locks, are the parent's."""
    global _shared, _shared_lock
    _shared_lock = threading.Lock()
    if _shared is not None:
        for worker in _shared._workers:
            for stream in (worker.process.stdin, worker.process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        os.close(stream.fileno())
        # Kept alive so that no finaliser waits for, or writes to, a process of another parent.
        _abandoned.append(_shared)
    _shared = None


_abandoned: list[Pool] = []
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def _close() -> None:
    if _shared is not None and _shared._lock.acquire(timeout=1):
        _shared._end_all(kill=False)
        _shared._lock.release()
