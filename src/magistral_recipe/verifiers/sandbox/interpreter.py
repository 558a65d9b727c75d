"""Which Python runs the programs: one that the sandbox's user can read.

The caller's own interpreter comes first (its version is the one the user expects); where it lies in a
home folder that nobody may enter, the system's takes its place. Site packages stay out, except those named.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from magistral_recipe.verifiers.sandbox.terms import SYSTEM_FOLDERS, Mount, SandboxError, open_to_sandbox

PACKAGES_FOLDER = "/packages"
_OLDEST = (3, 9)  # the driver uses os.waitstatus_to_exitcode


@dataclass(frozen=True)
class Interpreter:
    """A Python for the sandbox.

    Attributes:
        path: its executable, with links resolved.
        version: major and minor.
        mounts: what must be shown inside for it to start.
    """

    path: str
    version: tuple[int, int]
    mounts: tuple[Mount, ...]


@cache
def find_interpreter() -> Interpreter:
    """Return the Python that runs programs.

    Raises:
        SandboxError: where none is readable by the user that programs run as.
    """
    prefixes = dict.fromkeys([sys.base_prefix, "/usr", "/usr/local"])
    for prefix in prefixes:
        for name in (f"python{sys.version_info[0]}.{sys.version_info[1]}", "python3"):
            found = _describe(Path(prefix) / "bin" / name)
            if found is not None:
                return found
    raise SandboxError(
        f"no Python that programs can be run with: the one of this process ({os.path.realpath(sys.executable)}) cannot "
        "be read by the user nobody, and there is none in /usr/bin: install the system's python3, or do not run as root"
    )


def package_mounts(names: tuple[str, ...]) -> tuple[Mount, ...]:
    """Return the mounts that give programs some of the caller's packages; those not installed are left out.

    Args:
        names: top-level packages, such as ``numpy``.
    """
    if find_interpreter().version != sys.version_info[:2]:
        return ()  # compiled modules would not load
    mounts = list[Mount]()
    for name in names:
        spec = importlib.util.find_spec(name)
        for folder in spec.submodule_search_locations or () if spec else ():
            path = Path(folder)
            libraries = path.parent / f"{name}.libs"  # where wheels keep the shared libraries they bring
            mounts += [
                Mount(str(each), f"{PACKAGES_FOLDER}/{each.name}")
                for each in (path, libraries)
                if each.is_dir() and open_to_sandbox(each)
            ]
    return tuple(mounts)


def _describe(path: Path) -> Interpreter | None:
    if not path.exists() or not open_to_sandbox(path):
        return None
    real = path.resolve()
    command = [str(real), "-I", "-S", "-c", "import sys; print(*sys.version_info[:2], sys.base_prefix)"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if shown.returncode:
        return None
    major, minor, prefix = shown.stdout.strip().split(" ", 2)
    version = (int(major), int(minor))
    if version < _OLDEST:
        return None
    mounts = _mounts(real, Path(prefix))
    return Interpreter(str(real), version, mounts) if all(open_to_sandbox(Path(m.source)) for m in mounts) else None


def _mounts(executable: Path, prefix: Path) -> tuple[Mount, ...]:
    if any(executable.is_relative_to(folder) for folder in SYSTEM_FOLDERS):
        return ()
    library = next((path for path in sorted(prefix.glob("lib*/python3.*")) if (path / "os.py").exists()), None)
    shown = [executable, *prefix.glob("lib/*.so*"), *([library] if library else [])]
    mounts = [Mount(str(path), str(path)) for path in shown]
    store = Path("/nix/store")  # libraries lie beside the interpreter, not below it
    return (*mounts, Mount(str(store), str(store))) if executable.is_relative_to(store) else tuple(mounts)


def python_command(source: str) -> list[str]:
    """Return the command that runs source text in the sandbox, without site packages or environment."""
    return [find_interpreter().path, *_OPTIONS, _compiled(source)]


_OPTIONS = ("-I", "-S", "-B", "-X", "utf8", "-c")
_COMPILE = (
    "import binascii, marshal, sys; "
    "print(binascii.b2a_base64(marshal.dumps(compile(sys.stdin.read(), 'driver', 'exec')), newline=False).decode())"
)


@cache
def _compiled(source: str) -> str:
    """Return a line that runs source text compiled by the same interpreter, once and not at every start."""
    command = [find_interpreter().path, *_OPTIONS, _COMPILE]
    made = subprocess.run(command, input=source, capture_output=True, encoding="utf-8", check=False, timeout=60)
    text = made.stdout.strip()
    return (
        source if made.returncode else f"import binascii, marshal; exec(marshal.loads(binascii.a2b_base64('{text}')))"
    )
