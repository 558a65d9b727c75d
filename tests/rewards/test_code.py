"""CodeCorrectness: its columns, its draw of tests, its verdicts, and whose fault is whose."""

from __future__ import annotations

import json
import pickle
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.errors import RunError
from magistral_recipe.rewards.base import Reason
from magistral_recipe.rewards.code import CodeCorrectness, code_correctness
from magistral_recipe.verifiers.programs import runner
from magistral_recipe.verifiers.programs.runner import ProgramVerdict, Result
from magistral_recipe.verifiers.sandbox import bwrap, probe, terms

ADDITION = json.dumps({"type": "stdio", "cases": [{"input": f"{n} 3", "output": f"{n + 3}\n"} for n in range(4)]})
SUM = "print(sum(map(int, input().split())))"


def completion(code: str, language: str = "python") -> str:
    return f"<think>Let me see.</think>\n```{language}\n{code}\n```"


def stdio(output: str, given: str = "") -> str:
    return json.dumps({"type": "stdio", "cases": [{"input": given, "output": output}]})


def score(code: str, tests: object = ADDITION, reward: CodeCorrectness = code_correctness, **columns: object) -> object:
    return reward(completions=[completion(code)], tests=[tests], **{key: [value] for key, value in columns.items()})[0]


def reason(code: str, tests: object = ADDITION, reward: CodeCorrectness = code_correctness) -> str:
    logged: dict[str, list[str]] = {}
    reward(completions=[completion(code)], tests=[tests], log_extra=logged.__setitem__)
    return logged["code_correctness/reason"][0]


class RecordingRunner:
    """Stands in for the sandbox: keeps what it was asked to run and passes everything."""

    mode = "unsafe"

    def __init__(self, verdict: ProgramVerdict = ProgramVerdict.RIGHT) -> None:
        self.verdict = verdict
        self.seen: list[runner.Submission] = []

    def run(self, submissions):
        self.seen += submissions
        return [Result(self.verdict, 0, 1) for _ in submissions]


@pytest.fixture
def recording(monkeypatch):
    monkeypatch.setattr(probe, "require_sandbox", lambda mode: None)
    reward = CodeCorrectness(max_tests=5)
    reward.runner = RecordingRunner()
    return reward


# ------------------------------------------------------------------------------------------------ verdicts


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (SUM, "right"),
        ("print(3)", "wrong"),
        ("def (", "compile_error"),
        ("1 / 0", "crashed"),
        ("x = bytearray(1 << 31)", "memory"),
        ("print('x' * (1 << 25))", "output_limit"),
    ],
)
def test_verdicts_have_their_reasons(code, expected):
    assert reason(code) == expected


@pytest.mark.sandbox
def test_partial_gives_the_share_of_tests_passed():
    reward = CodeCorrectness(partial=True)
    assert score("print(5 if input() == '2 3' else 0)", reward=reward) == 0.25
    assert score(SUM, reward=reward) == 1.0
    assert score("print(input.__name__)", reward=reward) == 0.0


@pytest.mark.sandbox
def test_partial_goes_on_after_tests_that_kill_the_sandbox():
    tests = json.dumps({"type": "stdio", "cases": [{"input": c, "output": c} for c in "kab"]})
    killer = "import os\nc = input()\nif c == 'k':\n    os.kill(os.getppid(), 9)\nprint(c)"
    assert score(killer, tests, CodeCorrectness(partial=True)) == pytest.approx(2 / 3)


@pytest.mark.sandbox
def test_a_program_sees_its_input_to_the_last_byte():
    text = "".join(f"{n} é\n" for n in range(200_000))
    assert score("import sys\nsys.stdout.write(sys.stdin.read())", stdio(text, text)) == 1.0


@pytest.mark.sandbox
def test_limits_come_from_the_row_before_the_reward():
    busy = "import time\nwhile time.process_time() < 1.2:\n    pass\nprint(1)"
    assert score(busy, stdio("1"), time_limit=0.4) == 0.0
    assert score(busy, stdio("1"), time_limit=3) == 1.0
    hungry = "x = bytearray(200 << 20)\nprint(1)"
    assert score(hungry, stdio("1"), memory_mb=100) == 0.0
    assert score(hungry, stdio("1"), memory_mb=300) == 1.0


@pytest.mark.sandbox
def test_sleeping_costs_no_cpu_time_but_is_held_by_the_wall_clock():
    reward = CodeCorrectness(timeout=0.5)
    assert score("import time\ntime.sleep(0.8)\nprint(1)", stdio("1"), reward) == 1.0
    assert reason("import time\ntime.sleep(60)\nprint(1)", stdio("1"), reward) == "timeout"


@pytest.mark.sandbox
def test_tolerance_is_the_rows_and_absent_by_default():
    assert score("print(0.1 + 0.2)", stdio("0.3")) == 0.0
    assert score("print(0.1 + 0.2)", stdio("0.3"), tolerance=1e-6) == 1.0
    call = json.dumps({"type": "call", "function": "f", "cases": [{"args": [], "expected": [0.3, 2]}]})
    assert score("def f():\n    return [0.1 + 0.2, 2.0]", call) == 0.0
    assert score("def f():\n    return [0.1 + 0.2, 2.0]", call, tolerance=1e-9) == 1.0


@pytest.mark.sandbox
def test_calls_compare_exact_types_and_take_tuples_for_lists():
    cases = [{"args": [1], "kwargs": {"b": [2, None]}, "expected": {"sum": [1, [2, None]]}}]
    tests = json.dumps({"type": "call", "function": "f", "cases": cases})
    assert score("def f(a, b):\n    return {'sum': (a, b)}", tests) == 1.0
    assert score("def f(a, b):\n    return {'sum': (True, b)}", tests) == 0.0
    nothing = json.dumps({"type": "call", "function": "f", "cases": [{"args": [], "expected": None}]})
    assert score("def f():\n    pass", nothing) == 1.0
    assert score("def f():\n    return 0", nothing) == 0.0


@pytest.mark.sandbox
def test_methods_find_what_leetcode_imports_for_them():
    tests = {"type": "call", "function": "pairs", "method_of": "Solution", "cases": [{"args": [[1, 1]], "expected": 2}]}
    code = "class Solution:\n    def pairs(self, xs: List[int]) -> int:\n        return Counter(xs)[1]"
    assert score(code, json.dumps(tests)) == 1.0
    assert score(code, tests) == 1.0


@pytest.mark.sandbox
def test_without_a_language_the_first_block_that_can_be_run_counts():
    text = f"<think>x</think>\n```json\n{{}}\n```\n```python\n{SUM}\n```\n```cpp\nint main() {{}}\n```"
    assert code_correctness(completions=[text], tests=[ADDITION]) == [1.0]


@pytest.mark.sandbox
def test_thinking_none_grades_the_whole_text_and_malformed_completions_earn_nothing():
    text = f"```python\n{SUM}\n```"
    assert CodeCorrectness(thinking=None)(completions=[text], tests=[ADDITION]) == [1.0]
    assert code_correctness(completions=[text, "<think>" + completion(SUM)], tests=[ADDITION] * 2) == [0.0, 0.0]


@pytest.mark.sandbox
def test_works_in_a_thread_and_after_pickling():
    found: list[object] = []
    reward = pickle.loads(pickle.dumps(CodeCorrectness(timeout=2.0)))
    thread = threading.Thread(target=lambda: found.append(score(SUM, reward=reward)))
    thread.start()
    thread.join()
    assert found == [1.0]
    assert reward.timeout == 2.0


# ------------------------------------------------------------------------------------------------ the draw


def test_the_draw_is_one_for_the_group_and_another_at_another_step(recording):
    tests = json.dumps({"type": "stdio", "cases": [{"input": str(n), "output": "x"} for n in range(50)]})

    def drawn(step, seed=0):
        recording.seed = seed
        recording.runner.seen.clear()
        state = SimpleNamespace(global_step=step)
        recording(completions=[completion("a"), completion("b")], tests=[tests] * 2, trainer_state=state)
        first, second = ([case.given for case in each.tests.cases] for each in recording.runner.seen)
        assert first == second
        assert len(set(first)) == 5
        return first

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert drawn(1) != drawn(1, seed=7)


def test_objects_and_their_json_draw_the_same_tests(recording):
    tests = {"type": "stdio", "cases": [{"input": str(n), "output": "x", "extra": None} for n in range(50)]}
    plain = {"type": "stdio", "cases": [{"input": str(n), "output": "x"} for n in range(50)]}
    recording(completions=[completion("a")] * 2, tests=[tests, json.dumps(plain)])
    first, second = recording.runner.seen
    assert first.tests == second.tests


def test_equal_programs_run_once(monkeypatch):
    runs: list[str] = []

    def once(self, submission, stopped, on_sleep):
        runs.append(submission.source)
        return Result(ProgramVerdict.RIGHT, 1, 1), False

    monkeypatch.setattr(probe, "require_sandbox", lambda mode: None)
    monkeypatch.setattr(runner.Runner, "_try", once)
    assert (
        code_correctness(completions=[completion("a"), completion("b"), completion("a")], tests=[ADDITION] * 3)
        == [1.0] * 3
    )
    assert sorted(runs) == ["a", "b"]


def test_what_runs_out_of_time_is_tried_once_more_and_the_second_try_counts(monkeypatch):
    outcomes = {
        "slow": [ProgramVerdict.TIMEOUT, ProgramVerdict.RIGHT],
        "endless": [ProgramVerdict.TIMEOUT, ProgramVerdict.TIMEOUT],
    }

    def unlucky(self, submission, stopped, on_sleep):
        verdict = outcomes[submission.source].pop(0)
        return Result(verdict, 0, 1), verdict is ProgramVerdict.TIMEOUT

    monkeypatch.setattr(probe, "require_sandbox", lambda mode: None)
    monkeypatch.setattr(runner.Runner, "_try", unlucky)
    assert code_correctness(completions=[completion("slow"), completion("endless")], tests=[ADDITION] * 2) == [1.0, 0.0]
    assert outcomes == {"slow": [], "endless": []}


# --------------------------------------------------------------------------------------- whose fault it is


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        ("{", r"tests\[0\]: not JSON"),
        ("[1]", r"tests\[0\]: must be a mapping"),
        ({"type": "unit", "cases": []}, r"tests\[0\]\.type: 'unit'"),
        (
            {"type": "stdio", "compare": "loosely", "cases": []},
            r"tests\[0\]\.compare: 'loosely' is none of exact, live",
        ),
        ({"type": "stdio", "cases": []}, r"tests\[0\]\.cases: must be a list with at least one"),
        ({"type": "stdio", "cases": [{"input": "1"}]}, r"tests\[0\]\.cases\[0\]\.output: must be a string"),
        ({"type": "stdio", "cases": [{"input": 1, "output": "1"}]}, r"tests\[0\]\.cases\[0\]\.input"),
        ({"type": "stdio", "cases": [{"input": "", "output": "", "points": 3}]}, r"cases\[0\]\.points: unknown key"),
        ({"type": "call", "cases": [{"args": [], "expected": 1}]}, r"tests\[0\]\.function: must be a name"),
        ({"type": "call", "function": "f", "cases": [{"args": []}]}, r"cases\[0\]\.expected: missing"),
        ({"type": "call", "function": "f", "cases": [{"args": 3, "expected": 1}]}, r"cases\[0\]\.args: must be a list"),
        ({"type": "call", "function": "f", "cases": [{"args": [{1}], "expected": 1}]}, r"not made of JSON's types"),
    ],
)
def test_malformed_tests_raise_and_name_row_and_key(tests, message):
    with pytest.raises(ValueError, match=message):
        score(SUM, tests)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"programming_language": ["rust"]}, r"programming_language\[0\]: 'rust' cannot be run"),
        ({"time_limit": [0]}, r"time_limit\[0\]"),
        ({"memory_mb": ["lots"]}, r"memory_mb\[0\]"),
        ({"tolerance": [-1]}, r"tolerance\[0\]"),
        ({"kind": ["poem"]}, r"kind\[0\]"),
    ],
)
def test_malformed_columns_raise_and_name_the_row(columns, message):
    with pytest.raises(ValueError, match=message):
        CodeCorrectness(strict=True)(completions=[completion(SUM)], tests=[ADDITION], **columns)


def test_published_rules_have_no_tolerance():
    tests = json.dumps({**json.loads(ADDITION), "compare": "livecodebench"})
    with pytest.raises(ValueError, match=r"tolerance\[0\]: tests that compare as livecodebench have none"):
        score(SUM, tests, tolerance=1e-6)


def test_rules_of_comparison_leave_the_draw_as_it_is(recording):
    tests = {"type": "stdio", "cases": [{"input": str(n), "output": "x"} for n in range(50)]}
    recording(completions=[completion("a")] * 2, tests=[tests, {**tests, "compare": "livecodebench"}])
    first, second = recording.runner.seen
    assert first.tests.cases == second.tests.cases
    assert first != second


def test_calls_need_python():
    call = json.dumps({"type": "call", "function": "f", "cases": [{"args": [], "expected": 1}]})
    with pytest.raises(ValueError, match="need python"):
        score(SUM, call, programming_language="c++")


def test_a_missing_column_is_named():
    with pytest.raises(ValueError, match="missing column 'tests'; the columns given are: answer"):
        code_correctness(completions=["x"], answer=["4"])


@pytest.mark.parametrize("arguments", [{"timeout": 0}, {"memory_mb": -1}, {"max_tests": 0}, {"sandbox": "docker"}])
def test_arguments_out_of_range_raise(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        CodeCorrectness(**arguments)


def test_rows_of_another_kind_or_without_tests_do_not_apply(recording):
    completions = [completion(SUM)] * 3
    assert recording(completions=completions, tests=[None, None, ADDITION], kind=["math", "code", "code"]) == [
        None,
        None,
        1.0,
    ]
    assert recording.counts[Reason.OTHER_KIND] == 1
    assert recording.counts[Reason.UNREADABLE_REFERENCE] == 1


def test_a_failing_sandbox_is_none_and_raises_past_one_percent(recording):
    recording.runner = RecordingRunner(ProgramVerdict.SANDBOX_FAILED)
    assert recording(completions=[completion(SUM)] * 10, tests=[ADDITION] * 10) == [None] * 10
    assert recording.counts[Reason.SANDBOX_FAILED] == 10
    with pytest.raises(RunError, match="11 of the last 11"):
        recording(completions=[completion(SUM)], tests=[ADDITION])


@pytest.fixture
def forgetful():
    """Forget what was found out about this machine, before and after."""
    for cached in (probe.probe, bwrap.find_bwrap):
        cached.cache_clear()
    yield
    for cached in (probe.probe, bwrap.find_bwrap):
        cached.cache_clear()


def test_other_systems_refuse_programs_with_the_remedy_and_nothing_else(monkeypatch, forgetful):
    monkeypatch.setattr(terms.sys, "platform", "darwin")
    with pytest.raises(terms.SandboxError, match=r"only be verified on Linux.*WSL 2"):
        score(SUM)
    assert score(SUM, None, kind="math") is None


def test_without_bubblewrap_the_message_says_how_to_get_it(monkeypatch, forgetful):
    monkeypatch.setattr(bwrap.shutil, "which", lambda name: None if name == "bwrap" else "/usr/bin/" + name)
    with pytest.raises(terms.SandboxError, match="apt install bubblewrap"):
        score(SUM)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(), max_size=5))
def test_any_text_without_a_program_earns_zero_whatever_the_batch(texts):
    texts = [text.replace("```", "") for text in texts]
    whole = code_correctness(completions=texts, tests=[ADDITION] * len(texts))
    assert whole == [0.0] * len(texts)
    assert [code_correctness(completions=[text], tests=[ADDITION])[0] for text in reversed(texts)] == whole


def test_runner_is_a_value():
    assert replace(code_correctness.runner, mode="unsafe") != code_correctness.runner
