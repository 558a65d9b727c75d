"""One row at a time: what a problem and a trace must be, and what is said of a row that is none."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from magistral_recipe.data.fields import Code
from magistral_recipe.data.problems import (
    PROBLEM_FIELDS,
    Problem,
    Rejection,
    Trace,
    content_hash,
    parse_problem,
    parse_trace,
)
from magistral_recipe.writing.thinking import Thinking

GOOD = {"problem": "What is 1 plus 1?", "answer": "2"}
STDIO = {"type": "stdio", "cases": [{"input": "1\n", "output": "2\n"}]}
CALL = {"type": "call", "function": "add", "cases": [{"args": [1, 2], "expected": 3}]}


def problem(**changes) -> Problem:
    parsed = parse_problem({**GOOD, **changes})
    assert isinstance(parsed, Problem), parsed
    return parsed


def rejection(row, columns=None, **options) -> Rejection:
    parsed = parse_problem(row, columns, **options)
    assert isinstance(parsed, Rejection), parsed
    return parsed


def test_a_problem_has_the_fields_that_rewards_and_reports_ask_for():
    assert set(PROBLEM_FIELDS) == {
        *("id", "problem", "system", "answer", "tests", "solution", "solutions", "kind"),
        *(
            "programming_language",
            "time_limit",
            "memory_mb",
            "tolerance",
            "language",
            "source",
            "difficulty",
            "category",
        ),
    }


@pytest.mark.parametrize(
    ("given_answer", "kept"),
    [
        ("2", "2"),
        (" 2\n", "2"),
        (2, "2"),
        (0, "0"),
        (2.5, "2.5"),
        (-0.1, "-0.1"),
        (Decimal("1.50"), "1.50"),
        (["2", "two"], ["2", "two"]),
        ([2, 2.0], ["2", "2.0"]),
        (r"\frac{1}{2}", r"\frac{1}{2}"),
    ],
)
def test_answers_become_text(given_answer, kept):
    assert problem(answer=given_answer).answer == kept


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ({"answer": "2"}, Code.MISSING, "problem: missing; the row has: answer"),
        ({"problem": "1+1?"}, Code.MISSING, "answer: missing; the row has: problem"),
        ({**GOOD, "problem": None}, Code.EMPTY, "problem: is empty"),
        ({**GOOD, "problem": " \n"}, Code.EMPTY, "problem: is empty"),
        ({**GOOD, "answer": None}, Code.EMPTY, "answer: is empty, and a problem of kind 'math' needs it"),
        ({**GOOD, "answer": "  "}, Code.EMPTY, "answer: is empty"),
        ({**GOOD, "answer": []}, Code.EMPTY, "answer: is empty"),
        ({**GOOD, "answer": ["2", ""]}, Code.EMPTY, "answer: is empty"),
        ({**GOOD, "problem": 7}, Code.WRONG_TYPE, "problem: expected text, got int 7"),
        ({**GOOD, "answer": [True]}, Code.WRONG_TYPE, "answer: expected text or a number, got True"),
        ({**GOOD, "answer": {"value": 2}}, Code.WRONG_TYPE, "answer: expected text or a number, got dict"),
        ({**GOOD, "answer": float("nan")}, Code.BAD_VALUE, "answer: expected a finite number, got nan"),
        ({**GOOD, "answer": "\\frac{1}{2"}, Code.BAD_VALUE, "answer: cannot be read as an answer: '"),
        ({**GOOD, "id": 1.5}, Code.WRONG_TYPE, "id: expected text, got float 1.5"),
        ({**GOOD, "kind": "maths"}, Code.BAD_VALUE, "kind: expected 'math', 'code' or 'text'"),
        ({**GOOD, "language": "english"}, Code.BAD_VALUE, "language: expected a two-letter ISO 639-1 code"),
        ({**GOOD, "time_limit": 0}, Code.BAD_VALUE, "time_limit: expected a number above 0, got 0"),
        ({**GOOD, "tolerance": -1}, Code.BAD_VALUE, "tolerance: expected a number of at least 0, got -1"),
        ({**GOOD, "difficulty": "hard"}, Code.WRONG_TYPE, "difficulty: expected a number, got 'hard'"),
        ({**GOOD, "difficulty": False}, Code.WRONG_TYPE, "difficulty: expected a number, got bool False"),
        ({**GOOD, "difficulty": float("inf")}, Code.BAD_VALUE, "difficulty: expected a finite number, got inf"),
        ({**GOOD, "problem": "a\0b"}, Code.NUL, "problem: contains a NUL character"),
        ({**GOOD, "answer": "\ud800"}, Code.INVALID_UTF8, "answer: contains bytes or an escape"),
        (["a", "list"], Code.NOT_AN_OBJECT, "expected an object with named columns, got list"),
        (None, Code.NOT_AN_OBJECT, "expected an object with named columns, got NoneType"),
        ({}, Code.MISSING, "problem: missing; the row has: no columns"),
        ({**GOOD, "problem": "{curly} {message}", "language": "{x}"}, Code.BAD_VALUE, "got '{x}'"),
    ],
)
def test_a_bad_row_is_told_by_kind_and_column(row, code, said):
    found = rejection(row)
    assert found.code is code
    assert said in found.reason


def test_a_reason_names_the_users_own_column():
    columns = {"problem": "question", "answer": "gold"}
    assert "problem (column 'question'): missing" in rejection({"gold": 1}, columns).reason
    assert rejection({"question": "x", "gold": ""}, columns).reason.startswith("answer (column 'gold'): is empty")


def test_columns_are_renamed_and_the_others_dropped():
    parsed = parse_problem({"question": "1+1?", "gold": 2, "author": "me"}, {"problem": "question", "answer": "gold"})
    assert isinstance(parsed, Problem)
    assert (parsed.problem, parsed.answer) == ("1+1?", "2")


def test_a_column_given_to_one_field_is_not_read_again_under_its_own_name():
    parsed = parse_problem({"problem": "1+1?", "solution": "2"}, {"answer": "solution"})
    assert isinstance(parsed, Problem)
    assert (parsed.answer, parsed.solution) == ("2", None)


@pytest.mark.parametrize(
    ("answer_in", "written", "answer"),
    [
        ("hashes", "It is 3 + 4 = <<3+4=7>>7.\n#### 7", "7"),
        ("hashes", "## not this #### nor this ####  1,234 ", "1,234"),
        ("boxed", r"So \boxed{1}, no: \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        ("whole", "#### 7", "#### 7"),
    ],
)
def test_an_answer_is_taken_out_of_a_worked_solution(answer_in, written, answer):
    assert parse_problem({**GOOD, "answer": written}, answer_in=answer_in).answer == answer
    assert parse_trace({**GOOD, "answer": written, "completion": "c"}, answer_in=answer_in).answer == answer


def test_an_answer_that_is_not_in_the_solution_is_told():
    columns = {"answer": "solution"}
    row = {"problem": "p", "solution": r"It is 7, \boxed{7"}
    assert rejection(row, columns, answer_in="hashes").reason == "answer (column 'solution'): no '####' in it"
    assert rejection(row, columns, answer_in="boxed").reason.endswith(r"no closed \boxed{} in it")
    assert rejection({"problem": "p", "solution": "####"}, columns, answer_in="hashes").code is Code.EMPTY
    assert parse_problem({"problem": "p", "answer": 7}, answer_in="hashes").answer == "7"


def test_null_takes_a_column_away():
    row = {**GOOD, "difficulty": "hard"}
    assert isinstance(parse_problem(row), Rejection)
    assert isinstance(parse_problem(row, {"difficulty": None}), Problem)


def test_a_dotted_path_reaches_into_objects_but_a_column_of_that_name_comes_first():
    columns = {"problem": "prompt", "answer": "reward.truth"}
    row = {"prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "1+1?"}], "reward": {"truth": 2}}
    parsed = parse_problem(row, columns)
    assert isinstance(parsed, Problem)
    assert (parsed.problem, parsed.answer) == ("1+1?", "2")
    assert parse_problem({**row, "reward.truth": 3}, columns).answer == "3"


def test_defaults_fill_what_a_row_leaves_empty_only():
    defaults = {"language": "fr", "kind": "text"}
    parsed = parse_problem({"problem": "Bonjour", "language": ""}, defaults=defaults)
    assert (parsed.language, parsed.kind) == ("fr", "text")
    assert parse_problem({**GOOD, "language": "de"}, defaults=defaults).language == "de"


def test_an_absurdly_long_text_is_refused_whichever_field_it_is_in():
    assert rejection({**GOOD, "problem": "x" * 101}, max_characters=100).code is Code.TOO_LONG
    assert rejection({**GOOD, "answer": ["1" * 60, "2" * 60]}, max_characters=100).code is Code.TOO_LONG
    assert isinstance(parse_problem({**GOOD, "problem": "x" * 100}, max_characters=100), Problem)


def test_languages_lose_their_region():
    assert problem(language="pt-BR").language == "pt"
    assert problem(language="EN").language == "en"


def test_ids_are_kept_or_made_from_what_is_asked():
    assert problem(id="a").id == "a"
    assert problem(id=7).id == "7"
    made = problem(id=None)
    assert made.id == problem(source="elsewhere", difficulty=3).id
    assert made.id != problem(answer="3").id
    assert made.id == content_hash("math", "What is 1 plus 1?", "2", None) == "4ee2cfc027eeb21a"


def test_a_row_with_tests_is_code_and_python_unless_it_says():
    parsed = parse_problem({"problem": "Add.", "tests": json.dumps(STDIO)})
    assert (parsed.kind, parsed.programming_language) == ("code", "python")
    assert (
        parse_problem({"problem": "Add.", "tests": STDIO, "programming_language": "c++"}).programming_language == "c++"
    )


@pytest.mark.parametrize("tests", [STDIO, CALL, {**CALL, "method_of": "Solution"}])
def test_tests_given_as_objects_become_the_same_json(tests):
    parsed = parse_problem({"problem": "Add.", "tests": tests})
    assert json.loads(parsed.tests) == tests


def test_keys_that_arrow_filled_in_count_as_absent_in_objects_but_not_in_json():
    filled = {**CALL, "method_of": None, "cases": [{"args": [None], "kwargs": None, "expected": 3, "input": None}]}
    parsed = parse_problem({"problem": "Add.", "tests": filled})
    assert json.loads(parsed.tests) == {**CALL, "cases": [{"args": [None], "expected": 3}]}
    returns_none = json.dumps({**CALL, "cases": [{"args": [], "expected": None}]})
    assert parse_problem({"problem": "Add.", "tests": returns_none}).tests == returns_none


@pytest.mark.parametrize(
    ("tests", "where"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "must be a mapping"),
        ({"type": "unit"}, "type: 'unit'"),
        ({"type": "stdio", "cases": []}, "cases: "),
        ({"type": "stdio", "cases": [{"input": "1"}]}, "cases[0].output: "),
        ({"type": "stdio", "cases": ["1"]}, "cases[0]: "),
        ({**CALL, "function": "not a name"}, "function: "),
        ({**CALL, "cases": [{"args": 1, "expected": 1}]}, "cases[0].args: "),
        ({**CALL, "cases": [{"args": [], "kwargs": [], "expected": 1}]}, "cases[0].kwargs: "),
        ({**CALL, "cases": [{"args": []}]}, "cases[0].expected: missing"),
        ({**CALL, "cases": [{"args": [], "expected": object()}]}, "cases[0]: "),
        ({**STDIO, "extra": 1}, "extra: "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_malformed_tests_are_told_by_their_key(tests, where):
    found = rejection({"problem": "Add.", "tests": tests}, max_characters=10**6)
    assert found.code is Code.BAD_TESTS
    assert found.reason.startswith(f"tests: {where}")


def test_code_needs_tests_and_text_needs_nothing():
    assert "tests: missing" in rejection({"problem": "Add.", "kind": "code"}).reason
    assert "tests: is empty" in rejection({"problem": "Add.", "kind": "code", "tests": ""}).reason
    assert isinstance(parse_problem({"problem": "Tell a story.", "kind": "text"}), Problem)


# ------------------------------------------------------------------------------------------------ traces


def trace(row, columns=None) -> Trace:
    parsed = parse_trace(row, columns)
    assert isinstance(parsed, Trace), parsed
    return parsed


def test_a_trace_gives_its_completion_as_it_is_or_joins_its_parts_with_the_recipes_tags():
    tags = Thinking("[THINK]", "[/THINK]")
    assert trace({"problem": "p", "completion": "<think>t</think>a"}).text(tags) == "<think>t</think>a"
    assert trace({"problem": "p", "thoughts": "t", "response": "a"}).text(tags) == tags.join("t", "a")


def test_a_trace_needs_no_answer_but_keeps_one():
    assert trace({"problem": "p", "completion": "c"}).answer is None
    assert trace({"problem": "p", "completion": "c", "answer": ""}).answer is None
    assert trace({"problem": "p", "completion": "c", "answer": 3}).answer == "3"


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (
            [{"role": "user", "content": "p"}, {"role": "assistant", "content": "<think>t</think>a"}],
            "<think>t</think>a",
        ),
        ([{"role": "system", "content": "s"}, {"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}], "c"),
        (
            [{"role": "user", "content": "p"}, {"role": "assistant", "content": "a", "reasoning_content": "t"}],
            "<think>\nt\n</think>\na",
        ),
        (
            [{"role": "user", "content": "p"}, {"role": "assistant", "content": "a", "thinking": "t"}],
            "<think>\nt\n</think>\na",
        ),
    ],
)
def test_messages_stand_for_the_problem_and_what_was_answered(messages, text):
    parsed = trace({"conversation": messages}, {"messages": "conversation"})
    assert (parsed.problem, parsed.text(Thinking())) == ("p", text)


BLOCKS = [{"type": "text", "text": "p"}]


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([{"role": "user", "content": BLOCKS}, {"role": "assistant", "content": BLOCKS}], "p"),
        ([{"from": "human", "value": BLOCKS}, {"from": "model", "value": "<think>t</think>a"}], "<think>t</think>a"),
        (
            [
                {"role": "developer", "content": "s"},
                {"role": "user", "content": "p"},
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
                        {"type": "text", "text": "a"},
                    ],
                },
            ],
            "<think>\nt\n</think>\na",
        ),
        (
            [
                {"role": "user", "content": "p"},
                {
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}],
                },
            ],
            "<think>\nt\n</think>\na",
        ),
        ('[{"role": "user", "content": "p"}, {"role": "assistant", "content": "c"}]', "c"),
        (
            [{"role": "user", "content": "p"}, {"role": "assistant", "content": "a", "reasoning": "t"}],
            "<think>\nt\n</think>\na",
        ),
    ],
)
def test_messages_come_in_many_shapes(messages, text):
    parsed = trace({"messages": messages})
    assert (parsed.problem, parsed.text(Thinking())) == ("p", text)


@pytest.mark.parametrize("name", ["conversations", "conversation"])
def test_sharegpts_own_column_is_read_where_there_are_no_messages(name):
    turns = [{"from": "human", "value": "p"}, {"from": "gpt", "value": "c"}]
    assert trace({name: turns}).text(Thinking()) == "c"
    assert trace({name: "not these", "messages": turns}).text(Thinking()) == "c"
    assert trace({name: "p", "completion": "c"}, {"problem": name}).problem == "p"
    assert isinstance(parse_trace({name: turns}, {"messages": None}), Rejection)


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ([{"role": "system", "content": "s"}, {"role": "user", "content": "p"}], "p"),
        ([{"role": "user", "content": BLOCKS}], "p"),
        ([{"from": "human", "value": "p"}], "p"),
        ('[{"role": "user", "content": "p"}]', "p"),
        ("[{1, 2}] is a list of sets?", "[{1, 2}] is a list of sets?"),
    ],
)
def test_a_prompt_of_messages_is_its_question(prompt, expected):
    parsed = parse_problem({"problem": prompt, "answer": 1})
    assert isinstance(parsed, Problem), parsed
    assert parsed.problem == expected


def test_an_image_beside_the_words_is_told():
    content = [{"type": "image", "image": "x.png"}, {"type": "text", "text": "p"}]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "c"}]
    parsed = parse_trace({"messages": messages})
    assert parsed == Rejection(Code.WRONG_TYPE, "messages: the user's turn: only text blocks can be read, not 'image'")
    assert isinstance(parse_problem({"problem": messages[:1], "answer": 1}), Rejection)


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        (r"So $x = \boxed 7$.", "7"),
        (r"So $x = \boxed 25$ in all", "25"),
        (r"$$\boxed 3.$$", "3"),
        (r"Hence \(\boxed -4\), and \(x\) is odd.", "-4"),
        (r"\[ y = \boxed\frac{3}{4} \]", r"\frac{3}{4}"),
        (r"It is $\boxed\text{B}$", r"\text{B}"),
        (r"The answer is \boxed 12, as $a$ is 3.", "12"),
        (r"First $\boxed{5}$, then $\boxed 6$", "6"),
        (r"$\boxed {8}$", "8"),
        (r"$\fbox 9$", "9"),
    ],
)
def test_a_box_without_braces_is_found_in_a_worked_solution(solution, answer):
    parsed = parse_problem({"problem": "p", "answer": solution}, answer_in="boxed")
    assert isinstance(parsed, Problem), parsed
    assert parsed.answer == answer


@pytest.mark.parametrize("solution", [r"$x = 7$", r"use \boxed", r"a \boxedthing 3", r"\boxed{5", r"\boxed ."])
def test_what_is_no_box_is_none(solution):
    parsed = parse_problem({"problem": "p", "answer": solution}, answer_in="boxed")
    assert isinstance(parsed, Rejection)
    assert "no closed \\boxed{} in it" in parsed.reason


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ({"problem": "p"}, Code.MISSING, "completion: missing (nor 'thoughts' and 'response', nor 'messages')"),
        ({"completion": "c"}, Code.MISSING, "problem: missing"),
        ({"problem": "p", "completion": ""}, Code.EMPTY, "thoughts: is empty, and there is no completion either"),
        ({"problem": "p", "thoughts": "t"}, Code.EMPTY, "response: is empty"),
        ({"problem": "p", "completion": "c", "response": "r"}, Code.BAD_VALUE, "not both"),
        ({"problem": "p", "completion": 3}, Code.WRONG_TYPE, "completion: expected text, got int 3"),
        ({"messages": "hello"}, Code.WRONG_TYPE, "messages: expected a list of messages, got 'hello'"),
        ({"messages": [{"role": "user", "content": "p"}]}, Code.BAD_VALUE, "one user and one assistant turn, got user"),
        ({"messages": []}, Code.BAD_VALUE, "got none"),
        ({"messages": [{"role": "user"}, {"role": "assistant", "content": "c"}]}, Code.EMPTY, "problem: is empty"),
        (
            {"messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "c" * 200_001}]},
            Code.TOO_LONG,
            "messages: longer than",
        ),
    ],
)
def test_a_bad_trace_is_told_by_kind_and_column(row, code, said):
    parsed = parse_trace(row)
    assert isinstance(parsed, Rejection)
    assert parsed.code is code
    assert said in parsed.reason


# -------------------------------------------------------------------------------------------- properties

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
fields = st.sampled_from([*PROBLEM_FIELDS, "completion", "thoughts", "response", "messages"])
any_row = st.dictionaries(fields, json_values)
unhurried = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@unhurried
@given(any_row)
def test_any_row_is_a_problem_or_has_a_reason(row):
    parsed = parse_problem(row)
    if isinstance(parsed, Problem):
        assert parse_problem(parsed.model_dump()) == parsed
        parsed.model_dump_json().encode("utf-8")
    else:
        assert parsed.reason


@unhurried
@given(any_row)
def test_any_row_is_a_trace_or_has_a_reason(row):
    parsed = parse_trace(row)
    if isinstance(parsed, Trace):
        assert parsed.text(Thinking()).strip()
    else:
        assert parsed.reason
