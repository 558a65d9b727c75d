"""Which rules graded a sample: one short hash, kept beside every verdict.

Verifiers improve, and a score changes with them though no model did. So every sample, rollout and score says by which
rules it was graded; `compare` warns where they differ, and `evaluate --rescore` brings old samples up to date.

The hash is over the bytes of the files that decide, and over the versions of the libraries that they ask. Not over the
parsed code, which would forgive a new comment: what is parsed how depends on Python's version, and a hash that is too
quick costs minutes of grading again, one that misses a change costs a wrong comparison. Not the package's own version
either: between two releases rules change many times, and most releases change none.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import magistral_recipe

DECIDING = (
    "rewards",
    "verifiers",
    "writing",
    "evaluation/correctness.py",
    "evaluation/languages.py",
    "evaluation/scoring.py",
)
"""Folders and files of the package from which verdicts come. The language model's file is named in one of them."""

ASIDE = (
    "rewards/adapters.py",
    "rewards/registry.py",
    "rewards/threads.py",
    "rewards/watch.py",
    "verifiers/cores.py",
    "verifiers/sandbox/probe.py",
    "verifiers/version.py",
    "writing/chat_format.py",
    "writing/template.py",
    "writing/templates",
)
"""What stands there and touches no verdict: names, prompts, the machine."""

LIBRARIES = ("sympy", "math-verify", "latex2sympy2-extended")
"""What is asked where the rules leave a comparison open."""


@functools.cache
def grader_version() -> str:
    """Return the version of the rules that this installation grades by: 12 hexadecimal digits, the same everywhere."""
    return version_of(Path(magistral_recipe.__file__).parent, {name: _installed(name) for name in LIBRARIES})


def version_of(package: Path, libraries: Mapping[str, str]) -> str:
    """Hash the rules of a package.

    Args:
        package: its folder.
        libraries: version by name.

    Returns:
        12 hexadecimal digits.
    """
    digest = hashlib.sha256(repr(sorted(libraries.items())).encode())
    for file in deciding_files(package):
        content = file.read_bytes().replace(b"\r\n", b"\n")  # as some checkouts write it
        digest.update(f"{file.relative_to(package).as_posix()}:{len(content)}:".encode() + content)
    return digest.hexdigest()[:12]


def deciding_files(package: Path) -> Iterator[Path]:
    """List the files that decide, in an order that no file system changes."""
    aside = [package / name for name in ASIDE]
    for name in DECIDING:
        place = package / name
        found = [place] if place.is_file() else sorted(place.rglob("*"), key=lambda file: file.as_posix())
        for file in found:
            skipped = "__pycache__" in file.parts or any(file == each or each in file.parents for each in aside)
            if file.is_file() and not skipped:
                yield file


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"
