"""The default sandbox: bubblewrap, which needs no privileges but the kernel's leave to make namespaces.

Inside there are an empty network, no process but the program's, the system's programs and libraries
read-only, and a small writable ``/tmp``. Expected outputs, the caller's files, environment and
descriptors are not there to be found.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

from magistral_recipe.verifiers.sandbox.seccomp import build_filter
from magistral_recipe.verifiers.sandbox.terms import (
    LINKED_FOLDERS,
    NOBODY,
    SHARED_MEMORY,
    SYSTEM_FILES,
    SYSTEM_FOLDERS,
    Confinement,
    Limits,
    Mount,
    SandboxError,
    drop_root,
)

INSTALL = (
    "install bubblewrap (Debian, Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap; "
    "Arch: pacman -S bubblewrap)"
)


def confine_with_bwrap(limits: Limits, mounts: tuple[Mount, ...]) -> Confinement:
    """Prepare a bubblewrap sandbox; see `sandbox.confine`.

    Args:
        limits: what the program may use.
        mounts: what it may read beside the system's programs and libraries.
    """
    bwrap, options = find_bwrap()
    system_calls = build_filter(limits.sockets)
    command = [
        *drop_root(), bwrap, "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--hostname", "sandbox", "--uid", str(NOBODY), "--gid", str(NOBODY),
    ]  # fmt: skip
    if "--disable-userns" in options:
        command.append("--disable-userns")
    for folder in (*SYSTEM_FOLDERS, *SYSTEM_FILES):
        command += ["--ro-bind-try", folder, folder]
    for name in LINKED_FOLDERS:
        path = Path(name)
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), name]
        else:
            command += ["--ro-bind-try", name, name]
    command += ["--proc", "/proc"]
    command += _devices()
    for target, size in (("/dev/shm", SHARED_MEMORY), ("/tmp", limits.scratch)):
        command += ["--size", str(size)] if "--size" in options else []
        command += ["--tmpfs", target]
    for mount in mounts:  # after /tmp: an interpreter may lie there
        command += ["--ro-bind", mount.source, mount.target]
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"]
    return Confinement(tuple(command), "/tmp", True, limits.processes, system_calls)


def _devices() -> list[str]:
    """The devices that programs have a use for; not ``/dev/zero``, shared mappings of which no limit counts."""
    arguments = ["--size", "65536", "--tmpfs", "/dev"] if "--size" in find_bwrap()[1] else ["--tmpfs", "/dev"]
    for name in ("null", "full", "random", "urandom"):
        arguments += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        arguments += ["--symlink", f"/proc/self/fd{target}", f"/dev/{name}"]
    return arguments


@cache
def find_bwrap() -> tuple[str, frozenset[str]]:
    """Return the path of bubblewrap and the options it knows; raise SandboxError where there is none."""
    path = shutil.which("bwrap")
    if path is None:
        raise SandboxError(f"the sandbox for programs needs bubblewrap, which is missing: {INSTALL}")
    shown = subprocess.run([path, "--help"], capture_output=True, text=True, check=False, timeout=30)
    words = (shown.stdout + shown.stderr).split()
    return path, frozenset(word for word in words if word.startswith("--"))


def explain(message: str) -> str:
    """Turn what bubblewrap printed when it could not start into what a person can do about it."""
    lines = message.strip().splitlines()
    said = lines[-1] if lines else "it said nothing"
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        remedy = "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
    elif Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").exists():
        remedy = (
            "allow bwrap to make user namespaces: an AppArmor profile for it, or "
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    else:
        remedy = "allow user namespaces: sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1"
    return f"bubblewrap cannot make a sandbox here ({said}): {remedy}; or choose the weaker sandbox='landlock'"
