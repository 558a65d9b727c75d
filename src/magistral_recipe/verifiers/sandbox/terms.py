"""The words that all of the sandbox shares: modes, limits, mounts, how a confined process is started."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from magistral_recipe.errors import RunError
from magistral_recipe.verifiers.sandbox.remains import remove_remains

SandboxMode = Literal["bwrap", "landlock", "unsafe"]
MODES: tuple[str, ...] = get_args(SandboxMode)
NOBODY = 65534
MEBIBYTE = 1 << 20
SHARED_MEMORY = 16 * MEBIBYTE
"""Bytes of all files in ``/dev/shm`` together."""


class SandboxError(RunError):
    """No program can run here as asked: says what is missing and what to do about it."""


@dataclass(frozen=True)
class Limits:
    """What one program may use.

    Attributes:
        memory: address space of a process, in bytes; the interpreter's own comes on top.
        processes: processes and threads at once.
        file_size: bytes of output, and of any file it writes.
        scratch: bytes of all files together (in ``unsafe`` mode of no effect).
        compile_seconds: CPU time of each of a compiler's processes.
        compile_memory: address space of each of them, in bytes.
        sockets: whether it may make sockets, all of whose memory only a control group counts.
    """

    memory: int = 300 * MEBIBYTE
    processes: int = 32
    file_size: int = 16 * MEBIBYTE
    scratch: int = 128 * MEBIBYTE
    compile_seconds: int = 10
    compile_memory: int = 2048 * MEBIBYTE
    sockets: bool = False


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine, shown read-only inside."""

    source: str
    target: str


@dataclass(frozen=True)
class Confinement:
    """How to start a process in a sandbox.

    Attributes:
        command: what to put before the confined command.
        root: the writable folder, as seen inside.
        own_namespace: whether all processes in sight are the program's.
        processes: RLIMIT_NPROC to set inside.
        system_calls: a BPF program to hand over, if any.
        folder: the writable folder on this machine, to be removed afterwards.
        shown: what to put before a mount's target; empty where there are real mounts.
    """

    command: tuple[str, ...]
    root: str
    own_namespace: bool
    processes: int
    system_calls: bytes | None = None
    folder: Path | None = None
    shown: str = ""

    @property
    def separator(self) -> bool:
        """Whether ``--`` ends the command's own arguments (plain ``setpriv`` takes none)."""
        return self.command != drop_root()

    def clean(self) -> None:
        """Remove what the sandbox leaves on this machine's disk."""
        if self.folder is not None:
            remove_remains(self.folder)


def check_mode(mode: str) -> str:
    """Return a sandbox mode; raise ValueError for a word that names none."""
    if mode not in MODES:
        raise ValueError(f"sandbox={mode!r} is none of {', '.join(MODES)}")
    return mode


def require_linux() -> None:
    """Raise SandboxError where there is no sandbox at all: programs are only run on Linux."""
    if sys.platform != "linux":
        raise SandboxError(
            f"programs can only be verified on Linux, this is {sys.platform}: use WSL 2, a Linux container or machine, "
            "or leave rows of kind 'code' out (every other reward works here)"
        )


def drop_root() -> tuple[str, ...]:
    """Return the command that makes root nobody (root escapes RLIMIT_NPROC), nothing for an ordinary user.

    Raises:
        SandboxError: where root has no ``setpriv``.
    """
    if os.geteuid() != 0:
        return ()
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SandboxError(
            "running as root, programs are run as nobody by setpriv, which is missing: install util-linux"
        )
    return (setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")


def open_to_sandbox(path: Path) -> bool:
    """Whether the user that programs run as can read a path: anybody's if root drops to nobody, else ours."""
    try:
        path = path.resolve(strict=True)
        if os.geteuid() != 0:
            return os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))
        folders = [path, *path.parents] if path.is_dir() else list(path.parents)
        readable = path.stat().st_mode & 0o004
        return bool(readable) and all(folder.stat().st_mode & 0o001 for folder in folders)
    except OSError:
        return False


# /usr/local and /etc are the administrator's and stay out, but for what programs need to start.
SYSTEM_FOLDERS = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/include")


SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/usr/share/zoneinfo")


LINKED_FOLDERS = ("/bin", "/lib", "/lib32", "/lib64")
