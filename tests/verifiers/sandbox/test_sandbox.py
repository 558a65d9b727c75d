"""The sandbox holds: canaries planted outside are never found, and the same programs do find them inside."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from magistral_recipe.rewards.code import CodeCorrectness
from magistral_recipe.verifiers.sandbox import probe as probe_module
from magistral_recipe.verifiers.sandbox import session as session_module
from magistral_recipe.verifiers.sandbox.confine import confine
from magistral_recipe.verifiers.sandbox.probe import probe
from magistral_recipe.verifiers.sandbox.session import Job, Session
from magistral_recipe.verifiers.sandbox.terms import Limits, SandboxError
from magistral_recipe.verifiers.sandbox.usage import observe

pytestmark = pytest.mark.sandbox

# Prints the canary if it gets at it. With a third word on the first line it plants that itself, inside, in
# a place of the same kind, and must then find it: a search that cannot succeed would prove nothing.
SEARCH = r"""
import os, re, socket, sys, threading
kind, where, planted = input().split()
mark = "can" + "ary:"
def search(text):
    found = re.search(mark + "([0-9a-f]{16})", text)
    if found:
        print(found[1])
        sys.stdout.flush()
        os._exit(0)
def read(path, count=1 << 20):
    try:
        with open(path, "rb") as file:
            search(file.read(count).decode("latin-1"))
    except OSError:
        pass
def folder(path):
    for place, _, names in os.walk(path):
        for name in names:
            read(os.path.join(place, name))
def memory(pid):
    try:
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as data:
            for line in maps:
                if " rw" in line and "[v" not in line:
                    start, end = (int(part, 16) for part in line.split()[0].split("-"))
                    data.seek(start)
                    search(data.read(end - start).decode("latin-1"))
    except (OSError, ValueError):
        pass
inside = planted != "-"
kept = []
if kind == "folder":
    if inside:
        where = os.getcwd()
        with open("planted.txt", "w") as file:
            file.write(mark + planted)
    folder(where)
elif kind == "environment":
    if inside:
        os.environ["CANARY"] = mark + planted
    search("\n".join(os.environ.values()))
    for pid in os.listdir("/proc"):
        read(f"/proc/{pid}/environ")
elif kind == "network":
    if inside:
        server = socket.create_server(("127.0.0.1", int(where)))
        def answer():
            server.accept()[0].sendall((mark + planted).encode())
        threading.Thread(target=answer, daemon=True).start()
    for address in ("127.0.0.1", "localhost", "0.0.0.0"):
        try:
            with socket.create_connection((address, int(where)), timeout=1) as client:
                search(client.recv(100).decode())
        except OSError:
            pass
elif kind == "descriptor":
    if inside:
        kept.append(open("planted.txt", "w+"))
        kept[0].write(mark + planted)
        kept[0].flush()
    for number in range(64):
        try:
            search(os.pread(number, 100, 0).decode("latin-1"))
        except OSError:
            pass
elif kind == "memory":
    if inside:
        kept.append(mark + planted)
    memory(int(where) if not inside else os.getpid())
    for pid in os.listdir("/proc"):
        if pid.isdigit() and int(pid) != os.getpid():
            memory(pid)
print("nothing")
"""
KINDS = ("work_folder", "home_folder", "shared_folder", "environment", "network", "descriptor", "memory")


def _serve(server: socket.socket, text: bytes) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            connection.sendall(text)


@pytest.fixture(scope="module")
def canary_scores(tmp_path_factory):
    """Plant one canary of each kind, run the search outside and inside; return both rows of scores."""
    secrets = {kind: os.urandom(8).hex() for kind in KINDS}
    marked = {kind: f"canary:{secret}" for kind, secret in secrets.items()}
    in_memory = marked["memory"]
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as work, tempfile.TemporaryDirectory(dir=Path.home()) as home:
        shared = tempfile.mkdtemp(dir="/tmp")
        places = {"work_folder": work, "home_folder": home, "shared_folder": shared}
        for kind, place in places.items():
            Path(place).chmod(0o755)
            (Path(place) / "planted.txt").write_text(marked[kind], "ascii")
        os.environ["CANARY"] = marked["environment"]
        file = os.open(Path(shared) / "descriptor.txt", os.O_RDWR | os.O_CREAT)
        os.write(file, marked["descriptor"].encode())
        os.unlink(Path(shared) / "descriptor.txt")
        os.set_inheritable(file, True)
        server = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=_serve, args=(server, marked["network"].encode()), daemon=True).start()
        port = str(server.getsockname()[1])
        where = {"network": port, "memory": str(os.getpid()), **places}
        rows = []
        for inside in (False, True):
            for kind in KINDS:
                words = (
                    kind if kind not in places else "folder",
                    where.get(kind, "-"),
                    secrets[kind] if inside else "-",
                )
                cases = [{"input": " ".join(words), "output": secrets[kind]}]
                rows.append(json.dumps({"type": "stdio", "cases": cases}))
        # Held against the outside world first: these canaries can be found by whoever is not shut in.
        bare = subprocess.run(
            [sys.executable, "-I", "-c", SEARCH], input=f"folder {home} -", capture_output=True, text=True, check=True
        )
        assert bare.stdout.strip() == secrets["home_folder"]
        completion = f"<think>x</think>\n```python\n{SEARCH}\n```"
        try:
            # With sockets: it is the namespace that leads nowhere, not only the filter.
            scores = CodeCorrectness(sockets=True)(completions=[completion] * len(rows), tests=rows)
        finally:
            del os.environ["CANARY"]
            server.close()
            os.close(file)
            for name in os.listdir(shared):
                os.unlink(Path(shared) / name)
            os.rmdir(shared)
    assert in_memory == marked["memory"]
    return dict(zip(KINDS, zip(scores[: len(KINDS)], scores[len(KINDS) :], strict=True), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_canary_is_found_inside_the_sandbox_and_never_outside(canary_scores, kind):
    outside, inside = canary_scores[kind]
    assert outside == 0.0
    assert inside == 1.0


def test_the_probe_finds_that_bubblewrap_holds():
    found = probe("bwrap")
    assert found.failure is None
    assert found.python


def test_the_probe_finds_a_sandbox_that_does_not_hold(monkeypatch):
    monkeypatch.setattr(session_module, "confine", lambda mode, limits, mounts: confine("unsafe", limits, mounts))
    reached = probe_module._try_out("bwrap")
    assert "network" in reached
    assert "process" in reached


@pytest.mark.parametrize("mode", ["bwrap", "landlock", "unsafe"])
def test_every_mode_runs_a_program_and_limits_it(mode):
    with Session(Job("python", mode, Limits(memory=100 << 20))) as session:
        assert session.compile("n = int(input())\nx = bytearray(n << 20)\nprint(n)").status == 0
        assert session.test(b"10", 2.0).output == b"10\n"
        starved = session.test(b"200", 2.0)
        assert starved.status == 1
        assert b"MemoryError" in starved.errors


def test_tests_of_one_program_share_neither_files_nor_processes():
    program = (
        "import os, time\ntime.sleep(0.1)  # what was killed takes a moment to go\n"
        "running = [p for p in os.listdir('/proc') if p.isdigit() and ') Z' not in open(f'/proc/{p}/stat').read()]\n"
        "print(os.listdir('.'), os.listdir('/dev/shm'), len(running))\n"
        "open('a', 'w').close()\nopen('/dev/shm/a', 'w').close()\nos.makedirs('b/c')\nos.chmod('b', 0)\n"
        "if os.fork() == 0:\n    os.setsid()\n    time.sleep(1000)"
    )
    with Session(Job("python", "bwrap", Limits())) as session:
        session.compile(program)
        first, second = session.test(b"", 2.0), session.test(b"", 2.0)
    assert first.output.startswith(b"[] []")
    assert first.output == second.output


LEAVES_ITS_GROUP = """
import os, time
left = []
def leave(deeper):
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if deeper and os.fork():
            os._exit(0)
        os.write(writer, b"%d " % os.getpid())
        time.sleep(1000)
    left.append(os.read(reader, 20))
leave(False)
leave(True)
print(*[each.decode() for each in left])
"""


def test_what_leaves_a_programs_group_ends_with_its_test_without_a_namespace_too():
    with Session(Job("python", "landlock", Limits())) as session:
        session.compile(LEAVES_ITS_GROUP)
        for _ in range(2):
            answered = session.test(b"", 5.0)
            left = [int(pid) for pid in answered.output.split()]
            assert len(left) == 2
            deadline = time.monotonic() + 60  # what was killed takes a moment to go
            while any(_alive(pid) for pid in left) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert not any(_alive(pid) for pid in left)
            assert set(observe(session._process.pid).pids) >= session._own


def test_a_sandbox_that_cannot_start_is_the_machines_fault(monkeypatch):
    monkeypatch.setattr(session_module, "python_command", lambda source: ["/no/such/python"])
    with pytest.raises(SandboxError, match="did not start"), Session(Job("python", "bwrap", Limits())):
        pass


def test_a_killed_caller_takes_its_programs_with_it():
    script = (
        "from magistral_recipe.rewards.code import CodeCorrectness as C\n"
        't = \'{"type": "stdio", "cases": [{"input": "", "output": ""}]}\'\n'
        "C(timeout=100)(completions=['<think>x</think>\\n```python\\nimport time\\ntime.sleep(900)\\n```'], tests=[t])"
    )
    caller = subprocess.Popen([sys.executable, "-c", script])
    programs: tuple[int, ...] = ()
    deadline = time.monotonic() + 60
    while len(programs) < 4 and time.monotonic() < deadline:  # bubblewrap, its init, the driver, the program
        programs = observe(caller.pid).pids[1:]
        time.sleep(0.05)
    assert len(programs) >= 4
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    while any(_alive(pid) for pid in programs) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [pid for pid in programs if _alive(pid)] == []


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_interrupt_does_not_wait_for_programs():
    tests = json.dumps({"type": "stdio", "cases": [{"input": "", "output": ""}]})
    sleeper = "<think>x</think>\n```python\nimport time\ntime.sleep(900)\n```"
    before = set(observe(os.getpid()).pids)  # the pool of the maths verifier may be among them
    started = time.monotonic()
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        CodeCorrectness(timeout=60)(completions=[sleeper], tests=[tests])
    timer.join()
    assert time.monotonic() - started < 20
    assert set(observe(os.getpid()).pids) <= before


def test_load_turns_no_right_program_wrong():
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        program = "import time\nwhile time.process_time() < 0.3:\n    pass\nprint(1)"
        tests = json.dumps({"type": "stdio", "cases": [{"input": "", "output": "1"}]})
        completions = [f"<think>x</think>\n```python\n{program}\n#{n}\n```" for n in range(4)]
        assert CodeCorrectness(timeout=0.8)(completions=completions, tests=[tests] * 4) == [1.0] * 4
    finally:
        for process in busy:
            process.kill()
            process.wait()
