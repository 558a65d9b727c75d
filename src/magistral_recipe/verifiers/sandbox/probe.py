"""Tries a sandbox out before anything depends on it: a real program that must run, and must get nowhere.

Called before the first program of a process, at a trainer's start and by ``doctor``. What it finds is told
once and remembered; a sandbox that lets anything through counts as none.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from magistral_recipe.verifiers.sandbox.session import Job, Session
from magistral_recipe.verifiers.sandbox.terms import Limits, SandboxError, require_linux

# Asked for by name in what follows: a program inside must find none of it.
_SECRET = "MAGISTRAL_RECIPE_PROBE"
_PROGRAM = """
import json, os, signal, socket
asked = json.loads(input())
found = {"ran": True}
def attempt(name, action):
    try:
        found[name] = bool(action())
    except Exception as error:
        found[name] = False
def connect():
    with socket.create_connection(("127.0.0.1", asked["port"]), timeout=1) as server:
        return True
attempt("network", connect)
attempt("file", lambda: open(asked["file"]).read())
attempt("write", lambda: open(asked["file"] + ".written", "w").write("x"))
attempt("environment", lambda: any(asked["secret"] in name for name in os.environ))
attempt("process", lambda: asked["nonce"] in open("/proc/%d/cmdline" % asked["pid"]).read() or None)
attempt("descriptors", lambda: any(asked["secret"] in os.readlink("/proc/self/fd/" + name)
                                   for name in os.listdir("/proc/self/fd")))
children = 0
try:
    for _ in range(300):
        if os.fork() == 0:
            signal.pause()
        children += 1
except OSError:
    pass
found["forks"] = children
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Probe:
    """What came of trying a sandbox.

    Attributes:
        mode: which one.
        failure: why it cannot be used; ``None`` if it can.
        python: the interpreter that runs programs.
    """

    mode: str
    failure: str | None
    python: str | None = None

    @property
    def works(self) -> bool:
        """Whether programs may be run in it."""
        return self.failure is None


def require_sandbox(mode: str) -> None:
    """Make sure, once a process, that a sandbox works.

    Raises:
        SandboxError: with what is wrong and how to put it right.
    """
    found = probe(mode)
    if found.failure is not None:
        raise SandboxError(found.failure)


@cache
def probe(mode: str) -> Probe:
    """Run the probing program in a sandbox and look at what it could reach.

    Args:
        mode: one of `sandbox.MODES`.

    Returns:
        The findings; never raises for what the machine lacks.
    """
    try:
        require_linux()
        from magistral_recipe.verifiers.sandbox.interpreter import find_interpreter

        python = find_interpreter().path
        reached = _try_out(mode)
    except SandboxError as error:
        return Probe(mode, str(error))
    if reached:
        return Probe(mode, f"the sandbox {mode!r} does not hold: a program inside got at {', '.join(reached)}", python)
    return Probe(mode, None, python)


def _try_out(mode: str) -> list[str]:
    """Return what the probing program got at that it should not."""
    with (
        tempfile.NamedTemporaryFile("w", prefix=f"{_SECRET}-", dir=_outside_folder()) as planted,
        socket.create_server(("127.0.0.1", 0)) as server,
        _bystander(planted.name) as bystander,
    ):
        planted.write("secret")
        planted.flush()
        asked = {
            "port": server.getsockname()[1],
            "file": planted.name,
            "secret": _SECRET,
            "nonce": planted.name,
            "pid": bystander.pid,
        }
        with Session(Job("python", mode, Limits())) as session:
            session.compile(_PROGRAM)
            frame = session.test(json.dumps(asked).encode(), 10.0)
        written = Path(planted.name + ".written")  # looked for out here: inside, the same path may be another file
        wrote = written.exists()
        written.unlink(missing_ok=True)
    try:
        found = json.loads(frame.output)
    except ValueError:
        raise SandboxError(f"the sandbox {mode!r} runs no program ({frame.ending}, status {frame.status})") from None
    if mode == "unsafe":
        return []
    reached = [name for name in ("network", "file", "environment", "process", "descriptors") if found[name]]
    return (
        reached
        + (["a folder of yours, writing"] if wrote else [])
        + (["more processes than allowed"] if found["forks"] >= 300 else [])
    )


def _outside_folder() -> str | None:
    home = Path.home()
    return str(home) if os.access(home, os.W_OK) else None


class _bystander:  # noqa: N801 - used as a function
    """A process of the caller's, to be looked for from inside."""

    def __init__(self, nonce: str) -> None:
        self._process = subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()", nonce], stdin=subprocess.PIPE)

    def __enter__(self) -> subprocess.Popen[bytes]:
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
