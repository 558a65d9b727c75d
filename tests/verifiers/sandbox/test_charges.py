"""A program is charged what it uses, in whatever form: with a control group, and where none can be made."""

from __future__ import annotations

import ctypes
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from magistral_recipe.verifiers.sandbox import cgroup
from magistral_recipe.verifiers.sandbox.cgroup import SWITCH, Account, Places, find_places, open_account
from magistral_recipe.verifiers.sandbox.session import Job, Session
from magistral_recipe.verifiers.sandbox.terms import MEBIBYTE, Limits
from magistral_recipe.verifiers.sandbox.usage import Meter, Process, Usage, files_on_disk, observe, proportional_memory

pytestmark = pytest.mark.sandbox

MODES = ("bwrap", "landlock")


@pytest.fixture(params=["account", "estimate"])
def accounts(request, monkeypatch):
    """Both ways to keep accounts; the first only where a control group can be made."""
    if request.param == "estimate":
        monkeypatch.setenv(SWITCH, "off")
    else:
        monkeypatch.delenv(SWITCH, raising=False)
        if find_places() is None:
            pytest.skip("no control group can be made here")
    return request.param


def run(program: str, mode: str = "bwrap", seconds: float = 2.0, given: bytes = b"", **limits):
    """Run a program once; return the driver's frame."""
    with Session(Job("python", mode, Limits(**limits))) as session:
        assert session.compile(program).status == 0
        return session.test(given, seconds)


# ---------------------------------------------------------------------------------------------------- CPU time

BURN = """
import os, signal, sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""
IGNORING = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
# A parent that may not wait for its child, or must not, waits for the end of a pipe that the child holds.
LINE = "r, w = os.pipe()\nif os.fork() == 0:\n    {child}\n    os._exit(0)\nos.close(w)\nos.read(r, 1)\nos.close(r)\n"
FOR_EACH = "for _ in range({count}):\n    exec({body!r})\n"
# Each spends 6 seconds of CPU time, none of it in a process that uses more than half a second.
SPENDERS = {
    "waited_for": FOR_EACH.format(count=20, body=LINE.format(child="burn(0.3)") + "os.wait()\n"),
    "orphans": FOR_EACH.format(
        count=20, body=LINE.format(child="os.fork() or (os.setsid(), burn(0.3))") + "os.wait()\n"
    ),
    "nobody_waits": IGNORING + FOR_EACH.format(count=20, body=LINE.format(child="burn(0.3)")),
    "short_lives": IGNORING + FOR_EACH.format(count=200, body=LINE.format(child="burn(0.03)")),
    "a_chain": IGNORING + LINE.format(child="[(burn(0.03), os.fork() and os._exit(0)) for _ in range(200)]"),
    "side_by_side": (
        "for _ in range(20):\n    if os.fork() == 0:\n        burn(0.3)\n        os._exit(0)\n"
        "for _ in range(20):\n    os.wait()\n"
    ),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SPENDERS)
def test_children_that_died_are_charged(name, mode, accounts):
    frame = run(BURN + SPENDERS[name] + "print('right')", mode, seconds=1.0)
    assert frame.ending == "timeout", frame


@pytest.mark.parametrize("mode", MODES)
def test_children_within_the_limit_are_nobodys_fault(mode, accounts):
    program = (
        BURN + "for _ in range(4):\n    if os.fork() == 0:\n        burn(0.2)\n        os._exit(0)\n    os.wait()\n"
    )
    frame = run(program + "print('right')", mode, seconds=2.0)
    assert (frame.ending, frame.output) == ("answered", b"right\n")


def usage(*processes: tuple[int, float, float, bool]) -> Usage:
    """One look: number, own CPU time, that of waited children, whether it runs."""
    shown = {(pid, "0"): Process(own, waited, runs, pid) for pid, own, waited, runs in processes}
    return Usage(tuple(pid for pid, _ in shown), sum(p.own for p in shown.values()), 0, True, shown)


def metered(*looks: Usage, cores: int = 2) -> list[float]:
    """What a meter says at looks that are a tenth of a second apart."""
    left, times = iter(looks), iter(range(100))
    meter = Meter(1, cores, lambda: next(times) / 10, lambda root: next(left))
    return [round(meter.look()[1], 3) for _ in looks]


def test_a_meter_keeps_what_was_last_seen_of_the_dead():
    assert metered(usage((1, 0, 0, False), (2, 0.4, 0, True)), usage((1, 0, 0, False))) == [0.4, 0.4]


def test_a_meter_counts_a_waited_child_once():
    seen = usage((1, 0, 5.0, False), (2, 0.4, 0, True)), usage((1, 0, 5.5, False)), usage((1, 0, 5.5, False))
    assert metered(*seen) == [0.4, 0.5, 0.5]  # 5.0 is older than the meter


def test_a_meter_takes_new_runners_for_a_row_of_short_lives():
    looks = [usage((1, 0, 0, False), *((10 * at + n, 0.01, 0, True) for n in range(5))) for at in range(1, 4)]
    # Two cores for 0.1 s, of which 0.05 are seen; five that were seen died.
    assert metered(*looks) == [0.05, 0.25, 0.45]


def test_a_meter_lets_sleepers_and_old_runners_be():
    looks = usage((1, 0.1, 0, True)), usage((1, 0.2, 0, True), (2, 0.0, 0, False)), usage((1, 0.3, 0, True))
    assert metered(*looks) == [0.1, 0.2, 0.3]


# ------------------------------------------------------------------------------------------------------ memory

SOCKET_PAIRS = """
import socket
held, size = [], 0
try:
    while size < 2 << 30:
        left, right = socket.socketpair()
        held.append((left, right))
        left.setblocking(False)
        right.setblocking(False)
        for end in (left, right):
            try:
                while True:
                    size += end.send(bytes(65536))
            except BlockingIOError:
                pass
except OSError:
    pass
print("right" if {forks} else size)
"""
FORKING = "import os\nfor _ in range(28):\n    if os.fork() == 0:\n        break\n"


@pytest.mark.parametrize("mode", MODES)
def test_no_sockets_are_made(mode, accounts):
    frame = run(
        "import socket\ncount = 0\n"
        "for attempt in (socket.socketpair, socket.socket, lambda: socket.socket(socket.AF_UNIX),\n"
        "                lambda: socket.socket(socket.AF_INET6), lambda: socket.socket(socket.AF_NETLINK)):\n"
        "    try:\n        attempt()\n        count += 1\n    except OSError:\n        pass\n"
        "print(count)",
        mode,
    )
    assert frame.output == b"0\n", frame


def test_sockets_that_are_asked_for_are_charged(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    if find_places() is None:
        pytest.skip("no control group can be made here")
    program = FORKING + SOCKET_PAIRS.format(forks=True) + "import time\ntime.sleep(3)"
    assert run(program, seconds=6.0, sockets=True, memory=64 * MEBIBYTE).ending == "memory"


HIDERS = """
import ctypes, mmap, os
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
SHARED, PRIVATE, ANONYMOUS, HUGE, VALIDATE = 1, 2, 0x20, 0x40000, 3
FAILED = ctypes.c_void_p(-1).value
def mapped(flags, file=-1):
    return libc.mmap(None, 4096, 3, flags, file, 0) not in (None, FAILED)
def shared_zero():
    return mapped(SHARED, os.open("/dev/zero", os.O_RDWR))
def given_to_a_pipe():
    r, w = os.pipe()
    buffer = ctypes.create_string_buffer(4096)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 4096)
    return libc.vmsplice(w, vector, ctypes.c_size_t(1), 0) > 0
def shared_segment():
    return libc.shmget(0, ctypes.c_size_t(4096), 0o1600) >= 0
attempts = {
    "shared": lambda: mapped(SHARED | ANONYMOUS), "validated": lambda: mapped(VALIDATE | ANONYMOUS),
    "huge": lambda: mapped(PRIVATE | ANONYMOUS | HUGE), "zero": shared_zero, "pipe": given_to_a_pipe,
    "segment": shared_segment, "file": lambda: libc.memfd_create(b"x", 0) >= 0,
    "hidden": lambda: libc.prctl(4, 0, 0, 0, 0) == 0, "python": lambda: mmap.mmap(-1, 4096),
}
got = []
for name, attempt in attempts.items():
    try:
        if attempt():
            got.append(name)
    except OSError:
        pass
assert mapped(PRIVATE | ANONYMOUS)  # or none of this would prove a thing
assert mmap.mmap(-1, 4096, flags=PRIVATE | ANONYMOUS)
print(got)
"""


@pytest.mark.parametrize("mode", MODES)
def test_memory_that_no_process_shows_is_refused(mode):
    frame = run(HIDERS, mode)
    assert frame.output == b"[]\n", frame


HOLD = """
import ctypes, os, threading, time
def hold():
    kept = bytearray(200 << 20)
    time.sleep(20)
for _ in range(5):
    if os.fork() == 0:
        threading.Thread(target=hold).start()
        time.sleep(0.2)
        {then}
time.sleep(20)
"""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("then", ["ctypes.CDLL(None).syscall({exit}, 0)", "time.sleep(20)"])
def test_memory_of_a_process_whose_first_thread_has_ended_counts(then, mode, accounts):
    number = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
    frame = run(HOLD.format(then=then.format(exit=number)), mode, seconds=6.0)
    assert frame.ending == "memory"


def be_nobody() -> None:
    """Give up root, where a process has it: its own user's eyes are those that count."""
    if os.geteuid() == 0:
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)


def seen_by_nobody(look: Callable[[], float]) -> float:
    """What a fork sees that is an ordinary user's."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            be_nobody()
            os.write(write, str(look()).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    with os.fdopen(read) as said:
        return float(said.read())


def test_what_a_process_hides_from_its_own_user_is_taken_for_the_worst():
    """As one does that runs a file which may be executed and not read; `prctl`, used here, is refused inside."""
    read, write = os.pipe()
    hidden = os.fork()
    if hidden == 0:
        be_nobody()
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        kept = b"x" * (80 << 20)
        os.write(write, kept[:1])
        signal.pause()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        try:
            os.read(read, 1)
            assert seen_by_nobody(lambda: proportional_memory((hidden,))) >= 80 * MEBIBYTE
            assert seen_by_nobody(lambda: files_on_disk(Path(folder), (hidden,))) == math.inf
        finally:
            os.kill(hidden, signal.SIGKILL)
            os.waitid(os.P_PID, hidden, os.WEXITED | os.WNOWAIT)
        # One that has ended, and that nobody has waited for, is closed to all and hides nothing.
        assert seen_by_nobody(lambda: files_on_disk(Path(folder), (hidden,))) < math.inf
        os.waitpid(hidden, 0)


def test_files_without_content_count(accounts):
    program = (
        "import os\nfor at in range(400):\n    os.mkdir(str(at))\n    for n in range(1000):\n"
        "        os.close(os.open(f'{at}/{n}', os.O_CREAT | os.O_WRONLY))\nprint('right')"
    )
    assert run(program, seconds=30.0, memory=32 * MEBIBYTE).ending == "memory"


FILLERS = {
    "many files": "for n in range(1000):\n    open(str(n), 'wb').write(bytes(1 << 20))\n",
    "files without a name": (
        "import os\nheld = []\nfor n in range(200):\n    held.append(open(str(n), 'wb'))\n    os.unlink(str(n))\n"
        "    held[-1].write(bytes(4 << 20))\n    held[-1].flush()\n"
    ),
    "folders": (
        "import os\nfor n in range(1000):\n    os.mkdir('x')\n    os.chdir('x')\n"
        "    open('f', 'wb').write(bytes(1 << 20))\n"
    ),
    "folders deeper than a path": (
        "import os\nfor n in range(3000):\n    os.mkdir('x')\n    os.chdir('x')\nopen('f', 'wb').write(bytes(9))\n"
    ),
    "empty files": "for n in range(200000):\n    open(str(n), 'wb').close()\n",
}


@pytest.mark.parametrize("name", FILLERS)
def test_all_files_together_are_bounded_without_a_namespace_too(name):
    frame = run(
        FILLERS[name] + "import time\ntime.sleep(1)\nprint('right')", "landlock", seconds=20.0, scratch=64 * MEBIBYTE
    )
    assert frame.ending == "flood"


def test_what_is_allowed_still_works(accounts):
    program = (
        "import asyncio, multiprocessing\n"
        "async def main():\n    await asyncio.sleep(0.01)\n"
        "    loop = asyncio.get_running_loop()\n"
        "    return await loop.run_in_executor(None, lambda: 3)\n"
        "print(asyncio.run(main()))\n"
        "with multiprocessing.Pool(2) as pool:\n    print(pool.map(abs, [-1, -2]))\n"
        "n = multiprocessing.Value('i', 5)\nprint(n.value)\nkept = bytearray(50 << 20)\nprint(len(kept) >> 20)"
    )
    frame = run(program, seconds=5.0)
    assert frame.output == b"3\n[1, 2]\n5\n50\n", frame


# ------------------------------------------------------------------------------------------------ the accounts


def test_an_account_is_exact_and_leaves_nothing(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    places = find_places()
    if places is None:
        pytest.skip("no control group can be made here")
    before = set(os.listdir(places.memory)) | set(os.listdir(places.cpu))
    account = Account(places)
    pid = os.fork()
    if pid == 0:
        time.sleep(0.1)
        end = time.process_time() + 0.5
        while time.process_time() < end:
            pass
        os._exit(0)
    account.admit(pid)
    account.bound(64 * MEBIBYTE)
    os.waitpid(pid, 0)
    assert 0.45 <= account.cpu() <= 0.8
    assert not account.starved()
    account.close()
    assert set(os.listdir(places.memory)) | set(os.listdir(places.cpu)) == before


def groups_of(pid: int, places: Places) -> list[str]:
    folders = {places.memory, places.cpu}
    return [name for folder in folders for name in os.listdir(folder) if name.startswith(f"magistral-{pid}-")]


def test_no_session_leaves_a_group(accounts):
    places = find_places()
    if places is None:
        pytest.skip("no control group can be made here")
    code = (
        "import os\nfrom tests.verifiers.sandbox.test_charges import run\nrun('print(1)')\n"
        "run('while True:\\n    pass', seconds=0.3)\nprint(os.getpid())\n"
        "if os.fork() == 0:\n    run('print(1)')\n    os._exit(0)\nos.wait()\nrun('print(1)')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert groups_of(int(done.stdout), places) == []


def test_a_group_is_used_again_and_owes_nothing(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    places = find_places()
    if places is None:
        pytest.skip("no control group can be made here")
    run("print(1)")
    before = groups_of(os.getpid(), places)
    assert len(before) >= 1
    hungry = FORKING + SOCKET_PAIRS.format(forks=True) + "import time\ntime.sleep(3)"
    assert run(hungry, seconds=6.0, sockets=True, memory=64 * MEBIBYTE).ending == "memory"
    assert run(BURN + "burn(0.9)\nprint('right')", seconds=1.0).output == b"right\n"
    assert run(BURN + "burn(0.9)\nprint('right')", seconds=1.0).output == b"right\n"
    assert groups_of(os.getpid(), places) == before


def test_groups_of_the_killed_are_swept_up(monkeypatch):
    monkeypatch.delenv(SWITCH, raising=False)
    places = find_places()
    if places is None:
        pytest.skip("no control group can be made here")
    killed, mine = places.memory / "magistral-4000000000-7", places.memory / f"magistral-{os.getpid()}-living"
    killed.mkdir()
    mine.mkdir()
    try:
        find_places.cache_clear()
        assert find_places() == places
        assert not killed.exists()
        assert mine.exists()
    finally:
        mine.rmdir()


def test_the_switch_and_a_refusal_leave_the_estimates(monkeypatch):
    monkeypatch.setenv(SWITCH, "off")
    assert open_account() is None
    monkeypatch.delenv(SWITCH)
    monkeypatch.setattr(cgroup, "_free", [])
    monkeypatch.setattr(cgroup, "find_places", lambda: Places(Path("/proc"), Path("/proc"), 2))
    assert open_account() is None
    assert run("print(1)").output == b"1\n"


def hierarchy(folder: Path, controllers: str, down: str, root: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.controllers").write_text(controllers + "\n")
    (folder / "cgroup.subtree_control").write_text(down + "\n")
    (folder / "cgroup.procs").write_text("")
    if not root:
        (folder / "cgroup.events").write_text("populated 1\n")
    return folder


def candidates(tmp_path: Path, groups: str, mounts: str) -> list[Places]:
    process = tmp_path / "process"
    process.mkdir()
    (process / "mountinfo").write_text(mounts)
    (process / "cgroup").write_text(groups)
    return list(cgroup._candidates(process))


def test_version_2_is_used_beside_the_own_group_or_at_the_root(tmp_path):
    top = tmp_path / "cgroup two"
    mounts = f"25 30 0:26 / {str(top).replace(' ', chr(92) + '040')} rw,nosuid - cgroup2 cgroup2 rw\n"
    hierarchy(top, "cpu memory pids", "cpu", root=True)
    scope = hierarchy(top / "user.slice", "memory pids", "memory pids", root=False)
    hierarchy(scope / "run.scope", "memory", "", root=False)
    found = candidates(tmp_path, "0::/user.slice/run.scope\n", mounts)
    assert found == [Places(scope, scope, 2), Places(top, top, 2)]
    assert (top / "cgroup.subtree_control").read_text().startswith("+memory")  # switched on at the true root alone


def test_version_1_is_used_below_the_own_group(tmp_path):
    own = tmp_path / "memory" / "job"
    own.mkdir(parents=True)
    (tmp_path / "cpuacct").mkdir()
    mounts = "".join(
        f"{n} 1 0:{n} / {tmp_path / name} rw shared:9 - cgroup cgroup rw,{name}\n"
        for n, name in enumerate(["memory", "cpuacct"])
    )
    found = candidates(tmp_path, "4:memory:/job\n2:cpu,cpuacct:/gone\n", mounts)
    assert found == [Places(own, tmp_path / "cpuacct", 1)]


def test_version_2_figures_are_read(tmp_path):
    account = Account(Places(tmp_path, tmp_path, 2))
    folder = next(tmp_path.iterdir())
    for name in ("cgroup.procs", "memory.max", "memory.swap.max"):
        (folder / name).write_text("")
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 0\n")
    account.admit(17)
    account.bound(1000)
    assert (folder / "cgroup.procs").read_text() == "17"
    assert (folder / "memory.max").read_text() == "1000"
    assert (folder / "memory.swap.max").read_text() == "0"
    assert account.cpu() == 2.5
    assert not account.starved()
    (folder / "memory.events").write_text("oom_kill 1\n")
    assert account.starved()


def test_a_process_without_its_first_thread_is_seen():
    seen = observe(os.getpid())
    assert seen.pids[0] == os.getpid()
    assert os.getpid() in seen.spaces
    assert seen.resident > 10 * MEBIBYTE
