"""The page of a run that goes on, served on the loopback interface alone.

The page asks for the run's version every two seconds and takes up a new page when that changes. A version is what the
run's files weigh and when they were written; the page is built when somebody asks for it, never otherwise.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from magistral_recipe import layout
from magistral_recipe.errors import DataError, MagistralRecipeError
from magistral_recipe.report.build import live_page
from magistral_recipe.report.collect import collect

ADDRESS = "127.0.0.1"

_WATCHED = (
    layout.MANIFEST,
    f"*/{layout.STAGE}",
    f"*/{layout.METRICS}",
    f"*/{layout.ROLLOUTS}",
    f"*/*/{layout.SAMPLES}",
    f"*/*/{layout.SCORES}",
)
_SHARE_OF_TIME = 0.2
"""At most this share of the time is spent on building pages: the machine has a run to do."""


class LiveReport:
    """A run's page, kept up to date.

    Args:
        run: the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._version = ""
        self._page = ""
        self._took = 0.0
        self._built = -float("inf")

    def version(self) -> str:
        """Return what changes when the run has news; not sooner than building a page again is reasonable."""
        with self._lock:
            if self._page and time.monotonic() - self._built < self._took / _SHARE_OF_TIME:
                return self._version
            return self._now()

    def page(self) -> str:
        """Return the page as of now."""
        with self._lock:
            now = self._now()
            if now != self._version or not self._page:
                started = time.monotonic()
                self._page = live_page(self._run)
                self._version, self._built = now, time.monotonic()
                self._took = self._built - started
            return self._page

    def _now(self) -> str:
        digest = hashlib.sha256()
        for pattern in _WATCHED:
            for path in sorted(self._run.glob(pattern)):
                try:
                    status = path.stat()
                except OSError:
                    continue
                digest.update(f"{path}{status.st_mtime_ns}{status.st_size}".encode())
        return digest.hexdigest()[:16]


def make_server(run: Path, port: int = 0) -> ThreadingHTTPServer:
    """Make a server of a run's page.

    Args:
        run: the run folder.
        port: on the loopback interface; 0 takes a free one.

    Returns:
        A server that listens, not serving yet; its address is `server_address`.

    Raises:
        DataError: if it is not a run's folder, or the port is taken.
    """
    collect(run)
    report = LiveReport(run)

    class Handler(_Handler):
        live = report

    try:
        return ThreadingHTTPServer((ADDRESS, port), Handler)
    except OSError as error:
        raise DataError(f"--port {port}: {error.strerror}; leave it out to take a free one") from error


class _Handler(BaseHTTPRequestHandler):
    """Answers `/` with the page and `/version` with its version, to this machine's own browser alone."""

    live: LiveReport
    server_version = "magistral-recipe"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer."""
        # Another site's page must not read this one by a name that resolves to the loopback address.
        host = self.headers.get("Host", "").rpartition(":")[0]
        if host not in (ADDRESS, "localhost"):
            self._answer(403, "text/plain", "this page is for this machine alone\n")
            return
        try:
            if self.path == "/version":
                self._answer(200, "text/plain", self.live.version())
            elif self.path.partition("?")[0] == "/":
                self._answer(200, "text/html", self.live.page())
            else:
                self._answer(404, "text/plain", "nothing here\n")
        except (OSError, MagistralRecipeError) as error:
            # A file may go or be replaced while it is read: the next question finds the new one.
            self._answer(503, "text/plain", f"the run cannot be read just now: {error}\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the terminal quiet."""

    def _answer(self, status: int, kind: str, text: str) -> None:
        body = text.encode("utf-8", errors="replace")
        try:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("X-Frame-Options", "DENY")
            self.send_header("Cross-Origin-Resource-Policy", "same-origin")
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:  # the browser has gone
            return


def serve(run: Path, port: int, announce: Callable[[str], None]) -> None:
    """Serve a run's page until Ctrl-C.

    Args:
        run: the run folder.
        port: see `make_server`.
        announce: is told the address.

    Raises:
        DataError: see `make_server`.
    """
    with make_server(run, port) as server:
        announce(f"http://{ADDRESS}:{server.server_address[1]}/   (keeps up with {run}; Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            announce("no longer served")
