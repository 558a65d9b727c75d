"""Runs programs on tests, many at a time, and says how each did.

Programs run side by side over this process's share of the cores; what runs out of time is tried once more
with the machine (almost) to itself, so that load cannot turn a right program wrong. Equal programs with
equal tests run once. What a test expects never leaves this process.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from magistral_recipe.verifiers.cores import worker_count
from magistral_recipe.verifiers.programs.outputs import (
    read_value,
    same_output,
    same_published_output,
    same_published_value,
    same_value,
)
from magistral_recipe.verifiers.programs.testcases import Case, Tests
from magistral_recipe.verifiers.sandbox.session import Frame, Job, Session
from magistral_recipe.verifiers.sandbox.terms import MEBIBYTE, Limits, SandboxError

logger = logging.getLogger(__name__)

LANGUAGES = ("python", "cpp")
_SLEEPERS = 32  # programs that may be asleep beside those that run
_TIMEOUTS_ENOUGH = 2  # where every test is scored: after so many, the rest count as failed


class ProgramVerdict(StrEnum):
    """How a program did on a test; of a program, its worst."""

    RIGHT = "right"
    WRONG = "wrong"
    COMPILE_ERROR = "compile_error"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    CRASHED = "crashed"
    OUTPUT_LIMIT = "output_limit"
    SANDBOX_FAILED = "sandbox_failed"


@dataclass(frozen=True)
class Submission:
    """A program and how to judge it.

    Attributes:
        source: its text.
        language: one of `LANGUAGES`.
        tests: those to run, in order.
        seconds: CPU time for each test.
        memory: bytes for each process.
        tolerance: how far numbers may differ; exact if ``None``.
        every_test: whether to go on after a failure.
        kept_bytes: instead of judging, keep what the program wrote on each test, up to so many bytes of it; 0 judges.
    """

    source: str
    language: str
    tests: Tests
    seconds: float = 4.0
    memory: int = 300 * MEBIBYTE
    tolerance: float | None = None
    every_test: bool = False
    kept_bytes: int = 0


@dataclass(frozen=True)
class Result:
    """What came of a program.

    Attributes:
        verdict: ``right`` if all tests passed, else the first failure.
        passed: how many tests passed.
        total: how many there were.
        detail: the end of the first failure's error output, or why the sandbox failed.
        outputs: where they were to be kept, what the program wrote on each test; ``None`` where it failed or wrote
            more.
    """

    verdict: ProgramVerdict
    passed: int
    total: int
    detail: str = ""
    outputs: tuple[bytes | None, ...] = ()


@dataclass(frozen=True)
class Runner:
    """Runs submissions in one kind of sandbox.

    Attributes:
        mode: of the sandbox.
        packages: Python packages of the caller's that programs may import.
        precompiled: whether C++ gets its precompiled header.
        compile_seconds: CPU time of a compiler's process (Magistral §2.2.2: 10 s).
        sockets: whether programs may make sockets; they lead nowhere in any case.
    """

    mode: str = "bwrap"
    packages: tuple[str, ...] = ("numpy",)
    precompiled: bool = True
    compile_seconds: int = 10
    sockets: bool = False

    def run(self, submissions: Sequence[Submission]) -> list[Result]:
        """Judge submissions.

        Args:
            submissions: the programs; equal ones run once.

        Returns:
            One result each, in order; ``sandbox_failed`` where the machine, not the program, is at fault.
        """
        distinct = list(dict.fromkeys(submissions))
        if any(submission.language == "cpp" for submission in distinct):
            from magistral_recipe.verifiers.programs.cpp import find_compiler

            find_compiler(self.precompiled)  # once, before programs compete for the cores
        stopped = threading.Event()
        with ThreadPoolExecutor(min(len(distinct) or 1, _gate.slots + _SLEEPERS), "program") as threads:
            try:
                first = list(threads.map(partial(self._first_try, stopped), distinct))
                again = [submission for submission, (_, retry) in zip(distinct, first, strict=True) if retry]
                second = dict(zip(again, threads.map(partial(self._second_try, stopped), again), strict=True))
            except BaseException:  # Ctrl-C, above all: what runs must not be waited for
                stopped.set()
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        results = {
            submission: second.get(submission, result) for submission, (result, _) in zip(distinct, first, strict=True)
        }
        return [results[submission] for submission in submissions]

    def _first_try(self, stopped: threading.Event, submission: Submission) -> tuple[Result, bool]:
        with _gate.share() as yield_slot:
            return self._try(submission, stopped, yield_slot)

    def _second_try(self, stopped: threading.Event, submission: Submission) -> Result:
        with _gate.alone():
            return self._try(submission, stopped, None)[0]

    def _try(
        self, submission: Submission, stopped: threading.Event, on_sleep: Callable[[], None] | None
    ) -> tuple[Result, bool]:
        """Run a submission; return its result and whether the machine may be to blame for it."""
        try:
            trial = _Trial(submission, self._job(submission), on_sleep, stopped)
            return trial.run(), trial.doubtful
        except SandboxError as error:
            logger.debug("sandbox failed: %s", error)
            return Result(ProgramVerdict.SANDBOX_FAILED, 0, len(submission.tests.cases), str(error)), True

    def _job(self, submission: Submission) -> Job:
        largest = max(_size(case) for case in submission.tests.cases)
        limits = Limits(
            memory=submission.memory,
            file_size=max(Limits.file_size, 2 * largest),
            scratch=Limits.scratch + 4 * largest,
            compile_seconds=self.compile_seconds,
            sockets=self.sockets,
        )
        if submission.language == "cpp":
            from magistral_recipe.verifiers.programs.cpp import find_compiler

            compiler = find_compiler(self.precompiled)
            return Job("cpp", self.mode, limits, compiler=compiler.command(), mounts=compiler.mounts())
        tests = submission.tests
        call = "" if tests.type == "stdio" else "method" if tests.method_of else "function"
        published = tests.compare == "livecodebench"
        return Job("python", self.mode, limits, call=call, published=published, packages=self.packages)


class _Trial:
    """One run of one submission, over as many sandboxes as it breaks."""

    def __init__(
        self, submission: Submission, job: Job, on_sleep: Callable[[], None] | None, stopped: threading.Event
    ) -> None:
        self.submission, self.job, self.on_sleep, self.stopped = submission, job, on_sleep, stopped
        self.failure: tuple[ProgramVerdict, str] | None = None
        self.passed = self.timeouts = 0
        self.doubtful = False
        self.outputs: list[bytes | None] = []

    def run(self) -> Result:
        """Run the tests until the first failure, or all of them where each counts."""
        cases = list(self.submission.tests.cases)
        while cases and not self._enough():
            with Session(self.job, self.on_sleep, self.stopped) as session:
                compiled = session.compile(self.submission.source)
                if compiled.ending != "answered" or compiled.status:
                    self._fail_to_compile(compiled)
                    break
                while cases and not self._enough() and self._test(session, cases.pop(0)):
                    pass
        total = len(self.submission.tests.cases)
        verdict, detail = self.failure or (ProgramVerdict.RIGHT, "")
        not_run = [None] * (total - len(self.outputs))
        outputs = (*self.outputs, *not_run) if self.submission.kept_bytes else ()
        return Result(verdict, self.passed, total, detail, outputs)

    def _enough(self) -> bool:
        if self.stopped.is_set():
            return True
        if self.submission.every_test or self.submission.kept_bytes:
            return self.timeouts >= _TIMEOUTS_ENOUGH
        return self.failure is not None

    def _test(self, session: Session, case: Case) -> bool:
        """Run one test; return whether the session can take another."""
        frame = session.test(case.given, self.submission.seconds)
        verdict = self._judge(frame, case)
        if self.submission.kept_bytes:
            kept = verdict is ProgramVerdict.RIGHT and len(frame.output) <= self.submission.kept_bytes
            self.outputs.append(frame.output if kept else None)
        if verdict is ProgramVerdict.RIGHT:
            self.passed += 1
        elif self.failure is None:
            self.failure = verdict, frame.errors.decode("utf-8", "replace")
        if verdict is ProgramVerdict.TIMEOUT:
            self.timeouts += 1
        # A program that slept its time away did so on any machine; one that died without a word may have
        # been the out-of-memory killer's.
        self.doubtful |= frame.ending in ("timeout", "broken")
        return frame.ending == "answered" or (frame.ending == "timeout" and frame.status != 0)

    def _judge(self, frame: Frame, case: Case) -> ProgramVerdict:
        if frame.ending in _ENDINGS:
            return _ENDINGS[frame.ending]
        if frame.status == -24:  # SIGXCPU
            return ProgramVerdict.TIMEOUT
        if frame.status:
            return ProgramVerdict.MEMORY if _ran_out_of_memory(frame.errors) else ProgramVerdict.CRASHED
        if self.submission.kept_bytes:
            return ProgramVerdict.RIGHT
        return ProgramVerdict.RIGHT if self._is_right(frame.output, case.expected) else ProgramVerdict.WRONG

    def _is_right(self, output: bytes, expected: Any) -> bool:
        tests, tolerance = self.submission.tests, self.submission.tolerance
        published = tests.compare == "livecodebench"
        if tests.type == "stdio":
            text = output.decode("utf-8", "replace")
            return same_published_output(text, expected) if published else same_output(text, expected, tolerance)
        readable, value = read_value(output, expected)
        if not readable:
            return False
        return same_published_value(value, expected) if published else same_value(value, expected, tolerance)

    def _fail_to_compile(self, frame: Frame) -> None:
        if frame.ending in ("timeout", "asleep") or frame.status == -24:
            self.failure = ProgramVerdict.TIMEOUT, "the compiler ran out of time"
            self.doubtful = True
        else:
            self.failure = ProgramVerdict.COMPILE_ERROR, frame.errors.decode("utf-8", "replace")


_ENDINGS = {
    "timeout": ProgramVerdict.TIMEOUT,
    "asleep": ProgramVerdict.TIMEOUT,
    "memory": ProgramVerdict.MEMORY,
    "flood": ProgramVerdict.OUTPUT_LIMIT,
    "broken": ProgramVerdict.CRASHED,
}


def _ran_out_of_memory(errors: bytes) -> bool:
    return b"MemoryError" in errors or b"std::bad_alloc" in errors


def _size(case: Case) -> int:
    return max(len(case.given), len(case.expected) if isinstance(case.expected, str) else 0)


class _Gate:
    """Lets so many programs run at once, or, for second tries, a quarter as many and nothing else.

    One program more than the pool has workers: starting and ending a sandbox waits for the kernel rather
    than for a core. A sleeping program gives its slot to another.
    """

    def __init__(self) -> None:
        self.slots = worker_count() + 1
        self.quiet_slots = max(1, self.slots // 4)
        self._running = self._quiet = self._waiting = 0
        self._changed = threading.Condition()

    @contextmanager
    def share(self) -> Iterator[Callable[[], None]]:
        """Hold a slot; yields a function that gives it back early."""
        with self._changed:
            self._changed.wait_for(lambda: self._running < self.slots and not self._quiet and not self._waiting)
            self._running += 1
        held = [True]

        def give_back() -> None:
            with self._changed:
                if held:
                    held.clear()
                    self._running -= 1
                    self._changed.notify_all()

        try:
            yield give_back
        finally:
            give_back()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run beside nothing but a few others of this sort."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._running and self._quiet < self.quiet_slots)
            self._waiting -= 1
            self._quiet += 1
        try:
            yield
        finally:
            with self._changed:
                self._quiet -= 1
                self._changed.notify_all()


_gate = _Gate()


def _new_gate() -> None:
    global _gate
    _gate = _Gate()  # a fork inherits the lock as some other thread held it


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_gate)
