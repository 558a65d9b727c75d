"""An OpenAI-compatible endpoint on this machine that answers as a test tells it to, or misbehaves."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio


@dataclass
class Reply:
    """What goes back.

    Attributes:
        data: the body; text is taken as it is, anything else written as JSON.
        status: HTTP's.
        headers: further ones.
        length: the length that is told, where it isn't the body's: the connection closes before so many bytes.
        stall: nothing goes back at all.
    """

    data: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    stall: bool = False


Script = Callable[[int, dict[str, Any]], Reply]
"""What is answered to the n-th request, from 0, with its body."""


def said(text: str, tokens: int = 5, reason: str = "stop", **message: Any) -> Reply:
    """A whole answer of chat completions."""
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text, **message}}
    usage = {"prompt_tokens": 7, "completion_tokens": tokens, "total_tokens": 7 + tokens}
    return Reply({"choices": [choice], "usage": usage})


def by_seed(number: int, body: dict[str, Any]) -> Reply:
    """A completion that depends on the seed alone: letters, cut at the limit or ended before it."""
    digits = hashlib.sha256(str(body["seed"]).encode()).hexdigest()
    text = digits[: 4 + int(digits[0], 16)]
    cut = len(text) > body["max_tokens"]
    reply = said(text[: body["max_tokens"]], len(text[: body["max_tokens"]]), "length" if cut else "stop")
    if "prompt" in body:
        message = reply.data["choices"][0].pop("message")
        reply.data["choices"][0]["text"] = message["content"]
    return reply


@dataclass
class Loopback:
    """The endpoint.

    Attributes:
        url: its address.
        bodies: what was asked, in order.
        keys: the `authorization` header of each request.
        paths: where each was sent.
        most: requests that were open at once.
    """

    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    most: int = 0


@contextmanager
def loopback(script: Script = by_seed) -> Iterator[Loopback]:
    """Serve on a free port of this machine until the block ends."""
    told, lock, over, opened = Loopback(), threading.Lock(), threading.Event(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                number = len(told.bodies)
                told.bodies.append(body)
                told.keys.append(self.headers["authorization"])
                told.paths.append(self.path)
                opened[0] += 1
                told.most = max(told.most, opened[0])
            reply = script(number, body)
            with lock:
                opened[0] -= 1
            self.answer(reply)

        def answer(self, reply: Reply) -> None:
            if reply.stall:
                over.wait()
                self.close_connection = True
                return
            text = reply.data if isinstance(reply.data, str) else json.dumps(reply.data)
            data = text.encode("utf-8", errors="surrogateescape")
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data) if reply.length is None else reply.length))
            self.end_headers()
            self.wfile.write(data)
            if reply.length is not None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield told
    finally:
        over.set()
        server.shutdown()
        server.server_close()


class FakeClock:
    """Time that passes only while somebody waits for it.

    Attributes:
        pauses: how long each wait was, in seconds.
    """

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.pauses: list[float] = []

    def now(self) -> float:
        """Seconds that only grow."""
        return self.seconds

    def wall(self) -> float:
        """Seconds since 1970."""
        return 1_790_000_000.0 + self.seconds

    async def pause(self, seconds: float) -> None:
        """Let time pass; those who wait together wait no longer than one."""
        until = self.seconds + seconds
        self.pauses.append(seconds)
        await anyio.sleep(0)
        self.seconds = max(self.seconds, until)
