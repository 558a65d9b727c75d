"""One pool of verifying processes for everything in this process that needs SymPy.

Workers are programs of their own on pipes (`magistral_recipe.verifiers.worker`), started at first use: never
a fork of a trainer that holds threads and a GPU, never a second import of the caller's ``__main__``, so that
it works from an unguarded script, from standard input and in a notebook. An item's clock counts CPU time and
starts when a worker starts it, so neither queueing nor a busy machine makes a right answer wrong. Whatever a
worker dies of is tried once more, alone, in a fresh one.
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
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from magistral_recipe.verifiers.cores import worker_count

logger = logging.getLogger(__name__)

SECONDS = 4.0
"""CPU time of one item."""
WALL_FACTOR = 3
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


class _Worker:
    """One process and the item it works on."""

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
        self.item: int | None = None
        self.deadline = time.monotonic() + START_SECONDS
        self.ready = False
        self.served = 0
        self._buffer = b""

    def send(self, index: int, reference: str, answer: str, seconds: float) -> None:
        assert self.process.stdin is not None
        self.item, self.served = index, self.served + 1
        self.deadline = time.monotonic() + seconds * WALL_FACTOR
        message = {"id": index, "reference": reference, "answer": answer, "seconds": seconds}
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
        seconds: CPU time of one item, in seconds.
    """

    def __init__(self, workers: int, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._size = workers
        self._workers: list[_Worker] = []
        self._lock = threading.Lock()

    def compare(self, pairs: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Compare each reference with its answer, in parallel.

        Args:
            pairs: (reference, answer).

        Returns:
            One outcome a pair, in order.
        """
        if not pairs:
            return []
        with self._lock:
            try:
                outcomes = self._run(pairs, range(len(pairs)), self._size)
                # A death may be the neighbour's fault or the machine's: once more, alone, in a fresh worker.
                for index in [i for i, outcome in outcomes.items() if outcome in (Outcome.TIMEOUT, Outcome.CRASHED)]:
                    self._end_all()
                    outcomes |= self._run(pairs, [index], 1)
            except BaseException:
                self._end_all()  # a worker that is busy would answer the next call
                raise
        return [outcomes[index] for index in range(len(pairs))]

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._end_all(kill=False)

    def _end_all(self, kill: bool = True) -> None:
        while self._workers:
            self._workers.pop().end(kill)

    def _run(self, pairs: Sequence[tuple[str, str]], indices: Sequence[int], size: int) -> dict[int, Outcome]:
        waiting = deque(indices)
        outcomes: dict[int, Outcome] = {}
        while len(outcomes) < len(indices):
            if not self._staff(min(size, len(indices) - len(outcomes))):
                outcomes.update(dict.fromkeys(set(indices) - outcomes.keys(), Outcome.FAILED))
                break
            for worker in self._workers:
                if worker.ready and worker.item is None and waiting:
                    index = waiting.popleft()
                    worker.send(index, *pairs[index], self.seconds)
            for worker in self._signalled():
                if not self._serve(worker, outcomes):
                    outcomes.update(dict.fromkeys(set(indices) - outcomes.keys(), Outcome.FAILED))
                    return outcomes
        return outcomes

    def _staff(self, size: int) -> bool:
        """Have as many workers as there is work for, none of them worn out; say whether that worked."""
        for worker in [each for each in self._workers if each.item is None and each.served >= ITEMS_PER_WORKER]:
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
        busy = [worker for worker in self._workers if worker.item is not None or not worker.ready]
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
            return self._bury(worker, outcomes, Outcome.TIMEOUT)
        try:
            reply = worker.read()
        except EOFError:
            return self._bury(worker, outcomes, Outcome.CRASHED)
        if reply is None:
            return True
        if "ready" in reply:
            worker.ready = bool(reply["ready"])
            if not worker.ready:
                logger.error("a verifying process cannot work: %s", reply.get("error"))
            return worker.ready
        if worker.item == reply["id"]:
            outcomes[reply["id"]] = _OUTCOMES[reply["equal"]]
            worker.item = None
        return True

    def _bury(self, worker: _Worker, outcomes: dict[int, Outcome], outcome: Outcome) -> bool:
        self._workers.remove(worker)
        status = worker.end()
        if worker.item is None:
            if not worker.ready:
                logger.error("a verifying process did not start (exit status %s)", status)
            return worker.ready
        timed_out = outcome is Outcome.TIMEOUT or (hasattr(signal, "SIGPROF") and status == -signal.SIGPROF)
        outcomes[worker.item] = Outcome.TIMEOUT if timed_out else Outcome.CRASHED
        return True


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
