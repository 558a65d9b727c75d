"""A model of a folder behind `transformers serve`, in a thread of this process."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder's model on a free port of this machine; skipped by name where serving isn't installed.

    Yields:
        The endpoint's address; the model's name is the folder.
    """
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip("`transformers serve` needs pip install 'transformers[serving]'")
    from transformers.cli.serve import Serve

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = Serve(force_model=str(folder), device="cpu", host="127.0.0.1", port=port, non_blocking=True)
    try:
        while not serve.server.started:
            assert serve._thread.is_alive(), "the server ended before it began"
            time.sleep(0.001)  # it says so itself when it listens
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        serve.kill_server()
