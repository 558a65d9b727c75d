"""Programming problems: who is believed, what becomes of tests, new inputs, and the step run for real."""

from __future__ import annotations

import json
import operator
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from magistral_recipe.curation import programs
from magistral_recipe.curation.agreement import agreement_of
from magistral_recipe.curation.mutation import derived_inputs
from magistral_recipe.curation.programs import Rules, verify_programs
from magistral_recipe.curation.rows import Dropped, Row, parse_row
from magistral_recipe.data.problems import Problem, parse_problem
from magistral_recipe.data.solutions import MOST, read_solutions
from magistral_recipe.verifiers.programs.runner import ProgramVerdict, Result
from magistral_recipe.verifiers.programs.testcases import parse_tests

RIGHT = "abcdefgh"


@pytest.mark.parametrize(
    ("answers", "expected", "fates", "voters"),
    [
        ([RIGHT] * 6, RIGHT, "kkkkkkkk", 6),
        ([RIGHT] * 6, "abXdefgh", "kkckkkkk", 6),
        ([RIGHT] * 3 + ["x" * 8, [None] * 8, "abcYYfgh"], "abXdefgh", "kkckkkkk", 3),
        # Two that are wrong in the same way do not outvote what is expected, and two cannot correct.
        ([RIGHT, RIGHT, "abcdeZZZ", "abcdeZZZ"], RIGHT, "kkkkkkkk", 2),
        ([RIGHT] * 2, "abXdefgh", "kkdkkkkk", 2),
        # What an honest solution gives and most don't is nobody's: there may be several right outputs.
        (["abcdefgh", "abcdefgZ", "abcdefgZ", "abcdefgZ"], RIGHT, "kkkkkkkd", 3),
        ([["a", "b", "c", None]] * 4, "abcd", "kkkd", 4),
        ([["z"] * 8], RIGHT, "dddddddd", 0),
        ([], RIGHT, "dddddddd", 0),
    ],
)
def test_who_is_believed_and_what_becomes_of_tests(answers, expected, fates, voters):
    found = agreement_of([list(each) for each in answers], list(expected), operator.eq, share=0.75, least=3)
    assert "".join(fate[0] for fate in found.fates) == fates
    assert len(found.voters) == voters
    assert found.believed
    assert [found.outputs[at] for at in range(len(expected)) if fates[at] == "c"] == ["c"] * fates.count("c")


def test_tests_of_another_problem_are_not_corrected_one_by_one():
    found = agreement_of([list(RIGHT)] * 5, list("12345678"), operator.eq, share=0.75, least=3)
    assert not found.believed


@pytest.mark.parametrize(
    ("inputs", "calls"),
    [
        (["3\n1 2 3\n", "4\n5 1 9 2\n"], False),
        (["2\nabc\nde\n"], False),
        (["10 20\n", "3 4\n"], False),
        ([json.dumps({"function": "f", "method_of": None, "args": [[1, 2, 3], 3, "abc"], "kwargs": {}})], True),
    ],
)
def test_new_inputs_keep_the_shape_and_the_range(inputs, calls):
    made = derived_inputs(inputs, 8, "seed", calls=calls)
    assert len(set(made)) == len(made) == 8
    assert not set(made) & set(inputs)
    assert made == derived_inputs(inputs, 8, "seed", calls=calls) != derived_inputs(inputs, 8, "other", calls=calls)
    for text in made:
        if calls:
            values, count, word = json.loads(text)["args"]
            assert (len(values), count, len(word)) == (3, 3, 3)
            assert set(values) <= {1, 2, 3}
        elif len(text.split("\n")) == 3:
            assert int(text.split("\n")[0]) == len(text.split("\n")[1].split())
            assert {int(value) for value in text.split()[1:]} <= set(range(10))
        elif len(text.split("\n")) == 4:
            assert [len(line) for line in text.split("\n")] == [1, 3, 2, 0]
            assert text.startswith("2\n")


def test_inputs_in_which_nothing_may_change_give_none():
    assert derived_inputs(["1.5\n", ""], 5, "seed") == []
    assert derived_inputs(["1 2 3 " * 4000], 5, "seed") == []
    commands = derived_inputs(["4\npush 1\npop 2\npush 3\npush 4\n"], 20, "seed")
    assert {word for text in commands for word in text.split() if word.isalpha()} <= {"push", "pop"}


def test_solutions_are_read_in_the_shapes_in_which_they_are_published():
    def told(value):
        return [(each.language, each.source) for each in read_solutions(value) or ()]

    assert told('["print(1)", "print(2)", "print(1)"]') == [("python", "print(1)"), ("python", "print(2)")]
    assert told(["```cpp\nint main() {}\n```"]) == [("cpp", "int main() {}")]
    assert told([{"language": "GNU C++17", "code": "a"}, {"language": "java", "code": "b"}]) == [("cpp", "a")]
    assert told({"language": ["python3", "cpp"], "solution": ["a", "b"]}) == [("python", "a"), ("cpp", "b")]
    assert len(told([f"print({n})" for n in range(100)])) == MOST
    for none in (None, "", "see the appendix", [], [1], {"a": 1}, "[broken"):
        assert read_solutions(none) is None


def test_only_who_asks_for_solutions_carries_them():
    raw = {"problem": "Add.", "tests": TESTS, "solutions": ["print(1)"]}
    assert parse_problem(raw).solutions is None
    assert parse_problem({"problem": "x?", "answer": "1", "solutions": ["x = 1"]}, solutions=True).solutions is None
    problem = parse_problem(raw, solutions=True)
    assert "solutions" not in problem.model_dump()
    row = Row(problem, {"note": 1})
    again = parse_row(json.dumps(row.as_json()))
    assert again == row
    assert again.changed(answer=None).problem.solutions == problem.solutions


TESTS = json.dumps(
    {"type": "stdio", "cases": [{"input": f"{n}\n{n} 1\n", "output": f"{n + 1}\n"} for n in (2, 5, 6, 7)]}
)


class Given:
    """A runner whose programs are made up: what each writes is a function of its input."""

    mode = "unsafe"

    def __init__(self):
        self.runs = 0

    def run(self, submissions):
        self.runs += len(submissions)
        return [self._result(each) for each in submissions]

    def _result(self, submission):
        texts = [case.given.decode() for case in submission.tests.cases]
        outputs = [eval(submission.source)(text) for text in texts]
        kept = tuple(None if each is None else each.encode() for each in outputs)
        return Result(ProgramVerdict.RIGHT, len(texts), len(texts), "", kept)


SUM = "lambda text: str(sum(map(int, text.split()[1:])))"
LAZY = "lambda text: None"
FIRST = "lambda text: text.split()[0]"


CALLS = json.dumps({"type": "call", "function": "f", "cases": [{"args": [1], "expected": 1}]})
CPP = [{"language": "cpp", "source": "int main() {}"}]


def problem(id_="p", tests=TESTS, solutions=(SUM, SUM + " ", SUM + "  ", LAZY, FIRST), **fields):
    return Problem(id=id_, problem="Add the numbers.", tests=tests, solutions=list(solutions), **fields)


@pytest.fixture(autouse=True)
def _no_sandbox(monkeypatch):
    monkeypatch.setattr("magistral_recipe.verifiers.sandbox.probe.require_sandbox", lambda mode: None)


def test_a_problem_gets_right_tests_and_is_asked_in_both_languages():
    wrong = TESTS.replace('"7\\n"', '"9\\n"')
    totals = Counter()
    python, cpp = verify_programs([Row(problem(tests=wrong))], runner=Given(), totals=totals)
    assert totals == {
        programs.CORRECTED: 1,
        programs.MADE: 16,
        programs.REJECTED: 2,
    }
    assert (python.problem.id, cpp.problem.id) == ("p", "p-cpp")
    assert {python.notes["pair"], cpp.notes["pair"]} == {"p"}
    assert [row.problem.programming_language for row in (python, cpp)] == ["python", "cpp"]
    assert "in Python;" in python.problem.problem
    assert "in C++;" in cpp.problem.problem
    assert (python.problem.solution, cpp.problem.solution) == (SUM, None)
    assert python.problem.solutions is None
    assert python.notes[programs.EXAMPLES] == [{"input": "6\n6 1\n", "expected": "9\n", "solutions": "7"}]
    tests = parse_tests(python.problem.tests, "tests")
    assert len(tests.cases) == 20
    for case in tests.cases:
        assert int(case.expected) == sum(map(int, case.given.split()[1:]))


@pytest.mark.parametrize(
    ("given_problem", "rules", "reason"),
    [
        (problem(solutions=[FIRST, FIRST + " ", LAZY]), Rules(), programs.CONTRADICTION),
        (problem(solutions=[SUM, "lambda text: '0'"]), Rules(least_tests=5), programs.FEW),
        (problem(solutions=()), Rules(unverified="drop"), programs.UNVERIFIED),
        (problem(tests=CALLS, solutions=CPP), Rules(unverified="drop"), programs.UNVERIFIED),
    ],
)
def test_what_cannot_be_believed_goes(given_problem, rules, reason):
    (found,) = verify_programs([Row(given_problem)], rules, Given())
    assert isinstance(found, Dropped)
    assert found.reason == reason


def test_problems_that_name_a_language_or_call_a_function_stay_as_they_are():
    rows = [
        Row(Problem(id="a", problem="Write it in Java.", tests=TESTS)),
        Row(Problem(id="b", problem="Return n.", tests=CALLS)),
        Row(Problem(id="c", problem="How much is 1 + 1?", answer="2")),
    ]
    assert list(verify_programs(rows, runner=Given())) == rows


def test_verdicts_are_remembered_one_by_one(tmp_path):
    rows = [Row(problem(str(number))) for number in range(40)]
    whole = list(verify_programs(rows, runner=Given()))

    class Dying(Given):
        def run(self, submissions):
            if self.runs > 150:
                raise KeyboardInterrupt
            return super().run(submissions)

    memory = tmp_path / "programs.jsonl"
    with pytest.raises(KeyboardInterrupt):
        list(verify_programs(rows, runner=Dying(), memory=memory))
    with memory.open("ab") as stream:
        stream.write(b'{"key": "half a li')
    second = Given()
    assert list(verify_programs(rows, runner=second, memory=memory)) == whole
    third = Given()
    assert list(verify_programs(rows, runner=third, memory=memory)) == whole
    assert (second.runs, third.runs) == (24 * 8, 0)  # 5 solutions, and 3 of them on new inputs; 16 problems were done


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["code", "math", "bare"]),
            st.lists(st.sampled_from([SUM, SUM + " ", SUM + "  ", LAZY, FIRST, FIRST + " "]), max_size=6),
            st.integers(0, 4),
        ),
        max_size=6,
    ),
    st.sampled_from([("python", "cpp"), ("python",), ()]),
    st.sampled_from(["keep", "drop"]),
)
def test_every_row_comes_out_or_goes_for_a_reason(plans, languages, unverified):
    rows = []
    for number, (kind, solutions, wrong) in enumerate(plans):
        cases = [{"input": f"{n}\n{n} 1\n", "output": f"{n + 1 + (n < wrong)}\n"} for n in range(4)]
        tests = json.dumps({"type": "stdio", "cases": cases})
        each = problem(str(number), tests, solutions if kind == "code" else ())
        rows.append(Row(Problem(id=str(number), problem="?", answer="1") if kind == "math" else each))
    rules = Rules(languages=languages, unverified=unverified)
    found = list(verify_programs(rows, rules, Given()))
    seen = {}
    for outcome in found:
        row = outcome.row if isinstance(outcome, Dropped) else outcome
        seen.setdefault(row.notes.get("pair", row.problem.id), []).append(outcome)
    assert list(seen) == [row.problem.id for row in rows], "every row, in order"
    for row in rows:
        outcomes = seen[row.problem.id]
        copies = max(1, len(languages)) if row.problem.kind == "code" else 1
        assert len(outcomes) == (1 if isinstance(outcomes[0], Dropped) else copies)
        assert len({each.problem.id for each in outcomes if isinstance(each, Row)}) in (0, copies)
