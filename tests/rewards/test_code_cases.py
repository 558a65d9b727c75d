"""Every honest and hostile program of the two collections, in batches: right scores, bounded time, no traces."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter

import pytest
from code_cases import BOMBS, CASES, LATER, run

from magistral_recipe.verifiers.sandbox.usage import observe

pytestmark = pytest.mark.sandbox


@pytest.fixture
def traceless():
    """Fail if a process or a file is left behind."""
    before = set(os.listdir(tempfile.gettempdir()))
    running = set(observe(os.getpid()).pids)  # the pool of the maths verifier may be among them
    yield
    assert set(observe(os.getpid()).pids) <= running
    left = {name for name in set(os.listdir(tempfile.gettempdir())) - before if name.startswith("magistral-")}
    assert left == set()


def test_the_collection_is_large_enough_and_says_where_it_is_from():
    assert len(CASES) >= 130
    assert len({case["id"] for case in CASES}) == len(CASES)
    assert all(case["source"] for case in CASES)
    assert sum(case["expected"] for case in CASES) >= 30
    counts = Counter(case["category"] for case in CASES)
    assert counts == {
        "honest": 39, "resource": 26, "tamper": 15, "cpp": 15, "wrong": 13, "exit": 11, "escape": 10, "fence": 8,
        "net": 3,
    }  # fmt: skip


def test_honest_and_cunning_programs_earn_what_they_must(traceless):
    assert run([case for case in CASES if case["category"] not in BOMBS], 4.0) == []


def test_every_kind_that_was_refused_has_its_wrong_twin():
    assert Counter((case["category"], case["expected"]) for case in LATER) == {
        ("names", 1): 7, ("names", 0): 3, ("output", 1): 21, ("output", 0): 7, ("value", 1): 13, ("value", 0): 20,
        ("fence", 1): 52, ("fence", 0): 22, ("published", 1): 12, ("published", 0): 14,
    }  # fmt: skip
    assert len({case["id"] for case in LATER}) == len(LATER)


def test_kinds_that_were_refused_are_paid_and_their_twins_are_not(traceless):
    assert run(LATER, 4.0) == []


def test_bombs_earn_nothing_in_bounded_time(traceless):
    started = time.monotonic()
    assert run([case for case in CASES if case["category"] in BOMBS], 0.5, compile_seconds=2) == []
    assert time.monotonic() - started < 300


@pytest.mark.slow
def test_landlock_is_as_right_on_honest_programs_and_pays_no_attack(traceless):
    # Namespaces of its own are what these honest programs need and Landlock cannot give.
    beyond = {"multiprocessing", "dev_stdin"}
    cases = [case for case in CASES if case["category"] in ("honest", "exit", "tamper", "net", "wrong")]
    failures = [failure for failure in run(cases, 4.0, "landlock") if failure[0] not in beyond]
    # Attacks may end another way there (no /proc to read); what they earn is the same.
    expected = {case["id"]: case["expected"] for case in CASES}
    assert [failure for failure in failures if failure[1] != expected[failure[0]]] == []


@pytest.mark.slow
def test_landlock_is_as_right_on_the_kinds_that_were_refused(traceless):
    assert run(LATER, 4.0, "landlock") == []


@pytest.mark.slow
def test_landlock_ends_every_bomb_and_leaves_nothing(traceless):
    started = time.monotonic()
    failures = run([case for case in CASES if case["category"] in BOMBS], 0.5, "landlock", compile_seconds=2)
    assert [failure for failure in failures if failure[1]] == []
    assert time.monotonic() - started < 300
    assert not [pid for pid in os.listdir("/proc") if pid.isdigit() and belongs_to_a_program(int(pid))]


def belongs_to_a_program(pid: int) -> bool:
    """Whether a process has been left behind by a sandbox, adopted by whoever adopts orphans here."""
    try:
        return os.readlink(f"/proc/{pid}/cwd").startswith(f"{tempfile.gettempdir()}/magistral-program-")
    except OSError:
        return False
