"""Calling code that a recipe names: a reward may fork, exit, or never answer, and what it does is told by its name.

Not a sandbox: it runs as this process. What a *model* writes runs in `verifiers/sandbox`.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, NoReturn, TypeVar

from magistral_recipe.errors import RunError
from magistral_recipe.machine import World

_GRACE = 30.0
"""Seconds between asking code to stop and ending the process: it may hold on to its interruption."""

_Answer = TypeVar("_Answer")

_naming_only: contextvars.ContextVar[bool] = contextvars.ContextVar("naming_only", default=False)


@contextlib.contextmanager
def naming_only(wanted: bool = True) -> Iterator[None]:
    """Import and call nothing that a recipe names, inside this block: names are held against what can be read."""
    token = _naming_only.set(wanted)
    try:
        yield
    finally:
        _naming_only.reset(token)


def only_names() -> bool:
    """Whether code that a recipe names is to be left alone."""
    return _naming_only.get()


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """Run somebody's code so that this process stays what it was.

    Args:
        what: what a person calls it, for messages.

    Raises:
        RunError: it has called `sys.exit`.
    """
    process, folder, streams = os.getpid(), _working_folder(), _Streams()
    try:
        yield
    except SystemExit as error:
        raise RunError(f"{what} called sys.exit({'' if error.code is None else error.code!r})") from None
    finally:
        if os.getpid() != process:
            os._exit(0)  # a fork that came back: there is one of us, and it is not this one
        if folder is not None and _working_folder() != folder:
            os.chdir(folder)  # relative paths are this process's
        lost = streams.put_back()
        if lost and not isinstance(sys.exception(), RunError):
            raise RunError(f"{what} has closed files that this process had open: it can't go on")


class _Streams:
    """Standard input, output and error as they are now.

    Where somebody's code closes one, the next file to be opened takes its number, and what is printed goes into a
    checkpoint. So they are put back; where all files were closed, their copies too, that is told.
    """

    _copies: ClassVar[dict[int, int]] = {}
    """Copies by number, made once, since rows are many, and anew where a number has become another file's."""

    def __init__(self) -> None:
        self._known = {number: _identity(number) for number in range(3)}
        for number, known in self._known.items():
            copy = self._copies.get(number)
            if known is not None and (copy is None or _identity(copy) != known):
                self._copies[number] = os.dup(number)

    def put_back(self) -> bool:
        """Put them where they were; whether the copies themselves are gone."""
        lost = False
        for number, known in self._known.items():
            if known is None:
                continue
            if _identity(self._copies[number]) != known:
                del self._copies[number]
                lost = True
            elif _identity(number) != known:
                os.dup2(self._copies[number], number)
        return lost


def _identity(number: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(number)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it is gone
        return None


def called(what: str, seconds: float | None, function: Callable[[], _Answer]) -> _Answer:
    """Call somebody's code, and wait for its answer so long and no longer.

    Args:
        what: what a person calls it, for messages.
        seconds: how long it may take; kept in the main thread alone, where a call can be interrupted.
        function: the call.

    Returns:
        Its answer.

    Raises:
        RunError: it has called `sys.exit`, or not answered in time.
    """
    handler = signal.getsignal(signal.SIGINT)
    here = threading.current_thread() is threading.main_thread()
    if not seconds or handler is None or not here or not hasattr(signal, "pthread_kill"):
        with guarded(what):
            return function()
    watch = _Watch(what, seconds, handler)
    try:
        try:
            with guarded(what):
                watch.start()
                return function()
        finally:
            watch.stop()
    except _Late:
        raise RunError(late(what, seconds)) from None


def late(what: str, seconds: float) -> str:
    """The sentence about code that has not answered."""
    world = World.from_environment()
    where = f" in process {world.rank} of {world.size}" if world.size > 1 else ""
    return f"{what} has not answered within {seconds:g} s{where}: does it wait for something that never comes?"


def leave(code: int, seconds: float = 10.0) -> NoReturn:
    """End this process, as `sys.exit` does, but wait for no thread or child that somebody's code left behind.

    Args:
        code: the exit code.
        seconds: how long what is done at the end may take (worker pools, connections); what else is left of it is cut.
    """
    closing = threading.Thread(target=atexit._run_exitfuncs, daemon=True)
    closing.start()
    closing.join(min(seconds, 2.0) if code else seconds)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


class _Late(BaseException):
    """Raised into a call that takes too long; no `except Exception` of its own holds it."""


class _Watch:
    """Interrupts the main thread when time is over, as Ctrl-C does; if that does nothing, ends the process.

    The interruption is raised between `start` and `stop` alone, and once: whoever calls both has it inside one `try`.
    """

    def __init__(self, what: str, seconds: float, handler: Any) -> None:
        self._what, self._seconds, self._before = what, seconds, handler
        self._armed = self._late = False
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._fire)
        self._timer.daemon = True

    def start(self) -> None:
        signal.signal(signal.SIGINT, self._interrupted)
        self._armed = True
        self._timer.start()

    def stop(self) -> None:
        self._armed = False
        with self._lock:  # after this nothing is sent any more
            self._timer.cancel()
        signal.signal(signal.SIGINT, self._before)

    def _interrupted(self, number: int, frame: Any) -> None:
        if not self._late:  # a person's Ctrl-C
            if callable(self._before):
                self._before(number, frame)
        elif self._armed:
            self._armed = False
            raise _Late

    def _fire(self) -> None:
        with self._lock:
            if not self._armed:
                return
            self._late = True
            self._timer = threading.Timer(_GRACE, self._end)
            self._timer.daemon = True
            self._timer.start()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _end(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            os.write(2, f"RunError: {late(self._what, self._seconds)}\n".encode())
        os._exit(1)
