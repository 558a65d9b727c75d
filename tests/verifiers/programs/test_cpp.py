"""The compiler and its precompiled header: built once, found again, done without where there is no room."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from magistral_recipe.verifiers.programs import cpp
from magistral_recipe.verifiers.sandbox.terms import SandboxError

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++: apt-get install g++")


@pytest.fixture
def small_header(monkeypatch, tmp_path):
    """A cache of its own, and a header that compiles in no time."""
    monkeypatch.setenv(cpp.CACHE_VARIABLE, str(tmp_path))
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == tmp_path.stat().st_uid and folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)
    tmp_path.chmod(0o755)
    builds: list[list[str]] = []

    def build(command, **_):
        builds.append(command)
        open(command[-1], "wb").close()

    monkeypatch.setattr(cpp.subprocess, "run", build)
    return builds


def test_the_header_is_built_once_per_compiler_version_and_flags(small_header, monkeypatch):
    first = cpp._precompiled_header("/usr/bin/g++", "12.2")
    assert first is not None
    assert (first / "bits" / "stdc++.h.gch").exists()
    assert cpp._precompiled_header("/usr/bin/g++", "12.2") == first
    assert len(small_header) == 1
    assert cpp._precompiled_header("/usr/bin/g++", "13.1") != first
    monkeypatch.setattr(cpp, "FLAGS", ("-std=c++20", "-O3"))
    assert cpp._precompiled_header("/usr/bin/g++", "12.2") != first
    assert len(small_header) == 3
    assert set(cpp.FLAGS) <= set(small_header[-1])


def test_no_place_for_the_header_is_a_warning_not_a_failure(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("", "ascii")
    monkeypatch.setenv(cpp.CACHE_VARIABLE, str(tmp_path / "file"))
    assert cpp._precompiled_header("/usr/bin/g++", "12.2") is None
    assert "compile more slowly" in caplog.text


def test_a_header_that_does_not_compile_leaves_nothing_behind(monkeypatch, tmp_path):
    def fail(command, **_):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setenv(cpp.CACHE_VARIABLE, str(tmp_path))
    monkeypatch.setattr(cpp.subprocess, "run", fail)
    assert cpp._precompiled_header("/usr/bin/g++", "12.2") is None
    assert [path.suffix for path in (tmp_path / "headers").iterdir()] == [".lock"]


def test_without_a_compiler_the_message_says_how_to_get_one(monkeypatch):
    cpp.find_compiler.cache_clear()
    monkeypatch.setattr(cpp.shutil, "which", lambda *_, **__: None)
    with pytest.raises(SandboxError, match=r"apt install g\+\+"):
        cpp.find_compiler()
    cpp.find_compiler.cache_clear()
