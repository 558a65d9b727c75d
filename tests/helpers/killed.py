"""A process killed at each of its file operations in turn, to look at what it left."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_EVENTS = frozenset({"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink"})
"""What Python audits of an operation on files: each event comes before its system call (the standard library's inner
ones, such as rmtree's, included)."""

_KILLED, _FAILED = 9, 7


def killed_everywhere(prepare: Callable[[], Path], work: Callable[[Path], Any]) -> Iterator[tuple[str, Path]]:
    """Kill a piece of work before its first file operation, before its second, …, until it runs to its end.

    Between two operations nothing changes on the disk but the bytes of a file that is open, so that before each one and
    after each one is the same; a kill in the middle of a write is a moment of its own.

    Args:
        prepare: makes the state to begin with, anew for each kill, and names it.
        work: what is killed, given what `prepare` returned.

    Yields:
        The operation before which the process died, and what `prepare` returned, as it was left.
    """
    count = 0
    while True:
        place = prepare()
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(read)
            _die_at(count, write)
            try:
                work(place)
            except BaseException:  # noqa: BLE001 - the child's outermost frame
                os._exit(_FAILED)
            os._exit(0)
        os.close(write)
        with os.fdopen(read) as stream:
            told = stream.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            assert count > 0, "nothing was audited"
            return
        assert code == _KILLED, f"the work failed instead of being killed: {code}"
        yield f"{count}: {told}", place
        count += 1


def _die_at(count: int, pipe: int) -> None:
    """Die before the operation with this number; every write through a file object, and every fsync, is one as well."""
    left = count

    def operation(name: str) -> None:
        nonlocal left
        if left == 0:
            os.write(pipe, name.encode())
            os._exit(_KILLED)
        left -= 1

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            operation(f"{event} {arguments[0]}")

    fsync, opener = os.fsync, open

    def counted_fsync(descriptor: int) -> None:
        operation("fsync")
        fsync(descriptor)

    def unbuffered(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        stream = opener(file, mode, *arguments, **named)
        if "b" in mode and mode != "rb":
            write = stream.write

            def counted_write(data: bytes) -> int:
                half = len(data) // 2
                write(data[:half])
                stream.flush()
                operation("half a write")
                return half + int(write(data[half:]))

            return _Stream(stream, counted_write)
        return stream

    os.fsync = counted_fsync  # type: ignore[assignment]
    builtins.open = unbuffered  # type: ignore[assignment]
    sys.addaudithook(hook)


class _Stream:
    """A file object with another `write`."""

    def __init__(self, stream: Any, write: Callable[[bytes], int]) -> None:
        self._stream, self.write = stream, write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()
