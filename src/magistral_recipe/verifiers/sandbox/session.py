"""One program in one sandbox: start it, hand it inputs, take what comes out, end it.

Whose failure it is, is decided by the driver's first word: what goes wrong before it is the machine's
(`SandboxError`), what goes wrong after it is the program's, whatever it did to its sandbox.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from magistral_recipe.verifiers.sandbox.cgroup import Account, close_account, open_account
from magistral_recipe.verifiers.sandbox.confine import confine
from magistral_recipe.verifiers.sandbox.interpreter import (
    PACKAGES_FOLDER,
    find_interpreter,
    package_mounts,
    python_command,
)
from magistral_recipe.verifiers.sandbox.terms import (
    MEBIBYTE,
    SHARED_MEMORY,
    Confinement,
    Limits,
    Mount,
    SandboxError,
)
from magistral_recipe.verifiers.sandbox.usage import (
    Meter,
    Usage,
    files_in_memory,
    files_on_disk,
    observe,
    proportional_memory,
    swapped_memory,
)

START_SECONDS = 60.0
LOOK_SECONDS = 0.1
_HEAD = 29

Ending = Literal["answered", "timeout", "asleep", "memory", "flood", "broken"]


class Frame(NamedTuple):
    """One message of the driver, or why there is none.

    Attributes:
        ending: ``answered``, or what ended the session.
        status: exit status, minus the signal that ended the process.
        cpu: seconds.
        output: what the program wrote.
        errors: the end of its error output.
    """

    ending: Ending
    status: int = 0
    cpu: float = 0.0
    output: bytes = b""
    errors: bytes = b""


@dataclass(frozen=True)
class Job:
    """What a session is started for.

    Attributes:
        language: ``python`` or ``cpp``.
        mode: of the sandbox.
        limits: what the program may use.
        call: ``function`` or ``method`` where inputs are calls, empty where they are standard input.
        published: whether Python programs run as LiveCodeBench's own judge runs them.
        compiler: the command that compiles C++.
        mounts: what it needs to see.
        packages: Python packages of the caller's that it may import.
    """

    language: str
    mode: str
    limits: Limits
    call: str = ""
    published: bool = False
    compiler: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    packages: tuple[str, ...] = ()


@cache
def _driver_source() -> str:
    return (Path(__file__).parent / "driver.py").read_text("utf-8")


class Session:
    """A running sandbox, as a context manager.

    Args:
        job: what to start.
        on_sleep: called once, when the program has been asleep for half a second.
        stopped: ends the session early once set.

    Raises:
        SandboxError: where the sandbox does not start.
    """

    def __init__(
        self, job: Job, on_sleep: Callable[[], None] | None = None, stopped: threading.Event | None = None
    ) -> None:
        self.job = job
        self._on_sleep = on_sleep
        self._stopped = stopped or threading.Event()
        self._buffer = bytearray()
        self._account: Account | None = None
        self._driver = 0
        self._own: frozenset[int] = frozenset()
        packages = package_mounts(job.packages) if job.language == "python" and job.packages else ()
        mounts = (*find_interpreter().mounts, *packages, *job.mounts)
        try:
            self._confinement = confine(job.mode, job.limits, mounts)
        except OSError as error:
            raise SandboxError(f"the sandbox could not be prepared: {error}") from error
        try:
            self._process = self._start(bool(packages))
        except OSError as error:
            self._confinement.clean()
            raise SandboxError(f"the sandbox could not be started: {error}") from error

    def __enter__(self) -> Self:
        try:
            hello = self._exchange(b"", START_SECONDS, self.job.limits.memory)
            if hello.ending != "answered":
                raise SandboxError(f"the sandbox did not start ({hello.ending}): {self._complaint()}")
            own = observe(self._process.pid).pids
            self._driver, self._own = own[-1], frozenset(own)  # each has started one other, the driver none yet
            self._account = self._opened_account()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def compile(self, source: str) -> Frame:
        """Hand over the program and have it compiled; status 0 if that worked."""
        seconds, memory = self.job.limits.compile_seconds, self.job.limits.compile_memory
        return self._exchange(_framed(source.encode("utf-8", "replace")), 3.0 * seconds + 1, memory)

    def test(self, given: bytes, seconds: float) -> Frame:
        """Run the program on one input.

        Args:
            given: its standard input, or a call as JSON.
            seconds: CPU time allowed; the wall clock behind it stands at three times that.

        Returns:
            What came out. Unless it was ``answered``, the session is over.
        """
        whole = max(1, -int(-seconds // 1))
        data = _framed(whole.to_bytes(4, "little") + given)
        frame = self._exchange(data, 3 * seconds + 0.5, self.job.limits.memory, seconds)
        if self.job.mode == "landlock" and frame.ending == "answered":
            # The driver ends the program's group; who has left it is seen from outside alone. In a namespace it sees
            # them too.
            _kill_below(self._process.pid, self._own)
        if frame.ending == "answered" and frame.cpu > seconds:
            return frame._replace(ending="timeout", status=frame.status or -24)
        return frame

    def close(self) -> None:
        """End every process of the sandbox and remove what it left."""
        process, confinement = self._process, self._confinement
        self._kill()
        if process.stdin is not None and process.stdout is not None and process.stderr is not None:
            process.stdin.close()
            # Its end of this pipe closes when the last process that could have written is gone.
            _drain(process.stderr.fileno(), 5.0)
            process.stdout.close()
            process.stderr.close()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._account is not None:
            close_account(self._account)
        confinement.clean()

    def _opened_account(self) -> Account | None:
        """Have the kernel charge the driver, and so all that it will start, to a group of their own."""
        account = open_account()
        try:
            if account is not None:
                account.admit(self._driver)
        except OSError:
            assert account is not None
            close_account(account)
            return None
        return account

    def _start(self, packages: bool) -> subprocess.Popen[bytes]:
        limits, confinement = self.job.limits, self._confinement
        options = {
            "language": self.job.language,
            "call": self.job.call,
            "published": "1" if self.job.published else "0",
            "root": confinement.root,
            "shown": confinement.shown,
            "all_ours": "1" if confinement.own_namespace else "0",
            "processes": confinement.processes,
            "memory": limits.memory,
            "file_size": limits.file_size,
            # Deep recursion needs more than the usual 8 MB. It is taken as it is used, and Python's threads keep to
            # what held when their interpreter started.
            "stack": 64 * MEBIBYTE,
            "compiler": "\x1f".join(self.job.compiler),
            "compile_seconds": limits.compile_seconds,
            "compile_memory": limits.compile_memory,
            "packages": PACKAGES_FOLDER if packages else "",
        }
        driver = [*python_command(_driver_source()), *(f"{key}={value}" for key, value in options.items())]
        return _spawn(confinement, driver)

    def _exchange(self, data: bytes, wall: float, memory: int, cpu: float | None = None) -> Frame:
        """Send bytes and wait for one frame; end the session where that takes too much of anything."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        source, sink = self._process.stdout.fileno(), self._process.stdin.fileno()
        poller = select.poll()
        poller.register(source, select.POLLIN)
        if data:
            poller.register(sink, select.POLLOUT)
        unsent = memoryview(data)
        if self._account is not None:
            with contextlib.suppress(OSError):
                self._account.bound(_allowed(memory) + self.job.limits.scratch + SHARED_MEMORY)
        watch = _Watch(self, wall, memory, cpu)
        while True:
            for descriptor, _ in poller.poll(watch.patience()):
                if descriptor == sink:
                    try:
                        unsent = unsent[os.write(sink, unsent[: 1 << 16]) :]
                    except BlockingIOError:
                        continue
                    except BrokenPipeError:
                        unsent = unsent[:0]  # what it wrote before it died may still say why
                    if not unsent:
                        poller.unregister(sink)
                else:
                    part = os.read(source, 1 << 18)
                    self._buffer += part
                    ending: Ending | None = None if part else "broken"
                    frame = self._take_frame()
                    if frame is not None:
                        return self._charged(frame, watch)
                    if ending:
                        return self._end("memory" if self._starved() else "broken")
            verdict = "timeout" if self._stopped.is_set() else watch.look()
            if verdict is not None:
                return self._end(verdict)

    def _charged(self, frame: Frame, watch: _Watch) -> Frame:
        """Hold what all processes together used against the limits, once the driver has answered."""
        if frame.ending != "answered":
            return frame
        if self._starved():
            return self._end("memory")
        return frame._replace(ending="timeout", status=frame.status or -24) if watch.overdrawn() else frame

    def _starved(self) -> bool:
        with contextlib.suppress(OSError):
            return self._account is not None and self._account.starved()
        return False

    def _take_frame(self) -> Frame | None:
        if len(self._buffer) < _HEAD:
            return None
        output, errors = (int.from_bytes(self._buffer[at : at + 8], "little") for at in (13, 21))
        if output + errors > self.job.limits.file_size + 4096:
            return self._end("flood")  # our driver never sends that much: something else writes in its name
        if len(self._buffer) < _HEAD + output + errors:
            return None
        status = int.from_bytes(self._buffer[1:5], "little", signed=True)
        cpu = int.from_bytes(self._buffer[5:13], "little") / 1e6
        body = bytes(self._buffer[_HEAD : _HEAD + output + errors])
        del self._buffer[: _HEAD + output + errors]
        ending: Ending = "flood" if output >= self.job.limits.file_size else "answered"
        return Frame(ending, status, cpu, body[:output], body[output:])

    def _end(self, ending: Ending) -> Frame:
        self._kill()
        return Frame(ending)

    def _kill(self) -> None:
        if self._process.poll() is not None:
            return
        if not self._confinement.own_namespace:
            _kill_below(self._process.pid)
            if self.job.mode == "unsafe":  # where the driver itself is the root; Landlock's keeper ends by itself
                self._process.kill()
        elif not _kill_children(self._process.pid):
            self._process.kill()

    def _complaint(self) -> str:
        self._kill()
        assert self._process.stderr is not None
        said = _drain(self._process.stderr.fileno(), 5.0).decode("utf-8", "replace")
        if self.job.mode == "bwrap":
            from magistral_recipe.verifiers.sandbox.bwrap import explain

            return explain(said)
        return said.strip()[-500:] or "it said nothing"


class _Watch:
    """Looks at a sandbox from outside, ten times a second, once it takes longer than that."""

    def __init__(self, session: Session, wall: float, memory: int, cpu: float | None) -> None:
        self.session, self.memory, self.cpu = session, memory, cpu
        self.pid, self.account = session._process.pid, session._account
        self.started = time.monotonic()
        self.deadline = self.started + wall
        self.next_look = self.started + LOOK_SECONDS
        self.meter = Meter(self.pid)
        self.first_cpu: float | None = None
        self.last_cpu = 0.0
        self.looks = self.asleep = self.asleep_in_a_row = 0

    def patience(self) -> int:
        """Milliseconds until the next look is due."""
        return max(1, round(1000 * (min(self.next_look, self.deadline) - time.monotonic())))

    def look(self) -> Ending | None:
        """Return what the program must end for, if anything."""
        now = time.monotonic()
        if now >= self.deadline:
            return "asleep" if self.looks and self.asleep >= 0.9 * self.looks else "timeout"
        if now < self.next_look:
            return None
        self.next_look = now + LOOK_SECONDS
        usage, used = self._measure()
        self.looks += 1
        if usage.awake or used > self.last_cpu:
            self.asleep_in_a_row = 0
        else:
            self.asleep += 1
            self.asleep_in_a_row += 1
            if self.asleep_in_a_row == 5 and self.session._on_sleep is not None:
                self.session._on_sleep()
        self.last_cpu = used
        # Limits inside hold for each process; these hold for all of them together.
        if self._beyond(used):
            return "timeout"
        # The kernel may have ended what held too much before this look.
        if self._beyond_memory(usage) or self.session._starved():
            return "memory"
        return "flood" if self.cpu is not None and self._beyond_disk(usage) else None

    def overdrawn(self) -> bool:
        """Whether all processes together used more CPU time than allowed, now that the last of them has ended."""
        return self.looks > 0 and self._beyond(self._measure()[1])  # nothing gets far before the first look

    def _measure(self) -> tuple[Usage, float]:
        usage, used = self.meter.look()
        if self.account is not None:
            with contextlib.suppress(OSError):
                used = self.account.cpu()
        if self.first_cpu is None:
            self.first_cpu = self.last_cpu = used
        return usage, used

    def _beyond(self, used: float) -> bool:
        # The driver's own work counts too, and estimates are rough.
        spare = 1.0 if self.account is None else 0.5
        return self.cpu is not None and used - (self.first_cpu or 0.0) > self.cpu + spare

    def _beyond_memory(self, usage: Usage) -> bool:
        allowed = _allowed(self.memory)
        confinement = self.session._confinement
        # Outside a namespace these folders are the machine's.
        folders = (confinement.root, "/dev/shm") if confinement.own_namespace else ()
        hidden = swapped_memory(usage.spaces) + files_in_memory(self.session._driver, folders)
        if usage.resident + hidden <= allowed:
            return False
        return proportional_memory(usage.spaces) + hidden > allowed

    def _beyond_disk(self, usage: Usage) -> bool:
        # In a namespace the file system itself is bounded.
        confinement = self.session._confinement
        if confinement.folder is None or self.session.job.mode == "unsafe":
            return False
        return files_on_disk(confinement.folder, usage.pids) > self.session.job.limits.scratch


def _allowed(memory: int) -> int:
    """How much memory all processes of a program may take together, in bytes."""
    return memory + memory // 4 + 64 * MEBIBYTE


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(8, "little") + data


def _spawn(confinement: Confinement, command: Sequence[str]) -> subprocess.Popen[bytes]:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": f"{confinement.root}/home",
        "TMPDIR": confinement.root,
        "LANG": "C.UTF-8",
        "MALLOC_ARENA_MAX": "2",  # an arena of glibc's reserves 64 MB of the address space that counts
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    prefix = list(confinement.command)
    handed: int | None = None
    if confinement.system_calls is not None:
        handed, writer = os.pipe()
        with os.fdopen(writer, "wb") as file:
            file.write(confinement.system_calls)  # a few hundred bytes: a pipe holds them all
        prefix += ["--seccomp", str(handed)]
    try:
        process = subprocess.Popen(
            [*prefix, *(["--"] if confinement.separator else []), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=environment,
            pass_fds=() if handed is None else (handed,),
            start_new_session=True,
        )
    finally:
        if handed is not None:
            os.close(handed)
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    return process


def _drain(descriptor: int, seconds: float) -> bytes:
    """Read to the end of a pipe, for so long at most; keeps the last few thousand bytes."""
    poller, deadline, kept = select.poll(), time.monotonic() + seconds, b""
    poller.register(descriptor, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and poller.poll(1000 * left):
        part = os.read(descriptor, 1 << 16)
        if not part:
            break
        kept = (kept + part)[-4096:]
    return kept


def _kill_children(parent: int) -> bool:
    """Kill a process's children; whether there were any.

    Killing the init of a namespace rather than bubblewrap itself lets bubblewrap reap it: no zombie is left
    to the machine's init, which in many containers reaps none.
    """
    try:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
    except OSError:
        return False
    return bool(children)


def _kill_below(root: int, spared: frozenset[int] = frozenset()) -> None:
    """Stop everything below a process until nothing new turns up, then kill it: what is stopped cannot fork on.

    Args:
        root: the process, which goes on.
        spared: others that go on.
    """
    stopped: set[int] = set()
    for _ in range(200):
        new = set(observe(root).pids) - stopped - {root, *spared}
        if not new:
            break
        _signal(new, signal.SIGSTOP)
        stopped |= new
    _signal(stopped, signal.SIGKILL)


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
