"""Every honest and hostile program of `cases/code.jsonl`, in one batch: right scores, bounded time, no traces."""

from __future__ import annotations

import json
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from magistral_recipe.rewards.code import CodeCorrectness
from magistral_recipe.verifiers.sandbox.usage import observe

CASES = [
    json.loads(line) for line in (Path(__file__).parents[1] / "cases" / "code.jsonl").read_text("utf-8").splitlines()
]
PAIRS = ((2, 3), (10, -4), (123456789, 987654321))
TESTS = {
    "sum": {"type": "stdio", "cases": [{"input": f"{a} {b}\n", "output": f"{a + b}\n"} for a, b in PAIRS]},
    "add": {
        "type": "call",
        "function": "add",
        "cases": [
            {"args": [2, 3], "expected": 5},
            {"args": [10, -4], "expected": 6},
            {"args": [7], "kwargs": {"b": 1}, "expected": 8},
        ],
    },
    "one": {"type": "call", "function": "add", "cases": [{"args": [0, 1], "expected": 1}]},
}
BOMBS = ("resource", "cpp")

pytestmark = pytest.mark.sandbox


def run(cases, seconds, mode="bwrap", compile_seconds=10):
    """Score cases; return (id, score, reason) of each that did not earn what it must."""
    reward = CodeCorrectness(timeout=seconds, sandbox=mode)
    reward.runner = replace(reward.runner, compile_seconds=compile_seconds)
    logged: dict[str, list[str]] = {}
    scores = reward(
        completions=[f"<think>x</think>\n{case['answer']}" for case in cases],
        tests=[json.dumps(TESTS[case["tests"]]) for case in cases],
        programming_language=[case["language"] for case in cases],
        log_extra=logged.__setitem__,
    )
    reasons = logged["code_correctness/reason"]
    return [
        (case["id"], score, reason)
        for case, score, reason in zip(cases, scores, reasons, strict=True)
        if score != case["expected"] or case.get("reason", reason) != reason
    ]


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


def test_honest_and_cunning_programs_earn_what_they_must(traceless):
    assert run([case for case in CASES if case["category"] not in BOMBS], 4.0) == []


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
