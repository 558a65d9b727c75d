"""What a benchmark counts as right: letters, assertions, all tests, instructions; with tags and without."""

from __future__ import annotations

import json

import pytest

from magistral_recipe.data.benchmarks.loaders import BenchmarkProblem
from magistral_recipe.data.problems import Problem
from magistral_recipe.evaluation.correctness import BenchmarkCorrectness
from magistral_recipe.evaluation.languages import found_languages
from magistral_recipe.evaluation.scoring import Scorer
from magistral_recipe.generation import Completion, Request
from magistral_recipe.verifiers.instructions import Instruction
from magistral_recipe.writing.thinking import Thinking


def judged(problem, *texts, thinking=Thinking()):  # noqa: B008 - immutable
    completions = [Completion(Request(problem.id, i, "?"), "?", text, (1,), False) for i, text in enumerate(texts)]
    return Scorer(thinking).score(completions, [problem] * len(texts))


def thought(answer):
    return f"<think>I think.</think>{answer}"


def rights(samples):
    return [sample.right for sample in samples]


def test_letters():
    problem = Problem(id="q", problem="Which?\n\n(A) one\n(B) two", answer="B")
    answers = [r"\boxed{B}", r"\boxed{\text{B}}", r"\boxed{(B)}", r"\boxed{A}", "B", r"\boxed{A or B}"]
    assert rights(judged(problem, *map(thought, answers))) == [True, True, True, False, False, False]


def test_aimes_answers_are_written_with_three_digits():
    problem = Problem(id="q", problem="?", answer="042")
    assert rights(judged(problem, *(thought(rf"\boxed{{{text}}}") for text in ("42", "042", "42.0", "43")))) == [
        True,
        True,
        True,
        False,
    ]


def test_without_tags_the_last_box_is_the_answer():
    problem = Problem(id="q", problem="6*7?", answer="42")
    text = r"First \boxed{6}, then it is \boxed{42}."
    assert rights(judged(problem, text, r"\boxed{42}, no: \boxed{41}", thinking=None)) == [True, False]
    assert rights(judged(problem, text)) == [False]  # with tags asked for, there is no answer part
    (sample,) = judged(problem, text, thinking=None)
    assert sample.answer == "42"


def test_a_completion_without_format_has_no_answer():
    problem = Problem(id="q", problem="6*7?", answer="42")
    (sample,) = judged(problem, r"\boxed{42}")
    assert sample.verdicts["correctness"] == {"value": 0.0, "reason": "malformed"}
    unreadable = Problem(id="q", problem="?", answer="§$%&{")
    assert rights(judged(unreadable, thought(r"\boxed{42}"), "cut")) == [None, None]


def test_instructions_are_all_or_nothing():
    wanted = [Instruction("punctuation:no_comma"), Instruction("keywords:existence", {"keywords": ["tea"]})]
    problem = BenchmarkProblem(id="i", problem="Tea, no commas.", kind="text", instructions=wanted)
    # A comma in the thoughts is no comma in the response.
    texts = ["<think>Well, tea.</think>Tea is fine.", thought("Tea, please."), thought("Water."), "Tea"]
    assert rights(judged(problem, *texts)) == [True, False, False, False]
    plain = Problem(id="t", problem="Say something.", kind="text")
    assert rights(judged(plain, texts[0])) == [None]


CHECK = "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(0) == 0\n\ncheck(double)\n"


def block(program):
    return thought(f"Here:\n```python\n{program}\n```")


@pytest.mark.sandbox
def test_assertions_run_behind_the_program():
    tests = json.dumps({"type": "stdio", "cases": [{"input": "", "output": "passed"}]})
    problem = BenchmarkProblem(id="h", problem="double", kind="code", tests=tests, asserts=CHECK)
    programs = [
        "def double(x):\n    return 2 * x",
        "def double(x):\n    print('hello')\n    return 2 * x",
        "print('first')\ndef double(x):\n    return 2 * x",
        "from __future__ import annotations\n\ndef double(x: Later) -> Later:\n    return 2 * x",
        "def double(x):\n    return 4",
        "print('passed')\nimport sys\nsys.exit(0)",
        "def other(x):\n    return 2 * x",
        "def double(x:",
    ]
    samples = judged(problem, *map(block, programs), thought("no program"))
    assert rights(samples) == [True] * 4 + [False] * 5


def test_a_programs_own_trial_run_is_left_out():
    """As in the published programs, which execute it under another name than ``__main__``."""
    tests = json.dumps({"type": "stdio", "cases": [{"input": "", "output": "passed"}]})
    problem = BenchmarkProblem(id="h", problem="double", kind="code", tests=tests, asserts=CHECK)
    program = "def double(x):\n    return 2 * x\n\nif __name__ == '__main__':\n    "
    dataclass = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    a: int\n"
    )
    programs = [
        program + "raise SystemExit(0)",
        program + "print(int(input()))",
        dataclass + program + "unittest.main()",
    ]
    assert rights(judged(problem, *map(block, programs))) == [True] * 3


def test_what_the_task_defines_needs_no_repeating():
    """HumanEval/32, 38 and 50 call a helper of the prompt in their tests; a fifth of the prompts import List."""
    tests = json.dumps({"type": "stdio", "cases": [{"input": "", "output": "passed"}]})
    given = "from typing import List\ndef encode(s):\n    return s[::-1]"
    asserts = "def check(candidate):\n    assert candidate(encode('ab')) == ['ab']\ncheck(decode)"
    problem = BenchmarkProblem(id="h", problem="decode", kind="code", tests=tests, before=given, asserts=asserts)
    alone = "def decode(s: str) -> List[str]:\n    return [s[::-1]]"
    future = "from __future__ import annotations\n" + alone
    samples = judged(problem, *map(block, [alone, f"{given}\n{alone}", future, "def decode(s): return [s]"]))
    assert rights(samples) == [True, True, True, False]


@pytest.mark.sandbox
def test_every_test_of_a_program_is_run():
    cases = [{"input": f"{n}", "output": f"{n}"} for n in range(60)]
    problem = Problem(id="c", problem="echo", tests=json.dumps({"type": "stdio", "cases": cases}))
    wrong_once = "n = int(input())\nprint(n if n != 59 else 0)"
    assert rights(judged(problem, block("print(input())"), block(wrong_once))) == [True, False]


def test_it_names_itself_and_pickles():
    import pickle

    assert pickle.loads(pickle.dumps(BenchmarkCorrectness(Thinking()))).name == "benchmark_correctness"


def test_the_language_found_is_kept_with_the_sample():
    french = "On additionne d'abord les unités, puis les dizaines, et la somme est juste."
    english = "First we add the units and then the tens, and so the sum is right."
    texts = [
        f"<think>{french}</think>{french}",
        f"<think>{english}</think>{english}",
        f"<think>{english}</think>{french}",
    ]
    problem = Problem(id="q", problem="2+2 ?", answer="4", language="fr")
    samples = judged(problem, *texts, "<think>a</think>b", "no tags")
    found = [sample.found_language for sample in samples]
    assert found == ["fr", "en", "mixed", "undecided", "malformed"]
    assert found == found_languages([sample.completion for sample in samples], ["fr"] * 5, Thinking())
    assert [sample.same_language for sample in samples] == [True, False, False, False, False]
    assert judged(problem, english, thinking=None)[0].found_language == "en"
    assert judged(Problem(id="q", problem="2+2 ?", answer="4"), texts[0])[0].found_language is None
