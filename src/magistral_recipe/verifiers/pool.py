"""One pool of verifying processes for everything in this process that needs SymPy.

Workers are programs of their own on pipes (`magistral_recipe.verifiers.worker`), started at first use: never
a fork of a trainer that holds threads and a GPU, never a second import of the caller's ``__main__``, so that
it works from an unguarded script, from standard input and in a notebook. A clock counts CPU time and starts
when a worker starts its work, so neither queueing nor a busy machine makes a right answer wrong. What belongs to one
completion shares one clock, however many pairs that is and however often they are tried. What a worker crashes at, or
what the machine gave no time to, is tried once more, alone, in a fresh one, with what is left on the clock; what has
had its time is not. The start of a worker is on no clock; a completion can cost three of them.

Any number of threads may ask at once. Each call hires workers, as many as others leave it, and hands them on as soon as
somebody has none; the lock is held for that alone, never while a worker works.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence

from magistral_recipe.verifiers.cores import worker_count
from magistral_recipe.verifiers.workers import HAS_CLOCK, Crew, Outcome, Unit, Worker

__all__ = ["Outcome", "Pool", "shared_pool"]

logger = logging.getLogger(__name__)

SECONDS = 4.0
"""CPU time of one completion: its pairs together, second attempts too, and what the rules needed before (`used`)."""
DEATHS = 2
"""Workers that may die at one completion's pairs before what is left of them is given up; one is then tried again."""
ITEMS_PER_WORKER = 2000
"""SymPy's caches grow: a worker is replaced after so many items."""


class Pool:
    """Workers that compare answers; use `shared_pool` rather than one of your own.

    Args:
        workers: how many processes at most.
        seconds: CPU time of one completion, in seconds.
    """

    def __init__(self, workers: int, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._size = workers
        self._workers: list[Worker] = []  # all there are
        self._idle: list[Worker] = []
        self._queue: deque[object] = deque()  # calls without a worker: who came first has the next one
        self._turn = threading.Condition()  # guards these three, for as long as it takes to look at them
        self._failed_starts = 0
        self._told = ""  # why SymPy is off, if it is
        self._useless = ""  # the same, where trying again would change nothing

    def compare(
        self,
        pairs: Sequence[tuple[str, str]],
        together: Sequence[Sequence[int]] | None = None,
        used: Sequence[float] | None = None,
    ) -> list[Outcome]:
        """Compare each reference with its answer, in parallel.

        Args:
            pairs: (reference, answer).
            together: indices of the pairs that share the CPU time of one completion, for each completion; by default
                each pair has its own. A pair of several completions is out of time once it is for all of them.
            used: CPU time that each completion has had already, in seconds; by default none.

        Returns:
            One outcome a pair, in order.
        """
        if not pairs:
            return []
        groups = [[index] for index in range(len(pairs))] if together is None else together
        if self._useless:
            return [Outcome.FAILED] * len(pairs)
        clocks = [max(0.0, self.seconds - spent) for spent in used or [0.0] * len(groups)]
        crew = Crew()
        try:
            outcomes = self._settle(pairs, groups, clocks, crew)
        finally:
            self._release(crew)
            if self._useless:
                self._end_idle()
        return [outcomes.get(index, Outcome.TIMEOUT) for index in range(len(pairs))]

    def _settle(
        self,
        pairs: Sequence[tuple[str, str]],
        groups: Sequence[Sequence[int]],
        clocks: Sequence[float],
        crew: Crew,
    ) -> dict[int, Outcome]:
        """Round after round: what one group's clock left open may be another's to finish."""
        outcomes: dict[int, Outcome] = {}
        left = list(clocks)
        dead: dict[int, list[Unit]] = {}
        while units := _units(_alive(groups, dead), left, outcomes, clocks):
            if not self._run(pairs, units, outcomes, crew):
                return outcomes | dict.fromkeys(set(range(len(pairs))) - outcomes.keys(), Outcome.FAILED)
            for unit in units:
                _book(unit, left, outcomes)
                if unit.ending in (Outcome.CRASHED, Outcome.FAILED):
                    dead.setdefault(unit.group, []).append(unit)
        # A death may be the neighbour's fault or the machine's: once more, alone, in a fresh worker.
        for units in dead.values():
            unit = units[0]
            unit.indices = deque(index for index in unit.indices if outcomes.get(index) in (None, *_DEATHS))
            found = self._alone(pairs, unit, left, crew)
            outcomes |= found
            if Outcome.FAILED in found.values():  # the machine still gives no time: the others need not wait for it too
                break
        return outcomes

    def _alone(self, pairs: Sequence[tuple[str, str]], unit: Unit, left: list[float], crew: Crew) -> dict[int, Outcome]:
        seconds = left[unit.group]
        if seconds <= 0 or not unit.indices:
            return {}
        again = Unit(unit.group, unit.indices, seconds)
        found: dict[int, Outcome] = {}
        self._release(crew)
        if not self._staff(1, crew, fresh=True) or not self._run(pairs, [again], found, crew):
            return dict.fromkeys(unit.indices, Outcome.FAILED)
        _book(again, left, found)
        return found

    def close(self) -> None:
        """End all workers, once they are done."""
        with self._turn:
            self._turn.wait_for(lambda: len(self._idle) == len(self._workers))
            self._end_all(kill=False)

    def _end_idle(self) -> None:
        with self._turn:
            while self._idle:
                worker = self._idle.pop()
                self._workers.remove(worker)
                worker.end()
            self._turn.notify_all()

    def _end_all(self, kill: bool = True) -> None:
        self._idle.clear()
        while self._workers:
            worker = self._workers.pop()
            worker.end(kill or worker.unit is not None)

    def _run(
        self, pairs: Sequence[tuple[str, str]], units: Sequence[Unit], outcomes: dict[int, Outcome], crew: Crew
    ) -> bool:
        """Have the units' pairs compared, as far as their clocks go; False where no worker can be had."""
        waiting, running = deque(units), len(units)
        while running:
            if not self._staff(running, crew):
                return False
            for worker in crew.members:
                if worker.ready and worker.unit is None and waiting:
                    worker.start(waiting.popleft(), pairs)
            before = running
            for worker in crew.signalled():
                unit = worker.unit
                if not self._serve(worker, outcomes, crew):
                    return False
                running -= unit is not None and worker.unit is None
            if self._queue and (
                running < before or not waiting
            ):  # others have none at all: whoever is done goes to them
                self._release(crew, done_only=True)
        return True

    def _staff(self, size: int, crew: Crew, fresh: bool = False) -> bool:
        """Hire as many workers as there is work for and others leave, waiting for the first; say whether there is one.

        Args:
            size: how many the crew could use.
            crew: who is hired joins it.
            fresh: a worker that has served before will not do.
        """
        with self._turn:
            if not crew.members:
                self._wait_for_turn()
            elif self._queue:
                return True
            try:
                while len(crew.members) < size and self._free():
                    crew.add(self._hired(fresh))
            except OSError as error:
                self._give_up(f"cannot start a verifying process: {error}", for_good=False)
            self._turn.notify_all()
        return bool(crew.members)

    def _wait_for_turn(self) -> None:
        ticket = object()
        self._queue.append(ticket)
        try:
            self._turn.wait_for(lambda: self._queue[0] is ticket and self._free())
        finally:
            self._queue.remove(ticket)
            self._turn.notify_all()

    def _free(self) -> bool:
        return bool(self._idle) or len(self._workers) < self._size

    def _hired(self, fresh: bool) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.served < (1 if fresh else ITEMS_PER_WORKER):
                return worker
            self._workers.remove(worker)
            worker.end()
        worker = Worker()
        self._workers.append(worker)
        return worker

    def _release(self, crew: Crew, done_only: bool = False) -> None:
        """Let a crew's workers go to others; one that is at work would answer the next call, and is ended instead.

        Args:
            crew: whose workers.
            done_only: keep those that are at work or still starting.
        """
        with self._turn:
            for worker in list(crew.members):
                if done_only and (worker.unit is not None or not worker.ready):
                    continue
                crew.members.remove(worker)
                if worker.unit is None:
                    self._idle.append(worker)
                else:
                    self._workers.remove(worker)
                    worker.end()
                    worker.unit = None
            self._turn.notify_all()

    def _dismiss(self, worker: Worker, crew: Crew) -> int:
        """Take a dead worker, or one that must die, off the books; return its exit status."""
        status = worker.end()
        with self._turn:
            crew.members.remove(worker)
            self._workers.remove(worker)
            self._turn.notify_all()
        return status

    def _give_up(self, why: str, for_good: bool) -> None:
        """Say once that nothing can be compared here but by the rules."""
        if why != self._told:
            logger.error("%s; SymPy is off: answers are graded by rules alone, and what those leave open is not", why)
        self._told = why
        if for_good:
            self._useless = why

    def _serve(self, worker: Worker, outcomes: dict[int, Outcome], crew: Crew) -> bool:
        """Take a reply, or bury the worker; False where it never became ready, so that none will."""
        now = time.monotonic()
        if worker.deadline <= now and not worker.readable():
            return self._bury(worker, Outcome.TIMEOUT, crew)
        try:
            reply = worker.read()
        except EOFError:
            return self._bury(worker, Outcome.CRASHED, crew)
        if reply is None:
            return True
        unit = worker.unit
        if "ready" in reply:
            worker.ready = bool(reply["ready"])
            if not worker.ready:
                self._give_up(f"a verifying process cannot work: {reply.get('error')}", for_good=True)
                self._dismiss(worker, crew)
                return False
            self._failed_starts = 0
            return True
        if unit is not None and unit.indices[0] == reply["id"]:
            outcomes[unit.indices.popleft()] = _OUTCOMES[reply["equal"]]
            unit.fresh = False
            unit.spent += reply["spent"]
            if unit.indices and unit.spent < unit.seconds:
                worker.send()
            else:
                worker.unit = None
        return True

    def _bury(self, worker: Worker, outcome: Outcome, crew: Crew) -> bool:
        taken = worker.taken()  # before it is waited for: then nobody knows any more
        status = self._dismiss(worker, crew)
        unit, worker.unit = worker.unit, None
        if unit is None:
            if worker.ready:
                return True
            self._failed_starts += 1  # in a row: one may have been killed, two that die at once are no accident
            if self._failed_starts < 2:
                return True
            self._give_up(f"verifying processes do not start (exit status {status})", for_good=False)
            return False
        unit.spent += taken
        if outcome is Outcome.TIMEOUT:  # by the wall
            unit.ending = Outcome.FAILED if HAS_CLOCK and unit.spent < unit.seconds else Outcome.TIMEOUT
        else:
            unit.ending = Outcome.TIMEOUT if HAS_CLOCK and status == -signal.SIGPROF else Outcome.CRASHED
        return True


def _alive(groups: Sequence[Sequence[int]], dead: Mapping[int, Sequence[Unit]]) -> list[Sequence[int]]:
    """The groups' pairs, but of those at which too many workers have died."""
    return [() if len(dead.get(number, ())) >= DEATHS else group for number, group in enumerate(groups)]


def _units(
    groups: Sequence[Sequence[int]], left: Sequence[float], outcomes: Mapping[int, Outcome], clocks: Sequence[float]
) -> list[Unit]:
    """What is still open, each pair once, with the smallest group that has time for it."""
    claimed = set(outcomes)
    units = []
    for group in sorted(range(len(groups)), key=lambda group: len(groups[group])):
        mine = [index for index in dict.fromkeys(groups[group]) if index not in claimed]
        if mine and left[group] > 0:
            claimed.update(mine)
            units.append(Unit(group, deque(mine), left[group], left[group] == clocks[group]))
    return units


def _book(unit: Unit, left: list[float], outcomes: dict[int, Outcome]) -> None:
    """Take what a unit used off its group's clock, and note what the worker died at."""
    left[unit.group] = 0.0 if unit.ending is Outcome.TIMEOUT else left[unit.group] - unit.spent
    if not unit.indices or unit.ending is None:
        return
    if unit.ending is Outcome.FAILED:  # not this pair's doing: there was no time for any
        outcomes.update(dict.fromkeys(unit.indices, Outcome.FAILED))
    # Where other pairs had used up the time, this one may have it with another group.
    elif unit.ending is Outcome.CRASHED or unit.fresh:
        outcomes[unit.indices[0]] = unit.ending


_DEATHS = (Outcome.TIMEOUT, Outcome.CRASHED, Outcome.FAILED)
_OUTCOMES = {True: Outcome.EQUAL, False: Outcome.DIFFERENT, None: Outcome.UNREADABLE}


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
    if _shared is not None and _shared._turn.acquire(timeout=1):
        _shared._end_all(kill=False)
        _shared._turn.release()
