"""The weaker sandbox, for machines that forbid namespaces: Landlock for files, a filter for system calls.

Started by path inside the confinement: it restricts itself, then becomes the command that follows. Against
``bwrap`` it lacks a process namespace (programs see no ``/proc``, but kernels before 6.12 let them signal
the user's other processes), and what all files together take is bounded by looking, ten times a second. Every socket is
refused.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
import time

TYPE_CHECKING = False  # this file also runs where the package cannot be imported
if TYPE_CHECKING:
    from pathlib import Path

    from magistral_recipe.verifiers.sandbox.terms import Mount

# Numbers are the same on every machine that has Landlock (Linux 5.13 and later).
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_EXECUTE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 2, 1 << 3
_READ = _EXECUTE | _READ_FILE | _READ_DIR
# Rights known to each version of the interface: files, then REFER, TRUNCATE, TCP, device ioctl, scopes.
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_RIGHTS, _SCOPES = 3, 3
_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _SET_CHILD_SUBREAPER = 38, 22, 36
_DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")


def restrict(readable: list[str], writable: str, system_calls: bytes) -> None:
    """Give up, for this process and all it starts, what the sandbox does not allow.

    Args:
        readable: files and folders to read and execute.
        writable: the one folder to write to.
        system_calls: the BPF filter; empty for none.

    Raises:
        OSError: where the kernel has no Landlock.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version = _call(libc.syscall, _CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    files = _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]
    fields = [files, _TCP_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0]
    attributes = struct.pack(
        f"<{1 if version < 4 else 2 if version < 6 else 3}Q", *fields[: 1 if version < 4 else 2 if version < 6 else 3]
    )
    rules = _call(libc.syscall, _CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    for path, rights in [*((path, _READ) for path in readable), (writable, files)]:
        _allow(libc, rules, path, rights & files)
    for device in _DEVICES:
        _allow(libc, rules, device, (_READ_FILE | 1 << 1 | 1 << 14) & files)
    _allow(libc, rules, "/dev/zero", _READ_FILE & files)  # who may write to it can share memory that no limit counts
    _call(libc.prctl, _SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call(libc.syscall, _RESTRICT_SELF, rules, 0)
    os.close(rules)
    if system_calls:
        buffer = ctypes.create_string_buffer(system_calls, len(system_calls))
        program = struct.pack("@HP", len(system_calls) // 8, ctypes.addressof(buffer))
        _call(libc.prctl, _SET_SECCOMP, 2, program, 0, 0)


def _allow(libc: ctypes.CDLL, rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this machine: nothing to allow
    if not os.path.isdir(path):
        rights &= _EXECUTE | _READ_FILE | 1 << 1 | 1 << 14  # the others are for folders
    _call(libc.syscall, _ADD_RULE, rules, _PATH_BENEATH, struct.pack("<Qi", rights, place), 0)
    os.close(place)


def _call(function: object, *arguments: object) -> int:
    result = function(*arguments)  # type: ignore[operator]
    if result < 0:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")
    return int(result)


def landlock_command(folder: Path, mounts: tuple[Mount, ...]) -> tuple[str, ...]:
    """Return the command that confines the one after it.

    Args:
        folder: the only place it may write to.
        mounts: what it may read beside the system's programs and libraries.
    """
    from magistral_recipe.verifiers.sandbox.interpreter import python_command
    from magistral_recipe.verifiers.sandbox.seccomp import build_filter
    from magistral_recipe.verifiers.sandbox.terms import LINKED_FOLDERS, SYSTEM_FILES, SYSTEM_FOLDERS

    with open(__file__, encoding="utf-8") as file:
        source = file.read()
    readable = [*SYSTEM_FOLDERS, *SYSTEM_FILES, *LINKED_FOLDERS, *(mount.source for mount in mounts)]
    system_calls = build_filter(sockets=False) or b""
    return (*python_command(source), system_calls.hex(), str(folder), *readable)


def main(arguments: list[str]) -> None:
    """Restrict a child and become its command; this process stays outside to adopt, end and reap its orphans."""
    separator = arguments.index("--")
    filter_text, writable, *readable = arguments[:separator]
    command = arguments[separator + 1 :]
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.prctl, _SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    child = os.fork()
    if child == 0:
        try:
            os.chdir(writable)
            restrict(readable, writable, bytes.fromhex(filter_text))
            os.execv(command[0], command)
        except OSError as error:
            sys.stderr.write(f"{error}\n")
        os._exit(127)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(0, 1)
    while True:
        pid, status = os.wait()
        if pid == child:
            break
    while _end_orphans():
        time.sleep(0.01)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _end_orphans() -> bool:
    """Kill all that is left below this process, and reap it; whether anything still is.

    They are stopped until no new one turns up before they are killed: what is stopped cannot fork on.
    """
    stopped: set[int] = set()
    while new := _below() - stopped:
        _signal(new, signal.SIGSTOP)
        stopped |= new
    _signal(stopped, signal.SIGKILL)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _signal(pids: set[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:
            continue


def _below() -> set[int]:
    """The processes below this one, which adopts every orphan among them."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    state, parent = file.read().rpartition(")")[2].split()[:2]
            except OSError:
                continue
            if state != "Z":
                children.setdefault(int(parent), []).append(int(name))
    found, waiting = set[int](), [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found.update(below)
        waiting += below
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
