"""What may stand where a file is expected: it would be waited for, or never end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

KINDS = ("pipe", "device", "link to a device", "link to a pipe", "socket", "process")


def odd_file(path: Path, kind: str) -> Path:
    """Put one of `KINDS` at a path (a device at another: making one takes root) and return where it is."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        return Path("/dev/zero")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "link to a pipe":
        os.mkfifo(path.with_name("the-pipe"))
        path.symlink_to("the-pipe")
    elif kind == "process":
        path.symlink_to("/proc/self/mem")
    else:
        here = os.getcwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(path.name)
        finally:
            os.chdir(here)
    return path
