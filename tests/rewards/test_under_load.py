"""Everything at once while the machine is busy with something else: not one right answer lost, no hack paid."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from code_cases import CASES as CODE_CASES
from code_cases import run

from magistral_recipe.rewards import MathCorrectness

CASES = Path(__file__).parents[1] / "cases"


def load(*names):
    return [json.loads(line) for name in names for line in (CASES / name).read_text("utf-8").splitlines()]


def completion(case):
    if "response" in case:
        return case["response"]
    return "<think>x</think>" + (case["text"] if "text" in case else rf"\boxed{{{case['box']}}}")


@pytest.fixture
def busy_machine():
    """Two processes a core that do nothing but count."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    yield
    for burner in burners:
        burner.kill()
        burner.wait()


def wrong_maths():
    cases = load("math_oracle.jsonl", "math_hand.jsonl", "math_hostile.jsonl")
    # What the rules leave to SymPy, so that the workers have work under load as well.
    cases += [
        {"answer": rf"\int_0^{n} x^2 dx", "box": rf"\frac{{{n**3}}}{{3}}", "expected": 1, "id": n} for n in (2, 4, 5)
    ]
    cases += [
        {"answer": rf"\int_0^{n} x^2 dx", "box": rf"\frac{{{n**3}}}{{4}}", "expected": 0, "id": n} for n in (2, 4)
    ]
    assert len(cases) > 1000
    values = MathCorrectness()(completions=list(map(completion, cases)), answer=[case["answer"] for case in cases])
    return [case["id"] for case, value in zip(cases, values, strict=True) if value != case["expected"]]


def test_maths_under_load(busy_machine):
    assert wrong_maths() == []


@pytest.mark.slow
@pytest.mark.sandbox
def test_maths_and_programs_together_under_load(busy_machine):
    """Honest programs in Python and C++ beside hostile ones that burn, fork and flood, and all of the maths."""
    wrong: list[str] = []
    thread = threading.Thread(target=lambda: wrong.extend(wrong_maths()))
    thread.start()
    assert len(CODE_CASES) >= 130
    wrong_programs = run(CODE_CASES, 2.0)
    thread.join()
    # What a hostile program dies of may differ on a busy machine; what it earns may not.
    expected = {case["id"]: case["expected"] for case in CODE_CASES}
    assert [failure for failure in wrong_programs if failure[1] != expected[failure[0]]] == []
    assert wrong == []
