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
from collections.abc import Iterator
from typing import NoReturn

from magistral_recipe.errors import RunError

_GRACE = 30.0
"""Seconds between asking code to stop and ending the process: it may hold on to its interruption."""

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
def guarded(what: str, seconds: float | None = None) -> Iterator[None]:
    """Call somebody's code so that this process stays what it was.

    Args:
        what: what a person calls it, for messages.
        seconds: how long it may take; kept in the main thread alone, where a call can be interrupted.

    Raises:
        RunError: it has called `sys.exit`, or not answered in time.
    """
    process = os.getpid()
    watch = _Watch(what, seconds) if seconds and threading.current_thread() is threading.main_thread() else None
    try:
        yield
    except SystemExit as error:
        raise RunError(f"{what} called sys.exit({'' if error.code is None else error.code!r})") from None
    except KeyboardInterrupt:
        if watch is None or not watch.fired:
            raise
    finally:
        if os.getpid() != process:
            os._exit(0)  # a fork that came back: there is one of us, and it is not this one
        if watch is not None:
            with contextlib.suppress(KeyboardInterrupt):  # one that comes as the answer does
                watch.stop()
    if watch is not None and watch.fired:
        raise RunError(late(what, seconds or 0.0))


def late(what: str, seconds: float) -> str:
    """The sentence about code that has not answered."""
    return f"{what} has not answered within {seconds:g} s: does it wait for something that never comes?"


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


class _Watch:
    """Interrupts the main thread when time is over, as Ctrl-C does; if that does nothing, ends the process."""

    def __init__(self, what: str, seconds: float) -> None:
        self.fired = False
        self._over = False
        self._what, self._seconds = what, seconds
        self._lock = threading.Lock()
        self._timer = self._start(seconds, self._fire)

    def stop(self) -> None:
        with self._lock:
            self._over = True
        self._timer.cancel()

    @staticmethod
    def _start(seconds: float, then: object) -> threading.Timer:
        timer = threading.Timer(seconds, then)  # type: ignore[arg-type]
        timer.daemon = True
        timer.start()
        return timer

    def _fire(self) -> None:
        with self._lock:
            if self._over:
                return
            self.fired = True
            self._timer = self._start(_GRACE, self._end)
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            else:
                signal.raise_signal(signal.SIGINT)

    def _end(self) -> None:
        with self._lock:
            if not self._over:
                with contextlib.suppress(OSError):
                    os.write(2, f"RunError: {late(self._what, self._seconds)}\n".encode())
                os._exit(1)
