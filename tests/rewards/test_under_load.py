"""Everything at once while the machine is busy with something else: not one right answer lost, no hack paid."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from magistral_recipe.rewards import CodeCorrectness, MathCorrectness

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
    values = MathCorrectness()(completions=list(map(completion, cases)), answer=[case["answer"] for case in cases])
    return [case["id"] for case, value in zip(cases, values, strict=True) if value != case["expected"]]


def test_maths_under_load(busy_machine):
    assert wrong_maths() == []


@pytest.mark.slow
@pytest.mark.sandbox
def test_maths_and_programs_together_under_load(busy_machine):
    honest = [case for case in load("code.jsonl") if case["expected"] == 1.0 and case["language"] == "python"]
    assert len(honest) >= 5
    sys.path.insert(0, str(Path(__file__).parent))
    from test_code_cases import TESTS

    wrong = []
    thread = threading.Thread(target=lambda: wrong.extend(wrong_maths()))
    thread.start()
    values = CodeCorrectness(timeout=4.0)(
        completions=[f"<think>x</think>\n{case['answer']}" for case in honest] * 3,
        tests=[json.dumps(TESTS[case["tests"]]) for case in honest] * 3,
        programming_language=["python"] * len(honest) * 3,
    )
    thread.join()
    assert values == [1.0] * len(values)
    assert wrong == []
