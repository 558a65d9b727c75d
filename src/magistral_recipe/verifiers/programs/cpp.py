"""The C++ compiler and its precompiled ``bits/stdc++.h``, which makes compiling three times as fast.

The paper compiles as C++20 with that header precompiled (Magistral §2.2.2). It is built once per compiler
version and flags into a cache folder, about 120 MB, and shown read-only to the sandboxes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from magistral_recipe.verifiers.sandbox.terms import Mount, SandboxError, open_to_sandbox

logger = logging.getLogger(__name__)

FLAGS = ("-std=c++20", "-O2")
HEADER_FOLDER = "/precompiled"
CACHE_VARIABLE = "MAGISTRAL_RECIPE_CACHE"
INSTALL = "install g++ 10 or later (Debian, Ubuntu: apt install g++; Fedora: dnf install gcc-c++)"
_BUILD_SECONDS = 300


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler.

    Attributes:
        path: its executable.
        version: what it says of itself, in one line.
        header: the folder with ``bits/stdc++.h.gch``; ``None`` if it could not be built.
    """

    path: str
    version: str
    header: Path | None

    def command(self) -> tuple[str, ...]:
        """Return the command that compiles inside the sandbox, whose driver fills in ``{build}`` and ``{shown}``."""
        include = () if self.header is None else ("-I{shown}" + HEADER_FOLDER,)
        return (self.path, *FLAGS, *include, "-w", "-fmax-errors=3", "{build}/solution.cpp", "-o", "{build}/solution")

    def mounts(self) -> tuple[Mount, ...]:
        """Return what the sandbox must see of the header."""
        return () if self.header is None else (Mount(str(self.header), HEADER_FOLDER),)


@cache
def find_compiler(precompiled: bool = True) -> Compiler:
    """Return the C++ compiler, its header precompiled at the first call (seconds).

    Args:
        precompiled: whether to use the header.

    Raises:
        SandboxError: where there is no g++.
    """
    path = shutil.which("g++", path="/usr/bin:/bin") or shutil.which("g++")
    if path is None:
        raise SandboxError(f"programs in C++ need a compiler, which is missing: {INSTALL}")
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60)
    version = (shown.stdout.splitlines() or ["unknown"])[0]
    return Compiler(path, version, _precompiled_header(path, version) if precompiled else None)


def cache_folder() -> Path:
    """Return where the header is kept: ``$MAGISTRAL_RECIPE_CACHE``, else root's or the user's cache."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    if os.geteuid() == 0:
        return Path("/var/cache/magistral-recipe")  # programs run as nobody, who cannot enter root's home
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "magistral-recipe"


def header_path(compiler: str, version: str) -> Path:
    """Return the folder of the header for a compiler and our flags, whether or not it exists yet."""
    key = hashlib.sha256("\0".join((os.path.realpath(compiler), version, *FLAGS)).encode()).hexdigest()[:16]
    return cache_folder() / "headers" / key


def _precompiled_header(compiler: str, version: str) -> Path | None:
    folder = header_path(compiler, version)
    target = folder / "bits" / "stdc++.h.gch"
    try:
        if not target.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _locked(Path(f"{folder}.lock")):
                if not target.exists():
                    _build(compiler, folder)
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("bits/stdc++.h could not be precompiled (%s): C++ programs compile more slowly", error)
        return None
    if not open_to_sandbox(target):
        logger.warning("programs cannot read %s: set %s to a folder that everybody may read", target, CACHE_VARIABLE)
        return None
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a file's lock: one process builds, the others wait for what it built."""
    import fcntl  # not on Windows, where this module is imported all the same

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(compiler: str, folder: Path) -> None:
    """Build the header beside its place and move it there whole."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as name:
        built = Path(name) / "headers"
        (built / "bits").mkdir(parents=True)
        source = Path(name) / "all.hpp"
        source.write_text("#include <bits/stdc++.h>\n", "ascii")
        target = built / "bits" / "stdc++.h.gch"
        command = [compiler, *FLAGS, "-w", "-x", "c++-header", str(source), "-o", str(target)]
        subprocess.run(command, check=True, capture_output=True, timeout=_BUILD_SECONDS)
        for path in (built, built / "bits", target):
            path.chmod(0o644 if path == target else 0o755)
        built.rename(folder)
