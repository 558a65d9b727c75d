"""Calling a person's code: it may exit, fork, hang or leave something behind, and this process stays what it was."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from magistral_recipe.errors import RunError
from magistral_recipe.foreign import called, guarded, naming_only, only_names


@pytest.mark.parametrize("code", [0, 3, None, "bye"])
def test_an_exit_is_an_error_by_name(code):
    with pytest.raises(RunError, match=r"^reward 'mine' called sys\.exit\("), guarded("reward 'mine'"):
        sys.exit(code)


def test_other_errors_and_answers_pass():
    with pytest.raises(KeyError):
        called("x", 5, lambda: {}["k"])
    with pytest.raises(KeyboardInterrupt):  # a person's Ctrl-C
        called("x", 5, lambda: signal.raise_signal(signal.SIGINT))
    before = signal.getsignal(signal.SIGINT)
    assert called("x", 5, lambda: 1) == 1
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    "hangs",
    [
        lambda: time.sleep(60),
        lambda: threading.Event().wait(60),
        lambda: subprocess.run(["sleep", "60"], check=False),
        lambda: [None for _ in iter(int, 1)],
    ],
    ids=["sleep", "lock", "child", "loop"],
)
def test_what_hangs_is_interrupted_and_named(hangs):
    begun = time.monotonic()
    with pytest.raises(RunError, match=r"^reward 'mine' has not answered within 0\.2 s"):
        called("reward 'mine'", 0.2, hangs)
    assert time.monotonic() - begun < 10
    time.sleep(0.05)  # no interruption comes late


def test_an_answer_at_the_last_moment_is_one_or_is_late_and_nothing_else():
    for _ in range(300):
        with contextlib.suppress(RunError):
            assert called("x", 0.001, lambda: time.sleep(0.0008)) is None
    time.sleep(0.05)  # a KeyboardInterrupt that came too late would end this test


def test_a_fork_that_comes_back_is_ended_there():
    read, write = os.pipe()
    before = os.getpid()
    child = -1
    try:
        with guarded("reward 'mine'"):
            child = os.fork()
        os.write(write, b"x")
    finally:
        if os.getpid() != before:
            os._exit(77)  # the fork went on: this is what must not be
    os.close(write)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert os.read(read, 10) == b"x"
    os.close(read)


def test_a_fork_that_raises_or_exits_is_ended_there_too():
    for end in ("raise ValueError", "sys.exit(1)", "pass"):
        done = python(
            f"""
            from magistral_recipe.foreign import guarded
            try:
                with guarded("it"):
                    if not os.fork():
                        {end}
            finally:
                print("went on", flush=True)
            """
        )
        assert done.stdout == "went on\n", end


def python(code: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    head = "import os, sys, threading, time, subprocess, atexit, multiprocessing\n"
    return subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)], capture_output=True, text=True, timeout=seconds
    )


@pytest.mark.parametrize(
    "left",
    [
        "threading.Thread(target=time.sleep, args=(600,)).start()",
        "multiprocessing.get_context('fork').Process(target=time.sleep, args=(20,)).start()",
        "atexit.register(time.sleep, 600)",
        "from concurrent.futures import ThreadPoolExecutor; ThreadPoolExecutor().submit(time.sleep, 600)",
    ],
    ids=["a thread", "a child", "an end that never comes", "a pool"],
)
@pytest.mark.parametrize("code", [0, 5])
def test_leaving_waits_for_nothing_that_was_left_behind(left, code):
    begun = time.monotonic()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import atexit, multiprocessing, threading, time\nfrom magistral_recipe.foreign import leave\n"
            f"{left}\nprint('said')\nleave({code}, seconds=0.5)",
        ],
        stdout=subprocess.DEVNULL,  # a child left behind holds a pipe's other end
        timeout=15,
    )
    assert done.returncode == code
    assert time.monotonic() - begun < 10


def test_leaving_does_what_is_to_be_done_at_the_end():
    done = python("from magistral_recipe.foreign import leave\natexit.register(print, 'closed')\nprint('a')\nleave(0)")
    assert done.stdout.splitlines() == ["a", "closed"]


def test_the_working_folder_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    called("it", 5, lambda: os.chdir("other"))
    assert os.getcwd() == str(tmp_path)
    with pytest.raises(KeyError):
        called("it", 5, lambda: (os.chdir("other"), {}["k"]))
    assert os.getcwd() == str(tmp_path)


def test_only_names_holds_inside_its_block_alone():
    with naming_only():
        assert only_names()
        with naming_only(False):
            assert not only_names()
    assert not only_names()


CLOSES = """
import os, sys
from magistral_recipe.errors import RunError
from magistral_recipe.foreign import guarded
for turn in range(2):
    try:
        with guarded("reward 'mine'"):
            {act}
    except RunError as error:
        print("error:", error, flush=True)
    kept = [os.open(f"kept-{{n}}", os.O_CREAT | os.O_WRONLY) for n in range(3)]  # a checkpoint's files
    print("printed", flush=True)
    os.write(2, b"said")
    [os.close(each) for each in kept]
"""


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("os.close(1), os.close(2)", False),
        ("os.closerange(0, 3)", False),
        ("os.dup2(os.open(os.devnull, os.O_WRONLY), 1)", False),
        ("os.close(1), os.close(2), 1 / 0", False),
        ("os.closerange(3, 4096)", True),
    ],
)
def test_what_is_printed_never_goes_into_another_file(tmp_path, act, told):
    code = CLOSES.replace("RunError as error", "(RunError, ZeroDivisionError) as error") if "1 / 0" in act else CLOSES
    words = [sys.executable, "-c", code.format(act=act)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("printed") == 2
    assert done.stderr.count("said") == 2
    assert done.stdout.count("error: reward 'mine' has closed files that this process had open") == (2 if told else 0)
    assert [(tmp_path / f"kept-{n}").read_bytes() for n in range(3)] == [b""] * 3
