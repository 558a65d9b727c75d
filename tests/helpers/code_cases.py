"""The programs of `cases/code.jsonl` and `code_later.jsonl`, what they are asked for, and how a batch is scored."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from magistral_recipe.rewards.code import CodeCorrectness


def read(name):
    return [json.loads(line) for line in (Path(__file__).parents[1] / "cases" / name).read_text("utf-8").splitlines()]


CASES = read("code.jsonl")
LATER = read("code_later.jsonl")
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


def run(cases, seconds, mode="bwrap", compile_seconds=10):
    """Score cases; return (id, score, reason) of each that did not earn what it must."""
    reward = CodeCorrectness(timeout=seconds, sandbox=mode)
    reward.runner = replace(reward.runner, compile_seconds=compile_seconds)
    logged: dict[str, list[str]] = {}
    scores = reward(
        completions=[f"<think>x</think>\n{case['answer']}" for case in cases],
        tests=[
            json.dumps(TESTS.get(case["tests"]) if isinstance(case["tests"], str) else case["tests"]) for case in cases
        ],
        programming_language=[case["language"] for case in cases],
        log_extra=logged.__setitem__,
    )
    reasons = logged["code_correctness/reason"]
    return [
        (case["id"], score, reason)
        for case, score, reason in zip(cases, scores, reasons, strict=True)
        if score != case["expected"] or case.get("reason", reason) != reason
    ]
