"""Processes of this package that are forked from one which has loaded the libraries, instead of loading them each.

A stage's process takes longer to load torch, transformers and TRL than most tests have it train. Here they are loaded
once; what is forked from there before anything was computed is a process like any other: killed alone or with its
group, its exit code its own, its stages its children, which end when it does. What a start itself does (the
interpreter's own, its seed of hashes, `python -m`) is tried where whole runs are started `anew`.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

LIBRARIES = ("trl.trainer.sft_trainer", "magistral_recipe.training.grpo", "magistral_recipe.chain.run")
LIBRARIES += ("magistral_recipe.check.plan", "magistral_recipe.check.proof", "magistral_recipe.report.build")
PROGRAM = [sys.executable, "-m", "magistral_recipe"]


class Forked:
    """A process that a `serve` loop has forked; to whoever asked for it, what `subprocess.Popen` is.

    Args:
        server: the loop's socket.
        words: what follows `python -m magistral_recipe`, or `python` where the first is a script.
        output: the descriptor that takes all it prints; `None` for a pipe, read at `stdout`.
        environment: its whole environment.
        folder: where it works; `None` for this process's.
        own_group: whether it leads a process group.
    """

    def __init__(
        self,
        server: socket.socket,
        words: Sequence[str],
        output: int | None,
        environment: Mapping[str, str],
        folder: Path | None,
        own_group: bool,
    ) -> None:
        self.returncode: int | None = None
        self.stdout: IO[str] | None = None
        told, tell = os.pipe()
        read = None
        if output is None:
            read, output = os.pipe()
        order = {"words": list(words), "environment": dict(environment), "own_group": own_group}
        order["folder"] = str(folder or Path.cwd())
        data = json.dumps(order).encode()
        socket.send_fds(server, [len(data).to_bytes(8, "big")], [output, tell])
        server.sendall(data)
        os.close(tell)
        if read is not None:
            os.close(output)
            self.stdout = os.fdopen(read, encoding="utf-8")
        self._told = told
        self.pid = int(self._line(None) or 0)

    def _line(self, seconds: float | None) -> bytes | None:
        """What its watcher says next; nothing where it says nothing for so long, empty where it was killed too."""
        if not select.select([self._told], [], [], seconds)[0]:
            return None
        return b"".join(iter(lambda: os.read(self._told, 1).strip(), b""))

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            line = self._line(timeout)
            if line is None:
                raise subprocess.TimeoutExpired("a forked process", timeout or 0)
            self.returncode = int(line or -signal.SIGKILL)
            os.close(self._told)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        read: list[str] = []
        assert self.stdout is not None
        reader = threading.Thread(target=lambda stream: read.append(stream.read()), args=[self.stdout], daemon=True)
        reader.start()
        reader.join(timeout)
        if reader.is_alive():
            raise subprocess.TimeoutExpired("a forked process", timeout or 0)
        self.wait(timeout)
        return read[0], None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


_server: tuple[int, socket.socket] | None = None


def start(
    words: Sequence[str], environment: Mapping[str, str], folder: Path | None = None, output: IO[bytes] | None = None
) -> subprocess.Popen[str] | Forked:
    """Start this package's program, or a script, in a process group of its own; forked where the system lets it be.

    Args:
        words: of the command line; a script's name first, if it is one.
        environment: the whole environment; what libraries read while they are loaded is this process's.
        folder: where it works; by default where this process does.
        output: takes all that it prints; by default a pipe.
    """
    if sys.platform != "linux":
        return start_anew(words, environment, folder, output)
    server = _running_server()
    return Forked(server, words, output and output.fileno(), environment, folder, own_group=True)


def start_anew(
    words: Sequence[str], environment: Mapping[str, str], folder: Path | None = None, output: IO[bytes] | None = None
) -> subprocess.Popen[str]:
    """Start it as a person does, in an interpreter that begins with nothing; see `start`."""
    return subprocess.Popen(
        [sys.executable, *words] if is_script(words) else [*PROGRAM, *words],
        stdout=output or subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=folder,
        start_new_session=True,
    )


def start_ranks(words: Sequence[str], size: int, environment: Mapping[str, str], folder: Path) -> None:
    """Run a script in so many processes that find one another, as torchrun would start them, to their ends.

    Args:
        words: the script's name, and what it is given.
        size: how many processes.
        environment: of all; each of several gets its rank, and what `join` needs.
        folder: takes that file, and what each prints.

    Raises:
        AssertionError: one has failed, with what it printed last; the others are killed then.
    """
    shared = dict(environment)
    if size > 1:
        (folder / "rendezvous").unlink(missing_ok=True)
        shared |= {"WORLD_SIZE": str(size), "TORCHELASTIC_RUN_ID": "here", "RENDEZVOUS": str(folder / "rendezvous")}
    processes = []
    logs = [folder / f"rank-{rank}.log" for rank in range(size)]
    for rank, log in enumerate(logs):
        with open(log, "wb") as stream:
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(size)} if size > 1 else {}
            processes.append(start(words, {**shared, **own}, output=stream))
    try:
        for process, log in zip(processes, logs, strict=True):
            assert process.wait(400) == 0, log.read_text(errors="replace")[-3000:]
    finally:
        for process in processes:
            process.kill()


def join() -> None:
    """In a script: let this process find the others of `start_ranks`, if it is one of several."""
    if meeting := os.environ.get("RENDEZVOUS"):
        import torch

        rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
        torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=size)


def is_script(words: Sequence[str]) -> bool:
    """Whether a command line names a script, instead of one of this package's commands."""
    return words[0].endswith(".py")


def _running_server() -> socket.socket:
    global _server
    if _server is None or _server[0] != os.getpid():
        ours, theirs = socket.socketpair()
        process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},  # sums in one order
        )
        theirs.close()
        atexit.register(process.kill)
        _server = os.getpid(), ours
    return _server[1]


# ------------------------------------------------------------------------------------------- on the server's side


_PDEATHSIG, _CHILD_SUBREAPER = 1, 36
"""Linux's `prctl`."""


def serve(orders: socket.socket) -> None:
    """Fork a process for each order, watched by a process of its own, until nobody is left to give one."""
    _die_with_parent()
    while True:
        size, descriptors, *_ = socket.recv_fds(orders, 8, 2)
        if not size:
            os._exit(0)
        data = b""
        while len(data) < int.from_bytes(size, "big"):
            data += orders.recv(2**20)
        if os.fork() == 0:
            _watch(json.loads(data), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):  # watchers that are done; their seconds are this process's now
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _watch(order: dict[str, Any], output: int, tell: int) -> None:
    """Fork the process, and tell its number and how it ended."""
    _die_with_parent()
    child = os.fork()
    if child == 0:
        os.close(tell)
        _become(order, output)
    os.close(output)
    os.write(tell, f"{child}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(tell, f"{code}\n".encode())
    os._exit(0)


def _become(order: dict[str, Any], output: int) -> None:
    """Be the program, whose own stages are forked by a child that it has before it does anything."""
    if order["own_group"]:
        os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate((nothing, output, output)):
        os.dup2(descriptor, number)
    os.close(output)  # one that the server of its stages kept would never end
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.path[:] = [path for path in sys.path if path not in before]
    sys.path[:0] = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    os.chdir(order["folder"])
    script = order["words"][0] if is_script(order["words"]) else None
    sys.argv = order["words"] if script else ["magistral-recipe", *order["words"]]
    if os.environ.get("PYTHONUNBUFFERED"):
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    _fork_stages()

    import random

    import numpy

    tempfile.tempdir = None
    random.seed()
    numpy.random.seed()
    code = 1
    try:
        if script:
            sys.path.insert(0, os.path.dirname(script))
            runpy.run_path(script, run_name="__main__")
        else:
            from magistral_recipe.cli import main

            main()
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the process's outermost frame
        sys.excepthook(*sys.exc_info())
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)


def _fork_stages() -> None:
    """Let what `run_launched` starts be forked, where that is this program and not Accelerate's launcher."""
    from magistral_recipe.chain import launch

    ours, theirs = socket.socketpair()
    if os.fork() == 0:
        ours.close()
        for number in range(3):  # whoever reads the program's output waits for its end, not for this one's
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        serve(theirs)
    theirs.close()

    class Starting:
        def __getattr__(self, name: str) -> Any:
            return getattr(subprocess, name)

        def Popen(self, command: list[str], **options: Any) -> Any:  # noqa: N802 - the module's own name
            if command[:3] != PROGRAM:
                return subprocess.Popen(command, **options)
            output = options["stdout"].fileno()
            return Forked(ours, command[3:], output, options["env"], None, own_group=False)

    launch.subprocess = Starting()  # type: ignore[assignment]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


def _main() -> None:
    import gc
    import importlib

    from magistral_recipe.loading import quickly_loaded

    orders = socket.socket(fileno=int(sys.argv[1]))
    del sys.path[0]  # the helpers' folder
    with quickly_loaded():
        for name in LIBRARIES:
            importlib.import_module(name)
    gc.freeze()
    assert threading.active_count() == 1, threading.enumerate()
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1)  # whom a killed run leaves behind is waited for here
    serve(orders)


if __name__ == "__main__":
    _main()
