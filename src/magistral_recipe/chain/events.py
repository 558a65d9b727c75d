"""The channel on which a stage's processes tell the runner how they are doing.

A local socket of its own, not standard output: what a library or a reward prints can then neither hide an event nor
look like one. A socket, because it outlives Accelerate's launcher (which closes inherited descriptors between runner
and stage), needs no disk (on a full one the reason must still arrive), and lets nobody wait: whoever has died, or has
left a child behind that holds its end open, is not waited for.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_VARIABLE = "MAGISTRAL_RECIPE_EVENTS"
"""Holds the channel's address and its key, parted by a space."""

_LONGEST_EVENT = 16 * 2**20
"""Bytes of one event: what sends more without an end is no longer listened to."""

_LONGEST_FOLDER = 100
"""Bytes: Linux takes 108 for a socket's path, macOS 104."""


class EventChannel:
    """The runner's end, as a context manager.

    Example:
        >>> with EventChannel() as channel:
        ...     process = subprocess.Popen(command, env={**os.environ, **channel.environment})
        ...     for event in channel.receive(seconds=0.1):
        ...         ...
    """

    def __init__(self) -> None:
        self._key = secrets.token_hex(16)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if hasattr(socket, "AF_UNIX"):
            self._folder = _short_folder()
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._address = str(Path(self._folder.name) / "s")
            self._listener.bind(self._address)
        else:  # Windows
            self._listener = socket.create_server(("127.0.0.1", 0))
            self._address = str(self._listener.getsockname()[1])
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._received: dict[socket.socket, bytes] = {}
        self._trusted: set[socket.socket] = set()

    @property
    def environment(self) -> dict[str, str]:
        """What a process must find in its environment to be heard."""
        return {_VARIABLE: f"{self._address} {self._key}"}

    def receive(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield the events that have arrived, after waiting for the first of them at most so long."""
        yield from self._take(self._selector.select(seconds))

    def receive_rest(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield what was sent before now, without waiting for more; a flood ends after so many seconds."""
        deadline = time.monotonic() + seconds
        while (ready := self._selector.select(0)) and time.monotonic() < deadline:
            yield from self._take(ready)

    def _take(self, ready: list[tuple[selectors.SelectorKey, int]]) -> Iterator[dict[str, Any]]:
        for key, _ in ready:
            if key.fileobj is self._listener:
                connection, _ = self._listener.accept()
                connection.setblocking(False)
                self._selector.register(connection, selectors.EVENT_READ)
                self._received[connection] = b""
            else:
                yield from self._read(key.fileobj)  # type: ignore[arg-type]

    def _read(self, connection: socket.socket) -> Iterator[dict[str, Any]]:
        try:
            chunk = connection.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._drop(connection)
            return
        *lines, self._received[connection] = (self._received[connection] + chunk).split(b"\n")
        if len(self._received[connection]) > _LONGEST_EVENT:
            self._drop(connection)
        for line in lines:
            if connection in self._trusted:
                event = _event(line)
                if event is not None:
                    yield event
            elif secrets.compare_digest(line, self._key.encode()):
                self._trusted.add(connection)
            else:
                self._drop(connection)
                return

    def _drop(self, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        connection.close()
        self._received.pop(connection, None)
        self._trusted.discard(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for connection in list(self._received):
            self._drop(connection)
        self._selector.close()
        self._listener.close()
        if self._folder is not None:
            self._folder.cleanup()


_FIELDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "results": {"results": dict},
    "failure": {"message": str, "exit_code": int},
    "note": {"text": str},
    "warning": {"text": str},
    "progress": {"step": (int, float)},
}
"""Every kind of event, and what it must hold: somebody's code in the stage can reach its end of the channel."""


def _event(line: bytes) -> dict[str, Any] | None:
    """An event, or ``None`` where the line is none."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    fields = _FIELDS.get(str(event.get("type"))) if isinstance(event, dict) else None
    if fields is None or not all(isinstance(event.get(name), kind) for name, kind in fields.items()):
        return None
    if event["type"] == "progress":
        numbers = (event["step"], event.setdefault("total", event["step"]))
        finite = all(isinstance(number, int | float) and math.isfinite(number) for number in numbers)
        return event if finite and isinstance(event.setdefault("metrics", {}), dict) else None
    return event


def _short_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for the socket, whose whole path the system lets be about a hundred bytes long."""
    folder = tempfile.TemporaryDirectory(prefix="magistral-events-")
    if len(os.fsencode(folder.name)) < _LONGEST_FOLDER:
        return folder
    folder.cleanup()
    return tempfile.TemporaryDirectory(prefix="magistral-events-", dir="/tmp")


class EventSender:
    """A stage's end. Without a runner (a stage started by hand) nothing is sent.

    Somebody's code may close its socket, whose number another file or socket then has: it is looked at before each
    event, and connected anew.
    """

    def __init__(self) -> None:
        self._address, _, self._key = os.environ.pop(_VARIABLE, "").partition(" ")  # its children are not to speak
        self._process = os.getpid()
        self._socket = self._connected() if self._address else None

    def __call__(self, event: Mapping[str, Any], /) -> None:
        """Send an event; a runner that is gone takes this process with it, so nobody else need hear of that."""
        if self._socket is None or os.getpid() != self._process:  # a fork has nothing to say
            return
        line = json.dumps(event, default=str).encode() + b"\n"
        try:
            if self._inode(self._socket) != self._known:
                self._socket.detach()  # what has its number now is not ours to close
                self._socket = self._connected()
            self._socket.sendall(line)
        except OSError:
            self._socket = None

    def _connected(self) -> socket.socket:
        if hasattr(socket, "AF_UNIX"):
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.connect(self._address)
        else:
            made = socket.create_connection(("127.0.0.1", int(self._address)))
        made.sendall(self._key.encode() + b"\n")
        self._known = self._inode(made)
        return made

    @staticmethod
    def _inode(held: socket.socket) -> int:
        try:
            return os.fstat(held.fileno()).st_ino
        except OSError:
            return -1
